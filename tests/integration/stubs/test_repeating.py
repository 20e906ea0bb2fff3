"""Stub calls are repeated if the channel or the options say so, and only before an answer; in both colours."""

from __future__ import annotations

import asyncio
import gc
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    Cancelled,
    ClientClosed,
    InvalidType,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Blocking, Colour
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"
_AT_ONCE = RetryOptions(initial_delay=0)
_REQUEST_ID = "x-goog-spanner-request-id"
_CREATE = spanner_pb2.CreateSessionRequest(database=_DATABASE)


def stub_on(channel: Any) -> Any:
    """Return the stub of the service on a channel of either colour."""
    if isinstance(channel, Blocking):
        return Blocking(spanner_pb2_grpc.SpannerStub(channel._target), channel._thread)
    return spanner_pb2_grpc.SpannerStub(channel)


def attempts(local: LocalSpanner, method: str = "CreateSession") -> list[str]:
    """Return the numbers of the attempts of the last call of an RPC that arrived."""
    all_ids = [str(call.header(_REQUEST_ID)) for call in local.calls if call.method == method]
    ids = [request_id.rpartition(".") for request_id in all_ids]
    ids = [(number, dot, attempt) for number, dot, attempt in ids if number == ids[-1][0]]
    return [attempt for _, _, attempt in ids]


def query(client: SessionsClient) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query on a new session."""
    return spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")


def test_nothing_is_repeated_unasked(local: LocalSpanner, colour: Colour) -> None:
    """The client's own retries are not those of its stubs."""
    with colour.client(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
        local.faults.add("CreateSession", status="UNAVAILABLE")
        with pytest.raises(Unavailable):
            client.stub.CreateSession(_CREATE)
    assert attempts(local) == ["1"]


@pytest.mark.parametrize("asked", ["of the channel", "of the options"])
def test_a_call_is_repeated(local: LocalSpanner, colour: Colour, asked: str) -> None:
    """The attempts are numbered in the request id, like those of the client's own calls."""
    options = local.client_options(stub_retry=_AT_ONCE if asked == "of the options" else RetryOptions.none())
    with colour.client(local.credentials(), options=options) as client:
        stub = stub_on(client.channel(retry=_AT_ONCE)) if asked == "of the channel" else client.stub
        local.faults.add("CreateSession", status="UNAVAILABLE", times=2)
        assert stub.CreateSession(_CREATE).name
    assert attempts(local) == ["1", "2", "3"]


def test_a_stream_is_repeated_before_its_first_message(local: LocalSpanner, colour: Colour) -> None:
    """The reader sees the stream that succeeded."""
    with colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        request = query(client)
        local.faults.add("ExecuteStreamingSql", status="UNAVAILABLE", times=2)
        assert len(list(client.stub.ExecuteStreamingSql(request))) == 1
    assert attempts(local, "ExecuteStreamingSql") == ["1", "2", "3"]


def test_a_stream_is_not_repeated_after_its_first_message(colour: Colour) -> None:
    """The reader has messages that would come again."""
    calls: list[Any] = []

    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        calls.append(None)
        yield result_set_pb2.PartialResultSet()
        context.abort(grpc.StatusCode.UNAVAILABLE, "in the middle")

    with scripted_server(ExecuteStreamingSql=answer) as plain:
        with colour.client(options=plain) as client:
            stub = stub_on(client.channel(retry=_AT_ONCE))
            stream = stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=f"{_DATABASE}/sessions/s"))
            next(stream)
            with pytest.raises(Unavailable, match="in the middle"):
                next(stream)
    assert len(calls) == 1


def test_what_may_not_be_repeated_fails_at_once(local: LocalSpanner, colour: Colour) -> None:
    """Only the statuses of the options are; the server's last word is told, also that a deleted session is gone."""
    with colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        name = f"{_DATABASE}/sessions/none"
        with pytest.raises(SessionNotFound):
            client.stub.GetSession(spanner_pb2.GetSessionRequest(name=name))
        local.faults.add("DeleteSession", status="UNAVAILABLE")
        with pytest.raises(SessionNotFound):
            client.stub.DeleteSession(spanner_pb2.DeleteSessionRequest(name=name))
    assert attempts(local, "GetSession") == ["1"]
    assert attempts(local, "DeleteSession") == ["1", "2"]


def test_the_server_says_when(local: LocalSpanner, colour: Colour) -> None:
    """A RetryInfo past the deadline ends the call with the server's error, at the first attempt."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(3600)
    with colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        local.faults.add("CreateSession", status="UNAVAILABLE", details=(info,))
        with pytest.raises(Unavailable) as caught:
            client.stub.CreateSession(_CREATE)
    assert caught.value.retry_delay == 3600
    assert attempts(local) == ["1"]


def test_attempts_go_on_from_the_number_of_the_caller(local: LocalSpanner, colour: Colour) -> None:
    """Google's client numbers its own attempts: ours follow, and no number comes twice."""
    with colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        local.faults.add("CreateSession", status="UNAVAILABLE", times=2)
        client.stub.CreateSession(_CREATE, metadata=((_REQUEST_ID, "1.00000000000000aa.1.1.1.4"),))
    assert attempts(local) == ["4", "5", "6"]


