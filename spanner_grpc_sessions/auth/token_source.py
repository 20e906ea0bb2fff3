"""The token source: an OAuth token that is ready before a call needs it.

Only the thread of the source asks the credentials for tokens, so there is never more than one request in flight, and
no call or event loop makes one. It renews a token long before it expires; while renewal fails, the old token is used as
long as it is valid. A caller waits, within its own deadline, only if there is no valid token at all.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError
from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.runtime.clock import event_within
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.fork import reset_after_fork

TokenHeaders = tuple[tuple[str, str], ...]

_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 30.0
_LAST_PAUSE: Final = 2.0
# A time that never comes.
NEVER: Final = float("inf")


class Token(NamedTuple):
    """The headers that authenticate a call, which are secret, and how long they do, in seconds since the epoch."""

    headers: TokenHeaders
    renew_at: float
    valid_until: float

    def __repr__(self) -> str:
        return f"Token(renew_at={self.renew_at}, valid_until={self.valid_until})"


# Errors are results, because a future cannot raise some of them, such as StopIteration.
_Answer = concurrent.futures.Future[Token | BaseException]

_NO_TOKEN: Final = Token((), 0.0, 0.0)


class TokenSource:
    """Tokens of one set of credentials, for any number of threads and event loops.

    `fetch` returns a new token, and may do I/O: the source's own thread calls it, once at a time. `clock` is the wall
    clock, by which credentials expire.
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
        reset_after_fork(self)

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
                # The worker sleeps by the monotonic clock, which stops while the machine sleeps.
                self._changed.notify_all()
        return token.headers if now < token.valid_until else None

    @property
    def closed(self) -> bool:
        """Whether the source was closed."""
        return self._closing.is_set()

    def start(self) -> None:
        """Ask for the first token without waiting for it, and have it renewed, in a forked child too."""
        if self.current() is None:
            self._want()
        elif self._renew_at != NEVER:
            with self._changed:
                self._start_worker()

    def wait(self, timeout: float | None, *, unless: concurrent.futures.Future[None] | None = None) -> TokenHeaders:
        """Return the headers of a valid token, waiting for the request in flight, or raise `CredentialsError`.

        Transport errors of the token endpoint are retried until the timeout. `unless` ends the wait when it is done.
        """
        deadline = Deadline(timeout)
        for attempt in itertools.count(1):
            answer = self._want()
            ends: set[concurrent.futures.Future[Any]] = {answer} if unless is None else {answer, unless}
            concurrent.futures.wait(ends, deadline.left(), concurrent.futures.FIRST_COMPLETED)
            outcome = _outcome(answer, attempt, deadline)
            if isinstance(outcome, Token):
                return outcome.headers
            self._closing.wait(outcome)
        raise AssertionError

    async def wait_async(self, timeout: float | None) -> TokenHeaders:
        """Do what `wait` does, without blocking the event loop."""
        deadline = Deadline(timeout)
        for attempt in itertools.count(1):
            answer = self._want()
            await self._notified(deadline, answer.done)
            outcome = _outcome(answer, attempt, deadline)
            if isinstance(outcome, Token):
                return outcome.headers
            await self._notified(Deadline(outcome), self._closing.is_set)
        raise AssertionError

    def after_fork(self) -> None:
        """Keep the token in a forked child, without the thread, which stayed in the parent."""
        closed = self._closing.is_set()
        self._changed, self._closing = threading.Condition(), threading.Event()
        if closed:
            self._closing.set()
        self._wanted = self._worker = None
        self._waiters = set()

    def close(self, timeout: float = 1.0) -> None:
        """End the thread, and raise `ClientClosed` in callers that wait for a token. Idempotent.

        The thread may be inside a request to the token endpoint: it is waited for up to `timeout` seconds.
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
        deadline = Deadline(timeout)
        # Polled: asyncio cannot join a thread without another thread.
        while self._worker is not None and self._worker.is_alive() and not deadline.has_passed():  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def _want(self) -> _Answer:
        """Return the future answer, starting a request if none is in flight."""
        with self._changed:
            if self._closing.is_set():
                raise ClientClosed("the client was closed")
            if self._clock() < self._token.renew_at:
                # It came since the caller looked.
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
            except BaseException as error:  # noqa: BLE001 - callers that wait get whatever the credentials raise
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
                # Not at once, even if the token has expired already or the clock is wrong.
                self._renew_at = max(outcome.renew_at, self._clock() + _FIRST_RETRY)
                self._failures = 0
            else:
                self._failures += 1
                self._renew_at = self._clock() + backoff(self._failures + 1, _FIRST_RETRY, _LAST_RETRY)
        if wanted is not None:
            wanted.set_result(outcome)
        self._notify()

    async def _notified(self, deadline: Deadline, is_over: Callable[[], bool]) -> None:
        """Wait in asyncio until `is_over`, which is called again at each notification, or until the deadline."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._changed:
            self._waiters.add(waiter)
        try:
            while not is_over() and (left := deadline.left()) != 0.0:
                await event_within(event, NEVER if left is None else left)
                event.clear()
        finally:
            # Not left to the end of the request: a thousand calls may give up before.
            with self._changed:
                self._waiters.discard(waiter)

    def _notify(self) -> None:
        with self._changed:
            waiters = list(self._waiters)
        for loop, event in waiters:
            # The loop may have been closed under its waiter.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


def _outcome(answer: _Answer, attempt: int, deadline: Deadline) -> Token | float:
    """Return the token, or the seconds after which to ask again; raise if asking again does not help."""
    if not answer.done():
        raise CredentialsError("could not get a token before the deadline of the call")
    error = answer.result()
    if isinstance(error, Token):
        return error
    from random import random  # noqa: PLC0415 - 3 ms that a client without failures does not need

    pause = random() * backoff(attempt + 1, _FIRST_RETRY, _LAST_PAUSE)  # noqa: S311 - no secret
    if _is_passing(error) and not deadline.has_passed(after=pause):
        return pause
    if isinstance(error, CredentialsError | ClientClosed):
        raise type(error)(*error.args)
    raise CredentialsError(f"could not get a token: {type(error).__name__}: {_text(error)}") from error


def _is_passing(error: BaseException) -> bool:
    try:
        from google.auth.exceptions import TransportError  # noqa: PLC0415 - loaded by now, where credentials are used

        return isinstance(error, TransportError) or bool(getattr(error, "retryable", False))
    except Exception:  # noqa: BLE001 - credentials may raise errors of any class
        return False


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - credentials may raise errors of any class
        return "it has no text"
