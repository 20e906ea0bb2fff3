"""The token source: one fetch at a time, ahead of expiry, and no caller that waits without need."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from spanner_grpc_sessions.auth import AnonymousTokens
from spanner_grpc_sessions.auth.token import NEVER
from spanner_grpc_sessions.auth.token_source import TokenSource
from tests.unit.auth.token_endpoints import DEADLINE, FIRST, SECOND, Clock, Endpoint, token


def test_twenty_threads_that_meet_no_token_make_one_fetch(source: TokenSource, endpoint: Endpoint) -> None:
    """All wait for the fetch that the first of them began, and get its token."""
    start = threading.Barrier(21)

    def call() -> object:
        start.wait(DEADLINE)
        return source.current() or source.wait(DEADLINE)

    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(call) for _ in range(20)]
        start.wait(DEADLINE)
        endpoint.await_fetch()
        endpoint.answer(FIRST)
        assert {future.result(DEADLINE) for future in calls} == {FIRST.headers}
    assert endpoint.calls == 1


def test_a_caller_that_comes_just_too_late_to_wait_makes_no_fetch(source: TokenSource, endpoint: Endpoint) -> None:
    """A token that arrived between a caller's look and its wait is what it gets."""
    endpoint.answer(FIRST)
    assert source.current() is None
    assert source.wait(DEADLINE) == FIRST.headers
    assert source.wait(DEADLINE) == FIRST.headers
    assert endpoint.calls == 1


def test_twenty_tasks_that_meet_no_token_make_one_fetch(source: TokenSource, endpoint: Endpoint) -> None:
    """In asyncio too, and the event loop goes on meanwhile."""

    async def main() -> set[object]:
        tasks = [asyncio.create_task(source.wait_async(DEADLINE)) for _ in range(20)]
        await asyncio.to_thread(endpoint.await_fetch)
        endpoint.answer(FIRST)
        return set(await asyncio.gather(*tasks))

    assert asyncio.run(main()) == {FIRST.headers}
    assert endpoint.calls == 1


def test_start_asks_for_the_first_token_without_waiting(source: TokenSource, endpoint: Endpoint) -> None:
    """The fetch begins in the source's own thread, and a second start begins no second one."""
    source.start()
    source.start()
    endpoint.await_fetch()
    assert source.current() is None
    endpoint.answer(FIRST)
    assert source.wait(DEADLINE) == source.current() == FIRST.headers
    source.start()
    assert endpoint.calls == 1
    assert threading.current_thread() not in endpoint.threads


def test_a_token_is_renewed_ahead_of_expiry_while_the_old_one_serves(
    source: TokenSource, endpoint: Endpoint, clock: Clock
) -> None:
    """Past `renew_at` a fetch begins, and no caller waits for it."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    endpoint.await_fetch()
    clock.now = 100.0
    assert source.current() == FIRST.headers
    endpoint.await_fetch()
    clock.now = 199.9
    assert source.current() == FIRST.headers
    endpoint.answer(SECOND)
    clock.now = 200.0
    assert source.wait(DEADLINE) == source.current() == SECOND.headers
    assert endpoint.calls == 2


def test_the_worker_wakes_by_itself_to_renew(endpoint: Endpoint) -> None:
    """With a clock that runs, the fetch ahead of expiry needs not even a call."""
    source = TokenSource(endpoint)  # the wall clock
    now = source._clock()
    endpoint.answer(token("short", renew_at=now + 0.2, valid_until=now + 1000))
    source.wait(DEADLINE)
    endpoint.await_fetch()
    endpoint.await_fetch()
    source.close(timeout=0.0)
    endpoint.answer(SECOND)
    source.close(timeout=DEADLINE)
    assert endpoint.calls == 2


def test_current_never_waits(source: TokenSource, endpoint: Endpoint, clock: Clock) -> None:
    """While a fetch hangs there is the old token or none, at once."""
    assert source.current() is None
    source.start()
    endpoint.await_fetch()
    assert source.current() is None
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    clock.now = 150.0
    assert source.current() == FIRST.headers
    endpoint.await_fetch()
    assert source.current() == FIRST.headers
    clock.now = 250.0
    assert source.current() is None


def test_tokens_that_live_for_seconds_are_renewed_within_them(
    source: TokenSource, endpoint: Endpoint, clock: Clock
) -> None:
    """A life of two seconds is enough to be renewed at half of it."""
    for second in range(0, 10, 2):
        clock.now = float(second)
        short = token(str(second), renew_at=second + 1.0, valid_until=second + 2.0)
        endpoint.answer(short)
        assert source.wait(DEADLINE) == short.headers
        endpoint.await_fetch()
        clock.now += 0.9
        assert source.current() == short.headers
    assert endpoint.calls == 5


def test_a_clock_that_jumps_is_followed(source: TokenSource, endpoint: Endpoint, clock: Clock) -> None:
    """After a suspended night the token is known to be invalid, and a new one is asked for at the next look."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    endpoint.await_fetch()
    clock.now = 1000.0
    assert source.current() is None
    endpoint.await_fetch()
    endpoint.answer(SECOND)
    assert source.wait(DEADLINE) == SECOND.headers
    clock.now = 50.0
    assert source.current() == SECOND.headers
    assert endpoint.calls == 2


def test_a_token_without_expiry_is_never_renewed(endpoint: Endpoint) -> None:
    """A static token serves without end."""
    clock = Clock()
    source = TokenSource(endpoint, clock=clock)
    endpoint.answer(token("static", renew_at=NEVER, valid_until=NEVER))
    headers = source.wait(DEADLINE)
    clock.now = 1e12
    assert source.current() == headers
    source.close(timeout=DEADLINE)
    assert endpoint.calls == 1


def test_an_anonymous_source_has_no_headers_and_no_thread() -> None:
    """Where nothing is authenticated, nothing is fetched and nothing runs."""
    before = set(threading.enumerate())
    source = AnonymousTokens()
    source.start()
    assert source.current() == source.wait(0.0) == asyncio.run(source.wait_async(0.0)) == ()
    assert set(threading.enumerate()) <= before
    source.close()
    asyncio.run(source.close_async())
