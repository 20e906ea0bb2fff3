"""The token source when fetches fail: an error of ours, soon enough, and another attempt where it may help."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.exceptions import RefreshError, TransportError

from spanner_grpc_sessions.auth.token import Token, TokenHeaders
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import CredentialsError
from tests.unit.auth.token_endpoints import DEADLINE, FIRST, SECOND, Clock, Endpoint, fail, token, wait

RANDOM = "random.random"


def test_a_permanent_error_ends_the_wait_at_once(source: TokenSource, endpoint: Endpoint) -> None:
    """What another attempt would not change is told after one fetch, however long the caller would wait."""
    cause = RefreshError("invalid_grant: no such account")
    endpoint.answer(cause)
    with pytest.raises(CredentialsError, match="RefreshError: invalid_grant: no such account") as error:
        wait(source, "sync", None)
    assert error.value.__cause__ is cause
    assert endpoint.calls == 1


@pytest.mark.parametrize(
    "cause",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        TimeoutError("slow"),
        GeneratorExit(),
        StopIteration("stop"),
        StopAsyncIteration(),
        asyncio.CancelledError(),
        asyncio.TimeoutError(),
        AssertionError(),
        ValueError("the key is no key"),
        OSError(2, "no such file"),
        CredentialsError("from within"),
        MemoryError(),
    ],
    ids=lambda cause: type(cause).__name__,
)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_any_exception_of_a_fetch_becomes_a_credentials_error(
    source: TokenSource, endpoint: Endpoint, cause: BaseException, colour: str
) -> None:
    """No exception of the credentials reaches a caller bare, ends the source's thread or leaves anybody waiting."""
    endpoint.answer(cause)
    with pytest.raises(CredentialsError) as error:
        wait(source, colour, None)
    if not isinstance(cause, CredentialsError):
        assert type(cause).__name__ in str(error.value)
    endpoint.answer(FIRST)
    assert source.wait(DEADLINE) == FIRST.headers
    assert endpoint.calls == 2


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("passing", [TransportError("refused"), RefreshError("503", retryable=True)])
def test_errors_that_pass_are_tried_again(
    source: TokenSource, endpoint: Endpoint, passing: Exception, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the endpoint was not reached, or says that it may be asked again, the caller gets the token after all."""
    monkeypatch.setattr(RANDOM, lambda: 0.0)
    for answer in (passing, passing, FIRST):
        endpoint.answer(answer)
    assert wait(source, colour, DEADLINE) == FIRST.headers
    assert endpoint.calls == 3


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_errors_that_pass_are_not_tried_again_after_the_deadline(
    source: TokenSource, endpoint: Endpoint, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause that would pass the deadline is not begun, and the error tells the cause."""
    monkeypatch.setattr(RANDOM, lambda: 1e6)
    endpoint.answer(TransportError("connection refused"))
    with pytest.raises(CredentialsError, match="TransportError: connection refused"):
        wait(source, colour, DEADLINE)
    assert endpoint.calls == 1


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_fetch_that_hangs_ends_the_wait_at_the_deadline(source: TokenSource, endpoint: Endpoint, colour: str) -> None:
    """A caller waits no longer than it wants to; the fetch goes on for the next one."""
    with pytest.raises(CredentialsError, match="before the deadline"):
        wait(source, colour, 0.01)
    with pytest.raises(CredentialsError, match="before the deadline"):
        source.wait(0.0)
    endpoint.answer(FIRST)
    assert source.wait(DEADLINE) == FIRST.headers
    assert endpoint.calls == 1


def test_the_old_token_serves_while_renewal_fails_and_then_no_more(
    source: TokenSource, endpoint: Endpoint, clock: Clock
) -> None:
    """A failed renewal is tried again later; callers do not notice before the token is truly invalid."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    endpoint.await_fetch()
    for clock.now in (100.0, 140.0, 180.0):
        assert source.current() == FIRST.headers
        endpoint.await_fetch()
        fail(source, endpoint, RefreshError("the key was revoked"))
    clock.now = 200.0
    assert source.current() is None
    endpoint.answer(RefreshError("the key was revoked"))
    with pytest.raises(CredentialsError, match="RefreshError: the key was revoked"):
        source.wait(DEADLINE)


def test_a_failed_renewal_is_not_tried_again_at_once(source: TokenSource, endpoint: Endpoint, clock: Clock) -> None:
    """The pause grows from one second to half a minute, and starts again from one after a success."""
    endpoint.answer(FIRST)
    source.wait(DEADLINE)
    endpoint.await_fetch()
    clock.now = 100.0
    for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        source.current()
        endpoint.await_fetch()
        fail(source, endpoint, TransportError("refused"))
        assert source._renewal.renew_at == clock.now + pause
        clock.now += pause
    source.current()
    endpoint.await_fetch()
    endpoint.answer(SECOND)
    clock.now = 200.0
    assert source.wait(DEADLINE) == SECOND.headers
    assert source._renewal.renew_at == SECOND.renew_at
    clock.now = SECOND.renew_at
    source.current()
    endpoint.await_fetch()
    fail(source, endpoint, TransportError("refused"))
    assert source._renewal.renew_at == clock.now + 1.0


@contextlib.contextmanager
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a system that is out of threads, or Python 3.12 at its end."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


def test_a_caller_asks_for_a_token_itself_where_no_thread_can_be_started(
    source: TokenSource, endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own thread, and the source has one again for the next token."""
    endpoint.answer(FIRST)
    with no_threads(monkeypatch):
        source.start()
        assert source.wait(DEADLINE) == FIRST.headers
        clock.now = FIRST.renew_at
        assert source.current() == FIRST.headers
    assert endpoint.threads == {threading.current_thread()}
    endpoint.threads.clear()
    endpoint.await_fetch()
    source.current()
    endpoint.await_fetch()
    endpoint.answer(SECOND)


def test_an_event_loop_is_not_blocked_where_no_thread_can_be_started(
    source: TokenSource, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call says why it cannot be made, and the next one can."""
    with no_threads(monkeypatch), pytest.raises(CredentialsError, match="could not start a thread"):
        asyncio.run(source.wait_async(DEADLINE))
    endpoint.answer(FIRST)
    assert wait(source, "async", DEADLINE) == FIRST.headers


def test_no_repr_and_no_message_has_the_token(source: TokenSource, endpoint: Endpoint, clock: Clock) -> None:
    """What is logged of a source, a token or an error does not authenticate anybody."""
    endpoint.answer(token("ya29.secret", renew_at=100.0, valid_until=200.0))
    source.wait(DEADLINE)
    clock.now = 300.0
    endpoint.answer(RefreshError("revoked"))
    with pytest.raises(CredentialsError) as error:
        source.wait(DEADLINE)
    shown = [
        repr(source),
        str(source),
        repr(source._renewal.token),
        f"{source._renewal.token}",
        *traceback.format_exception(error.value),
    ]
    assert "secret" not in "".join(shown)
    assert "valid_until=200.0" in repr(source)


class _Mute(Exception):
    """An error that cannot even be asked."""

    @property
    def retryable(self) -> bool:
        raise RuntimeError("no answer")

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_whose_attributes_raise_is_reported_all_the_same() -> None:
    """Whatever its methods do, the caller gets a CredentialsError with it as the cause."""

    def fetch(rejected: TokenHeaders = ()) -> Token:
        raise _Mute

    source = TokenSource(fetch)
    try:
        with pytest.raises(CredentialsError, match="_Mute: it has no text"):
            source.wait(10)
    finally:
        source.close()


def test_callers_that_gave_up_leave_nothing_behind() -> None:
    """A thousand asyncio callers that waited for a token that did not come are forgotten at once."""
    release = threading.Event()

    def fetch(rejected: TokenHeaders = ()) -> Token:
        release.wait(30)
        raise OSError

    async def give_up() -> None:
        with pytest.raises(CredentialsError):
            await source.wait_async(0.001)

    async def all_of_them() -> None:
        await asyncio.gather(*(give_up() for _ in range(1000)))

    source = TokenSource(fetch)
    try:
        asyncio.run(all_of_them())
        assert source._waiters == set()
        request: Any = source._wanted
        assert request._done_callbacks == []
    finally:
        release.set()
        source.close()
