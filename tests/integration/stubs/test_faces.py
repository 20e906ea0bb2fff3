"""What a stub channel gives and raises has the whole face of gRPC's own objects, in both colours."""

from __future__ import annotations

import asyncio
import copy
import pickle
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.experimental
import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    Cancelled,
    ClientClosed,
    ClientOptions,
    CredentialsError,
    PermissionDenied,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.asynchronous import in_asyncio
from tests.support.colours import Colour
from tests.support.echo import PATHS, echo_server
from tests.support.servers import Server
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"
_MISSING = spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none")


def test_what_the_channel_gives_are_types_of_grpc(local: LocalSpanner) -> None:
    """Channel, RPCs, streams and futures: libraries decide by `isinstance`."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        channel: Any = client.channel()
        assert isinstance(channel, grpc.Channel)
        assert isinstance(client.stub.GetSession, grpc.UnaryUnaryMultiCallable)
        assert isinstance(client.stub.ExecuteStreamingSql, grpc.UnaryStreamMultiCallable)
        assert isinstance(channel.stream_unary("/a/B"), grpc.StreamUnaryMultiCallable)
        assert isinstance(channel.stream_stream("/a/B"), grpc.StreamStreamMultiCallable)
        future: Any = client.stub.GetSession.future(_MISSING)
        assert isinstance(future, grpc.Call)
        assert isinstance(future, grpc.Future)
        stream: Any = client.stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=_MISSING.name))
        assert iter(stream) is stream
        assert isinstance(stream, grpc.Call)
        future.exception(WAIT)
        stream.cancel()


def test_what_the_channel_gives_in_asyncio_are_types_of_grpc_aio(local: LocalSpanner) -> None:
    """The same in asyncio."""

    async def test(client: AsyncSessionsClient) -> None:
        channel: Any = client.channel()
        assert isinstance(channel, grpc.aio.Channel)
        assert isinstance(client.stub.GetSession, grpc.aio.UnaryUnaryMultiCallable)
        assert isinstance(client.stub.ExecuteStreamingSql, grpc.aio.UnaryStreamMultiCallable)
        assert isinstance(channel.stream_unary("/a/B"), grpc.aio.StreamUnaryMultiCallable)
        assert isinstance(channel.stream_stream("/a/B"), grpc.aio.StreamStreamMultiCallable)
        call: Any = client.stub.GetSession(_MISSING)
        assert isinstance(call, grpc.aio.UnaryUnaryCall)
        stream: Any = client.stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=_MISSING.name))
        assert isinstance(stream, grpc.aio.UnaryStreamCall)
        with pytest.raises(SessionNotFound):
            await call
        with pytest.raises(SessionNotFound):
            await stream.read()

    in_asyncio(local, test)


def test_an_error_is_the_failed_call(client: SessionsClient, server: Server) -> None:
    """It answers whatever gRPC asks a finished call, a future and an AioRpcError; it survives copying and pickling."""
    name = f"{server.new_database()}/sessions/none"
    with pytest.raises(SessionNotFound) as caught:
        client.stub.GetSession(spanner_pb2.GetSessionRequest(name=name))
    seen: list[Any] = []
    pickled = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - pickled here
    for error in (caught.value, copy.copy(caught.value), pickled):
        assert isinstance(error, grpc.RpcError)
        assert isinstance(error, grpc.Call)
        assert isinstance(error, grpc.Future)
        assert isinstance(error, grpc.aio.AioRpcError)
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, caught.value.message)
        # Not by `dict`, which the keys of older gRPC's Metadata break.
        assert "grpc-status-details-bin" in {key for key, _ in error.trailing_metadata()}
        assert all(len(pair) == 2 for pair in error.initial_metadata())
        assert caught.value.message in error.debug_error_string()
        assert (error.done(), error.running(), error.cancelled(), error.cancel()) == (True, False, False, False)
        assert (error.is_active(), error.time_remaining()) == (False, None)
        assert error.exception() is error
        with pytest.raises(SessionNotFound):
            error.result()
        error.add_done_callback(seen.append)
        assert not error.add_callback(lambda: seen.append(None))
        assert seen.pop() is error
        assert error.request_id == caught.value.request_id
    assert caught.value.traceback() is caught.value.__traceback__ is not None


def test_trailers_are_looked_up_by_key_in_asyncio(local: LocalSpanner) -> None:
    """There gRPC gives a `grpc.aio.Metadata`, and so does the error."""

    async def test(client: AsyncSessionsClient) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.stub.GetSession(_MISSING)
        trailers = caught.value.trailing_metadata()
        assert isinstance(trailers, grpc.aio.Metadata)
        assert trailers["grpc-status-details-bin"]

    in_asyncio(local, test)


def test_a_callback_sees_our_exception(local: LocalSpanner) -> None:
    """The callback of a future gets the future that the caller has, of a failed call and of another."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        for request, error_class in (
            (_MISSING, SessionNotFound),
            (spanner_pb2.GetSessionRequest(name=client.create_session(_DATABASE)["name"]), type(None)),
        ):
            seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
            future: Any = client.stub.GetSession.future(request)
            future.add_done_callback(seen.put)
            done = seen.get(timeout=WAIT)
            assert done is future
            assert isinstance(done.exception(), error_class)
            assert future.exception() is done.exception()


