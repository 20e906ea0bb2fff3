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
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from spanner_grpc_sessions.auth.failures import is_passing, text_of
from spanner_grpc_sessions.auth.renewal import Renewal
from spanner_grpc_sessions.auth.token import NEVER, NO_TOKEN, Token, TokenHeaders
from spanner_grpc_sessions.auth.worker import Worker
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError
from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.runtime.clock import CLOCK, TimedEvent
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.fork import reset_after_fork
from spanner_grpc_sessions.runtime.log import log

_FIRST_RETRY: Final = 0.5
_LAST_PAUSE: Final = 2.0
# Seconds that a caller waits for a token, however much time its call has.
_LONGEST_WAIT: Final = 60.0
# Seconds after which a fetch is given up, twice as many after each: what hangs may hang again.
_FETCH_LIMIT: Final = 20.0
_LAST_LIMIT: Final = 3600.0
_BETWEEN_WARNINGS: Final = 60.0

# Errors are results, because a future cannot raise some of them, such as StopIteration.
_Answer = concurrent.futures.Future[Token | BaseException]


class Fetch(Protocol):
    """Asks for a token."""

    def __call__(self, rejected: TokenHeaders = ()) -> Token:
        """Return a token with other headers than these."""


class TokenSource:
    """Tokens of one set of credentials, for any number of threads and event loops.

    `fetch` returns a new token, and may do I/O: the source's own thread calls it, once at a time. `clock` is the wall
    clock, by which credentials expire; `timer` cannot be set. `draw` returns a number from 0 to 1, one in each process:
    processes that fetched or inherited a token together renew it one after the other.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = CLOCK.now,
        draw: Callable[[], float] = lambda: os.urandom(1)[0] / 255,
        fetch_limit: float = _FETCH_LIMIT,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._timer = timer
        self._draw = draw
        self._fetch_limit = fetch_limit
        self._renewal = Renewal(draw())
        self._hung = 0
        self._warned_at = -NEVER
        self._closing = threading.Event()
        self._begin()
        reset_after_fork(self)

    def _begin(self) -> None:
        """Begin in a process, where no thread and no lock of another one counts."""
        self._process = os.getpid()
        # Taken itself: the Condition's own `with` runs Python code after it has the lock, where a signal may raise.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._alone = threading.Lock()
        self._wanted: _Answer | None = None
        self._worker: Worker | None = None
        self._waiters: set[tuple[asyncio.AbstractEventLoop, TimedEvent]] = set()

    def __repr__(self) -> str:
        return f"TokenSource({self._renewal.token!r})"

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close(timeout=0.0)

    def current(self) -> TokenHeaders | None:
        """Return the headers of a valid token, or None if there is none. Never waits: this is on the call path."""
        token = self._renewal.token
        now = self._clock()
        if now < token.renew_at:
            return token.headers
        if now >= self._renewal.renew_at:
            self._renew()
        return token.headers if now < token.valid_until else None

    @property
    def closed(self) -> bool:
        """Whether the source was closed."""
        return self._closing.is_set()

    def start(self) -> None:
        """Ask for the first token without waiting for it, and have it renewed, in a forked child too."""
        if self.current() is None:
            # What keeps a thread from starting is told to the call that needs the token.
            with contextlib.suppress(CredentialsError):
                self._want()
        elif self._renewal.renew_at != NEVER:
            self._renew()

    def reject(self, headers: TokenHeaders | None) -> bool:
        """Replace the current token, which the server rejected; return False if that was done in the last 10 s.

        `headers` are those of the call that failed, None if they are not known. Nothing is done about an older token.
        """
        self._require_process()
        with self._lock:
            if self._closing.is_set() or not self._renewal.reject(headers, self._timer()):
                return False
        with contextlib.suppress(CredentialsError, ClientClosed):
            self._want()
        return True

    def wait(self, timeout: float | None, *, unless: concurrent.futures.Future[None] | None = None) -> TokenHeaders:
        """Return the headers of a valid token, waiting for the request in flight, or raise `CredentialsError`.

        Failures that pass are retried until the timeout, for at most a minute. `unless` ends the wait when it is done.
        """
        deadline, failure = _deadline(timeout), None
        for attempt in itertools.count(1):
            answer = self._want(may_block=True)
            ends: set[concurrent.futures.Future[Any]] = {answer} if unless is None else {answer, unless}
            while not any(end.done() for end in ends) and (patience := self._patience(deadline)):
                concurrent.futures.wait(ends, patience, concurrent.futures.FIRST_COMPLETED)
            outcome = _outcome(answer, failure)
            if isinstance(outcome, Token):
                return outcome.headers
            self._closing.wait(_pause(outcome, attempt, deadline))
            failure = outcome
        raise AssertionError

    async def wait_async(self, timeout: float | None) -> TokenHeaders:
        """Do what `wait` does, without blocking the event loop."""
        deadline, failure = _deadline(timeout), None
        for attempt in itertools.count(1):
            answer = self._want()
            await self._notified(deadline, answer.done)
            outcome = _outcome(answer, failure)
            if isinstance(outcome, Token):
                return outcome.headers
            await self._notified(Deadline(_pause(outcome, attempt, deadline)), self._closing.is_set)
            failure = outcome
        raise AssertionError

    def after_fork(self) -> None:
        """Keep the token in a forked child, without the thread, which stayed in the parent."""
        closed, self._closing = self._closing.is_set(), threading.Event()
        if closed:
            self._closing.set()
        self._begin()
        self._renewal.fraction = self._draw()
        if self._renewal.token is not NO_TOKEN:
            self._renewal.schedule(self._clock())

    def close(self, timeout: float = 1.0) -> None:
        """End the thread, and raise `ClientClosed` in callers that wait for a token. Idempotent.

        The thread may be inside a request to the token endpoint: it is waited for up to `timeout` seconds.
        """
        self._require_process()
        with self._lock:
            self._closing.set()
            wanted, self._wanted = self._wanted, None
            self._changed.notify_all()
        if wanted is not None:
            wanted.set_result(ClientClosed("the client was closed"))
        self._notify()
        if self._worker is not None:
            self._worker.join(timeout)

    async def close_async(self, timeout: float = 1.0) -> None:
        """Do what `close` does, without blocking the event loop."""
        self.close(timeout=0.0)
        deadline = Deadline(timeout)
        # Polled: asyncio cannot join a thread without another thread.
        while self._worker is not None and self._worker.is_alive() and not deadline.has_passed():  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def pause(self, worker: Worker) -> float | None:
        """Tell a worker, which holds the lock, how many seconds to wait for the next fetch; None to end."""
        if worker is not self._worker or self._closing.is_set():
            return None
        now = self._clock()
        self._renewal.follow(now, self._timer())
        return 0.0 if self._wanted is not None else self._renewal.renew_at - now

    def fetch(self, worker: Worker | None) -> None:
        """Ask for a token, on the thread of a worker, or without one on the caller's."""
        outcome: Token | BaseException
        if worker is not None:
            worker.began = self._timer()
        try:
            outcome = self._fetch(self._renewal.unwanted)
        except BaseException as error:  # noqa: BLE001 - callers that wait get whatever the credentials raise
            outcome = error
        if worker is not None:
            worker.began = None
        self._answer(outcome, worker)

    def _want(self, *, may_block: bool = False) -> _Answer:
        """Return the future answer, starting a request if none is in flight."""
        self._require_process()
        with self._lock:
            if self._closing.is_set():
                raise ClientClosed("the client was closed")
            if self._clock() < self._renewal.token.renew_at:
                # It came since the caller looked.
                fresh: _Answer = concurrent.futures.Future()
                fresh.set_result(self._renewal.token)
                return fresh
            wanted = self._wanted = self._wanted or concurrent.futures.Future()
            self._changed.notify_all()
            try:
                self._ensure_worker()
            except RuntimeError as error:
                if not may_block:
                    raise CredentialsError(f"could not start a thread to ask for a token: {error}") from error
            else:
                return wanted
        # The system is out of threads, or the interpreter ends.
        with self._alone:
            if not wanted.done():
                self.fetch(None)
        return wanted

    def _renew(self) -> None:
        """Have a token renewed that is due, if that is not under way."""
        self._require_process()
        # Without a thread, the caller that finds no valid token asks for one itself.
        with self._lock, contextlib.suppress(RuntimeError):
            self._renewal.follow(self._clock(), self._timer())
            self._ensure_worker()
            # The worker sleeps by the monotonic clock, which stops while the machine sleeps.
            self._changed.notify_all()

    def _require_process(self) -> None:
        """Begin in a process that was forked without Python's knowledge, as uWSGI does."""
        if self._process != os.getpid():
            with _beginning:
                if self._process != os.getpid():
                    self.after_fork()

    def _ensure_worker(self) -> None:
        worker = self._worker
        if worker is not None and self._left_of_fetch(worker) <= 0:
            limit = self._limit()
            log.warning("a request for a token has not ended in %.0f s: another one is made", limit)
            self._hung += 1
            worker = None
        if worker is None and not self._closing.is_set():
            self._worker = Worker(self, self._changed, self._closing)

    def _limit(self) -> float:
        return backoff(self._hung + 1, self._fetch_limit, _LAST_LIMIT)

    def _left_of_fetch(self, worker: Worker | None) -> float:
        began = None if worker is None else worker.began
        return self._limit() - (0.0 if began is None else self._timer() - began)

    def _patience(self, deadline: Deadline) -> float:
        """Return the seconds to wait before a request may have to be given up, 0 after the deadline."""
        with self._lock, contextlib.suppress(RuntimeError):
            self._ensure_worker()
        return min(deadline.left() or 0.0, max(self._left_of_fetch(self._worker), 0.01))

    def _answer(self, outcome: Token | BaseException, worker: Worker | None) -> None:
        with self._lock:
            # A fetch that was given up may succeed all the same.
            if worker is not self._worker and (self._wanted is None or not isinstance(outcome, Token)):
                return
            wanted, self._wanted = self._wanted, None
            now = self._clock()
            if isinstance(outcome, Token):
                self._hung = 0
                self._renewal.take(outcome, now, self._timer())
            else:
                instead = self._renewal.fail(now)
                if instead is not None or wanted is None:
                    self._warn(outcome)
                outcome = instead or outcome
        if wanted is not None:
            wanted.set_result(outcome)
        self._notify()

    def _warn(self, error: BaseException) -> None:
        now = self._timer()
        if now >= self._warned_at + _BETWEEN_WARNINGS:
            self._warned_at = now
            what = "get a" if self._renewal.token is NO_TOKEN else "renew the"
            log.warning("could not %s token: %s: %s", what, type(error).__name__, text_of(error))

    async def _notified(self, deadline: Deadline, is_over: Callable[[], bool]) -> None:
        """Wait in asyncio until `is_over`, which is called again at each notification, or until the deadline."""
        event = TimedEvent()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            self._waiters.add(waiter)
        try:
            while not is_over() and (patience := self._patience(deadline)):
                await event.wait_within(patience)
        finally:
            # Not left to the end of the request: a thousand calls may give up before.
            with self._lock:
                self._waiters.discard(waiter)

    def _notify(self) -> None:
        with self._lock:
            waiters = list(self._waiters)
        for loop, event in waiters:
            # The loop may have been closed under its waiter.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.wake)


