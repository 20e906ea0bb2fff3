"""Cancellations of a client's coroutines at each of their suspensions: it works afterwards, and leaves nothing."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import grpc
import pytest
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import AsyncSessionsClient, ClientClosed, RetryOptions
from tests.support.cancelling import TASKS, CountingSpanner, How, each_suspension, nothing_left, run_in
from tests.support.waiting import WAIT, until_async

_AT_ONCE = RetryOptions(initial_delay=0.001)


class _Slow(user_credentials.Credentials):
    """Credentials whose tokens take a moment.

    Attributes:
        seconds: the moment.
        asked: how often they were asked for one.
    """

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[no-untyped-call]  # google.oauth2 is typed in part only
        self.seconds = 0.002
        self.asked = 0

    def has_been_asked(self, times: int) -> bool:
        """Return whether they were asked for a token so often."""
        return self.asked == times

    def refresh(self, request: object) -> None:
        """Make a token."""
        self.asked += 1
        time.sleep(self.seconds)
        self.token = "a token"  # noqa: S105 - of a test
        self.expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=1)


@pytest.fixture(scope="module")
def shared() -> Iterator[CountingSpanner]:
    """A server for all tests of this file, which asks for no token."""
    with CountingSpanner() as server:
        yield server


@pytest.fixture
def server(shared: CountingSpanner) -> Iterator[CountingSpanner]:
    """That server, without what the last test wanted of it."""
    yield shared
    shared.faults.clear()


def _client(server: CountingSpanner, credentials: _Slow | None = None, **options: Any) -> AsyncSessionsClient:
    return AsyncSessionsClient(credentials or _Slow(), options=server.client_options(retry=_AT_ONCE, **options))


async def _session(server: CountingSpanner) -> str:
    """Return the name of the one session of a new database."""
    async with _client(server) as client:
        session = await client.create_session(f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}")
    return session["name"]


def _database_of(name: str) -> str:
    return name.partition("/sessions/")[0]


def _query(name: str) -> spanner_pb2.ExecuteSqlRequest:
    return spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")


async def _iterate(client: AsyncSessionsClient, name: str) -> None:
    assert [session async for session in client.iter_sessions(_database_of(name), page_size=1)]


async def _stream(client: AsyncSessionsClient, name: str) -> None:
    async with await client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
        assert [part async for part in stream]


async def _repeat(client: AsyncSessionsClient, name: str) -> None:
    stub = spanner_pb2_grpc.SpannerStub(client.channel(retry=_AT_ONCE))
    await stub.ExecuteSql(_query(name))


async def _stub_stream(client: AsyncSessionsClient, name: str) -> None:
    assert [part async for part in client.stub.ExecuteStreamingSql(_query(name))]


async def _repeat_stream(client: AsyncSessionsClient, name: str) -> None:
    stub = spanner_pb2_grpc.SpannerStub(client.channel(retry=_AT_ONCE))
    assert [part async for part in stub.ExecuteStreamingSql(_query(name))]


async def _stub(client: AsyncSessionsClient, name: str) -> None:
    call = client.stub.GetSession(spanner_pb2.GetSessionRequest(name=name))
    await call.wait_for_connection()
    await call
    assert await call.code() is grpc.StatusCode.OK


async def _ready(client: AsyncSessionsClient, name: str) -> None:
    await client.open()
    await client.channel().channel_ready()


async def _block(client: AsyncSessionsClient, name: str) -> None:
    async with client:
        await client.get_session(name)


_Use = Callable[[AsyncSessionsClient, str], Coroutine[Any, Any, Any]]
_USES: dict[str, _Use] = {
    "warm_up": lambda client, _: client.warm_up(),
    "create_session": lambda client, name: client.create_session(_database_of(name)),
    "get_session": lambda client, name: client.get_session(name),
    "iter_sessions": _iterate,
    "rest": lambda client, name: client.rest("GET", f"/v1/{name}"),
    "rest, a stream": _stream,
    "stub": _stub,
    "stub, a stream": _stub_stream,
    "stub, repeated": _repeat,
    "stub, a repeated stream": _repeat_stream,
    "channel": _ready,
    "block": _block,
}


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("use", _USES)
def test_a_cancelled_use_leaves_a_client_that_works(server: CountingSpanner, use: str, tasks: str) -> None:
    """Or one that is closed, and says so; when it is closed, nothing of it goes on."""

    async def main() -> None:
        name = await _session(server)
        for moment in each_suspension():
            if "repeated" in use or use == "create_session":
                server.faults.add("ExecuteSql", status="UNAVAILABLE")
                server.faults.add("ExecuteStreamingSql", status="UNAVAILABLE")
                server.faults.add("CreateSession", status="UNAVAILABLE")
            client = _client(server)
            outcome = await moment.run(_USES[use](client, name))
            assert moment.place is None or isinstance(outcome, asyncio.CancelledError), (moment, outcome)
            assert moment.place is not None or not isinstance(outcome, BaseException), outcome
            server.faults.clear()
            if repr(client).endswith(" closed>"):
                with pytest.raises(ClientClosed):
                    await client.get_session(name)
            else:
                assert (await client.get_session(name))["name"] == name, moment
            await asyncio.wait_for(client.close(), WAIT)
            await nothing_left(server, moment)

    run_in(tasks, main())


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_cancelled_close_ends_calls_all_the_same(server: CountingSpanner, channels: int, tasks: str) -> None:
    """Those that are on the server and a stream, as `ClientClosed`; and the thread that just asks for a token."""

    async def main() -> None:
        name = await _session(server)
        for moment in each_suspension(How.BEFORE, How.TOGETHER, How.AGAIN):
            server.faults.add("CreateSession", drop=True, times=2)
            server.faults.add("ExecuteStreamingSql", drop=True)
            client = _client(server, credentials := _Slow(), channels=channels)
            calls: list[asyncio.Task[Any]] = [
                asyncio.create_task(client.create_session(_database_of(name), timeout=60)) for _ in range(2)
            ]
            calls.append(asyncio.create_task(_stream(client, name)))
            await until_async(lambda: server.in_progress == 3)
            credentials.seconds = 0.02
            assert client._connection.tokens.reject(None)
            await until_async(partial(credentials.has_been_asked, 2))
            await moment.run(client.close())
            await asyncio.wait(calls, timeout=WAIT)
            assert [type(call.exception()) for call in calls] == [ClientClosed] * 3, moment
            assert repr(client).endswith(" closed>")
            await nothing_left(server, moment)

    run_in(tasks, main())