def test_a_callback_in_asyncio_gets_the_call(local: LocalSpanner) -> None:
    """The same in asyncio."""

    async def test(client: AsyncSessionsClient) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        call: Any = client.stub.GetSession(_MISSING)
        call.add_done_callback(seen.put_nowait)
        with pytest.raises(SessionNotFound):
            await call
        assert await asyncio.wait_for(seen.get(), WAIT) is call
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert call.done()
        assert not call.cancelled()

    in_asyncio(local, test)


def test_the_end_of_the_client_is_an_error_of_grpc_too(local: LocalSpanner, colour: Colour) -> None:
    """A call in flight ends as ClientClosed, which code for gRPC handles as CANCELLED; it can be pickled."""
    local.faults.add("GetSession", delay=2 * WAIT)
    with colour.client(local.credentials(), options=local.client_options()) as client, ThreadPoolExecutor(1) as threads:
        client.warm_up()
        call = threads.submit(client.stub.GetSession, _MISSING)
        until(lambda: local.calls)
        client.close()
        error: Any = call.exception(WAIT)
    assert isinstance(error, ClientClosed)
    assert isinstance(error, grpc.RpcError)
    assert (error.code(), error.details()) == (grpc.StatusCode.CANCELLED, str(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - pickled here


class _Broken(user_credentials.Credentials):
    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[no-untyped-call]  # google-auth is typed in part only

    def refresh(self, request: Any) -> None:
        raise CredentialsError("no token for you")


@pytest.mark.parametrize("way", ["call", "future", "stream"])
def test_a_call_without_a_token_is_an_error_of_grpc_too(local: LocalSpanner, colour: Colour, way: str) -> None:
    """Whichever way it is called, the failure comes where gRPC raises, as UNAUTHENTICATED."""
    if (colour.name, way) == ("async", "future"):
        way = "call"  # which is a future there
    with colour.client(_Broken(), options=local.client_options()) as client:
        query = spanner_pb2.ExecuteSqlRequest(session=_MISSING.name)
        ways: dict[str, Callable[[], Any]] = {
            "call": lambda: client.stub.GetSession(_MISSING),
            "future": lambda: client.stub.GetSession.future(_MISSING).result(WAIT),
            "stream": lambda: next(client.stub.ExecuteStreamingSql(query)),
        }
        with pytest.raises(CredentialsError, match="no token for you") as caught:
            ways[way]()
    assert isinstance(caught.value, grpc.RpcError)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_state_of_a_channel_is_told(local: LocalSpanner) -> None:
    """To what subscribes, until it does so no more; both end with the client."""
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        channel: Any = client.channel()
        channel.subscribe(seen.put, try_to_connect=True)
        while seen.get(timeout=WAIT) is not grpc.ChannelConnectivity.READY:
            pass
        channel.unsubscribe(seen.put)
    channel.unsubscribe(seen.put)
    with pytest.raises(ClientClosed):
        channel.subscribe(seen.put)


def test_the_state_of_a_channel_is_told_in_asyncio(local: LocalSpanner) -> None:
    """By methods, as there gRPC does."""

    async def test(client: AsyncSessionsClient) -> None:
        channel: Any = client.channel()
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            await asyncio.wait_for(channel.wait_for_state_change(state), WAIT)
            state = channel.get_state()
        await asyncio.wait_for(channel.channel_ready(), WAIT)
        async with channel as same:
            assert same is channel
        assert channel.get_state() is grpc.ChannelConnectivity.READY
        await client.close()
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN

    in_asyncio(local, test)


@pytest.mark.parametrize("retry", [RetryOptions.none(), RetryOptions(initial_delay=0)])
def test_a_callback_without_arguments_comes_at_the_end_of_a_stream(local: LocalSpanner, retry: RetryOptions) -> None:
    """As of any RPC of gRPC, also where a stream may be repeated."""
    with SessionsClient(local.credentials(), options=local.client_options(stub_retry=retry)) as client:
        query = spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")
        ended = threading.Event()
        stream: Any = client.stub.ExecuteStreamingSql(query)
        assert stream.add_callback(ended.set)
        assert len(list(stream)) == 1
        assert ended.wait(WAIT)
        assert not stream.add_callback(ended.set)


@pytest.mark.parametrize("retry", [RetryOptions.none(), RetryOptions(initial_delay=0)])
def test_a_call_in_asyncio_tells_its_metadata_and_its_connection(local: LocalSpanner, retry: RetryOptions) -> None:
    """Those of the last attempt, where a call may be repeated."""

    async def test() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options(stub_retry=retry)) as client:
            request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
            if retry.statuses:
                local.faults.add("CreateSession", status="UNAVAILABLE")
            call: Any = client.stub.CreateSession(request)
            await asyncio.wait_for(call.wait_for_connection(), WAIT)
            assert (await call.code(), await call.details()) == (grpc.StatusCode.OK, "")
            assert len(await call.trailing_metadata()) == 0
            assert (await call).name
            if retry.statuses:
                local.faults.add("CreateSession", status="UNAVAILABLE")
            local.faults.add("CreateSession", status="NOT_FOUND", message="no such database")
            call = client.stub.CreateSession(request)
            assert await call.details() == "no such database"
            with pytest.raises(grpc.RpcError, match="no such database"):
                await call

    asyncio.run(test())
    assert len(local.calls) == (4 if retry.statuses else 2)


def test_streams_without_a_thread(local: LocalSpanner) -> None:
    """An option of gRPC: a stream is read as without it, to its end, its failure, or until it is cancelled."""
    option = ((grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),)
    with SessionsClient(local.credentials(), options=local.client_options(channel_options=option)) as client:
        query = spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")
        before = set(threading.enumerate())
        stream: Any = client.stub.ExecuteStreamingSql(query)
        next(stream)
        # The server in this process may have started one for itself.
        assert not [thread for thread in threading.enumerate() if thread not in before and "(_run)" in thread.name]
        assert list(stream) == []
        assert stream.code() is grpc.StatusCode.OK
        with pytest.raises(SessionNotFound) as caught:
            list(client.stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=_MISSING.name, sql="SELECT 1")))
        assert caught.value.error_details
        stream = client.stub.ExecuteStreamingSql(query)
        stream.cancel()
        with pytest.raises(Cancelled):
            list(stream)
        with client.rest("POST", f"/v1/{query.session}:executeStreamingSql", {"sql": "SELECT 1"}) as bodies:
            assert len(list(bodies)) == 1