_beginning: Final = threading.Lock()


def _deadline(timeout: float | None) -> Deadline:
    return Deadline(_LONGEST_WAIT if timeout is None else min(timeout, _LONGEST_WAIT))


def _outcome(answer: _Answer, failure: BaseException | None) -> Token | BaseException:
    """Return how a request ended; raise if it has not, because of the failure of the one before if there was one."""
    if answer.done():
        return answer.result()
    why = "" if failure is None else f": {type(failure).__name__}: {text_of(failure)}"
    raise CredentialsError(
        f"could not get a token before the deadline of the call, or within {_LONGEST_WAIT:g} s{why}"
    ) from failure


def _pause(error: BaseException, attempt: int, deadline: Deadline) -> float:
    """Return the seconds after which to ask again; raise if asking again does not help."""
    from random import random  # noqa: PLC0415 - 3 ms that a client without failures does not need

    pause = random() * backoff(attempt + 1, _FIRST_RETRY, _LAST_PAUSE)  # noqa: S311 - no secret
    if is_passing(error) and not deadline.has_passed(after=pause):
        return pause
    if isinstance(error, CredentialsError | ClientClosed):
        raise type(error)(*error.args)
    raise CredentialsError(f"could not get a token: {type(error).__name__}: {text_of(error)}") from error
