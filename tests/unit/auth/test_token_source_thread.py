"""The thread of a token source: left when it hangs, ended with the source, and replaced where it does not exist."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest
from google.auth.exceptions import TransportError

from spanner_grpc_sessions.auth.token import Token, TokenHeaders
from spanner_grpc_sessions.auth.token_source import TokenSource
from tests.support.waiting import until
from tests.unit.auth.token_endpoints import DEADLINE, FIRST, SECOND, Clock, Endpoint, fail, token, wait

_LOGGER = "spanner_grpc_sessions"


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_fetch_that_hangs_is_left_and_another_one_made(colour: str) -> None:
    """The caller waits on, and gets the token of the second one."""
    hang, threads = threading.Event(), []

    def fetch(rejected: TokenHeaders = ()) -> Token:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            hang.wait(DEADLINE)
        return SECOND

    source = TokenSource(fetch, clock=Clock(), fetch_limit=0.05)
    try:
        assert wait(source, colour, DEADLINE) == SECOND.headers
        assert len(set(threads)) == 2
    finally:
        hang.set()
        source.close(timeout=DEADLINE)
    until(lambda: not any(thread.is_alive() for thread in threads))


def test_a_fetch_that_was_left_may_succeed_all_the_same() -> None:
    """A slow endpoint is no reason to have no token, while the next fetch hangs too."""
    slow, begun = threading.Event(), threading.Semaphore(0)

    def fetch(rejected: TokenHeaders = ()) -> Token:
        mine = len(calls)
        calls.append(mine)
        begun.release()
        (slow if mine == 0 else stop).wait(DEADLINE)
        return FIRST if mine == 0 else SECOND

    calls: list[int] = []
    stop = threading.Event()
    source = TokenSource(fetch, clock=Clock(), fetch_limit=0.05, draw=lambda: 0.0)
    waiting = threading.Thread(target=lambda: source.wait(DEADLINE))
    waiting.start()
    try:
        for _ in range(2):
            assert begun.acquire(timeout=DEADLINE)
        slow.set()
        waiting.join(DEADLINE)
        assert source.current() == FIRST.headers
    finally:
        stop.set()
        source.close(timeout=DEADLINE)


def test_a_renewal_that_hangs_is_left_too() -> None:
    """Without anyone who waits: the next look at the token begins another one."""
    hang, calls, clock = threading.Event(), [], Clock()

    def fetch(rejected: TokenHeaders = ()) -> Token:
        calls.append(1)
        if len(calls) == 2:
            hang.wait(DEADLINE)
        return FIRST if len(calls) < 3 else SECOND

    source = TokenSource(fetch, clock=clock, fetch_limit=0.01, draw=lambda: 0.0)
    try:
        source.wait(DEADLINE)
        clock.now = FIRST.renew_at
        until(lambda: source.current() == SECOND.headers)
    finally:
        hang.set()
        source.close(timeout=DEADLINE)
    assert len(calls) == 3


def test_a_source_that_is_dropped_ends_its_thread() -> None:
    """With a token that is to be renewed, as of `call_credentials` of a client that was never opened."""
    endpoint = Endpoint(token("t", renew_at=1e12, valid_until=2e12))
    source = TokenSource(endpoint)
    source.wait(DEADLINE)
    reference = weakref.ref(source)
    del source
    gc.collect()
    assert reference() is None
    until(lambda: not any(thread.is_alive() for thread in endpoint.threads))


def test_the_thread_renews_by_a_timer_that_cannot_be_set(endpoint: Endpoint) -> None:
    """The wall clock is set back a day: the token is renewed when it is due by the other clock."""
    clock, ticks = Clock(), [0.0]
    source = TokenSource(endpoint, clock=clock, timer=lambda: ticks[0], draw=lambda: 0.0)
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    endpoint.await_fetch()
    clock.now, ticks[0] = -86_400.0, FIRST.renew_at
    with source._changed:
        source._changed.notify_all()
    endpoint.await_fetch()
    endpoint.answer(SECOND)
    source.close(timeout=DEADLINE)


def test_a_rejected_token_is_replaced_by_one_fetch(source: TokenSource, endpoint: Endpoint) -> None:
    """Twenty calls that carried it ask for the next one together, and none gets it any more."""
    endpoint.answer(FIRST)
    headers = source.wait(DEADLINE)
    endpoint.await_fetch()
    assert [source.reject(headers) for _ in range(20)].count(True) == 1
    assert source.current() is None
    endpoint.await_fetch()
    endpoint.answer(SECOND)
    assert source.wait(DEADLINE) == SECOND.headers
    assert not source.reject(headers)
    assert endpoint.calls == 2
    assert endpoint.rejected == [(), headers]


def test_a_rejected_token_serves_where_there_is_no_other(source: TokenSource, endpoint: Endpoint) -> None:
    """Callers that wait get it back, and the server's answer with it."""
    endpoint.answer(FIRST)
    headers = source.wait(DEADLINE)
    source.reject(headers)
    endpoint.answer(TransportError("refused"))
    assert source.wait(DEADLINE) == source.current() == headers


def test_renewals_that_fail_are_logged_once_a_minute(
    endpoint: Endpoint, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """At WARNING, with the cause; not a failure that a caller is told of."""
    ticks = [0.0]
    source = TokenSource(endpoint, clock=clock, timer=lambda: ticks[0], draw=lambda: 0.0)
    endpoint.answer(TransportError("of the first"))
    fail_first = source._want()
    fail_first.result(DEADLINE)
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    assert caplog.records == []
    for _ in range(2):
        endpoint.await_fetch()
    clock.now = FIRST.renew_at
    for ticks[0] in (1.0, 30.0, 62.0):
        source.current()
        endpoint.await_fetch()
        before = source._renewal.renew_at
        endpoint.answer(TransportError("refused"))
        until(lambda: source._renewal.renew_at > before)  # noqa: B023 - called before the next
        clock.now = source._renewal.renew_at
    source.close(timeout=DEADLINE)
    assert [(record.levelno, record.getMessage()) for record in caplog.records if record.name == _LOGGER] == [
        (logging.WARNING, "could not renew the token: TransportError: refused")
    ] * 2


def test_a_token_that_was_never_there_is_not_renewed(
    endpoint: Endpoint, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that there is none."""
    source = TokenSource(endpoint, clock=clock, draw=lambda: 0.0)
    source.start()
    fail(source, endpoint, TransportError("of the first"))
    endpoint.await_fetch()
    clock.now = source._renewal.renew_at
    source._renew()
    endpoint.await_fetch()
    endpoint.answer(TransportError("refused"))
    until(lambda: bool(caplog.records))
    source.close(timeout=DEADLINE)
    assert [record.getMessage() for record in caplog.records if record.name == _LOGGER] == [
        "could not get a token: TransportError: refused"
    ]


def test_the_wait_for_a_token_has_a_bound_of_its_own(
    source: TokenSource, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that may take an hour, or has no limit, does not wait so long for a token."""
    monkeypatch.setattr("spanner_grpc_sessions.auth.token_source._LONGEST_WAIT", 0.01)
    for timeout in (3600.0, None):
        for colour in ("sync", "async"):
            with pytest.raises(Exception, match=r"within 0.01 s"):
                wait(source, colour, timeout)
