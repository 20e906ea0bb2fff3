"""What a pool does in asyncio: the tasks and the calls around the core that decides. The mirror of `pool_shell`.

The pool's face holds the shell; the tasks hold the shell too, and not the face, so that a face can be dropped.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from functools import cached_property
from math import inf
from typing import Any, Final

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.errors import ClientClosed, PoolClosed, PoolError
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.pool.core import Create, Delete, Deliver, Effect, Fail, Ping, PoolCore, SessionRecord, WakeAt
from spanner_grpc_sessions.pool.failures import again, is_fatal, is_loss, may_pass, timed_out
from spanner_grpc_sessions.pool.leaks import Leaks
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.reports import Event, PoolReports
from spanner_grpc_sessions.pool.waiter_async import Waiter, answer_of
from spanner_grpc_sessions.runtime.clock import Clock, event_within, start_background_task
from spanner_grpc_sessions.service import requests, rpcs

__all__ = ["AsyncPoolShell"]

# Shorter than what Google publishes: the pool tries again by itself, and `close` waits for the calls in flight.
_CREATE_TIMEOUT: Final = 15.0
_PING_TIMEOUT: Final = 5.0
_DELETE_TIMEOUT: Final = 5.0
# The pool's own backoff knows of all creates, and that it is to close.
_ONCE: Final = RetryOptions.none()
_MOST_CALLS: Final = 64
_log: Final = logging.getLogger("spanner_grpc_sessions")


class AsyncPoolShell(PoolReports):
    """The tasks and the calls of one pool. For the tasks of one event loop.

    Args:
        client: to make the calls with.
        database: of the sessions.
        options: of the pool.
        clock: what the time is, and how to wait for one.

    Attributes:
        core: what decides; see `pool_core.machine`. All tasks of the loop may use it, between two awaits.
        started: whether it was opened.
        loop: the event loop that it belongs to, once it was used.
        leaks: what is noted of each lease; None for nothing.
    """

    def __init__(self, client: AsyncSessionsClient, database: str, options: PoolOptions, clock: Clock) -> None:
        self.core = PoolCore(options)
        self.started = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.leaks = None if options.leak_after is None else Leaks(options.leak_after)
        self._client = client
        self._database = database
        self._template = (options.labels, options.creator_role)
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._calls = asyncio.Semaphore(_MOST_CALLS)
        self._wake_at, self._failed = inf, 0
        self._abandoned = False
        self._close_by = inf
        self._changed = asyncio.Event()

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The stub that all leases share. What it finds lost, nobody gets any more."""
        return spanner_pb2_grpc.SpannerStub(self._client._caller.channel(self.report))  # noqa: SLF001 - one library

    def require_loop(self) -> None:
        """Bind the pool to the running event loop at its first use.

        Raises:
            ClientClosed: it belongs to another one.
        """
        loop = asyncio.get_running_loop()
        if self.loop is None:
            self.loop = loop
        if self.loop is not loop:
            raise ClientClosed("the pool belongs to another event loop: make one per loop, with a client of its own")

    def start(self) -> None:
        """Begin to fill the pool and to keep it alive, if that was not begun yet, or somebody cancelled it."""
        if not self.core.closing and (self._keeper is None or self._keeper.done()):
            self.started = True
            self._keeper = self._spawn(self._keep())
            self.tell(self.core.tick)

    def tell(self, event: Event) -> None:
        """Tell the core of an event, and begin what it wants done."""
        self._begin(event(self._clock.now()))

    async def acquire(self, lease: Any, timeout: float | None) -> None:
        """Give a lease its session, waiting for one.

        Raises:
            PoolTimeout, PoolOverloaded, PoolClosed: there was none.
            SpannerSessionsError: none could be created, and to try again will hardly help.
        """
        core, loop = self.core, asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        try:
            self.start()
            until = inf if timeout is None else self._clock.now() + timeout
            self.tell(lambda now: core.acquire(waiter, now))
            answer = await answer_of(waiter, self._clock, until)
        except BaseException:
            self.tell(lambda now: core.waiter_gone(waiter, now, timed_out=False))
            raise
        if isinstance(answer, SessionRecord):
            lease._record, lease._lessor, answer.holder = answer, self, lease  # noqa: SLF001 - a pool and its leases
            core.accepted(waiter, self._clock.now())
            self._note(answer)
            return
        if answer is not None:
            raise again(answer) from answer
        self.tell(lambda now: core.waiter_gone(waiter, now, timed_out=True))
        raise timed_out(f"no session of {self._database} came free", timeout or 0.0, core.last_error)

    def _note(self, record: SessionRecord) -> None:
        if self.leaks is not None:
            self.leaks.note(record, self._clock.now())
            self._wake()

    async def fill(self, timeout: float | None, *, patient: bool) -> None:
        """Wait until `min_size` sessions are there.

        Args:
            timeout: seconds, None for no limit.
            patient: wait on where a create failed in a way that may pass, though the client would not repeat it.
        """
        self.start()
        core, until, seen = self.core, inf if timeout is None else self._clock.now() + timeout, self._failed
        passing = None if patient else self._client._caller.retry.statuses  # noqa: SLF001 - one library
        self.tell(core.fill)
        while not core.filled or core.closing:
            error = core.last_error
            if core.closing:
                raise PoolClosed("the pool was closed")
            if self._failed != seen and error is not None and not may_pass(error, passing):
                raise again(error) from error
            if self._clock.now() >= until:
                raise timed_out(f"the pool of {self._database} was not filled", timeout or 0.0, error)
            await self._clock.wait_async(self._changed, until)

    async def close(self, timeout: float | None) -> None:
        """Delete all sessions and end all tasks, in that time; where their loop was closed, nothing is left to do."""
        if self.loop is not None and self.loop.is_closed():
            self.core.close(self._clock.now())
            return
        self.require_loop()
        deadline = inf if timeout is None else time.monotonic() + timeout
        self._close_by = deadline
        self._begin(self.core.close(self._clock.now()))
        self._wake()
        while not self.core.closed and (left := deadline - time.monotonic()) > 0:
            await event_within(self._changed, left)
        # What a cancelled call brings up ends at once, for the time is over.
        self._close_by = -inf
        while tasks := self._tasks - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # What comes back from now on is deleted too.
        self._close_by = inf

    def abandon(self) -> None:
        """Have everything end by itself: nobody holds the pool any more. For `__del__`."""
        self._abandoned = True
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # A new event for those who wait from now on; the old one wakes all who wait.
        self._changed.set()
        self._changed = asyncio.Event()

    def _begin(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Deliver(waiter, answer) | Fail(waiter, answer):
                    if not waiter.done():
                        waiter.set_result(answer)
                case WakeAt(when):
                    self._wake_at = when
                    self._wake()
                case Create(count):
                    self._spawn(self._create(count))
                case Ping(record):
                    self._spawn(self._ping(record))
                case Delete(record):
                    self._spawn(self._delete(record))
        if self.core.closed:
            self._wake()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = start_background_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _create(self, count: int) -> None:
        request = requests.batch_create_sessions(self._database, count, *self._template)
        draw = random.random()  # noqa: S311 - jitter, not a secret
        try:
            answer = await self._call(rpcs.BATCH_CREATE_SESSIONS, self._database, request, _CREATE_TIMEOUT)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, those who wait get it
            failure = error if isinstance(error, Exception) else PoolError("the creation of sessions was cancelled")
            _log.warning("%d sessions of %s could not be created: %s", count, self._database, failure)
            self._failed += 1
            self.tell(lambda now: self.core.create_failed(count, failure, now, draw, fatal=is_fatal(failure)))
        else:
            named = [(session.name, session) for session in answer.session]
            self.tell(lambda now: self.core.created(count, named, now, draw))
        self._wake()

    async def _ping(self, record: SessionRecord) -> None:
        draw = random.random()  # noqa: S311 - jitter, not a secret
        try:
            await self._call(rpcs.EXECUTE_SQL, record.name, requests.ping_session(record.name), _PING_TIMEOUT)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the session is pinged again
            lost = isinstance(error, Exception) and is_loss(error)
            self.tell(lambda now: self.core.ping_failed(record, now, draw, lost=lost))
        else:
            self.tell(lambda now: self.core.pinged(record, now))

    async def _delete(self, record: SessionRecord) -> None:
        ok = True
        try:
            await self._call(rpcs.DELETE_SESSION, record.name, requests.delete_session(record.name), _DELETE_TIMEOUT)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - then the server drops it by itself
            ok = False
        self.tell(lambda now: self.core.deleted(record, now, ok=ok))

    async def _call(self, rpc: rpcs.Rpc, name: str, request: Any, timeout: float) -> Any:
        async with self._calls:
            left = min(timeout, self._close_by - time.monotonic())
            if left <= 0:
                raise PoolClosed("the pool is closing, and its time is over")
            return await self._client._caller.call(rpc, name, request, left, _ONCE)  # noqa: SLF001 - one library

    async def _keep(self) -> None:
        """Tick when it is time."""
        while not self.core.closing:
            now, until = self._clock.now(), self._next_look()
            if self._abandoned:
                self._begin(self.core.close(now))
            elif now < until:
                await self._clock.wait_async(self._changed, until)
            else:
                self._look(now)

    def _look(self, now: float) -> None:
        if self.leaks is not None:
            for leak in self.leaks.report(now):
                _log.warning("%s", leak)
        if now >= self._wake_at:
            self._wake_at = inf
            self._begin(self.core.tick(now))
