"""Observers are told of every stub call once, with the request id that the server saw; in both colours."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import (
    ClientOptions,
    Internal,
    InvalidValue,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.observers import CallInfo, Observation
from tests.support.colours import Colour
from tests.support.observing import Watcher
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"
_SESSION = f"{_DATABASE}/sessions/s"
_MISSING = spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none")
_QUERY = spanner_pb2.ExecuteSqlRequest(session=_SESSION)
_REQUEST_ID = "x-goog-spanner-request-id"


@pytest.fixture
def watcher() -> Watcher:
    """What the client's calls are told to."""
    return Watcher()


@pytest.fixture
def client(local: LocalSpanner, colour: Colour, watcher: Watcher) -> Iterator[SessionsClient]:
    """A client whose calls are watched, of each colour."""
    with colour.client(local.credentials(), options=local.client_options(observer=watcher)) as client:
        yield client


@pytest.fixture
def streaming(colour: Colour, watcher: Watcher) -> Iterator[SessionsClient]:
    """A client of a server that streams two messages, and then fails."""

    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        yield from [result_set_pb2.PartialResultSet()] * 2
        context.abort(grpc.StatusCode.UNAVAILABLE, "as written")

    with scripted_server(ExecuteStreamingSql=answer) as plain:
        options = ClientOptions(endpoint=plain.endpoint, plaintext=True, observer=watcher)
        with colour.client(options=options) as client:
            yield client


def only_call(watcher: Watcher) -> CallInfo:
    """Return the one call that was begun and ended, with its mark."""
    ((call, mark),) = watcher.ended
    assert [call] == watcher.begun
    assert mark is watcher.mark
    return call


def test_a_call_is_told(client: SessionsClient, local: LocalSpanner, watcher: Watcher) -> None:
    """RPC, database, request id as the server saw it, outcome; and the server gets the observer's header."""
    client.stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE))
    call = only_call(watcher)
    assert (call.method, call.resource, call.attempts, call.status) == ("CreateSession", _DATABASE, 1, "OK")
    assert (call.request_id, "yes") == (local.calls[0].header(_REQUEST_ID), local.calls[0].header("x-watched"))


def test_a_failed_call_is_told(client: SessionsClient, local: LocalSpanner, watcher: Watcher) -> None:
    """With the exception that the caller got."""
    with pytest.raises(SessionNotFound) as caught:
        client.stub.GetSession(_MISSING)
    call = only_call(watcher)
    assert (call.status, call.error) == ("NOT_FOUND", caught.value)
    assert call.request_id == caught.value.request_id == local.calls[0].header(_REQUEST_ID)


def test_a_call_that_is_refused_here_is_told(client: SessionsClient, local: LocalSpanner, watcher: Watcher) -> None:
    """Nothing was sent: no attempt, no request id."""
    with pytest.raises(InvalidValue) as caught:
        client.stub.GetSession(_MISSING, metadata=(("authorization", "mine"),))
    call = only_call(watcher)
    assert (call.attempts, call.request_id, call.error) == (0, "", caught.value)
    assert local.calls == []


def test_a_stream_that_is_refused_here_is_told(client: SessionsClient, local: LocalSpanner, watcher: Watcher) -> None:
    """A stream of the client's own, before anything is sent."""
    path, metadata = f"/v1/{_SESSION}:executeStreamingSql", (("authorization", "mine"),)
    with pytest.raises(InvalidValue) as caught:
        list(client.rest("POST", path, {"sql": "SELECT 1"}, metadata=metadata))
    call = only_call(watcher)
    assert (call.method, call.attempts, call.error) == ("ExecuteStreamingSql", 0, caught.value)
    assert local.calls == []


def test_a_repeated_call_is_one(local: LocalSpanner, colour: Colour, watcher: Watcher) -> None:
    """All attempts of a call or a stream are told as one call, with the request id of the last."""
    options = local.client_options(observer=watcher, stub_retry=RetryOptions(initial_delay=0))
    with colour.client(local.credentials(), options=options) as client:
        query = spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")
        for name in ("ExecuteSql", "ExecuteStreamingSql"):
            watcher.begun.clear()
            watcher.ended.clear()
            local.faults.add(name, status="UNAVAILABLE", times=2)
            list(
                getattr(client.stub, name)(query).ListFields()
                if name == "ExecuteSql"
                else client.stub.ExecuteStreamingSql(query)
            )
            call = only_call(watcher)
            assert (call.status, call.attempts) == ("OK", 3)
            assert call.request_id == local.calls[-1].header(_REQUEST_ID)


def test_a_header_of_the_caller_is_not_doubled(client: SessionsClient, local: LocalSpanner) -> None:
    """An observer's `traceparent` gives way to one that the caller sends."""
    metadata = (("x-watched", "by me"),)
    with pytest.raises(SessionNotFound):
        client.stub.GetSession(_MISSING, metadata=metadata)
    with pytest.raises(SessionNotFound):
        client.get_session(_MISSING.name, metadata=metadata)
    for call in local.calls:
        assert [value for key, value in call.metadata if key == "x-watched"] == ["by me"]
    assert len(local.calls) == 2


