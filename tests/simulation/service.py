"""The simulated service: callers that come one by one and in bursts, and use sessions as users do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from math import inf
from random import Random
from typing import Any, Final

import grpc
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import AsyncMultiplexedSession, AsyncSessionPool, AsyncSessionsClient, PoolOptions
from spanner_grpc_sessions.errors import PoolTimeout, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import SessionNotFound
from tests.simulation.books import Books
from tests.simulation.calm import Calm
from tests.simulation.journal import Journal
from tests.simulation.server import DATABASE, SimulatedSpanner

_EXACT: Final = 1e-6
_SQL: Final = "SELECT 2"
# Seconds: from here on, a caller of a pool that has free slots, and no trouble, gets its session.
_PATIENT: Final = 10.0
_CALM: Final = 60.0
# Seconds within which, in calm, a multiplexed session is replaced.
_REPLACED: Final = 90.0


class Service:
    """A service over one client."""

    def __init__(
        self,
        client: AsyncSessionsClient,
        pool: AsyncSessionPool,
        multiplexed: AsyncMultiplexedSession,
        server: SimulatedSpanner,
        books: Books,
        journal: Journal,
        calm: Calm,
        random: Random,
    ) -> None:
        self._client, self._pool, self._multiplexed = client, pool, multiplexed
        self._books = books
        self._journal = journal
        self._calm = calm
        self._loop = calm.loop
        self._random = random
        self._options: PoolOptions = pool._options
        self._callers: set[asyncio.Task[None]] = set()
        self._server = server
        # When a call found a multiplexed session lost.
        self._lost_at: dict[str, float] = {}

    async def serve(self, until: float, between: float) -> None:
        """Have callers come until a time, on average so many seconds apart; some of them are bursts."""
        while (pause := self._random.expovariate(1 / between)) < until - self._loop.time():
            await asyncio.sleep(pause)
            burst = self._random.random() < 0.1
            for _ in range(self._random.randint(2, 4 * self._options.max_size) if burst else 1):
                await asyncio.sleep(self._random.expovariate(10.0))
                self._start_caller()

    def _start_caller(self) -> None:
        (kind,) = self._random.choices((self._use, self._run, self._use_multiplexed, self._create), (70, 10, 15, 5))
        caller = self._loop.create_task(self._failing(kind()))
        self._callers.add(caller)
        caller.add_done_callback(self._callers.discard)
        self._loop.watch(caller)
        if self._random.random() < 0.05:
            self._loop.call_later(self._random.expovariate(5.0), caller.cancel)

    async def end(self) -> None:
        """Wait for all callers."""
        while self._callers:
            await asyncio.wait(self._callers)

    async def take_all(self) -> None:
        """Take all sessions that there may be, which in calm takes moments, and give them back."""
        leases = [await self._acquire(30.0) for _ in range(self._options.max_size)]
        for lease in leases:
            await self._release(lease)

    async def _failing(self, work: Awaitable[None]) -> None:
        """Do what may fail because of an incident."""
        try:
            await work
        except (SpannerSessionsError, grpc.RpcError) as error:
            self._journal.note("failed", type(error).__name__)

    async def _acquire(self, timeout: float) -> Any:
        since = self._loop.time()
        try:
            lease = await self._in_time(self._pool.acquire(timeout), timeout)
        except PoolTimeout:
            self._judge_timeout(since, timeout)
            raise
        self._books.taken(lease.name)
        return lease

    async def _release(self, lease: Any) -> None:
        self._books.given_back(lease.name)
        await self._pool.release(lease)

    def _judge_timeout(self, since: float, timeout: float) -> None:
        """Require that a caller without a session had reason to get none."""
        free = self._books.free_for() > _PATIENT / 2
        unjust = timeout >= _PATIENT and free and self._calm.lasts(_CALM + timeout)
        self._journal.require(
            not unjust, "a caller waits in calm beside a free slot", f"since {since:.3f}, {self._pool!r}"
        )

    async def _in_time(self, work: Awaitable[Any], timeout: float) -> Any:
        """Return the result of what has to end within its timeout."""
        until = self._loop.time() + timeout - self._loop.frozen
        try:
            return await work
        finally:
            late = self._loop.time() - self._loop.frozen - until
            self._journal.require(
                late < _EXACT, "a caller is answered after its deadline", f"{late:.6f} s, timeout {timeout}"
            )

    async def _use(self) -> None:
        lease = await self._acquire(self._random.choice((0.0, 0.1, 1.0, 10.0, 30.0)))
        try:
            await self._work(lease.stub, lease.name)
            if self._random.random() < 0.01:
                lease.invalidate()
        finally:
            await self._release(lease)

    async def _run(self) -> None:
        async def function(lease: Any) -> None:
            self._books.taken(lease.name)
            try:
                await self._work(lease.stub, lease.name)
            finally:
                self._books.given_back(lease.name)

        await self._pool.run(function, timeout=30.0)

    async def _work(self, stub: Any, name: str) -> None:
        """Query now and then, as a transaction does. A few forget that they have the session."""
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 4))):
            timeout = self._random.choice((1.0, 5.0, 30.0))
            await self._in_time(stub.ExecuteSql(_query(name), timeout=timeout), timeout)
            await asyncio.sleep(self._random.expovariate(20.0))
        if self._random.random() < 0.01:
            await asyncio.sleep(10.0 ** self._random.uniform(0.0, 4.0))

    async def _use_multiplexed(self) -> None:
        await self._in_time(self._multiplexed.open(), 30.0)
        name = self._multiplexed.name
        self._judge_multiplexed(name)
        try:
            await self._work(self._multiplexed.stub, name)
        except SessionNotFound:
            self._lost_at.setdefault(name, self._loop.time())
            raise

    def _judge_multiplexed(self, name: str) -> None:
        """Require that the multiplexed session is neither old nor known to be lost, unless it could not be replaced."""
        now, options = self._loop.time(), self._multiplexed._options
        age = now - self._server.truth[name].created
        old = age > options.replace_after + _REPLACED
        lost = now - self._lost_at.get(name, inf) > _REPLACED
        calm = self._calm.lasts(_REPLACED)
        self._journal.require(
            not (calm and (old or lost)), "the multiplexed session is not replaced", f"{name}, {age:.0f} s old"
        )

    async def _create(self) -> None:
        """Make calls of the client's own, with its retries."""
        timeout = self._random.choice((1.0, 10.0, 60.0))
        session = await self._in_time(self._client.create_session(DATABASE, timeout=timeout), timeout)
        with contextlib.suppress(SpannerSessionsError):
            await self._in_time(self._client.get_session(session["name"], timeout=timeout), timeout)
        await self._in_time(self._client.delete_session(session["name"], timeout=timeout), timeout)


def _query(name: str) -> spanner_pb2.ExecuteSqlRequest:
    return spanner_pb2.ExecuteSqlRequest(session=name, sql=_SQL)
