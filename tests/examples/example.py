"""One test for both colours of an example: coroutines are awaited, what blocks is called."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2, status_pb2
from spanner_grpc_sessions_pb import spanner_pb2

import spanner_grpc_sessions
from spanner_grpc_sessions import ClientOptions
from tests.support.colours import Colour

__all__ = ["DATABASE", "MESSAGE", "Example", "fail", "session_answers"]

DATABASE = "projects/p/instances/i/databases/d"
MESSAGE = "as the script says"


@dataclass(frozen=True)
class Example:
    """An example of one colour.

    Attributes:
        name: of its module, the blocking one.
        colour: which of the two it is.
    """

    name: str
    colour: Colour

    @property
    def is_async(self) -> bool:
        """Whether its functions are coroutine functions."""
        return self.colour.name == "async"

    @property
    def module(self) -> ModuleType:
        """The module."""
        return importlib.import_module(self.name + "_async" * self.is_async)

    async def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a function of the example returns; a list of what it yields."""
        value = getattr(self.module, function)(*args, **kwargs)
        if inspect.isasyncgen(value):
            return [item async for item in value]
        if inspect.isgenerator(value):
            return list(value)
        return await value if inspect.isawaitable(value) else value

    async def side_by_side(self, calls: list[Callable[[], Any]]) -> list[Any]:
        """Return what the calls return, which are made at the same time."""
        return await asyncio.gather(*(call() if self.is_async else asyncio.to_thread(call) for call in calls))

    def work(self, *statements: str, before: Callable[[], object] = int, after: Callable[[], object] = int) -> Any:
        """Return the work of a transaction: call `before`, run statements, call `after`."""

        def work(transaction: Any) -> None:
            before()
            for statement in statements:
                transaction.execute(statement)
            after()

        async def work_async(transaction: Any) -> None:
            before()
            for statement in statements:
                await transaction.execute(statement)
            after()

        return work_async if self.is_async else work

    @asynccontextmanager
    async def sessions(
        self, options: ClientOptions, kind: str, *, count: int = 1, database: str = DATABASE
    ) -> AsyncIterator[list[Any]]:
        """Give sessions of a pool, or `count` times the multiplexed one."""
        async with AsyncExitStack() as stack:
            client = await self._enter(stack, self._make("SessionsClient", options=options))
            if kind == "multiplexed":
                yield [await self._enter(stack, self._make("MultiplexedSession", client, database))] * count
            else:
                pool = await self._enter(stack, self._make("SessionPool", client, database))
                yield [await self._enter(stack, pool.session()) for _ in range(count)]

    @asynccontextmanager
    async def session(self, options: ClientOptions, kind: str, *, database: str = DATABASE) -> AsyncIterator[Any]:
        """Give one session."""
        async with self.sessions(options, kind, database=database) as (session,):
            yield session

    def _make(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(spanner_grpc_sessions, "Async" * self.is_async + name)(*args, **kwargs)

    async def _enter(self, stack: AsyncExitStack, context: Any) -> Any:
        return await stack.enter_async_context(context) if self.is_async else stack.enter_context(context)


def session_answers() -> dict[str, Any]:
    """Return the answers to what a client does with the sessions themselves, for `scripted_server`."""
    session = spanner_pb2.Session(name=f"{DATABASE}/sessions/s")
    return {
        "CreateSession": lambda request, context: session,
        "BatchCreateSessions": lambda request, context: spanner_pb2.BatchCreateSessionsResponse(session=[session]),
        "DeleteSession": lambda request, context: Empty(),
    }


def fail(context: grpc.ServicerContext, code: grpc.StatusCode, *, retry_delay: float | None = None) -> NoReturn:
    """End a call with a status, and with the delay in seconds that the server asks for."""
    if retry_delay is not None:
        asked = Duration()
        asked.FromNanoseconds(round(retry_delay * 1_000_000_000))
        status = status_pb2.Status(code=code.value[0], message=MESSAGE)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=asked))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, MESSAGE)
    raise AssertionError("abort raises")
