"""The multiplexed session in asyncio: created once, replaced in the background. Mirrors `session`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.calls.answers import rest_of
from spanner_grpc_sessions.calls.background_async import AsyncBackgroundCaller
from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.errors import ClientClosed, PoolClosed, PoolError, checks, copy_to_raise
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound
from spanner_grpc_sessions.multiplexed.rotation import (
    MultiplexedOptions,
    Rotation,
    Waiter,
    check_multiplexed,
    creation_failure,
    timed_out,
    watch_rotation,
)
from spanner_grpc_sessions.options import RetryOptions, check_timeout
from spanner_grpc_sessions.runtime.backoff import AFTER_FAILURE
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock, TimedEvent, start_background_task
from spanner_grpc_sessions.runtime.fork import notice_fork, reset_after_fork, retain_after_fork
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.service import requests, rpcs
from spanner_grpc_sessions.service.names import check_database
from spanner_grpc_sessions.service.types import Session

if TYPE_CHECKING:
    import grpc
    import grpc.aio
    from typing_extensions import Self, TypeVarTuple, Unpack

    _Args = TypeVarTuple("_Args")

_Result = TypeVar("_Result")


class AsyncMultiplexedSession:
    """A session for any number of transactions at a time. Safe to share between tasks of one loop.

    A context manager. The session is created at the first use, once for all callers; if that fails, the next use tries
    again. It is replaced in the background before the server drops it; while that fails, the old one stays in use. It
    is never deleted: Spanner does not allow that.

    A forked child goes on with the same session, which works in any number of processes.

    Args:
        client: makes the calls. Closing the session does not close it.
        database: `projects/{project}/instances/{instance}/databases/{database}`.
        options: the age at which it is replaced, and its role.
        clock: for tests.

    Raises:
        InvalidName: `database` is not a database name.
        InvalidType: an argument has the wrong type.
    """

    def __init__(
        self,
        client: AsyncSessionsClient,
        database: str,
        *,
        options: MultiplexedOptions | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._client = checks.instance("client", client, AsyncSessionsClient)
        self._database = check_database(database)
        self._options = checks.optional("options", options, MultiplexedOptions) or MultiplexedOptions()
        self._clock = checks.instance("clock", clock, Clock)
        self._rotation = Rotation(self._options)
        caller = client._caller  # noqa: SLF001 - one library
        self._on_emulator = caller.connection.on_emulator
        self._watch = watch_rotation(self._rotation, caller.observer, caller.connection.address, database)
        self._session: Session | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._creation: asyncio.Task[str] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = TimedEvent()
        self._background = AsyncBackgroundCaller(caller)
        reset_after_fork(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._current or "new"
        return f"<{type(self).__name__} {self._database} {state}>"

    def __del__(self) -> None:
        keeper = getattr(self, "_keeper", None)
        if keeper is not None and not self._closed:
            # A closed loop has ended its tasks.
            with contextlib.suppress(RuntimeError):
                keeper.get_loop().call_soon_threadsafe(keeper.cancel)
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)

    __reduce_ex__: Any = checks.uncopyable("share it, or hand its name to another process: any may use it")

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> Self:
        """Create the session, if there is none. Idempotent.

        Raises:
            RpcError, CredentialsError, ClientClosed: it could not be created; the next use tries again.
            PoolError: the server has no multiplexed sessions; use a `SessionPool`.
            PoolClosed: it is closed.
        """
        await self._require(lost=None)
        return self

    async def close(self) -> None:
        """End the background work, and raise `PoolClosed` in callers that wait for the session. Idempotent.

        The session itself remains: Spanner does not allow deleting it.
        """
        if self._loop is not None and self._loop.is_closed():
            # Its tasks ended with it.
            self._end()
            return
        self._require_loop()
        self._end()
        tasks = [task for task in (self._keeper, self._creation) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def name(self) -> str:
        """The name of the session: a plain read once it is open. The first use opens it, where a property can wait."""
        if self._closed:
            raise PoolClosed("the multiplexed session was closed")
        if self._session is None:
            raise PoolError(
                "there is no multiplexed session yet, and a property cannot wait for one: await open() first"
            )
        return self._session["name"]

    @property
    def resource(self) -> Session:
        """The session, as the body of REST's `sessions.create`."""
        self.name  # noqa: B018 - raises unless there is one
        session: Session = copy.deepcopy(self._session)  # type: ignore[assignment]  # there is one by now
        return session

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The stub of the service, on the client's connections. A call that finds the session lost has it replaced."""
        return spanner_pb2_grpc.SpannerStub(self.channel())

    def channel(
        self, *, interceptors: Iterable[grpc.aio.ClientInterceptor] = (), retry: RetryOptions | None = None
    ) -> grpc.aio.Channel:
        """Return a channel for stubs of your own, as the client's `channel`. It finds the loss of the session.

        Args:
            interceptors: gRPC's client interceptors, the first one outermost.
            retry: which failures are retried; None is `ClientOptions.stub_retry`.

        Raises:
            InvalidType: an interceptor or `retry` has the wrong type.
        """
        return self._client._caller.channel(self._report, retry, interceptors)  # noqa: SLF001 - one library

    async def run(
        self,
        function: Callable[[AsyncMultiplexedSession, Unpack[_Args]], Awaitable[_Result]],
        *args: Unpack[_Args],
        timeout: float | None = None,
    ) -> _Result:
        """Return the result of `function(session, *args)`, called again on another session if the session was lost.

        Args:
            function: called again from the start if the session was lost, so it must be safe to repeat.
            args: further arguments of the function.
            timeout: how long to wait for the session before each of the two calls, in seconds; None for no limit.

        Raises:
            SessionNotFound: both sessions were lost.
            PoolTimeout: there was no session in time. `__cause__` is why none could be created, if so.
            InvalidType: `function` cannot be called, or what it returned cannot be awaited.
            Exception: whatever `open` or the function raises.
        """
        checks.function_async("function", function)
        limit = check_timeout(timeout)
        name = await self._require(lost=None, timeout=limit)
        try:
            return await checks.awaitable("what the function returns", function(self, *args))
        except SessionNotFound as error:
            if not error.concerns(name):
                raise
        if name == self._current:
            await self._require(lost=name, timeout=limit)
        return await checks.awaitable("what the function returns", function(self, *args))

    async def invalidate(self, name: str) -> None:
        """Replace the session, because the server has lost it.

        Args:
            name: the name of the lost session. If it is not the current one, nothing happens: the session has been
                replaced already.

        Raises:
            RpcError, CredentialsError, ClientClosed: it could not be replaced yet; until then the name stays.
            PoolClosed: it is closed.
            InvalidType: `name` is not a str.
        """
        if checks.text("name", name) == self._current:
            await self._require(lost=name)

    def after_fork(self) -> None:
        """Go on with the same session in a forked child."""
        retain_after_fork((self._keeper, self._creation))
        self._changed = TimedEvent()
        self._background = AsyncBackgroundCaller(self._client._caller)  # noqa: SLF001 - one library
        self._rotation.waiting.clear()
        self._loop = self._keeper = self._creation = None

    def _end(self) -> None:
        self._closed = True
        self._watch.end()

    @property
    def _current(self) -> str | None:
        return None if self._session is None else self._session["name"]

    def _require_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ClientClosed(
                "the multiplexed session belongs to another event loop; create one per loop, with a client of its own"
            )

    async def _require(self, lost: str | None, timeout: float | None = None) -> str:
        """Return the name of a session other than the lost one; if there is none, have it created and wait."""
        notice_fork()
        if self._closed:
            raise PoolClosed("the multiplexed session was closed")
        self._require_loop()
        name = self._current
        if name is not None and name != lost:
            self._start_keeper()
            return name
        if lost is not None:
            self._announce(self._rotation.lost())
        creation, since, waiter = self._begin_creation(), self._clock.now(), Waiter()
        self._rotation.waiting.add(waiter)
        try:
            # Not awaited: cancelling this caller would cancel the creation for others, and the reverse.
            await asyncio.wait([creation], timeout=timeout)
        finally:
            self._rotation.waiting.discard(waiter)
        if self._closed:
            raise PoolClosed("the multiplexed session was closed")
        if not creation.done():
            raise timed_out(self._database, timeout, self._background.incidents.failure)
        error = asyncio.CancelledError() if creation.cancelled() else creation.exception()
        if error is not None:
            raise copy_to_raise(creation_failure(error, self._database)) from error
        self._watch.tell("session_acquired", self._clock.now() - since)
        return creation.result()

    def _begin_creation(self) -> asyncio.Task[str]:
        """Return the creation in flight. A task makes it, so that a caller that gives up does not end it for others."""
        # One that was cancelled before it began could not take itself away.
        if self._creation is None or self._creation.done():
            self._creation = start_background_task(self._create())
            # If all callers give up, nothing else retrieves its exception.
            self._creation.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._creation

    def _start_keeper(self) -> None:
        if (self._keeper is None or self._keeper.done()) and not self._closed:
            self._keeper = start_background_task(_keep(weakref.ref(self), self._changed, self._clock))

    def _report(self, failure: RpcError, name: str) -> None:
        is_loss = isinstance(failure, SessionNotFound) and failure.concerns(name)
        if is_loss and name == self._current and not self._closed:
            self._announce(self._rotation.lost())
            self._start_keeper()
            self._changed.set()
        elif isinstance(failure, DatabaseNotFound) and name == self._current:
            self._announce(self._rotation.database_gone(failure))

    def _announce(self, news: str) -> None:
        if news:
            log.info("%s: %s", self._database, news)

    async def _create(self) -> str:
        request = requests.create_session(self._database, None, self._options.creator_role, multiplexed=True)
        since = self._clock.now()
        try:
            answer = await self._background.call(rpcs.CREATE_OWN_SESSION, self._database, request)
            session: Session = rest_of(rpcs.CREATE_OWN_SESSION, answer)
            news = check_multiplexed(session, self._database, on_emulator=self._on_emulator)
        except BaseException as error:
            self._failed(error)
            raise
        else:
            self._announce(news)
            self._session = session
            self._background.incidents.failure = None
            draw = random.random()  # noqa: S311 - jitter, not a secret
            self._announce(self._rotation.created(self._clock.now(), draw))
            self._watch.tell("sessions_created", 1, self._clock.now() - since)
            self._start_keeper()
            return session["name"]
        finally:
            self._creation = None
            self._changed.set()

    def _failed(self, error: BaseException) -> None:
        self._background.incidents.failure = error
        self._rotation.failed(self._clock.now(), random.random())  # noqa: S311 - jitter, not a secret
        if self._session is not None and not self._closed:
            failure = creation_failure(error, self._database)
            log.warning("the multiplexed session of %s could not be replaced: %s", self._database, failure)

    async def _keep_young(self) -> None:
        """Replace the session if that is due."""
        if self._clock.now() >= self._rotation.due:
            await asyncio.wait([self._begin_creation()])

    def _next_look(self) -> float:
        return self._rotation.next_look(self._clock.now())


async def _keep(reference: weakref.ref[AsyncMultiplexedSession], changed: TimedEvent, clock: Clock) -> None:
    """Replace a session in time, as long as it is referenced; the body of its task."""
    while (session := reference()) is not None:
        changed.clear()
        try:
            await session._keep_young()  # noqa: SLF001 - its own task
            until = session._next_look()  # noqa: SLF001 - its own task
            del session
            await clock.wait_async(changed, until)
        except Exception:  # noqa: BLE001 - a clock of the user's
            log.exception("the keeper of a multiplexed session goes on after a failure")
            await asyncio.sleep(AFTER_FAILURE)
