"""Cancel scopes of anyio, and so of FastAPI and Starlette, around calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import pytest
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import AsyncSessionPool, AsyncSessionsClient, RetryOptions
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.servers import arrived
from tests.support.waiting import WAIT, until_async

anyio: Any = pytest.importorskip("anyio", reason="anyio is not installed")

_DATABASE: Final = "projects/p/instances/i/databases/d"
_Use = Callable[[AsyncSessionsClient, str], Coroutine[Any, Any, Any]]


@pytest.fixture
def plain() -> Iterator[LocalSpanner]:
    """A server without TLS."""
    with LocalSpanner(tls=False) as server:
        yield server


def _query(name: str) -> spanner_pb2.ExecuteSqlRequest:
    return spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")


async def _stub(client: AsyncSessionsClient, name: str) -> None:
    await client.stub.ExecuteSql(_query(name))


async def _repeated(client: AsyncSessionsClient, name: str) -> None:
    await spanner_pb2_grpc.SpannerStub(client.channel(retry=RetryOptions())).ExecuteSql(_query(name))


async def _stream(client: AsyncSessionsClient, name: str) -> None:
    assert [part async for part in client.stub.ExecuteStreamingSql(_query(name))]


async def _pool(client: AsyncSessionsClient, _: str) -> None:
    async with AsyncSessionPool(client, _DATABASE) as pool:
        await pool.run(lambda lease: client.ping_session(lease.name))


_USES: Final[dict[str, _Use]] = {
    "client": lambda client, name: client.ping_session(name),
    "stub": _stub,
    "stub, repeated": _repeated,
    "stream": _stream,
    "pool": _pool,
}


async def _within(scope: Any, work: Coroutine[Any, Any, Any]) -> None:
    with scope:
        await work


@pytest.mark.parametrize("use", _USES)
def test_a_scope_takes_the_cancellation_that_it_made(plain: LocalSpanner, use: str) -> None:
    """Whatever gRPC makes of it: its own stub lets a CancelledError out of the scope."""

    async def main() -> None:
        async with AsyncSessionsClient(options=plain.client_options()) as client:
            name = (await client.create_session(_DATABASE))["name"]
            method = "ExecuteStreamingSql" if use == "stream" else "ExecuteSql"
            for _ in range(5):
                plain.faults.add(method, drop=True)
                before = arrived(plain, method)
                scope = anyio.CancelScope()
                using = asyncio.ensure_future(_within(scope, _USES[use](client, name)))
                await until_async(lambda: arrived(plain, method) > before)  # noqa: B023 - called at once
                scope.cancel()
                await using
                assert scope.cancelled_caught
            plain.faults.clear()
            await _USES[use](client, name)

    asyncio.run(asyncio.wait_for(main(), WAIT))