# ---- services of others


@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_of_rpc_of_another_service(channels: int) -> None:
    """One or many requests, one or many answers, every way of calling; failures are ours."""
    with echo_server() as plain:
        options = ClientOptions(endpoint=plain.endpoint, plaintext=True, channels=channels)
        with SessionsClient(AnonymousCredentials(), options=options) as client:
            channel: Any = client.channel()
            unary, many = channel.unary_unary(PATHS["unary_unary"]), channel.stream_unary(PATHS["stream_unary"])
            assert unary(b"a") == b"a"
            assert list(channel.unary_stream(PATHS["unary_stream"])(b"a")) == [b"a"]
            assert many(iter([b"a", b"b"])) == b"a+b"
            assert many.with_call(iter([b"a", b"b"]))[0] == b"a+b"
            assert many.future(iter([b"a", b"b"])).result(WAIT) == b"a+b"
            both = channel.stream_stream(PATHS["stream_stream"])
            assert list(both(iter([b"a", b"b"]))) == [b"a", b"b"]
            for failing in (
                lambda: unary(b"fail"),
                lambda: many(iter([b"a", b"fail"])),
                lambda: many.future(iter([b"fail"])).result(WAIT),
                lambda: list(both(iter([b"a", b"fail"]))),
            ):
                with pytest.raises(PermissionDenied, match="as asked"):
                    failing()


@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_of_rpc_of_another_service_in_asyncio(channels: int) -> None:
    """The same in asyncio, with iterators of requests and with `write`."""

    async def test(options: ClientOptions) -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            channel: Any = client.channel()
            many, both = (channel.stream_unary(PATHS["stream_unary"]), channel.stream_stream(PATHS["stream_stream"]))
            assert await channel.unary_unary(PATHS["unary_unary"])(b"a") == b"a"
            assert [part async for part in channel.unary_stream(PATHS["unary_stream"])(b"a")] == [b"a"]
            assert await many(iter([b"a", b"b"])) == b"a+b"
            call = many()
            await call.write(b"a")
            await call.write(b"b")
            await call.done_writing()
            assert await call == b"a+b"
            assert [part async for part in both(iter([b"a", b"b"]))] == [b"a", b"b"]
            call = both()
            await call.write(b"a")
            assert await call.read() == b"a"
            await call.write(b"fail")
            with pytest.raises(PermissionDenied, match="as asked"):
                await call.read()
            with pytest.raises(PermissionDenied):
                await many(iter([b"fail"]))
            # What gRPC says of a wrong use stays as it is.
            with pytest.raises(grpc.aio.UsageError, match="only valid on secure channels"):
                await many(iter([b"a"]), credentials=grpc.access_token_call_credentials("t"))

    with echo_server() as plain:
        asyncio.run(test(ClientOptions(endpoint=plain.endpoint, plaintext=True, channels=channels)))
