"""What a pool does: the threads, the lock and the calls around the core that decides. Mirrored by `pool_shell_async`.

The pool's face holds the shell; the threads hold the shell too, and not the face, so that a face can be dropped.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from functools import cached_property, partial
from math import inf
from typing import Any, Final

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.calls.background import BackgroundConnection, background_caller
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import PoolClosed
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.pool.core import Create, Delete, Deliver, Effect, Fail, Ping, PoolCore, SessionRecord, WakeAt
from spanner_grpc_sessions.pool.failures import again, is_fatal, is_loss, may_pass, timed_out
from spanner_grpc_sessions.pool.leaks import Leaks
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.reports import Event, PoolReports
from spanner_grpc_sessions.pool.waiter import Waiter
from spanner_grpc_sessions.pool.workers import Workers
from spanner_grpc_sessions.runtime.clock import Clock
from spanner_grpc_sessions.service import requests, rpcs

__all__ = ["PoolShell"]

# Shorter than what Google publishes: the pool tries again by itself, and `close` waits for the calls in flight.
_CREATE_TIMEOUT: Final = 15.0
_PING_TIMEOUT: Final = 5.0
_DELETE_TIMEOUT: Final = 5.0
# The pool's own backoff knows of all creates, and that it is to close.
_ONCE: Final = RetryOptions.none()
_MOST_THREADS: Final = 16
_JOIN_TIMEOUT: Final = 1.0
_log: Final = logging.getLogger("spanner_grpc_sessions")


class PoolShell(PoolReports):
    """The threads, the lock and the calls of one pool.

    Args:
        client: to make the calls with.
        database: of the sessions.
        options: of the pool.
        clock: what the time is, and how to wait for one.

    Attributes:
        core: what decides; see `pool_core.machine` for what may be done with it without a lock.
        started: whether it was opened.
        leaks: what is noted of each lease; None for nothing.
    """

    def __init__(self, client: SessionsClient, database: str, options: PoolOptions, clock: Clock) -> None:
        self.core = PoolCore(options)
        self.started = False
        self.leaks = None if options.leak_after is None else Leaks(options.leak_after)
        self._client = client
        self._background = BackgroundConnection(client._connection)  # noqa: SLF001 - one library
        self._caller = background_caller(client._caller, self._background)  # noqa: SLF001 - one library
        self._database = database
        self._template = (options.labels, options.creator_role)
        self._clock = clock
        self._workers = Workers("spanner-sessions-pool", _MOST_THREADS)
        self._keeper: threading.Thread | None = None
        self._wake_at, self._failed = inf, 0
        self._abandoned = self._busy = False
        self._close_by = inf
        self._events: deque[Event] = deque()
        self._changed = threading.Condition(threading.RLock())

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The stub that all leases share. What it finds lost, nobody gets any more."""
        return spanner_pb2_grpc.SpannerStub(self._client._caller.channel(self.report))  # noqa: SLF001 - one library

    def start(self) -> None:
        """Begin to fill the pool and to keep it alive, if that was not begun yet."""
        with self._changed:
            if self.started or self.core.closing:
                return
            self._keeper = threading.Thread(target=self._keep, name="spanner-sessions-keeper", daemon=True)
            self._keeper.start()
            self.started = True
        self.tell(self.core.tick)

    def tell(self, event: Event) -> None:
        """Tell the core of an event, and begin what it wants done."""
        with self._changed:
            self._events.append(event)
            if self._busy:
                return  # the garbage collector, or a signal, has this very thread tell of something in the midst of it
            self._busy = True
            try:
                while self._events:
                    self._begin(self._events.popleft()(self._clock.now()))
            finally:
                self._busy = False
        self._workers.staff()
        if self._abandoned:
            self._wake()

    def acquire(self, lease: Any, timeout: float | None) -> None:
        """Give a lease its session, waiting for one.

        Raises:
            PoolTimeout, PoolOverloaded, PoolClosed: there was none.
            SpannerSessionsError: none could be created, and to try again will hardly help.
        """
        core, waiter = self.core, Waiter()
        try:
            if not self.started:
                self.start()
            until = inf if timeout is None else self._clock.now() + timeout
            self.tell(lambda now: core.acquire(waiter, now))
            waiter.wait(self._clock, until)
            answer = waiter.answer
            if isinstance(answer, SessionRecord):
                lease._record, lease._lessor, answer.holder = answer, self, lease  # noqa: SLF001 - a pool and its leases
                core.accepted(waiter, self._clock.now())
                self._note(answer)
                return
        except BaseException:
            self.tell(lambda now: core.waiter_gone(waiter, now, timed_out=False))
            answer = waiter.answer
            if isinstance(answer, SessionRecord) and answer.holder is lease:
                self.give_back(answer)
            raise
        if answer is not None:
            raise again(answer) from answer
        self.tell(lambda now: core.waiter_gone(waiter, now, timed_out=True))
        raise timed_out(f"no session of {self._database} came free", timeout or 0.0, core.last_error)

    def _note(self, record: SessionRecord) -> None:
        if self.leaks is not None:
            with self._changed:
                self.leaks.note(record, self._clock.now())
                self._changed.notify_all()

    def fill(self, timeout: float | None, *, patient: bool) -> None:
        """Wait until `min_size` sessions are there.

        Args:
            timeout: seconds, None for no limit.
            patient: wait on where a create failed in a way that may pass, though the client would not repeat it.
        """
        self.start()
        core, until, seen = self.core, inf if timeout is None else self._clock.now() + timeout, self._failed
        passing = None if patient else self._client._caller.retry.statuses  # noqa: SLF001 - one library
        self.tell(core.fill)
        with self._changed:
            while not core.filled or core.closing:
                error = core.last_error
                if core.closing:
                    raise PoolClosed("the pool was closed")
                if self._failed != seen and error is not None and not may_pass(error, passing):
                    raise again(error) from error
                if self._clock.now() >= until:
                    raise timed_out(f"the pool of {self._database} was not filled", timeout or 0.0, error)
                self._clock.wait(self._changed, until)

    def close(self, timeout: float | None) -> None:
        """Delete all sessions and end all threads, in that time."""
        deadline = inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._close_by, interrupting = deadline, self._busy
        self.tell(self.core.close)
        self._wake()
        if interrupting:
            return  # a signal handler: what it interrupted goes on only when it returns, and closes the pool then
        with self._changed:
            while not self.core.closed and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
        self._background.end_calls()
        self._workers.end(_JOIN_TIMEOUT)
        if self._keeper is not None:
            self._keeper.join(_JOIN_TIMEOUT)
        self._close_by = inf  # what comes back from now on is deleted too

    def abandon(self) -> None:
        """Have everything end by itself, without waiting: nobody holds the pool any more. For `__del__`."""
        self._abandoned = True
        # Whoever has the lock, perhaps this very thread, looks at the flag afterwards.
        if self._changed.acquire(blocking=False):
            self._changed.notify_all()
            self._changed.release()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _begin(self, effects: tuple[Effect, ...]) -> None:
        # Under the lock nothing waits: calls are queued, and answers are only laid down.
        for effect in effects:
            match effect:
                case Deliver(waiter, record):
                    waiter.give(record)
                case Fail(waiter, error):
                    waiter.give(error)
                case WakeAt(when):
                    self._wake_at = when
                    self._changed.notify_all()
                case Create(count):
                    self._workers.add(partial(self._create, count))
                case Ping(record):
                    self._workers.add(partial(self._ping, record))
                case Delete(record):
                    self._workers.add(partial(self._delete, record))
        if self.core.closed:
            self._changed.notify_all()

    def _create(self, count: int) -> None:
        request = requests.batch_create_sessions(self._database, count, *self._template)
        try:
            answer = self._call(rpcs.BATCH_CREATE_SESSIONS, self._database, request, _CREATE_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait get it
            failure, draw = error, random.random()  # noqa: S311 - jitter, not a secret
            _log.warning("%d sessions of %s could not be created: %s", count, self._database, failure)
            self._failed += 1
            self.tell(lambda now: self.core.create_failed(count, failure, now, draw, fatal=is_fatal(failure)))
        else:
            named = [(session.name, session) for session in answer.session]
            draw = random.random()  # noqa: S311 - jitter, not a secret
            self.tell(lambda now: self.core.created(count, named, now, draw))
        self._wake()

    def _ping(self, record: SessionRecord) -> None:
        try:
            self._call(rpcs.EXECUTE_SQL, record.name, requests.ping_session(record.name), _PING_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - the session is pinged again, or replaced
            lost, draw = is_loss(error), random.random()  # noqa: S311 - jitter, not a secret
            self.tell(lambda now: self.core.ping_failed(record, now, draw, lost=lost))
        else:
            self.tell(lambda now: self.core.pinged(record, now))

    def _delete(self, record: SessionRecord) -> None:
        ok = True
        try:
            self._call(rpcs.DELETE_SESSION, record.name, requests.delete_session(record.name), _DELETE_TIMEOUT)
        except Exception:  # noqa: BLE001 - then the server drops it by itself
            ok = False
        self.tell(lambda now: self.core.deleted(record, now, ok=ok))

    def _call(self, rpc: rpcs.Rpc, name: str, request: Any, timeout: float) -> Any:
        left = min(timeout, self._close_by - time.monotonic())
        if left <= 0:
            raise PoolClosed("the pool is closing, and its time is over")
        return self._caller.call(rpc, name, request, left, _ONCE)

    def _keep(self) -> None:
        """Tick when it is time; the body of the keeper's thread."""
        while True:
            with self._changed:
                now, until = self._clock.now(), self._next_look()
                if self.core.closing:
                    return
                if now < until and not self._abandoned:
                    self._clock.wait(self._changed, until)
                    continue
                leaks = [] if self.leaks is None else self.leaks.report(now)
                if ticks := now >= self._wake_at:
                    self._wake_at = inf
            for leak in leaks:
                _log.warning("%s", leak)
            if ticks:
                self.tell(self.core.tick)
            if self._abandoned:
                self.tell(self.core.close)
                self._workers.end(0.0)
