"""`client.rest`: REST calls over gRPC, on both servers and in both colours; streams, and what ends them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientClosed,
    DeadlineExceeded,
    InvalidName,
    InvalidRequest,
    InvalidType,
    SessionNotFound,
    SessionsClient,
    Unavailable,
    UnknownPath,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.scripted import scripted_server
from tests.support.servers import Server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_STREAM = ("POST", f"/v1/{_DATABASE}/sessions/s:executeStreamingSql", {"sql": "SELECT 1"})


@pytest.fixture
def database(server: Server) -> str:
    """A new database."""
    return server.new_database()


def test_a_session_lives_its_life_in_rest(client: SessionsClient, database: str) -> None:
    """Create, get, list, use and delete by paths give the bodies of the methods for it."""
    created = client.rest("POST", f"/v1/{database}/sessions", {"session": {"labels": {"team": "checkout"}}})
    assert created["labels"] == {"team": "checkout"}
    assert client.rest("GET", f"/v1/{created['name']}")["name"] == created["name"]
    assert client.rest("GET", f"/v1/{database}/sessions", query={"pageSize": 5}) == client.list_sessions(database)
    answer = client.rest("post", f"/v1/{created['name']}:executeSql", {"sql": "SELECT 1"})
    assert answer == {"metadata": {"rowType": {"fields": [{"type": {"code": "INT64"}}]}}, "rows": [["1"]]}
    assert client.rest("DELETE", f"/v1/{created['name']}") == {}
    with pytest.raises(SessionNotFound):
        client.rest("POST", f"/v1/{created['name']}:executeSql", {"sql": "SELECT 1"})


def test_a_stream_is_an_iterator_of_bodies(client: SessionsClient, database: str) -> None:
    """It gives each message as a dict, ends, stays at its end, and closing it then does nothing."""
    name = client.create_session(database)["name"]
    with client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
        (part,) = stream
        assert part["metadata"] == {"rowType": {"fields": [{"type": {"code": "INT64"}}]}}
        assert part["values"] == ["1"]
        assert list(stream) == []
    stream.close()


def test_a_stream_fails_where_its_message_was_awaited(client: SessionsClient, database: str) -> None:
    """A session that is gone is told by the first message, as SessionNotFound with its request id."""
    stream = client.rest("POST", f"/v1/{database}/sessions/none:executeStreamingSql", {"sql": "SELECT 1"})
    with pytest.raises(SessionNotFound) as caught:
        next(stream)
    assert caught.value.method == "ExecuteStreamingSql"
    assert caught.value.request_id.endswith(".1")


def test_a_stream_carries_the_headers_of_a_call(local: LocalSpanner, colour: Colour) -> None:
    """Token, routing headers, request id, the caller's own metadata; and the leader region if it begins to write."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        name = client.create_session(_DATABASE)["name"]
        body = {"sql": "SELECT 1", "transaction": {"begin": {"readWrite": {}}}}
        list(client.rest("POST", f"/v1/{name}:executeStreamingSql", body, metadata=[("x-own", "1")]))
        list(client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}))
        writing, reading = (call for call in local.calls if call.method == "ExecuteStreamingSql")
        assert writing.auth == reading.auth != "none"
        assert writing.header("google-cloud-resource-prefix") == _DATABASE
        assert writing.header("x-goog-request-params") == f"session={name}"
        assert writing.header("x-own") == "1"
        assert writing.header("x-goog-spanner-request-id") != reading.header("x-goog-spanner-request-id")
        assert writing.header("x-goog-spanner-route-to-leader") == "true"
        assert reading.header("x-goog-spanner-route-to-leader") is None


def test_a_stream_is_never_repeated(local: LocalSpanner, colour: Colour) -> None:
    """Half of an answer cannot be taken back: Google publishes no repetition for RPCs that stream."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        local.faults.add("ExecuteStreamingSql", status="UNAVAILABLE")
        with pytest.raises(Unavailable):
            next(client.rest(*_STREAM))
        assert len(local.calls) == 1


@pytest.mark.parametrize(
    ("error_class", "arguments", "keywords"),
    [
        (UnknownPath, ("GET", "/v1/nope"), {}),
        (InvalidRequest, ("POST", f"/v1/{_DATABASE}/sessions", {"session": {"labels": {"env": 7}}}), {}),
        (InvalidRequest, ("GET", f"/v1/{_DATABASE}/sessions"), {"query": {"bogus": 1}}),
        (InvalidRequest, (*_STREAM[:2], {"sql": 1}), {}),
        (InvalidName, ("GET", f"/v1/{_DATABASE}/sessions/%0a"), {}),
        (InvalidName, ("POST", f"/v1/{_DATABASE}/sessions/é:executeStreamingSql"), {}),
        (InvalidType, (1, f"/v1/{_DATABASE}/sessions"), {}),
        (InvalidType, _STREAM, {"timeout": "1"}),
        (InvalidType, _STREAM, {"retry": 1}),
        (InvalidType, _STREAM, {"metadata": 1}),
        (InvalidType, _STREAM, {"query": 1}),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    local: LocalSpanner, colour: Colour, error_class: type[Exception], arguments: Any, keywords: Any
) -> None:
    """The error is one of ours, and a ValueError or a TypeError; the server sees nothing."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(error_class) as caught:
            client.rest(*arguments, **keywords)
        assert isinstance(caught.value, ValueError | TypeError)
        assert local.calls == []


