"""The request of a stub's call: sent as it was when the call began, and refused if it is no message."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    InvalidType,
    RetryOptions,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour

_DATABASE = "projects/pp/instances/ii/databases/dd"
_AT_ONCE = RetryOptions(initial_delay=0)


def query(session: str) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query."""
    return spanner_pb2.ExecuteSqlRequest(session=session, sql="SELECT 1")


def sent(local: LocalSpanner, session: str) -> list[str]:
    """Return which session each query named, of those whose headers named this one."""
    calls = [call for call in local.calls if call.header("x-goog-request-params") == f"session={session}"]
    return [call.request.session for call in calls if isinstance(call.request, spanner_pb2.ExecuteSqlRequest)]


@pytest.mark.parametrize("way", ["future", "stream"])
def test_a_message_used_again_during_a_call(local: LocalSpanner, way: str) -> None:
    """The call, its repetition too, is about the session that the message named when the call began."""
    with (
        SessionsClient(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client,
        SessionPool(client, _DATABASE) as pool,
    ):
        lost, other = pool.acquire(), pool.acquire()
        stub = spanner_pb2_grpc.SpannerStub(other.channel())
        local.forget(lost.name)
        if way == "stream":
            local.faults.add("ExecuteStreamingSql", status="UNAVAILABLE")
        request = query(lost.name)
        call: Any = stub.ExecuteSql.future(request) if way == "future" else stub.ExecuteStreamingSql(request)
        request.session = other.name
        with pytest.raises(SessionNotFound):
            call.result() if way == "future" else next(call)
        assert sent(local, lost.name) == [lost.name] * (1 if way == "future" else 2)
        pool.release(lost)
        pool.release(other)
        assert (pool.stats().lost, pool.stats().idle) == (1, 1)
        assert pool.run(lambda lease: lease.name) == other.name


@pytest.mark.parametrize("way", ["ExecuteSql", "ExecuteStreamingSql"])
def test_a_message_used_again_during_a_call_in_asyncio(local: LocalSpanner, way: str) -> None:
    """The same, also where the message is changed before gRPC has begun to send it."""

    async def test() -> None:
        options = local.client_options(stub_retry=_AT_ONCE)
        async with (
            AsyncSessionsClient(local.credentials(), options=options) as client,
            AsyncSessionPool(client, _DATABASE) as pool,
        ):
            lost, other = await pool.acquire(), await pool.acquire()
            stub = spanner_pb2_grpc.SpannerStub(other.channel())
            local.forget(lost.name)
            local.faults.add(way, status="UNAVAILABLE")
            request = query(lost.name)
            call: Any = getattr(stub, way)(request)
            request.session = other.name
            with pytest.raises(SessionNotFound):
                await (call if way == "ExecuteSql" else call.read())
            assert sent(local, lost.name) == [lost.name] * 2
            await pool.release(lost)
            await pool.release(other)
            assert (pool.stats().lost, pool.stats().idle) == (1, 1)
            async with pool.session() as lease:
                assert lease.name == other.name

    asyncio.run(test())


@pytest.mark.parametrize("rpc", ["GetSession", "ExecuteSql", "ExecuteStreamingSql"])
@pytest.mark.parametrize(
    "request_",
    [None, 7, "text", b"bytes", {"session": "s"}, object(), SimpleNamespace(session="s", name="s"), spanner_pb2],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_message_is_refused(local: LocalSpanner, colour: Colour, rpc: str, request_: Any) -> None:
    """The error names the RPC and the type, and nothing is sent."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(InvalidType, match=f"^{rpc}: .*{type(request_).__name__}"):
            getattr(client.stub, rpc)(request_)
    assert local.calls == []


@pytest.mark.parametrize("request_", [None, "text", {}], ids=lambda value: type(value).__name__)
def test_what_is_not_bytes_is_refused_where_bytes_are_sent(local: LocalSpanner, colour: Colour, request_: Any) -> None:
    """A channel without a serializer sends bytes alone."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(InvalidType, match=r"bytes, got"):
            client.channel().unary_unary("/google.spanner.v1.Spanner/GetSession")(request_)
    assert local.calls == []
