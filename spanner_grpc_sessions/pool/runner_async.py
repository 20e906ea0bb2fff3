"""What a pool does in asyncio: the tasks and the calls around the core that decides. Mirrors `runner`.

The pool holds the runner. The tasks hold the runner too, and not the pool, so that a pool can be garbage-collected.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from math import inf
from typing import Any, Final

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.errors import ClientClosed, PoolClosed, copy_to_raise
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound
from spanner_grpc_sessions.observers import PoolWatch
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.pool.core import Create, Delete, Deliver, Effect, Fail, Ping, PoolCore, SessionRecord, WakeAt
from spanner_grpc_sessions.pool.core.effects import LogLine
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_INTERVAL
from spanner_grpc_sessions.pool.failures import is_loss, is_permanent, is_transient, of_job, timed_out
from spanner_grpc_sessions.pool.lease import LeakDetector
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.runner import CREATE_TIMEOUT, DELETE_TIMEOUT, MAX_CALLS, MAX_DELETES, PING_TIMEOUT
from spanner_grpc_sessions.pool.waiters_async import Waiter, Waiters
from spanner_grpc_sessions.pool.warnings import Warnings
from spanner_grpc_sessions.pool.watched import watch_core
from spanner_grpc_sessions.runtime.backoff import AFTER_FAILURE
from spanner_grpc_sessions.runtime.clock import Clock, TimedEvent, start_background_task
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.service import requests, rpcs

# The pool's own backoff covers all creates, and ends with the pool.
_ONCE: Final = RetryOptions.none()


class AsyncPoolRunner:
    """The tasks and the calls of one pool; `core` decides. For the tasks of one event loop, `loop` once it is used."""

    def __init__(self, client: AsyncSessionsClient, database: str, options: PoolOptions, clock: Clock) -> None:
        self.core: PoolCore = PoolCore(options)
        self.started: bool = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.leaks: LeakDetector | None = None if options.leak_after is None else LeakDetector(options.leak_after)
        self._caller = client._caller  # noqa: SLF001 - one library
        self.watch: PoolWatch = watch_core(self.core, self._caller, database, options)
        self._database = database
        self._warnings = Warnings(database)
        self._template = (options.labels, options.creator_role)
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        # Without a task until there is room for its call: a thousand tasks would begin in one turn of the loop.
        self._queue: deque[Create | Ping] = deque()
        self._deletes: deque[Delete] = deque()
        self._in_flight = self._deleting = 0
        # All tasks were cancelled: nothing is begun before the pool is used again.
        self._interrupted = False
        self._wake_at, self._failed = inf, 0
        # Until when each caller of `close` waits.
        self._closers: dict[object, float] = {}
        self._abandoned = False
        self._changed = TimedEvent()
        self._waiters = Waiters(clock)

    @property
    def channel(self) -> Callable[..., Any]:
        """What makes a channel for stubs."""
        return self._caller.channel

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The stub that all leases share. A session that its calls find lost is not handed out again."""
        return spanner_pb2_grpc.SpannerStub(self.channel(self.report))

    def require_loop(self) -> None:
        """Bind the pool to the running event loop at its first use; raise `ClientClosed` in another one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ClientClosed("the pool belongs to an event loop, and none is running in this thread") from None
        if self.loop is None:
            self.loop = loop
        if self.loop is not loop:
            raise ClientClosed("the pool belongs to another event loop; create one per loop, with a client of its own")

    def start(self) -> None:
        """Begin to fill the pool and to keep it alive, unless that is going on. It may have been cancelled."""
        if not self.core.closing and (self._keeper is None or _has_end(self._keeper)):
            self.started, self._interrupted = True, False
            self._keeper = self._spawn(self._keep_on())
            self._begin_queued()
            self.dispatch(self.core.tick)

    def dispatch(self, event: Callable[..., tuple[Effect, ...]], *args: Any, **named: Any) -> None:
        """Tell the core of an event, and do what it decides."""
        effects = event(*args, self._clock.now(), **named)
        if effects or self.core.closing:
            self._perform(effects)

    def report(self, failure: RpcError, name: str, record: SessionRecord | None = None) -> None:
        """Note what the failure of a call says about a session, which a lease knows by its record, or the database."""
        if isinstance(failure, DatabaseNotFound) and name.startswith(f"{self._database}/"):
            self.dispatch(self.core.database_lost, failure)
        elif isinstance(failure, SessionNotFound) and failure.concerns(name):
            if record is None:
                self.dispatch(self.core.lost_by_name, name)
            else:
                self.dispatch(self.core.lost, record)

    async def acquire(self, lease: Any, timeout: float | None) -> None:
        """Give a lease its session, waiting for one; raise if there is none in time."""
        core, since = self.core, self._clock.now()
        waiter: Waiter = asyncio.get_running_loop().create_future()
        try:
            self.start()
            until = inf if timeout is None else since + timeout
            self.dispatch(core.acquire, waiter)
            if not waiter.done():
                self._waiters.add(waiter, until)
            answer = await waiter
        except BaseException:
            self.dispatch(core.waiter_gone, waiter, timed_out=False)
            raise
        if isinstance(answer, SessionRecord):
            lease._record, lease._owner, answer.holder = answer, self, lease  # noqa: SLF001 - a pool and its leases
            core.accepted(waiter, self._clock.now())
            if self.leaks is not None:
                self.leaks.note(answer, self.leaks.lease(answer, self._clock.now()))
                self._wake()
            self.watch.tell("session_acquired", answer.last_used_at - since)
            return
        if answer is not None:
            raise copy_to_raise(answer) from answer
        self.dispatch(core.waiter_gone, waiter, timed_out=True)
        self.watch.tell("acquire_timed_out")
        raise timed_out(f"no session of {self._database} became available", timeout or 0.0, core)

    async def fill(self, timeout: float | None, *, patient: bool) -> None:
        """Wait until `min_size` sessions exist; if `patient`, also after failures that the client does not retry."""
        core, until, seen = self.core, inf if timeout is None else self._clock.now() + timeout, self._failed
        self.start()  # an eager task may fail to create sessions at once
        statuses = None if patient else self._caller.retry.statuses
        self.dispatch(core.fill)
        while not core.filled or core.closing:
            error = core.last_error
            if core.closing:
                raise PoolClosed("the pool was closed")
            if self._failed != seen and error is not None and not is_transient(error, statuses):
                raise copy_to_raise(error) from error
            if self._clock.now() >= until:
                raise timed_out(f"the pool of {self._database} was not filled", timeout or 0.0, core)
            await self._clock.wait_async(self._changed, until)

    async def close(self, timeout: float | None, *, drain: bool) -> bool:
        """Delete the idle sessions and end all tasks, in that time; if `drain`, wait for the leased sessions too.

        Return whether no session is left. If the loop was closed, there is nothing left to do.
        """
        core = self.core
        if self.loop is not None and self.loop.is_closed():
            core.close(self._clock.now())
            self.watch.end()
            return core.closed
        self.require_loop()
        self.watch.end()
        deadline, closer = Deadline(timeout), object()
        self._closers[closer] = inf if timeout is None else time.monotonic() + timeout
        try:
            self.dispatch(core.close)
            self._wake()
            while not (core.closed if drain else core.settled) and (left := deadline.left()) != 0.0:
                await self._changed.wait_within(RECLAIM_INTERVAL if left is None else min(left, RECLAIM_INTERVAL))
                self.dispatch(core.tick)
            if len(self._closers) == 1:
                await self._end_tasks(closer)
        finally:
            # Sessions that come back later are deleted too.
            del self._closers[closer]
        return core.closed

    async def _end_tasks(self, closer: object) -> None:
        # The time is over: what a cancelled call begins ends at once.
        self._closers[closer] = -inf
        self._waiters.cancel()
        while tasks := self._tasks - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            # Unlike `gather` of finished tasks, this yields to the loop, which takes them out of the set.
            await asyncio.wait(tasks)

    def abandon(self) -> None:
        """End everything without waiting, for a pool that was garbage-collected."""
        self._abandoned = True
        self.watch.end()
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.wake()

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Deliver(waiter, record):
                    if not waiter.done():
                        waiter.set_result(record)
                case Fail(waiter, error):
                    self._waiters.fail(waiter, error)
                case WakeAt(when):
                    self._wake_at = when
                    self._wake()
                case LogLine(text, warns):
                    (log.warning if warns else log.info)("%s: %s", self._database, text)
                case Create() | Ping():
                    self._queue.append(effect)
                case Delete():
                    self._deletes.append(effect)
        self._begin_queued()
        if self.core.settled:
            self._wake()

    def _begin_queued(self) -> None:
        while (effect := self._next_queued()) is not None:
            match effect:
                case Create(count):
                    self._begin(self._create(count), partial(self._create_failed, count))
                case Ping(record):
                    self._begin(self._ping(record), partial(self._ping_failed, record))
                case Delete(record):
                    self._deleting += 1
                    self._begin(self._delete(record), partial(self._delete_failed, record), deletes=1)

    def _next_queued(self) -> Create | Ping | Delete | None:
        closing = self.core.closing
        if self._in_flight >= MAX_CALLS or (self._interrupted and not closing):
            return None
        if self._queue:
            return self._queue.popleft()
        # Deletes, which may hang, leave room for the creates and pings that callers wait for.
        return self._deletes.popleft() if self._deletes and (closing or self._deleting < MAX_DELETES) else None

    def _begin(
        self, job: Coroutine[Any, Any, None], failed: Callable[[BaseException], None], *, deletes: int = 0
    ) -> None:
        self._in_flight += 1
        self._spawn(job).add_done_callback(partial(self._ended, failed, deletes))

    def _ended(self, failed: Callable[[BaseException], None], deletes: int, task: asyncio.Task[None]) -> None:
        self._in_flight -= 1
        self._deleting -= deletes
        if task.cancelled():
            # A job catches its cancellation and answers, but runs no code if it is cancelled before it begins.
            failed(asyncio.CancelledError())
        self._begin_queued()

    def _note_interruption(self, error: BaseException) -> None:
        """Note if a job failed because all tasks are cancelled: the loop may end, and would complain of new ones."""
        if isinstance(error, asyncio.CancelledError) and self._keeper is not None:
            self._interrupted = _has_end(self._keeper)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = start_background_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _create(self, count: int) -> None:
        request = requests.batch_create_sessions(self._database, count, *self._template)
        since = self._clock.now()
        try:
            answer = await self._call(rpcs.BATCH_CREATE_OWN_SESSIONS, self._database, request, CREATE_TIMEOUT)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - callers that wait get it
            self._create_failed(count, error)
        else:
            created = [(session.name, session) for session in answer.session]
            self.dispatch(self.core.created, count, created, draw=_draw())
            self.watch.tell("sessions_created", len(created), self._clock.now() - since)
        self._wake()

    def _create_failed(self, count: int, error: BaseException) -> None:
        self._note_interruption(error)
        failure = of_job("BatchCreateSessions", error)
        self._failed += 1
        self.dispatch(self.core.create_failed, count, failure, draw=_draw(), fatal=is_permanent(failure))
        # The end of the pool or of its opening is no failure of the server.
        if not isinstance(error, asyncio.CancelledError | PoolClosed):
            self._warnings.create_failed(count, failure, self._clock.now())

    async def _ping(self, record: SessionRecord) -> None:
        try:
            await self._call(rpcs.EXECUTE_SQL, record.name, requests.ping_session(record.name), PING_TIMEOUT)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the session is pinged again
            self._ping_failed(record, error)
        else:
            self.dispatch(self.core.pinged, record)

    def _ping_failed(self, record: SessionRecord, error: BaseException) -> None:
        self._note_interruption(error)
        lost = isinstance(error, Exception) and is_loss(error)
        self.dispatch(self.core.ping_failed, record, draw=_draw(), lost=lost)

    async def _delete(self, record: SessionRecord) -> None:
        request = requests.delete_session(record.name)
        try:
            await self._call(rpcs.DELETE_SESSION, record.name, request, DELETE_TIMEOUT)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is repeated, or the server drops it
            self._delete_failed(record, error)
        else:
            self.dispatch(self.core.deleted, record)

    def _delete_failed(self, record: SessionRecord, error: BaseException) -> None:
        self._note_interruption(error)
        self.dispatch(self.core.deleted, record, ok=isinstance(error, Exception) and is_loss(error))

    async def _call(self, rpc: rpcs.Rpc, name: str, request: Any, timeout: float) -> Any:
        left = min(timeout, max(self._closers.values(), default=inf) - time.monotonic())
        if left <= 0:
            raise PoolClosed("the pool is closing, and its time is over")
        try:
            return await self._caller.call(rpc, name, request, left, _ONCE)
        except DatabaseNotFound as error:
            self.dispatch(self.core.database_gone, error)
            raise

    async def _keep_on(self) -> None:
        """Work until the pool is closed; the body of the keeper's task."""
        while not self.core.closing:
            try:
                await self._keep()
            except Exception:  # noqa: BLE001, PERF203 - a clock of the user's
                log.exception("the keeper of the pool of %s goes on after a failure", self._database)
                self._wake_at = -inf  # a tick may have failed
                await asyncio.sleep(AFTER_FAILURE)

    async def _keep(self) -> None:
        """Tick when it is time."""
        while not self.core.closing:
            now, until = self._clock.now(), self._next_look()
            if self._abandoned:
                self.dispatch(self.core.close)
            elif now < until:
                await self._clock.wait_async(self._changed, until)
            else:
                self._look(now)

    def _next_look(self) -> float:
        return self._next_tick() if self.leaks is None else min(self._next_tick(), self.leaks.due())

    def _next_tick(self) -> float:
        return min(self._wake_at, self.core.reclaim_at)

    def _look(self, now: float) -> None:
        if self.leaks is not None:
            for leak in self.leaks.overdue(now):
                log.warning(leak.warning(now))
        if now >= self._next_tick():
            self._wake_at = inf
            self.dispatch(self.core.tick)


def _has_end(task: asyncio.Task[None]) -> bool:
    """Return whether a task has ended, or was cancelled, which Python 3.10 does not tell before its end."""
    return bool(task.done() or (hasattr(task, "cancelling") and task.cancelling()))


def _draw() -> float:
    return random.random()  # noqa: S311 - jitter, not a secret