class Endless:
    """A query whose answer never ends, on a server; it knows whether it was told to stop."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._next = threading.Semaphore(1)

    def __call__(self, _: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Answer with one message, and then wait for the end."""
        context.add_callback(self.ended.set)
        yield result_set_pb2.PartialResultSet(resume_token=b"1")
        self.ended.wait(WAIT)


@pytest.fixture
def endless(colour: Colour) -> Iterator[tuple[SessionsClient, Endless]]:
    """A client of each colour, and the query that it can make."""
    query = Endless()
    with scripted_server(ExecuteStreamingSql=query) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            yield client, query


def test_closing_a_stream_ends_the_work_of_the_server(endless: tuple[SessionsClient, Endless]) -> None:
    """The server is told, and the stream is at its end; closing it again does nothing."""
    client, query = endless
    stream = client.rest(*_STREAM)
    assert next(stream) == {"resumeToken": "MQ=="}
    stream.close()
    assert query.ended.wait(WAIT)
    assert list(stream) == []
    stream.close()


def test_the_end_of_its_block_closes_a_stream(endless: tuple[SessionsClient, Endless]) -> None:
    """Also when the block fails."""
    client, query = endless
    with pytest.raises(ZeroDivisionError), client.rest(*_STREAM) as stream:
        next(stream)
        raise ZeroDivisionError
    assert query.ended.wait(WAIT)


def test_a_waiting_reader_sees_the_end_of_a_closed_stream(endless: tuple[SessionsClient, Endless]) -> None:
    """A reader that waits for the next message gets no error from a close beside it."""
    client, _ = endless
    stream = client.rest(*_STREAM)
    next(stream)
    with ThreadPoolExecutor() as threads:
        rest = _started(threads, lambda: list(stream))
        stream.close()
        assert rest.result(WAIT) == []


def test_dropping_a_stream_ends_the_work_of_the_server() -> None:
    """A stream without a reference to it is ended."""
    query = Endless()
    with scripted_server(ExecuteStreamingSql=query) as options:
        with SessionsClient(AnonymousCredentials(), options=options) as client:
            assert next(client.rest(*_STREAM))
            gc.collect()
            assert query.ended.wait(WAIT)


def test_the_deadline_holds_for_the_whole_stream(endless: tuple[SessionsClient, Endless]) -> None:
    """A stream that has begun ends at its deadline."""
    client, query = endless
    client.warm_up()
    stream = client.rest(*_STREAM, timeout=0.5)
    next(stream)
    with pytest.raises(DeadlineExceeded):
        next(stream)
    assert query.ended.wait(WAIT)


def test_closing_the_client_ends_its_streams(endless: tuple[SessionsClient, Endless]) -> None:
    """A reader that waits for the next message hears that the client was closed, and so does the next one."""
    client, query = endless
    stream = client.rest(*_STREAM)
    next(stream)
    with ThreadPoolExecutor() as threads:
        waiting = _started(threads, lambda: next(stream))
        client.close()
        with pytest.raises(ClientClosed):
            waiting.result(WAIT)
    with pytest.raises(ClientClosed):
        next(stream)
    with pytest.raises(ClientClosed):
        client.rest(*_STREAM)
    assert query.ended.wait(WAIT)


def test_cancelling_a_reading_task_is_a_cancellation() -> None:
    """The task that is cancelled sees CancelledError, and the server is told to stop."""
    query = Endless()

    async def read() -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            stream = await client.rest(*_STREAM)
            assert await anext(stream) == {"resumeToken": "MQ=="}
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(query.ended.wait, WAIT)

    with scripted_server(ExecuteStreamingSql=query) as options:
        asyncio.run(read())


def test_a_stream_can_break_after_its_first_message(colour: Colour) -> None:
    """The messages before are given, and then the error with all its details, every time it is asked for."""
    lost = error_details_pb2.ResourceInfo(resource_type="type.googleapis.com/google.spanner.v1.Session")
    details = any_pb2.Any()
    details.Pack(lost)
    status = status_pb2.Status(code=5, message="gone", details=[details])

    def breaking(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield result_set_pb2.PartialResultSet(resume_token=b"1")
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    with scripted_server(ExecuteStreamingSql=breaking) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            stream = client.rest(*_STREAM)
            assert next(stream) == {"resumeToken": "MQ=="}
            for _ in range(2):
                with pytest.raises(SessionNotFound, match="gone"):
                    next(stream)


def _started(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[Any]:
    """Submit work, and return once its thread is at it; the little that it has still to do matters to no test."""
    begun = threading.Event()

    def run() -> Any:
        begun.set()
        return work()

    future = threads.submit(run)
    assert begun.wait(WAIT)
    return future
