"""What a pool does: the lock, the thread and the calls around the core that decides. Mirrored by `runner_async`.

The pool holds the runner. The thread holds the runner too, and not the pool, so that a pool can be garbage-collected.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cached_property, partial
from math import inf
from typing import Any, Final
from weakref import WeakKeyDictionary

from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions.calls.background import BackgroundCalls
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import PoolClosed, copy_to_raise
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound
from spanner_grpc_sessions.observers import PoolWatch
from spanner_grpc_sessions.pool.core import Create, Delete, Deliver, Effect, Fail, Ping, PoolCore, SessionRecord, WakeAt
from spanner_grpc_sessions.pool.core.effects import LogLine
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_INTERVAL
from spanner_grpc_sessions.pool.failures import is_loss, is_permanent, is_transient, of_job, timed_out
from spanner_grpc_sessions.pool.lease import LeakDetector
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.waiter import Waiter
from spanner_grpc_sessions.pool.warnings import Warnings
from spanner_grpc_sessions.pool.watched import watch_core
from spanner_grpc_sessions.runtime.backoff import AFTER_FAILURE
from spanner_grpc_sessions.runtime.clock import Clock
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.runtime.threads import is_interruptible, run_uninterrupted
from spanner_grpc_sessions.service import requests, rpcs

# Shorter than the timeouts that Google publishes: the pool retries by itself, and `close` waits for calls in flight.
CREATE_TIMEOUT: Final = 15.0
PING_TIMEOUT: Final = 5.0
DELETE_TIMEOUT: Final = 5.0
# Calls in flight at once: half of what a connection carries. Deletes may hang, and callers wait for the others.
MAX_CALLS: Final = 64
MAX_DELETES: Final = 16
_JOIN_TIMEOUT: Final = 1.0


class PoolRunner:
    """The lock, the thread and the calls of one pool; `core` decides."""

    def __init__(self, client: SessionsClient, database: str, options: PoolOptions, clock: Clock) -> None:
        self.core: PoolCore = PoolCore(options)
        self.started: bool = False
        self.leaks: LeakDetector | None = None if options.leak_after is None else LeakDetector(options.leak_after)
        self._caller = client._caller  # noqa: SLF001 - one library
        self.watch: PoolWatch = watch_core(self.core, self._caller, database, options)
        self._calls = BackgroundCalls(self._caller)
        self._database = database
        self._warnings = Warnings(database)
        self._template = (options.labels, options.creator_role)
        self._clock = clock
        self._now = clock.now
        # Events that the garbage collector or a signal brought while this thread dispatched another.
        self._events: deque[Callable[[], None]] = deque()
        self._dispatching = False
        # What takes time, and so is not done under the lock.
        self._queue: deque[Create | Ping | LogLine] = deque()
        self._deletes: deque[Delete] = deque()
        self._in_flight = self._deleting = 0
        self._keeper: threading.Thread | None = None
        self._wake_at, self._failed = inf, 0
        # Until when each caller of `close` waits; a caller that was interrupted is forgotten with its deadline.
        self._closers: WeakKeyDictionary[Deadline, float] = WeakKeyDictionary()
        self._abandoned = False
        self._lock = threading.RLock()
        # What the keeper waits for, and what callers of `fill` and `close` wait for.
        self._work, self._changed = threading.Condition(self._lock), threading.Condition(self._lock)

    @property
    def channel(self) -> Callable[..., Any]:
        """What makes a channel for stubs."""
        return self._caller.channel

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The stub that all leases share. A session that its calls find lost is not handed out again."""
        return spanner_pb2_grpc.SpannerStub(self.channel(self.report))

    def require_loop(self) -> None:
        """Do nothing: any thread may use the pool."""

    def dispatch(self, event: Callable[..., tuple[Effect, ...]], *args: Any, **named: Any) -> None:
        """Tell the core of an event, and do what it decides. A signal does not cut it short."""
        self._protect(self._dispatch, event, *args, **named)
        if (self._queue or self._deletes) and self._keeper is None:
            self._begin_queued()
        if self._abandoned:
            self._wake()

    def _protect(self, function: Callable[..., None], *args: Any, **named: Any) -> None:
        # With the lock, which another thread could not have, it is an event within what is protected already.
        if is_interruptible() and not self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - as Condition does
            run_uninterrupted(function, *args, **named)
        else:
            function(*args, **named)

    def _start(self, now: float) -> tuple[Effect, ...]:
        if self.started or self.core.closing:
            return ()
        self.started = True
        self._start_keeper()
        return self.core.tick(now)

    # One event, or a caller could miss the failure of the first create.
    def _start_and_acquire(self, waiter: Waiter, now: float) -> tuple[Effect, ...]:
        return (*self._start(now), *self.core.acquire(waiter, now))

    def _start_and_fill(self, now: float) -> tuple[Effect, ...]:
        return (*self._start(now), *self.core.fill(now))

    def _dispatch(self, event: Callable[..., tuple[Effect, ...]], *args: Any, **named: Any) -> None:
        with self._lock:
            if self._dispatching:
                self._events.append(partial(self._dispatch, event, *args, **named))
                return
            try:
                self._dispatching = True
                effects = event(*args, self._now(), **named)
                if effects or self.core.closing:
                    self._perform(effects)
            finally:
                self._dispatching = False
                while self._events:
                    self._events.popleft()()

    def report(self, failure: RpcError, name: str, record: SessionRecord | None = None) -> None:
        """Note what the failure of a call says about a session, which a lease knows by its record, or the database."""
        if isinstance(failure, DatabaseNotFound) and name.startswith(f"{self._database}/"):
            self.dispatch(self.core.database_lost, failure)
        elif isinstance(failure, SessionNotFound) and failure.concerns(name):
            if record is None:
                self.dispatch(self.core.lost_by_name, name)
            else:
                self.dispatch(self.core.lost, record)

    def acquire(self, lease: Any, timeout: float | None) -> None:
        """Give a lease its session, waiting for one; raise if there is none in time."""
        core, waiter, since = self.core, Waiter(), self._now()
        try:
            until = inf if timeout is None else since + timeout
            self.dispatch(core.acquire if self.started else self._start_and_acquire, waiter)
            waiter.wait(self._clock, until)
            answer = waiter.answer
            if isinstance(answer, SessionRecord):
                lease._record, lease._owner, answer.holder = answer, self, lease  # noqa: SLF001 - a pool and its leases
                core.accepted(waiter, self._now())
                if self.leaks is not None:
                    self._note_lease(self.leaks, answer)
                self.watch.tell("session_acquired", answer.last_used_at - since)
                return
            if answer is None:
                self.dispatch(core.waiter_gone, waiter, timed_out=True)
        except BaseException:
            self.dispatch(core.waiter_gone, waiter, timed_out=False)
            answer = waiter.answer
            if isinstance(answer, SessionRecord) and answer.holder is lease:
                self.dispatch(core.give_back, answer)
            raise
        if answer is not None:
            raise copy_to_raise(answer) from answer
        self.watch.tell("acquire_timed_out")
        raise timed_out(f"no session of {self._database} became available", timeout or 0.0, core)

    def fill(self, timeout: float | None, *, patient: bool) -> None:
        """Wait until `min_size` sessions exist; if `patient`, also after failures that the client does not retry."""
        core, until, seen = self.core, inf if timeout is None else self._now() + timeout, self._failed
        statuses = None if patient else self._caller.retry.statuses
        self.dispatch(self._start_and_fill)
        with self._lock:
            while not core.filled or core.closing:
                error = core.last_error
                if core.closing:
                    raise PoolClosed("the pool was closed")
                if self._failed != seen and error is not None and not is_transient(error, statuses):
                    raise copy_to_raise(error) from error
                if self._now() >= until:
                    raise timed_out(f"the pool of {self._database} was not filled", timeout or 0.0, core)
                self._clock.wait(self._changed, until)

    def close(self, timeout: float | None, *, drain: bool) -> bool:
        """Delete the idle sessions and end the thread, in that time; if `drain`, wait for the leased sessions too.

        Return whether no session is left.
        """
        core, deadline = self.core, Deadline(timeout)
        self.watch.end()
        with self._lock:
            self._closers[deadline] = inf if timeout is None else time.monotonic() + timeout
            interrupting = self._dispatching
        try:
            self.dispatch(core.close)
            self._wake()
            if interrupting or self._keeper is threading.current_thread() or self._calls.own_this_thread():
                # A signal handler, or an observer on a thread that does what is to be done, once this returns.
                return core.closed
            while not (core.closed if drain else core.settled) and (left := deadline.left()) != 0.0:
                self._await_end(RECLAIM_INTERVAL if left is None else min(left, RECLAIM_INTERVAL), drain=drain)
                self.dispatch(core.tick)
            if len(self._closers) == 1:
                self._calls.end()
                keeper = self._keeper
                if keeper is not None:
                    keeper.join(_JOIN_TIMEOUT)
        finally:
            # Sessions that come back later are deleted too.
            self._closers.pop(deadline, None)
        return core.closed

    def _await_end(self, seconds: float, *, drain: bool) -> None:
        """Wait until something changes, unless the pool is closed or, if not `drain`, settled."""
        with self._lock:
            if not (self.core.closed if drain else self.core.settled):
                self._changed.wait(seconds)

    def abandon(self) -> None:
        """End everything without waiting, for a pool that was garbage-collected."""
        self._abandoned = True
        self.watch.end()
        # A thread that has the lock, perhaps this one, checks the flag when it releases it.
        if self._lock.acquire(blocking=False):
            self._work.notify()
            self._lock.release()

    def _wake(self) -> None:
        with self._lock:
            self._work.notify()
            self._changed.notify_all()

    def _note_lease(self, leaks: LeakDetector, record: SessionRecord) -> None:
        lease = leaks.lease(record, self._now())
        with self._lock:
            leaks.note(record, lease)
            self._work.notify()

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        # Under the lock nothing waits: calls are queued, and answers are set.
        for effect in effects:
            match effect:
                case Deliver(waiter, answer) | Fail(waiter, answer):
                    waiter.set_result(answer)
                case WakeAt(when):
                    self._wake_at = when
                    self._work.notify()
                case Create() | Ping() | LogLine():
                    self._queue.append(effect)
                case Delete():
                    self._deletes.append(effect)
        if self._queue or self._deletes:
            self._start_keeper()
            self._work.notify()
        elif self.core.settled:
            self._wake()

    def _start_keeper(self) -> None:
        if self._keeper is None or not self._keeper.is_alive():
            keeper = threading.Thread(target=self._keep_on, name="spanner-sessions-pool-keeper", daemon=True)
            try:
                keeper.start()
            except RuntimeError:
                return  # at the end of the interpreter, or without threads left: the caller begins the calls
            self._keeper = keeper

    def _keep_on(self) -> None:
        """Work until the pool is closed and all is done; the body of the keeper's thread."""
        while True:
            try:
                if not self._keep():
                    return
            except BaseException:  # noqa: BLE001, PERF203 - a clock or an observer of the user's
                log.exception("the keeper of the pool of %s goes on after a failure", self._database)
                self._wake_at = -inf  # a tick may have failed
                time.sleep(AFTER_FAILURE)

    def _keep(self) -> bool:
        """Begin calls, wait, or tick if it is time; return whether there will be more to do."""
        self._begin_queued()
        with self._lock:
            now, until = self._now(), self._next_look()
            if self._can_begin():
                return True
            if self.core.closing and not (self._queue or self._deletes or self._in_flight):
                self._keeper = None
                return False
            if now < until and (self.core.closing or not self._abandoned):
                self._clock.wait(self._work, until)
                return True
            leaks = [] if self.leaks is None else self.leaks.overdue(now)
            ticks = now >= self._next_tick()
            if ticks:
                self._wake_at = inf
        for leak in leaks:
            log.warning(leak.warning(now))
        if ticks:
            self.dispatch(self.core.tick)
        if self._abandoned:
            self.dispatch(self.core.close)
        return True

    def _next_look(self) -> float:
        if self.core.closing:
            return inf
        return self._next_tick() if self.leaks is None else min(self._next_tick(), self.leaks.due())

    def _next_tick(self) -> float:
        return min(self._wake_at, self.core.reclaim_at)

    def _can_begin(self) -> bool:
        may_delete = self.core.closing or self._deleting < MAX_DELETES
        return self._in_flight < MAX_CALLS and bool(self._queue or (self._deletes and may_delete))

    def _next_queued(self) -> Create | Ping | Delete | LogLine | None:
        with self._lock:
            if not self._can_begin():
                return None
            effect = self._queue.popleft() if self._queue else self._deletes.popleft()
            self._in_flight += not isinstance(effect, LogLine)
            self._deleting += isinstance(effect, Delete)
            return effect

    def _begin_queued(self) -> None:
        done: Callable[[Any], int | None]
        while (effect := self._next_queued()) is not None:
            match effect:
                case LogLine(text, warns):
                    (log.warning if warns else log.info)("%s: %s", self._database, text)
                case Create(count):
                    request: Any = requests.batch_create_sessions(self._database, count, *self._template)
                    done = partial(self._created, count)
                    self._begin(rpcs.BATCH_CREATE_OWN_SESSIONS, self._database, request, CREATE_TIMEOUT, done)
                case Ping(record):
                    done = partial(self._pinged, record)
                    self._begin(rpcs.EXECUTE_SQL, record.name, requests.ping_session(record.name), PING_TIMEOUT, done)
                case Delete(record):
                    request = requests.delete_session(record.name)
                    done = partial(self._deleted, record)
                    self._begin(rpcs.DELETE_SESSION, record.name, request, DELETE_TIMEOUT, done)

    def _begin(self, rpc: rpcs.Rpc, name: str, request: Any, timeout: float, done: Callable[[Any], int | None]) -> None:
        ended = partial(self._ended, done, self._now())
        left = min(timeout, max(self._closers.values(), default=inf) - time.monotonic())
        if left <= 0:
            ended(PoolClosed("the pool is closing, and its time is over"))
            return
        try:
            self._calls.begin(rpc, name, request, left, ended)
        except BaseException as error:  # noqa: BLE001 - of an observer of the user's; the pool gets its answer
            ended(of_job(rpc.name, error))

    def _ended(self, done: Callable[[Any], int | None], since: float, answer: Any) -> None:
        """Tell the core what became of a call, on a thread of gRPC; `done` returns how many creates to warn of."""
        seconds = self._now() - since
        with self._lock:
            self._in_flight -= 1
            if isinstance(answer, DatabaseNotFound):
                self.dispatch(self.core.database_gone, answer)
            warn = done(answer)
            # Only when there is something to do: each thread that wakes up for nothing holds up this one.
            if self._queue or self._deletes or self.core.closing:
                self._work.notify()
            if self.core.filled or self.core.last_error is not None:
                self._changed.notify_all()
        # What the user plugs in is called without the lock.
        if warn is not None:
            self._warnings.create_failed(warn, answer, self._now())
        elif isinstance(answer, spanner_pb2.BatchCreateSessionsResponse):
            self.watch.tell("sessions_created", len(answer.session), seconds)

    def _created(self, count: int, answer: Any) -> int | None:
        draw = random.random()  # noqa: S311 - jitter, not a secret
        if isinstance(answer, Exception):
            self._failed += 1
            fatal = is_permanent(answer)
            self.dispatch(self.core.create_failed, count, answer, draw=draw, fatal=fatal)
            return None if isinstance(answer, PoolClosed) else count
        self.dispatch(self.core.created, count, [(session.name, session) for session in answer.session], draw=draw)
        return None

    def _pinged(self, record: SessionRecord, answer: Any) -> None:
        if isinstance(answer, Exception):
            draw = random.random()  # noqa: S311 - jitter, not a secret
            self.dispatch(self.core.ping_failed, record, draw=draw, lost=is_loss(answer))
        else:
            self.dispatch(self.core.pinged, record)

    def _deleted(self, record: SessionRecord, answer: Any) -> None:
        self._deleting -= 1
        self.dispatch(self.core.deleted, record, ok=not isinstance(answer, Exception) or is_loss(answer))
