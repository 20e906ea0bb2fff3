"""Sessions in the hands of a test: pools and multiplexed ones of both colours, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    MultiplexedSession,
    PoolOptions,
    SessionPool,
)
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from tests.support.clocks import HandMovedClock
from tests.support.colours import Blocking, Colour
from tests.support.waiting import until

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from spanner_grpc_sessions.local import LocalSpanner
    from spanner_grpc_sessions.options import ClientOptions

__all__ = ["Rig", "async_pool", "blocking", "multiplexed_of", "pool_of", "query", "rig_of", "until_answered"]

_MAX_CALLERS = 40


class Rig:
    """A client, and pools of it that are closed at the end.

    Args:
        client: of either colour, with the face of `SessionsClient`.
        server: what the client talks to; None for another than LocalSpanner.
        stack: what is to be ended.

    Attributes:
        client: the client.
        clock: of the pools, if they are given no other; it stands still until it is moved.
        database: of all pools.
    """

    def __init__(self, client: Any, server: LocalSpanner | None, stack: contextlib.ExitStack) -> None:
        self.client = client
        self.clock = HandMovedClock()
        self.database = f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}"
        self._server = server
        self._stack = stack
        self._callers = ThreadPoolExecutor(_MAX_CALLERS)
        stack.callback(self._callers.shutdown)

    def pool(self, *, clock: Clock | None = None, **options: Any) -> Any:
        """Make a pool of the client's colour, with the face of `SessionPool`; not open."""
        pool = self.loose_pool(clock=clock, **options)
        self._stack.callback(lambda: pool.close(timeout=0.05))
        return pool

    def loose_pool(self, *, clock: Clock | None = None, **options: Any) -> Any:
        """Make a pool that only the test holds and closes."""
        return pool_of(self.client, self.database, clock=clock or self.clock, **options)

    def on(self, thing: Any) -> Any:
        """Return something of the client's colour, like a lease, with the face of its blocking twin."""
        return blocking(self.client, thing)

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that takes a lease as a pool's `run` of this colour wants it; it may block."""
        if not isinstance(self.client, Blocking):
            return function

        async def coroutine(lease: Any, *args: Any) -> Any:
            return await asyncio.to_thread(function, self.on(lease), *args)

        return coroutine

    def start(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Call something that waits, in a thread of its own."""
        return self._callers.submit(function, *args, **kwargs)

    def wait_in_line(self, pool: Any, count: int = 1, **kwargs: Any) -> list[Future[Any]]:
        """Return acquires, once that many wait."""
        before = pool.stats().waiting
        waiting = [self.start(pool.acquire, **kwargs) for _ in range(count)]
        until(lambda: pool.stats().waiting == before + count)
        return waiting

    def background(self) -> list[str]:
        """Return the names of the threads, or tasks, that pools have running."""
        if isinstance(self.client, Blocking):
            tasks: set[asyncio.Task[Any]] = self.client._thread.call(asyncio.all_tasks)
            return [name for name in (repr(task.get_coro()) for task in tasks) if "PoolRunner" in name]
        names = (thread.name for thread in threading.enumerate())
        return [name for name in names if name.startswith("spanner-sessions-pool")]

    @property
    def names(self) -> set[str]:
        """The names of the sessions that the server has."""
        return {session["name"] for session in self.sessions}

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The sessions that the server has, as REST gives them."""
        assert self._server is not None
        return [session for session in self._server.sessions if session["name"].startswith(f"{self.database}/")]

    def requests(self, method: str = "") -> list[Any]:
        """Return the requests that arrived, of all RPCs or of one."""
        assert self._server is not None
        calls = [call for call in self._server.calls if self.database in str(call.request)]
        return [call.request for call in calls if method in {"", call.method}]


def blocking(client: Any, thing: Any) -> Any:
    """Return something of the client's colour, like a stub, with the face of its blocking twin."""
    return Blocking(thing, client._thread) if isinstance(client, Blocking) else thing


def pool_of(client: Any, database: str, *, clock: Clock = CLOCK, **options: Any) -> Any:
    """Return a pool of the client's colour, behind the blocking face; not open."""
    made = PoolOptions(**options)
    if isinstance(client, Blocking):
        thread = client._thread
        return Blocking(thread.call(AsyncSessionPool, client._target, database, options=made, clock=clock), thread)
    return SessionPool(client, database, options=made, clock=clock)


def multiplexed_of(client: Any, database: str, **settings: Any) -> Any:
    """Return a multiplexed session of the client's colour, behind the blocking face; not open."""
    if isinstance(client, Blocking):
        thread = client._thread
        return Blocking(thread.call(AsyncMultiplexedSession, client._target, database, **settings), thread)
    return MultiplexedSession(client, database, **settings)


@contextlib.asynccontextmanager
async def async_pool(
    server: LocalSpanner, database: str, *, clock: Clock = CLOCK, **options: Any
) -> AsyncIterator[AsyncSessionPool]:
    """Give an open pool of asyncio on a plaintext server, for tests that are coroutines themselves."""
    async with AsyncSessionsClient(AnonymousCredentials(), options=server.client_options()) as client:
        async with AsyncSessionPool(client, database, options=PoolOptions(**options), clock=clock) as pool:
            yield pool


@contextlib.contextmanager
def rig_of(
    colour: Colour, credentials: Credentials, options: ClientOptions, server: LocalSpanner | None = None
) -> Iterator[Rig]:
    """Give a rig of a colour."""
    with colour.client(credentials, options=options) as client, contextlib.ExitStack() as stack:
        yield Rig(client, server, stack)


def query(lease: Any) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query for a lease."""
    return spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT 1")


def until_answered(pool: Any, asked: Callable[[], Sized], count: int) -> None:
    """Wait until so many calls have arrived, and the pool has taken all answers in."""
    core = pool._runner.core
    until(lambda: len(asked()) == count and "creating=0" in repr(core) and "pinging=0" in repr(core))
