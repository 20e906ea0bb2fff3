"""The token source: an OAuth token that is ready before a call needs it.

One thread per source, and only that one, asks the credentials for tokens: so there is never more than one request for
a token in flight, and no call, no event loop does it. It renews ahead of expiry; while that fails, the old token
serves until it is truly invalid. Only a caller that finds no valid token at all waits, within its own deadline.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.auth import exceptions as google_exceptions

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError
from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.runtime.clock import event_within
from spanner_grpc_sessions.runtime.fork import begin_anew_after_fork

__all__ = ["NEVER", "Token", "TokenHeaders", "TokenSource"]

TokenHeaders = tuple[tuple[str, str], ...]

_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 30.0
_LAST_PAUSE: Final = 2.0
NEVER: Final = float("inf")
"""A time that does not come."""


@dataclass(frozen=True, slots=True)
class Token:
    """The headers that authenticate a call, and how long they do.

    Attributes:
        headers: `authorization` and what else the credentials add, like x-goog-user-project. Secret.
        renew_at: when to ask for the next one, in seconds since the epoch.
        valid_until: when it stops being valid, in seconds since the epoch.
    """

    headers: TokenHeaders
    renew_at: float
    valid_until: float

    def __repr__(self) -> str:
        return f"Token(renew_at={self.renew_at}, valid_until={self.valid_until})"


# Errors are results, for asyncio refuses to hand some of them on: StopIteration, for one.
_Answer = concurrent.futures.Future[Token | BaseException]

_NO_TOKEN: Final = Token((), 0.0, 0.0)
_FOREVER: Final = Token((), NEVER, NEVER)


class TokenSource:
    """Tokens of one set of credentials, for any number of threads and event loops.

    Args:
        fetch: returns a new token. Called by the source's own thread, one call at a time, since it may do I/O.
        clock: the wall clock, in seconds since the epoch, on which credentials count their expiry.
    """

    def __init__(self, fetch: Callable[[], Token], *, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token = _NO_TOKEN
        self._changed = threading.Condition()
        self._wanted: _Answer | None = None
        self._renew_at = NEVER
        self._failures = 0
        self._worker: threading.Thread | None = None
        self._closing = threading.Event()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        begin_anew_after_fork(self)

    @classmethod
    def anonymous(cls) -> TokenSource:
        """Return a source for calls that carry no token: it has nothing to fetch and starts no thread."""
        source = cls(lambda: _FOREVER)
        source._token = _FOREVER
        return source

    def __repr__(self) -> str:
        return f"TokenSource({self._token!r})"

    def current(self) -> TokenHeaders | None:
        """Return the headers of a valid token, or None if there is none. Never waits: this is on the call path."""
        token = self._token
        now = self._clock()
        if now < token.renew_at:
            return token.headers
        if now >= self._renew_at:
            with self._changed:
                # The worker sleeps by the monotonic clock, which stands still while a machine is suspended.
                self._changed.notify_all()
        return token.headers if now < token.valid_until else None

    @property
    def closed(self) -> bool:
        """Whether the source was closed."""
        return self._closing.is_set()

    def start(self) -> None:
        """Ask for the first token without waiting for it; have it renewed, in a forked child too."""
        if self.current() is None:
            self._want()
        elif self._renew_at != NEVER:
            with self._changed:
                self._start_worker()

    def wait(self, timeout: float | None, *, unless: concurrent.futures.Future[None] | None = None) -> TokenHeaders:
        """Return the headers of a valid token, waiting for the request in flight.

        Args:
            timeout: seconds, None for no limit. Transport errors of the token endpoint are tried again until then.
            unless: done when the wait is to end, whatever there is then.

        Raises:
            CredentialsError: the credentials gave no token, or not in time.
            ClientClosed: the source was closed.
        """
        deadline = _deadline(timeout)
        for attempt in itertools.count(1):
            answer = self._want()
            ends: set[concurrent.futures.Future[Any]] = {answer} if unless is None else {answer, unless}
            concurrent.futures.wait(ends, _left(deadline), concurrent.futures.FIRST_COMPLETED)
            outcome = _outcome(answer, attempt, deadline)
            if isinstance(outcome, Token):
                return outcome.headers
            self._closing.wait(outcome)
        raise AssertionError

    async def wait_async(self, timeout: float | None) -> TokenHeaders:
        """Do what `wait` does, without blocking the event loop."""
        deadline = _deadline(timeout)
        for attempt in itertools.count(1):
            answer = self._want()
            await self._notified(_left(deadline), answer.done)
            outcome = _outcome(answer, attempt, deadline)
            if isinstance(outcome, Token):
                return outcome.headers
            await self._notified(outcome, self._closing.is_set)
        raise AssertionError

    def after_fork(self) -> None:
        """Begin anew in a forked child, with the token that there is: its thread stayed in the parent."""
        closed = self._closing.is_set()
        self._changed, self._closing = threading.Condition(), threading.Event()
        if closed:
            self._closing.set()
        self._wanted = self._worker = None
        self._waiters = set()

    def close(self, timeout: float = 1.0) -> None:
        """End the thread; those who wait for a token get `ClientClosed`. Idempotent.

        Args:
            timeout: seconds to wait for the thread, which may be inside a request to the token endpoint.
        """
        with self._changed:
            self._closing.set()
            wanted, self._wanted = self._wanted, None
            self._changed.notify_all()
        if wanted is not None:
            wanted.set_result(ClientClosed("the client was closed"))
        self._notify()
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join(timeout)

    async def close_async(self, timeout: float = 1.0) -> None:
        """Do what `close` does, without blocking the event loop."""
        self.close(timeout=0.0)
        deadline = _deadline(timeout)
        # Looked at again and again: joining a thread has no asyncio form that does not need another thread.
        while self._worker is not None and self._worker.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def _want(self) -> _Answer:
        """Return the answer to come, starting the request if none is in flight."""
        with self._changed:
            if self._closing.is_set():
                raise ClientClosed("the client was closed")
            if self._clock() < self._token.renew_at:
                # It came between the caller's look at it and this one.
                fresh: _Answer = concurrent.futures.Future()
                fresh.set_result(self._token)
                return fresh
            if self._wanted is None:
                self._wanted = concurrent.futures.Future()
                self._changed.notify_all()
            self._start_worker()
            return self._wanted

    def _start_worker(self) -> None:
        if self._worker is None and not self._closing.is_set():
            worker = threading.Thread(target=self._run, name="spanner-sessions-token", daemon=True)
            worker.start()
            self._worker = worker

    def _run(self) -> None:
        while self._await_work():
            outcome: Token | BaseException
            try:
                outcome = self._fetch()
            except BaseException as error:  # noqa: BLE001 - whatever credentials raise goes to those who wait
                outcome = error
            self._answer(outcome)

    def _await_work(self) -> bool:
        with self._changed:
            while not self._closing.is_set() and self._wanted is None and self._clock() < self._renew_at:
                pause = self._renew_at - self._clock()
                self._changed.wait(None if pause == NEVER else min(pause, threading.TIMEOUT_MAX))
            return not self._closing.is_set()

    def _answer(self, outcome: Token | BaseException) -> None:
        with self._changed:
            wanted, self._wanted = self._wanted, None
            if isinstance(outcome, Token):
                self._token = outcome
                # Not at once again, when the token has expired already or the clock is wrong.
                self._renew_at = max(outcome.renew_at, self._clock() + _FIRST_RETRY)
                self._failures = 0
            else:
                self._failures += 1
                self._renew_at = self._clock() + backoff(self._failures + 1, _FIRST_RETRY, _LAST_RETRY)
        if wanted is not None:
            wanted.set_result(outcome)
        self._notify()

    async def _notified(self, timeout: float | None, is_over: Callable[[], bool]) -> None:
        """Wait in asyncio until `is_over`, which is asked again at each notification."""
        deadline = _deadline(timeout)
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._changed:
            self._waiters.add(waiter)
        try:
            while not is_over() and (left := _left(deadline)) != 0.0:
                await event_within(event, NEVER if left is None else left)
                event.clear()
        finally:
            # Not left to the end of the request: a thousand calls may give up meanwhile.
            with self._changed:
                self._waiters.discard(waiter)

    def _notify(self) -> None:
        with self._changed:
            waiters = list(self._waiters)
        for loop, event in waiters:
            # A loop that was closed under its waiter has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


def _deadline(timeout: float | None) -> float:
    return NEVER if timeout is None else time.monotonic() + timeout


def _left(deadline: float) -> float | None:
    return None if deadline == NEVER else max(deadline - time.monotonic(), 0.0)


def _outcome(answer: _Answer, attempt: int, deadline: float) -> Token | float:
    """Return the token, or the seconds after which to ask once more; raise when neither will help."""
    if not answer.done():
        raise CredentialsError("the credentials gave no token before the deadline of the call")
    error = answer.result()
    if isinstance(error, Token):
        return error
    pause = random.random() * backoff(attempt + 1, _FIRST_RETRY, _LAST_PAUSE)  # noqa: S311 - no secret
    if _is_passing(error) and time.monotonic() + pause < deadline:
        return pause
    if isinstance(error, CredentialsError | ClientClosed):
        raise type(error)(*error.args)
    raise CredentialsError(f"the credentials gave no token: {type(error).__name__}: {_text(error)}") from error


def _is_passing(error: BaseException) -> bool:
    try:
        return isinstance(error, google_exceptions.TransportError) or bool(getattr(error, "retryable", False))
    except Exception:  # noqa: BLE001 - an error of anybody's making
        return False


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of anybody's making
        return "it has no text"
