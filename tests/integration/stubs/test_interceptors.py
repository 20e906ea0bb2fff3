"""Interceptors of gRPC on a stub channel: each sees every call once, and the errors that it knows."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientOptions,
    InvalidType,
    PermissionDenied,
    SessionNotFound,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.asynchronous import in_asyncio
from tests.support.echo import PATHS, echo_server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_MISSING = spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none")


class Passing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Goes on with every call, and remembers its method and what came back."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def _pass(self, go_on: Any, details: Any, request: Any) -> Any:
        call = go_on(details, request)
        self.seen.append((details.method.rpartition("/")[2], call))
        return call

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = _pass  # type: ignore[assignment]  # one for all


class AsyncPassing(
    grpc.aio.UnaryUnaryClientInterceptor,
    grpc.aio.UnaryStreamClientInterceptor,
    grpc.aio.StreamUnaryClientInterceptor,
    grpc.aio.StreamStreamClientInterceptor,
):
    """The same in asyncio."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    async def _pass(self, go_on: Any, details: Any, request: Any) -> Any:
        call = await go_on(details, request)
        self.seen.append((details.method.decode().rpartition("/")[2], call))
        return call

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = _pass  # type: ignore[assignment]  # one for all


@pytest.mark.parametrize("how", ["grpc.intercept_channel", "channel(interceptors=…)"])
def test_every_call_passes_once(how: str) -> None:
    """Of each kind, whichever way it is called, failures included."""
    passing = Passing()
    with echo_server() as options, SessionsClient(AnonymousCredentials(), options=options) as client:
        plain: Any = client.channel()
        channel: Any = (
            grpc.intercept_channel(plain, passing)
            if how == "grpc.intercept_channel"
            else client.channel(interceptors=[passing])
        )
        unary, stream = channel.unary_unary(PATHS["unary_unary"]), channel.unary_stream(PATHS["unary_stream"])
        many, both = channel.stream_unary(PATHS["stream_unary"]), channel.stream_stream(PATHS["stream_stream"])
        assert unary(b"a") == unary.with_call(b"a")[0] == unary.future(b"a").result(WAIT) == b"a"
        assert list(stream(b"a")) == list(both(iter([b"a"]))) == [b"a"]
        assert many(iter([b"a"])) == b"a"
        failing = (
            lambda: unary(b"fail"),
            lambda: unary.with_call(b"fail"),
            lambda: unary.future(b"fail").result(WAIT),
            lambda: many(iter([b"fail"])),
            lambda: list(stream(b"fail")),
            lambda: list(both(iter([b"fail"]))),
        )
        for call in failing:
            with pytest.raises(PermissionDenied, match="as asked") as caught:
                call()
            assert passing.seen[-1][1].code() is grpc.StatusCode.PERMISSION_DENIED
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    unary_calls, streams = ["unary_unary"] * 3, ["unary_stream", "stream_stream", "stream_unary"]
    failed = [*unary_calls, "stream_unary", "unary_stream", "stream_stream"]
    assert [name for name, _ in passing.seen] == [*unary_calls, *streams, *failed]


def test_every_call_passes_once_in_asyncio() -> None:
    """The same in asyncio."""
    passing = AsyncPassing()

    async def test(options: ClientOptions) -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            channel: Any = client.channel(interceptors=[passing])
            unary, stream = channel.unary_unary(PATHS["unary_unary"]), channel.unary_stream(PATHS["unary_stream"])
            many, both = channel.stream_unary(PATHS["stream_unary"]), channel.stream_stream(PATHS["stream_stream"])
            assert await unary(b"a") == b"a"
            assert [part async for part in stream(b"a")] == [b"a"]
            call = many()
            await call.write(b"a")
            await call.done_writing()
            assert await call == b"a"
            assert [part async for part in both(iter([b"a"]))] == [b"a"]
            for failing in (unary(b"fail"), many(iter([b"fail"]))):
                with pytest.raises(PermissionDenied, match="as asked"):
                    await failing
                assert await failing.code() is grpc.StatusCode.PERMISSION_DENIED
            for failing in (stream(b"fail"), both(iter([b"fail"]))):
                with pytest.raises(PermissionDenied, match="as asked"):
                    await failing.read()

    with echo_server() as options:
        asyncio.run(test(options))
    kinds = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
    assert [name for name, _ in passing.seen] == [
        *kinds,
        "unary_unary",
        "stream_unary",
        "unary_stream",
        "stream_stream",
    ]


