"""The event loop goes on while the library does its heaviest work, beside the same load by bare stubs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import grpc.aio
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    PoolClosed,
    PoolOptions,
    PoolTimeout,
    SessionNotFound,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.clock import CLOCK
from tests.support.clocks import HandMovedClock
from tests.support.heartbeat import Heartbeat
from tests.support.pools import query
from tests.support.waiting import WAIT, until_async

_MANY = 1_000
_CROWD = 10_000
# Seconds that the loop may be kept by one thing.
_MOST = 0.05


@pytest.fixture(scope="module")
def server() -> Iterator[LocalSpanner]:
    """A server for all tests of this file."""
    with LocalSpanner(tls=False, workers=32) as server:
        yield server


class _Case:
    """A pool of a thousand sessions, and a stub for the same without the library."""

    def __init__(self, server: LocalSpanner, client: AsyncSessionsClient, stub: Any, size: int = _MANY) -> None:
        self.server = server
        self.client = client
        self.stub = stub
        self.database = f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}"
        options = PoolOptions(min_size=size, max_size=size, acquire_timeout=2 * WAIT)
        self.clock = HandMovedClock()
        clock = CLOCK if size == _MANY else self.clock
        self.pool = AsyncSessionPool(client, self.database, options=options, clock=clock)

    async def create(self) -> list[str]:
        """Create a thousand sessions by the stub, and return their names."""
        request = spanner_pb2.BatchCreateSessionsRequest(database=self.database, session_count=100)
        answers = await asyncio.gather(*(self.stub.BatchCreateSessions(request) for _ in range(_MANY // 100)))
        return [session.name for answer in answers for session in answer.session]

    async def wait_in_line(self, timeout: float | None = None) -> list[asyncio.Task[Any]]:
        """Have ten thousand callers wait, who came in small groups."""
        callers = []
        for number in range(_CROWD):
            callers.append(asyncio.ensure_future(self.pool.acquire(timeout)))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await until_async(lambda: self.pool.stats().waiting == _CROWD)
        return callers


async def _each(calls: Iterable[Awaitable[Any]], at_once: int) -> None:
    """Wait for calls, so many at the same time."""
    room = asyncio.Semaphore(at_once)

    async def one(call: Awaitable[Any]) -> None:
        async with room:
            await call

    await asyncio.gather(*map(one, calls))


async def _opening(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    async with Heartbeat() as control:
        await case.create()
    async with Heartbeat() as ours:
        await case.pool.open()
    return ours, control


async def _listing(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    await case.create()
    async with Heartbeat() as control:
        await case.stub.ListSessions(spanner_pb2.ListSessionsRequest(database=case.database, page_size=_MANY))
    async with Heartbeat() as ours:
        page = await case.client.list_sessions(case.database, page_size=_MANY)
    assert len(page["sessions"]) == _MANY
    return ours, control


async def _closing(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    requests = [spanner_pb2.DeleteSessionRequest(name=name) for name in await case.create()]
    async with Heartbeat() as control:
        await _each(map(case.stub.DeleteSession, requests), 64)
    await case.pool.open()
    async with Heartbeat() as ours:
        await case.pool.close(WAIT)
    return ours, control


async def _losing(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    names = await case.create()
    async with Heartbeat() as control:
        await _each(
            (case.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")) for name in names), 40
        )
        await case.create()
    await case.pool.open()
    for session in case.server.sessions:
        case.server.forget(session["name"])
    async with Heartbeat() as ours:
        with pytest.raises(SessionNotFound):
            async with case.pool.session() as lease:
                await lease.stub.ExecuteSql(query(lease))
        await until_async(lambda: (case.pool.stats().lost, case.pool.stats().idle) == (_MANY, _MANY))
    return ours, control


async def _serving(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    async with Heartbeat() as control:
        await _futures()
    lease = await case.pool.acquire()
    callers = await case.wait_in_line()
    async with Heartbeat() as ours:
        for caller in callers:
            await case.pool.release(lease)
            lease = await caller
    await case.pool.release(lease)
    return ours, control


async def _failing(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    async with Heartbeat() as control:
        await _futures()
    lease = await case.pool.acquire()
    callers = await case.wait_in_line()
    async with Heartbeat() as ours:
        await case.pool.close(0.0)
        await asyncio.wait(callers)
    assert {type(caller.exception()) for caller in callers} == {PoolClosed}
    await case.pool.release(lease)
    return ours, control


async def _timing_out(case: _Case) -> tuple[Heartbeat, Heartbeat]:
    async with Heartbeat() as control:
        await _futures()
    lease = await case.pool.acquire()
    callers = await case.wait_in_line(timeout=WAIT)
    async with Heartbeat() as ours:
        case.clock.advance(WAIT)
        await asyncio.wait(callers)
    assert {type(caller.exception()) for caller in callers} == {PoolTimeout}
    await case.pool.release(lease)
    return ours, control


async def _futures() -> None:
    """Have as many tasks as a crowd wait, in small groups, for futures, and answer them in small groups."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(_CROWD)]
    tasks = []

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    for number, future in enumerate(futures):
        tasks.append(asyncio.ensure_future(wait(future)))
        if number % 100 == 0:
            await asyncio.sleep(0)
    for number, future in enumerate(futures):
        future.set_result(None)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.wait(tasks)


