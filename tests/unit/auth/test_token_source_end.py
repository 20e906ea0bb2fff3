"""The token source when it is closed, or when a caller gives up: no caller is left waiting, nothing is left running."""

from __future__ import annotations

import asyncio
import threading

import pytest
from google.auth.exceptions import TransportError

from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError
from tests.unit.auth.token_endpoints import DEADLINE, FIRST, Clock, Endpoint, in_thread

RANDOM = "random.random"


def test_close_wakes_waiting_callers(source: TokenSource, endpoint: Endpoint) -> None:
    """Threads and tasks that wait for a fetch that hangs get an error that says why, at once."""

    async def wait_and_close() -> None:
        task = asyncio.create_task(source.wait_async(None))
        await asyncio.to_thread(endpoint.await_fetch)
        await source.close_async(timeout=0.0)
        with pytest.raises(ClientClosed, match="closed"):
            await asyncio.wait_for(task, DEADLINE)

    waiting = [in_thread(source.wait, None) for _ in range(3)]
    asyncio.run(wait_and_close())
    for call in waiting:
        with pytest.raises(ClientClosed, match="closed"):
            call.result()
    assert endpoint.calls == 1


def test_close_wakes_a_thread_that_pauses(
    source: TokenSource, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller between two attempts does not sleep its pause out."""
    pausing = threading.Event()

    def long() -> float:
        pausing.set()
        return 30.0

    monkeypatch.setattr(RANDOM, long)
    endpoint.answer(TransportError("refused"))
    call = in_thread(source.wait, None)
    assert pausing.wait(DEADLINE)
    source.close()
    with pytest.raises(ClientClosed, match="closed"):
        call.result()


def test_close_ends_the_thread_and_can_be_repeated(source: TokenSource, endpoint: Endpoint, clock: Clock) -> None:
    """After it no fetch begins any more, whatever time it gets, and a new wait is refused."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    for _ in range(3):
        source.close(timeout=DEADLINE)
    assert not any(thread.is_alive() for thread in endpoint.threads)
    clock.now = 150.0
    assert source.current() == FIRST.headers
    with pytest.raises(ClientClosed, match="closed"):
        source.wait(DEADLINE)
    assert endpoint.calls == 1


def test_close_before_any_use_is_fine(endpoint: Endpoint) -> None:
    """A source that was never asked has nothing to end, and is closed all the same."""
    source = TokenSource(endpoint)
    source.close()
    asyncio.run(source.close_async())
    with pytest.raises(ClientClosed, match="closed"):
        source.start()
    assert endpoint.calls == 0


def test_close_does_not_wait_for_a_fetch_that_hangs(source: TokenSource, endpoint: Endpoint) -> None:
    """Closing is bounded, and the thread ends when its fetch does, whatever it brings."""
    source.start()
    endpoint.await_fetch()
    source.close(timeout=0.01)
    asyncio.run(source.close_async(timeout=0.01))
    (worker,) = endpoint.threads
    assert worker.is_alive()
    assert worker.daemon
    endpoint.answer(SystemExit())
    source.close(timeout=DEADLINE)
    assert not worker.is_alive()


def test_close_async_waits_for_the_thread(source: TokenSource, endpoint: Endpoint) -> None:
    """After it the thread is gone, if its fetch is."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    asyncio.run(source.close_async(timeout=DEADLINE))
    assert not any(thread.is_alive() for thread in endpoint.threads)


def test_a_cancelled_task_cancels_no_other(source: TokenSource, endpoint: Endpoint) -> None:
    """The fetch goes on for those who still wait: tasks and threads."""

    async def main() -> tuple[object, bool]:
        patient, hasty = (asyncio.create_task(source.wait_async(None)) for _ in range(2))
        await asyncio.to_thread(endpoint.await_fetch)
        hasty.cancel()
        await asyncio.wait([hasty], timeout=DEADLINE)
        endpoint.answer(FIRST)
        return await asyncio.wait_for(patient, DEADLINE), hasty.cancelled()

    thread = in_thread(source.wait, None)
    assert asyncio.run(main()) == (FIRST.headers, True)
    assert thread.result() == FIRST.headers
    assert endpoint.calls == 1


@pytest.mark.parametrize("end", ["cancelled", "deadline"])
def test_an_answer_after_the_event_loop_is_no_mistake(
    source: TokenSource, endpoint: Endpoint, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """A task that gave up leaves nothing behind that a later answer would trip over."""

    async def give_up() -> None:
        task = asyncio.create_task(source.wait_async(None if end == "cancelled" else 0.01))
        await asyncio.to_thread(endpoint.await_fetch)
        if end == "cancelled":
            task.cancel()
        await asyncio.wait([task], timeout=DEADLINE)
        assert task.cancelled() or isinstance(task.exception(), CredentialsError)

    asyncio.run(give_up())
    endpoint.answer(FIRST)
    assert source.wait(DEADLINE) == FIRST.headers
    source.close(timeout=DEADLINE)
    assert caplog.records == []