def test_a_future_is_told(local: LocalSpanner, watcher: Watcher) -> None:
    """When it is done, whether its result is asked for or not; a cancelled one as CANCELLED."""
    with SessionsClient(local.credentials(), options=local.client_options(observer=watcher)) as client:
        client.stub.GetSession.future(_MISSING)
        until(lambda: watcher.ended)
        assert only_call(watcher).status == "NOT_FOUND"
        watcher.begun.clear()
        watcher.ended.clear()
        local.faults.add("GetSession", delay=2 * WAIT)
        future = client.stub.GetSession.future(_MISSING)
        future.cancel()
        until(lambda: watcher.ended)
        assert only_call(watcher).status == "CANCELLED"


def test_a_stream_is_told_at_its_end(client: SessionsClient, watcher: Watcher) -> None:
    """When it has been read, not before."""
    query = spanner_pb2.ExecuteSqlRequest(session=client.create_session(_DATABASE)["name"], sql="SELECT 1")
    watcher.begun.clear()
    watcher.ended.clear()
    stream = client.stub.ExecuteStreamingSql(query)
    next(stream)
    assert watcher.ended == []
    assert list(stream) == []
    assert only_call(watcher).status == "OK"


def test_a_stream_that_fails_is_told(streaming: SessionsClient, watcher: Watcher) -> None:
    """With the exception that its reader got."""
    with pytest.raises(Unavailable) as caught:
        list(streaming.stub.ExecuteStreamingSql(_QUERY))
    assert only_call(watcher).error is caught.value


@pytest.mark.parametrize("end", ["cancelled", "dropped"])
def test_a_stream_that_is_left_is_told(streaming: SessionsClient, watcher: Watcher, end: str) -> None:
    """Cancelled or dropped before its end, it ends as CANCELLED."""
    stream: Any = streaming.stub.ExecuteStreamingSql(_QUERY)
    next(stream)
    if end == "cancelled":
        stream.cancel()
    else:
        del stream
    until(lambda: bool(gc.collect()) or watcher.ended)
    assert only_call(watcher).status == "CANCELLED"


def test_the_log_has_a_line_per_call(local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, without an observer."""
    caplog.set_level(logging.DEBUG, "spanner_grpc_sessions")
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(SessionNotFound):
            client.stub.GetSession(_MISSING)
    lines = [record.getMessage() for record in caplog.records if "GetSession of" in record.getMessage()]
    assert len(lines) == 1
    assert f"GetSession of {_MISSING.name}: NOT_FOUND after" in lines[0]
    assert str(local.calls[0].header(_REQUEST_ID)) in lines[0]


@pytest.mark.parametrize("way", ["own", "stub", "future", "stream", "rest stream", "failure"])
def test_the_time_of_the_servers_parts_is_told(colour: Colour, watcher: Watcher, way: str) -> None:
    """In seconds, from the `server-timing` header of the answer, which the client asks for if the observer does."""
    if (colour.name, way) == ("async", "future"):
        way = "stub"  # which is a future there
    asked: list[Any] = []

    def timed(context: grpc.ServicerContext) -> None:
        asked.append(dict(context.invocation_metadata()).get("x-goog-spanner-enable-afe-server-timing"))
        context.send_initial_metadata((("server-timing", "gfet4t7; dur=12, afe; dur=3.5"),))

    def query(_: Any, context: grpc.ServicerContext) -> Any:
        timed(context)
        if way == "failure":
            context.abort(grpc.StatusCode.INTERNAL, "as written")
        return result_set_pb2.ResultSet()

    def stream(_: Any, context: grpc.ServicerContext) -> Any:
        timed(context)
        yield result_set_pb2.PartialResultSet()

    with scripted_server(ExecuteSql=query, ExecuteStreamingSql=stream) as plain:
        watcher.server_timing = True
        options = ClientOptions(endpoint=plain.endpoint, plaintext=True, observer=watcher)
        with colour.client(options=options) as client:
            ways: dict[str, Callable[[], Any]] = {
                "own": lambda: client.ping_session(_SESSION),
                "stub": lambda: client.stub.ExecuteSql(_QUERY),
                "future": lambda: client.stub.ExecuteSql.future(_QUERY).result(WAIT),
                "stream": lambda: list(client.stub.ExecuteStreamingSql(_QUERY)),
                "rest stream": lambda: list(client.rest("POST", f"/v1/{_SESSION}:executeStreamingSql", {"sql": "1"})),
                "failure": lambda: client.stub.ExecuteSql(_QUERY),
            }
            with contextlib.suppress(Internal):
                ways[way]()
            until(lambda: watcher.ended)
    assert only_call(watcher).server_timing == {"gfe": 0.012, "afe": 0.0035}
    assert asked == ["true"]


@pytest.mark.parametrize("value", ["", "gfet4t7", "gfet4t7; dur=", "gfet4t7; dur=x", "other; dur=1", "gfe; dur=1e400"])
def test_a_timing_that_cannot_be_read_is_none(value: str) -> None:
    """No failure of the call."""
    observation = Observation(CallInfo("ExecuteSql", _SESSION, "host:1"), None)
    observation.answered((("server-timing", value),))
    assert observation.call.server_timing in ({}, {"gfe": 0.001})