class Marking(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends every call with one more header."""

    async def intercept_unary_unary(self, go_on: Any, details: Any, request: Any) -> Any:
        """Add a header, and shorten the time."""
        details.metadata.add("x-intercepted", "yes")
        return await go_on(details._replace(timeout=WAIT), request)


def test_an_interceptor_in_asyncio_changes_the_call(local: LocalSpanner) -> None:
    """It gets gRPC's metadata of the caller, and what it adds is sent; the first one is the outermost."""
    passing = AsyncPassing()

    async def test(client: AsyncSessionsClient) -> None:
        stub = spanner_pb2_grpc.SpannerStub(client.channel(interceptors=[Marking(), passing]))
        with pytest.raises(SessionNotFound):
            await stub.GetSession(_MISSING, metadata=(("x-own", "1"),))

    in_asyncio(local, test)
    assert (local.calls[0].header("x-intercepted"), local.calls[0].header("x-own")) == ("yes", "1")
    assert [name for name, _ in passing.seen] == ["GetSession"]


class Elsewhere(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends every call to another RPC."""

    async def intercept_unary_unary(self, go_on: Any, details: Any, request: Any) -> Any:
        """Change the path."""
        return await go_on(details._replace(method=PATHS["unary_unary"].encode()), request)


def test_an_interceptor_in_asyncio_chooses_the_rpc() -> None:
    """As in gRPC, by the method in the details."""

    async def test(options: ClientOptions) -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            channel: Any = client.channel(interceptors=[Elsewhere()])
            assert await channel.unary_unary("/test.Echo/None")(b"a") == b"a"

    with echo_server() as options:
        asyncio.run(test(options))


def test_an_interceptor_knows_the_request_id(local: LocalSpanner) -> None:
    """As the server saw it: of a failure and a stream, and in asyncio of every call."""
    passing, passing_async = Passing(), AsyncPassing()
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        query = spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")
        stub: Any = spanner_pb2_grpc.SpannerStub(client.channel(interceptors=[passing]))
        with pytest.raises(SessionNotFound):
            stub.GetSession(_MISSING)
        list(stub.ExecuteStreamingSql(query))

    async def test(client: AsyncSessionsClient) -> None:
        stub: Any = spanner_pb2_grpc.SpannerStub(client.channel(interceptors=[passing_async]))
        with pytest.raises(SessionNotFound):
            await stub.GetSession(_MISSING)
        await stub.ExecuteSql(query)
        await stub.ExecuteStreamingSql(query).read()

    in_asyncio(local, test)
    ids = [call.header("x-goog-spanner-request-id") for call in local.calls[1:]]
    assert [call.request_id for _, call in (*passing.seen, *passing_async.seen)] == ids


class Answering(grpc.aio.UnaryUnaryClientInterceptor):
    """Answers without a call."""

    async def intercept_unary_unary(self, go_on: Any, details: Any, request: Any) -> Any:
        """Return a session."""
        return spanner_pb2.Session(name="mine")


def test_an_interceptor_in_asyncio_answers_itself(local: LocalSpanner) -> None:
    """Nothing is sent."""

    async def test(client: AsyncSessionsClient) -> None:
        stub = spanner_pb2_grpc.SpannerStub(client.channel(interceptors=[Answering()]))
        assert (await stub.GetSession(_MISSING)).name == "mine"

    in_asyncio(local, test)
    assert local.calls == []


def test_what_is_no_interceptor_is_refused(local: LocalSpanner) -> None:
    """Of the other colour, or nothing of gRPC's: the message names the type."""
    wrong: list[Any] = [Passing(), object()]
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(InvalidType, match="AsyncPassing"):
            client.channel(interceptors=[AsyncPassing()])

    async def test(client: AsyncSessionsClient) -> None:
        for interceptor in wrong:
            with pytest.raises(InvalidType, match=type(interceptor).__name__):
                client.channel(interceptors=[interceptor])

    in_asyncio(local, test)