_Measure = Callable[[_Case], Awaitable[tuple[Heartbeat, Heartbeat]]]
_OF_MANY: dict[str, _Measure] = {
    "open a pool of 1,000": _opening,
    "list 1,000": _listing,
    "close a pool of 1,000": _closing,
    "replace 1,000 lost ones": _losing,
}
_OF_A_CROWD: dict[str, _Measure] = {
    "serve 10,000 callers": _serving,
    "fail 10,000 callers": _failing,
    "time out 10,000 callers": _timing_out,
}


@pytest.mark.parametrize("what", [*_OF_MANY, *_OF_A_CROWD])
def test_the_loop_goes_on(server: LocalSpanner, what: str) -> None:
    """No step of ours takes more than 50 ms, or more than twice what bare gRPC or bare asyncio takes for as much."""

    async def main() -> tuple[Heartbeat, Heartbeat]:
        async with (
            AsyncSessionsClient(AnonymousCredentials(), options=server.client_options()) as client,
            grpc.aio.insecure_channel(server.endpoint) as channel,
        ):
            case = _Case(server, client, spanner_pb2_grpc.SpannerStub(channel), _MANY if what in _OF_MANY else 1)
            try:
                return await {**_OF_MANY, **_OF_A_CROWD}[what](case)
            finally:
                await case.pool.close(0.0)

    ours, control = asyncio.run(main())
    assert ours.worked <= max(_MOST, 2 * control.worked), (ours, control)


_FIRST_USES = """
import asyncio, sys
import grpc.aio
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc
from spanner_grpc_sessions import *
from tests.support.heartbeat import Heartbeat

database = "projects/p/instances/i/databases/d"

async def main(endpoint):
    channel = grpc.aio.insecure_channel(endpoint)
    async with Heartbeat() as control:
        stub = spanner_pb2_grpc.SpannerStub(channel)
        session = await stub.CreateSession(spanner_pb2.CreateSessionRequest(database=database))
    name = session.name
    client = AsyncSessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
    pool = AsyncSessionPool(client, database, options=PoolOptions(min_size=1))
    multiplexed = AsyncMultiplexedSession(client, database)
    sql = {"sql": "SELECT 1"}

    async def stream():
        async with await client.rest("POST", f"/v1/{name}:executeStreamingSql", sql) as parts:
            assert [part async for part in parts]

    async def fails():
        try:
            await client.get_session(name + "0")
        except SessionNotFound:
            pass

    for what, use in {
        "call": lambda: client.create_session(database),
        "failure": fails,
        "stub": lambda: client.stub.GetSession(spanner_pb2.GetSessionRequest(name=name)),
        "rest": lambda: client.rest("GET", f"/v1/{name}"),
        "a body": lambda: client.rest("POST", f"/v1/{name}:executeSql", sql),
        "a stream": stream,
        "pool": pool.open,
        "multiplexed": multiplexed.open,
        "its end": multiplexed.close,
        "the pool's end": pool.close,
        "the end": client.close,
    }.items():
        async with Heartbeat() as ours:
            await use()
        print(what, ours.worked, control.worked, sep=",")
    await channel.close()

asyncio.run(main(sys.argv[1]))
"""


def test_the_loop_goes_on_at_first_uses(server: LocalSpanner) -> None:
    """Nor does what is imported or compiled at the first call, failure, stub, conversion or stream of a process."""
    program = [sys.executable, "-c", _FIRST_USES, server.endpoint]
    result = subprocess.run(program, capture_output=True, text=True, timeout=WAIT)
    assert result.returncode == 0, result.stderr
    lines = [line.split(",") for line in result.stdout.splitlines()]
    too_long = [line for line in lines if float(line[1]) > max(_MOST, 2 * float(line[2]))]
    assert len(lines) == 11
    assert too_long == []