def test_the_last_failure_is_told(local: LocalSpanner, colour: Colour) -> None:
    """With the request id of the last attempt."""
    with colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        request = query(client)
        for name in ("ExecuteSql", "ExecuteStreamingSql"):
            local.faults.add(name, status="UNAVAILABLE", message="first")
            local.faults.add(name, status="NOT_FOUND", message="second")
            with pytest.raises(grpc.RpcError, match="second") as caught:
                answer = getattr(client.stub, name)(request)
                list(answer)
            assert attempts(local, name) == ["1", "2"]
            assert getattr(caught.value, "request_id", "") == local.calls[-1].header(_REQUEST_ID)


def test_closing_the_client_ends_a_pause(local: LocalSpanner, colour: Colour) -> None:
    """A call that waits for its next attempt ends with the client."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(20)
    with (
        ThreadPoolExecutor(2) as threads,
        colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client,
    ):
        request = query(client)
        local.faults.add("ExecuteSql", status="UNAVAILABLE", details=(info,))
        local.faults.add("ExecuteStreamingSql", status="UNAVAILABLE", details=(info,))
        unary = threads.submit(client.stub.ExecuteSql, request)
        stream = threads.submit(lambda: list(client.stub.ExecuteStreamingSql(request)))
        until(lambda: len(local.calls) == 3)
        client.close()
        for call in (unary, stream):
            error = call.exception(WAIT)
            assert isinstance(error, ClientClosed)
            assert isinstance(error, grpc.RpcError)


@pytest.mark.parametrize("rpc", ["ExecuteSql", "ExecuteStreamingSql"])
def test_cancelling_in_a_pause_ends_the_call(local: LocalSpanner, colour: Colour, rpc: str) -> None:
    """At once, as CANCELLED, and no other attempt is made; callbacks come then, not at the attempt that failed."""
    if (colour.name, rpc) == ("sync", "ExecuteSql"):
        rpc = "ExecuteStreamingSql"  # a call that blocks cannot be cancelled
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(20)
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read(call: Any) -> None:
        with pytest.raises((Cancelled, asyncio.CancelledError)):
            next(call)

    async def in_asyncio(client: Any) -> None:
        call = getattr(client._target.stub, rpc)(request)
        call.add_done_callback(called.put)
        reading = asyncio.ensure_future(call.read() if rpc == "ExecuteStreamingSql" else asyncio.wait_for(call, WAIT))
        await until_async(lambda: len(local.calls) == 2)
        await asyncio.sleep(0.05)
        assert called.empty()
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert (await call.code(), call.cancelled()) == (grpc.StatusCode.CANCELLED, True)

    with (
        ThreadPoolExecutor(1) as threads,
        colour.client(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client,
    ):
        request = query(client)
        local.faults.add(rpc, status="UNAVAILABLE", details=(info,))
        if isinstance(client, Blocking):
            client._thread.run(in_asyncio(client))
        else:
            call: Any = client.stub.ExecuteStreamingSql(request)
            call.add_done_callback(called.put)
            reading = threads.submit(read, call)
            until(lambda: call._interrupt is not None)
            assert called.empty()
            assert call.cancel()
            reading.result(WAIT)
            assert (call.code(), call.cancelled()) == (grpc.StatusCode.CANCELLED, True)
        assert called.get(timeout=WAIT) is not None
    assert len(local.calls) == 2


def test_a_future_is_made_once(local: LocalSpanner) -> None:
    """Nothing waits for it that could make another attempt."""
    with SessionsClient(local.credentials(), options=local.client_options(stub_retry=_AT_ONCE)) as client:
        local.faults.add("CreateSession", status="UNAVAILABLE")
        future: Any = client.stub.CreateSession.future(_CREATE)
        assert isinstance(future.exception(WAIT), Unavailable)
    assert attempts(local) == ["1"]


def test_a_repeated_call_in_asyncio_is_one_call(local: LocalSpanner, caplog: pytest.LogCaptureFixture) -> None:
    """It is done when its last attempt is; two tasks may await it, or none; its code is the last one."""
    options = local.client_options(stub_retry=_AT_ONCE)

    async def test() -> None:
        async with AsyncSessionsClient(local.credentials(), options=options) as client:
            await client.create_session(_DATABASE)
            local.faults.add("CreateSession", status="UNAVAILABLE", times=2)
            called: asyncio.Queue[Any] = asyncio.Queue()
            call: Any = client.stub.CreateSession(_CREATE)
            call.add_done_callback(called.put_nowait)
            assert not call.done()
            first, second = await asyncio.gather(call, call)
            assert first is second
            assert await called.get() is call
            assert (call.done(), call.cancelled(), await call.code()) == (True, False, grpc.StatusCode.OK)
            local.faults.add("CreateSession", status="UNAVAILABLE")
            local.faults.add("CreateSession", status="NOT_FOUND")
            call = client.stub.CreateSession(_CREATE)
            assert await call.code() is grpc.StatusCode.NOT_FOUND
            local.faults.add("CreateSession", delay=2 * WAIT)
            call = client.stub.CreateSession(_CREATE)
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert call.cancelled()

    asyncio.run(test())
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    ids = [str(made.header(_REQUEST_ID)).split(".")[-2:] for made in local.calls[1:6]]
    assert [attempt for _, attempt in ids] == ["1", "2", "3", "1", "2"]


def test_options_of_the_wrong_type_are_refused(local: LocalSpanner, colour: Colour) -> None:
    """Before a stub is made."""
    wrong: Any = {"initial_delay": 0}
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(InvalidType, match="retry must be RetryOptions"):
            client.channel(retry=wrong)
    with pytest.raises(InvalidType, match="stub_retry must be a RetryOptions"):
        local.client_options(stub_retry=wrong)
