"""Spans and metrics of real calls, in both colours: how each way to end is told, and what the server hears of it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientClosed,
    CredentialsError,
    DeadlineExceeded,
    InvalidType,
    NotFound,
    RetryOptions,
    RpcError,
    SessionsClient,
    __version__,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.observers import CallInfo
from tests.support.colours import Colour

try:
    from opentelemetry import baggage, context, trace
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
    from opentelemetry.trace.span import TraceState
except ImportError:
    pytest.skip("opentelemetry-sdk is not installed", allow_module_level=True)

from spanner_grpc_sessions import telemetry
from spanner_grpc_sessions.telemetry import OpenTelemetry
from tests.support.waiting import WAIT, until, until_async
from tests.support.watching import Watch, attributes, ids, traceparent

_DATABASE = "projects/p/instances/i/databases/d"
_CREATE = "google.spanner.v1.Spanner/CreateSession"
_STATUSES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
_AT_ONCE = RetryOptions(initial_delay=0)


class _Unhashable(str):
    """A name that cannot be a key."""

    __hash__ = None  # type: ignore[assignment]  # the point of it


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the test sees."""
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def client(local: LocalSpanner, colour: Colour, watch: Watch) -> Iterator[SessionsClient]:
    """A client of each colour that is watched, and repeats without waiting."""
    options = local.client_options(observer=watch.observer, retry=_AT_ONCE)
    with colour.client(local.credentials(), options=options) as client:
        yield client


@pytest.fixture
def server(local: LocalSpanner) -> dict[str, object]:
    """The attributes of the server."""
    host, _, port = local.endpoint.partition(":")
    return {"server.address": host, "server.port": int(port)}


def _assert_failed(watch: Watch, status: str, error_type: str, description: str | None) -> None:
    span, point = watch.span, watch.point
    for found in (attributes(span), attributes(point)):
        assert (found["rpc.status_code"], found["error.type"]) == (status, error_type)
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, description)
    assert span.events == ()


def _assert_given_up(watch: Watch) -> None:
    for found in (attributes(watch.span), attributes(watch.point)):
        assert found["rpc.status_code"] == "CANCELLED"
        assert "error.type" not in found
    assert watch.span.status.status_code is trace.StatusCode.UNSET
    assert watch.span.events == ()


def test_success_is_one_span_and_one_measurement(
    client: SessionsClient, local: LocalSpanner, watch: Watch, server: dict[str, object]
) -> None:
    """Names, kind, scope, schema, unit, buckets and attributes are those of the conventions, and no others."""
    client.create_session(_DATABASE)
    span, metric, point = watch.span, watch.metric, watch.point
    common = {"rpc.system.name": "grpc", "rpc.method": _CREATE, "rpc.status_code": "OK", **server}
    assert attributes(span) == {
        **common,
        "db.system.name": "gcp.spanner",
        "db.namespace": _DATABASE,
        "x_goog_spanner_request_id": local.calls[0].header("x-goog-spanner-request-id"),
        "spanner_grpc_sessions.attempts": 1,
    }
    assert (span.name, span.kind, span.parent) == (_CREATE, trace.SpanKind.CLIENT, None)
    assert (span.status.status_code, span.events, span.links) == (trace.StatusCode.UNSET, (), ())
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("spanner_grpc_sessions", __version__)
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.45.0"
    assert (metric.name, metric.unit) == ("rpc.client.call.duration", "s")
    assert attributes(point) == common
    assert point.explicit_bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


def test_span_and_measurement_have_one_duration(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """It is that of the call, and the measurement leads to the span by its exemplar."""
    local.faults.add("CreateSession", delay=0.1)
    client.create_session(_DATABASE)
    span, point = watch.span, watch.point
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0.1 <= point.sum < WAIT
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(point.sum, abs=1e-6)
    (exemplar,) = point.exemplars
    assert exemplar.span_id == ids(span).span_id


def test_database_is_that_of_the_session(client: SessionsClient, watch: Watch) -> None:
    """A call on a session belongs to its database; the session's own name makes no attribute."""
    name = client.create_session(_DATABASE)["name"]
    client.get_session(name)
    client.list_sessions(_DATABASE)
    client.delete_session(name)
    assert [attributes(span)["db.namespace"] for span in watch.spans] == [_DATABASE] * 4
    assert [span.name.rpartition("/")[2] for span in watch.spans] == [
        "CreateSession",
        "GetSession",
        "ListSessions",
        "DeleteSession",
    ]
    assert not [span for span in watch.spans if name in str(span.to_json())]


def test_attempts_of_a_call_are_one_span(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """Failures that were repeated leave their number, the last request id, and no error; each attempt has the trace."""
    local.faults.add("CreateSession", status="UNAVAILABLE", times=2)
    client.create_session(_DATABASE)
    found = attributes(watch.span)
    assert (found["spanner_grpc_sessions.attempts"], found["rpc.status_code"]) == (3, "OK")
    assert found["x_goog_spanner_request_id"] == local.calls[-1].header("x-goog-spanner-request-id")
    assert "error.type" not in found
    assert watch.span.status.status_code is trace.StatusCode.UNSET
    assert watch.point.count == 1
    assert [call.header("traceparent") for call in local.calls] == [traceparent(watch.span)] * 3


@pytest.mark.parametrize("status", _STATUSES)
def test_every_status_but_ok_is_an_error(local: LocalSpanner, colour: Colour, watch: Watch, status: str) -> None:
    """Status code and error.type are the canonical name, and the server's message describes the error."""
    local.faults.add("CreateSession", status=status, message="as planned")
    options = local.client_options(observer=watch.observer, retry=RetryOptions.none())
    with colour.client(local.credentials(), options=options) as client:
        with pytest.raises(RpcError) as caught:
            client.create_session(_DATABASE)
    _assert_failed(watch, status, status, "as planned")
    assert attributes(watch.span)["x_goog_spanner_request_id"] == caught.value.request_id


def test_deadline_is_an_error(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """A server that does not answer makes a span as long as the timeout."""
    client.warm_up()
    local.faults.add("CreateSession", drop=True)
    with pytest.raises(DeadlineExceeded) as caught:
        client.create_session(_DATABASE, timeout=0.2)
    _assert_failed(watch, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", caught.value.message)
    assert 0.1 < watch.point.sum < WAIT


def test_cancelled_task_is_no_error(local: LocalSpanner, watch: Watch) -> None:
    """The call of a task that was cancelled has ended as its caller wished."""

    async def cancel() -> None:
        options = local.client_options(observer=watch.observer)
        async with AsyncSessionsClient(local.credentials(), options=options) as client:
            task = asyncio.create_task(client.create_session(_DATABASE))
            await until_async(lambda: len(local.calls) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    local.faults.add("CreateSession", drop=True)
    asyncio.run(cancel())
    _assert_given_up(watch)
    assert attributes(watch.span)["spanner_grpc_sessions.attempts"] == 1


def test_closed_client_is_an_error(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """The caller of a call that ends with the client did not ask for that."""
    local.faults.add("CreateSession", drop=True)
    with ThreadPoolExecutor() as threads:
        call = threads.submit(client.create_session, _DATABASE)
        until(lambda: len(local.calls) == 1)
        client.close()
        with pytest.raises(ClientClosed):
            call.result(WAIT)
    _assert_failed(watch, "CANCELLED", "spanner_grpc_sessions.ClientClosed", None)


def test_text_of_credentials_stays_out(local: LocalSpanner, colour: Colour, watch: Watch) -> None:
    """What broken credentials say may hold a secret: the span has the class of the error, and nothing was sent."""

    class Broken(user_credentials.Credentials):
        def refresh(self, request: object) -> None:
            raise ValueError("the vault has no s3cret")

    credentials = Broken(None)  # type: ignore[no-untyped-call]  # google.oauth2 is typed in part only
    with colour.client(credentials, options=local.client_options(observer=watch.observer)) as client:
        with pytest.raises(CredentialsError, match="s3cret"):
            client.create_session(_DATABASE)
    _assert_failed(watch, "UNAUTHENTICATED", "spanner_grpc_sessions.CredentialsError", None)
    found = attributes(watch.span)
    assert (found["spanner_grpc_sessions.attempts"], found["x_goog_spanner_request_id"]) == (0, "")
    assert "s3cret" not in str(watch.span.to_json())


@pytest.mark.parametrize(
    ("arguments", "keywords", "kind"),
    [
        ((_DATABASE,), {"timeout": -1}, "InvalidValue"),
        ((_DATABASE,), {"metadata": [("x-y", 7)]}, "InvalidType"),
        ((_DATABASE,), {"metadata": 7}, "InvalidType"),
        ((_DATABASE,), {"metadata": {"x-y": "7"}}, "InvalidType"),
    ],
)
def test_bad_input_is_an_error_without_text(
    client: SessionsClient, local: LocalSpanner, watch: Watch, arguments: Any, keywords: Any, kind: str
) -> None:
    """The caller gets the error that it would get unwatched; the span repeats nothing that the caller gave."""
    with pytest.raises((ValueError, TypeError)) as caught:
        client.create_session(*arguments, **keywords)
    assert type(caught.value).__name__ == kind
    _assert_failed(watch, "INVALID_ARGUMENT", f"spanner_grpc_sessions.{kind}", None)
    assert attributes(watch.span)["db.namespace"] == _DATABASE
    assert local.calls == []


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((f"{_DATABASE}/nonsense",), {}),
        (([_DATABASE],), {}),
        ((None,), {}),
        ((_DATABASE,), {"labels": {"key": "S3CRET"}}),
        ((_DATABASE,), {"multiplexed": 1}),
    ],
)
def test_arguments_that_make_no_request_make_no_span(
    client: SessionsClient, local: LocalSpanner, watch: Watch, arguments: Any, keywords: Any
) -> None:
    """A call begins when there is a request for it: an argument that cannot be part of one is no call."""
    with pytest.raises((ValueError, TypeError)):
        client.create_session(*arguments, **keywords)
    assert list(watch.spans) == []
    assert local.calls == []


def test_stream_is_a_span_to_its_end(client: SessionsClient, watch: Watch) -> None:
    """The span ends when the stream does, not when it begins, and closing it then changes nothing."""
    name = client.create_session(_DATABASE)["name"]
    stream = client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"})
    next(stream)
    assert len(watch.spans) == 1
    assert list(stream) == []
    stream.close()
    _, span = watch.spans
    found = attributes(span)
    assert (span.name, found["rpc.status_code"]) == ("google.spanner.v1.Spanner/ExecuteStreamingSql", "OK")
    assert (found["db.namespace"], found["spanner_grpc_sessions.attempts"]) == (_DATABASE, 1)
    assert [attributes(point)["rpc.status_code"] for point in watch.points] == ["OK", "OK"]


def test_closing_a_stream_ends_its_span_without_an_error(
    client: SessionsClient, local: LocalSpanner, watch: Watch
) -> None:
    """A stream that is not read to its end was given up."""
    local.faults.add("ExecuteStreamingSql", drop=True)
    with client.rest("POST", f"/v1/{_DATABASE}/sessions/s:executeStreamingSql", {"sql": "SELECT 1"}):
        until(lambda: len(local.calls) == 1)
        assert watch.spans == []
    _assert_given_up(watch)
    assert local.calls[0].header("traceparent") == traceparent(watch.span)


def test_stream_that_breaks_is_an_error(client: SessionsClient, watch: Watch) -> None:
    """The error is told once, however often the stream is asked again."""
    stream = client.rest("POST", f"/v1/{_DATABASE}/sessions/none:executeStreamingSql", {"sql": "SELECT 1"})
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            next(stream)
    _assert_failed(watch, "NOT_FOUND", "NOT_FOUND", caught.value.message)
    assert attributes(watch.span)["x_goog_spanner_request_id"] == caught.value.request_id


def test_stream_that_is_dropped_ends_its_span(local: LocalSpanner, colour: Colour, watch: Watch) -> None:
    """A stream without a reference to it was given up."""
    local.faults.add("ExecuteStreamingSql", drop=True)
    with colour.client(local.credentials(), options=local.client_options(observer=watch.observer)) as client:
        path = f"/v1/{_DATABASE}/sessions/s:executeStreamingSql"
        stream = client.rest("POST", path, {"sql": "SELECT 1"})
        assert watch.spans == []
        del stream
        gc.collect()
        _assert_given_up(watch)


def test_cancelled_reader_gives_its_stream_up(local: LocalSpanner, watch: Watch) -> None:
    """The span of a stream whose reading task was cancelled ends with the task."""

    async def cancel() -> None:
        options = local.client_options(observer=watch.observer)
        async with AsyncSessionsClient(local.credentials(), options=options) as client:
            path = f"/v1/{_DATABASE}/sessions/s:executeStreamingSql"
            stream = await client.rest("POST", path, {"sql": "SELECT 1"})
            task = asyncio.ensure_future(anext(stream))
            await until_async(lambda: len(local.calls) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    local.faults.add("ExecuteStreamingSql", drop=True)
    asyncio.run(cancel())
    _assert_given_up(watch)


def test_server_hears_of_the_span_and_of_nothing_else(
    client: SessionsClient, local: LocalSpanner, watch: Watch
) -> None:
    """`traceparent` names the span of the call; baggage and the state of other vendors stay here."""
    parent = trace.SpanContext(7, 7, is_remote=True, trace_state=TraceState([("vendor", "state")]))
    here = trace.set_span_in_context(trace.NonRecordingSpan(parent), baggage.set_baggage("user", "s3cret"))
    token = context.attach(here)
    try:
        client.create_session(_DATABASE, metadata=[("x-own", "1")])
    finally:
        context.detach(token)
    (call,) = local.calls
    assert call.header("traceparent") == traceparent(watch.span)
    assert call.header("x-own") == "1"
    assert [key for key, _ in call.metadata if key in {"tracestate", "baggage"}] == []
    assert "s3cret" not in repr(call.metadata)
    assert ids(watch.span).trace_id == 7


def test_calls_of_stubs_have_spans_too(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """With the request id that the server saw, its `traceparent`, and the status that the caller got."""
    with pytest.raises(NotFound):
        client.stub.GetSession(spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none"))
    found = attributes(watch.span)
    assert watch.span.name == "google.spanner.v1.Spanner/GetSession"
    assert (found["rpc.status_code"], found["db.namespace"]) == ("NOT_FOUND", _DATABASE)
    assert found["x_goog_spanner_request_id"] == local.calls[0].header("x-goog-spanner-request-id")
    assert local.calls[0].header("traceparent") == traceparent(watch.span)


def test_a_stubs_call_that_its_client_ends_is_named_as_the_clients_own(
    client: SessionsClient, local: LocalSpanner, watch: Watch
) -> None:
    """The exception is of a class with gRPC's face; the public one is told."""
    client.warm_up()
    local.faults.add("GetSession", delay=2 * WAIT)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.stub.GetSession, spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/s"))
        until(lambda: local.calls)
        client.close()
        assert isinstance(call.exception(WAIT), ClientClosed)
    _assert_failed(watch, "CANCELLED", "spanner_grpc_sessions.ClientClosed", None)


def test_an_rpc_of_another_service_is_told_by_its_own_name(watch: Watch) -> None:
    """Not as one of Spanner's."""
    call = CallInfo("test.Echo/Say", "", "host:1")
    watch.observer.end(call, watch.observer.begin(call)[1])
    assert (watch.span.name, attributes(watch.span)["rpc.method"]) == ("test.Echo/Say", "test.Echo/Say")


def test_the_time_of_the_servers_parts_is_on_the_span(watch: Watch) -> None:
    """In seconds, where the answer told it."""
    call = CallInfo("ExecuteSql", f"{_DATABASE}/sessions/s", "host:1", server_timing={"gfe": 0.012, "afe": 0.0035})
    watch.observer.end(call, watch.observer.begin(call)[1])
    found = attributes(watch.span)
    assert (found["spanner_grpc_sessions.gfe.duration"], found["spanner_grpc_sessions.afe.duration"]) == (0.012, 0.0035)


def test_span_is_a_child_of_the_current_one(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """It belongs to the caller's trace, and after the call the caller's span is current as before."""
    with watch.tracer.start_as_current_span("work") as work:
        client.create_session(_DATABASE)
        assert trace.get_current_span() is work
    assert watch.span.parent == work.get_span_context()
    assert str(local.calls[0].header("traceparent")).split("-")[1] == f"{work.get_span_context().trace_id:032x}"


def test_threads_and_tasks_have_spans_of_their_own(local: LocalSpanner, watch: Watch) -> None:
    """Calls that run side by side on shared clients with one observer are each a child of their own caller's span."""
    callers = 8
    barrier = threading.Barrier(callers, timeout=WAIT)
    options = local.client_options(observer=watch.observer)

    def work(client: SessionsClient) -> None:
        barrier.wait()
        with watch.tracer.start_as_current_span("thread") as span:
            for _ in range(5):
                client.create_session(_DATABASE)
        parents.append(span.get_span_context().span_id)

    async def task(client: AsyncSessionsClient) -> None:
        with watch.tracer.start_as_current_span("task") as span:
            for _ in range(5):
                await client.create_session(_DATABASE)
        parents.append(span.get_span_context().span_id)

    async def tasks() -> None:
        async with AsyncSessionsClient(local.credentials(), options=options) as client:
            await asyncio.gather(*(task(client) for _ in range(callers)))

    parents: list[int] = []
    with SessionsClient(local.credentials(), options=options) as client, ThreadPoolExecutor(callers) as threads:
        list(threads.map(work, [client] * callers))
    asyncio.run(tasks())
    assert Counter(span.parent.span_id for span in watch.spans if span.parent) == dict.fromkeys(parents, 5)
    assert watch.points[0].count == len(watch.spans) == 2 * callers * 5
    assert {call.header("traceparent") for call in local.calls} == set(map(traceparent, watch.spans))


def test_trace_that_is_not_sampled_goes_on_as_such(local: LocalSpanner, colour: Colour) -> None:
    """No span is recorded, the server is told so, and the measurement is taken all the same."""
    watch = Watch(ALWAYS_OFF)
    options = local.client_options(observer=watch.observer)
    with colour.client(local.credentials(), options=options) as client:
        client.create_session(_DATABASE)
    flags = str(local.calls[0].header("traceparent")).rpartition("-")[2]
    assert not int(flags, 16) & trace.TraceFlags.SAMPLED
    assert watch.spans == []
    assert watch.point.count == 1
    watch.close()


def test_without_an_sdk_the_trace_of_the_caller_goes_on(local: LocalSpanner, colour: Colour) -> None:
    """The API alone records nothing; a trace that came from elsewhere still reaches the server."""
    observer = OpenTelemetry(trace.NoOpTracerProvider())
    with colour.client(local.credentials(), options=local.client_options(observer=observer)) as client:
        client.create_session(_DATABASE)
        parent = trace.SpanContext(7, 9, is_remote=True, trace_flags=trace.TraceFlags(1))
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
        try:
            client.create_session(_DATABASE)
        finally:
            context.detach(token)
    assert [call.header("traceparent") for call in local.calls] == [None, f"00-{7:032x}-{9:016x}-01"]


def test_no_secret_is_recorded(client: SessionsClient, local: LocalSpanner, watch: Watch) -> None:
    """Neither the token nor the caller's metadata nor a label is anywhere in spans and measurements."""
    client.create_session(_DATABASE, labels={"team": "s3cret-label"}, metadata=[("x-key", "s3cret-key")])
    token = str(local.calls[0].header("authorization")).removeprefix("Bearer ")
    shown = f"{watch.span.to_json()} {watch.metric.to_json()}"
    assert token
    assert token not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("spanner.googleapis.com:443", {"server.address": "spanner.googleapis.com", "server.port": 443}),
        ("[::1]:9010", {"server.address": "::1", "server.port": 9010}),
        ("unix:/tmp/spanner", {"server.address": "/tmp/spanner"}),  # noqa: S108 - a name, not a file
        ("unix:///tmp/spanner", {"server.address": "/tmp/spanner"}),  # noqa: S108 - a name, not a file
    ],
)
def test_every_address_has_its_attributes(watch: Watch, address: str, server: dict[str, object]) -> None:
    """Host and port apart, an IPv6 address without brackets, a socket as its path."""
    call = CallInfo("CreateSession", _DATABASE, address)
    watch.observer.end(call, watch.observer.begin(call)[1])
    found = attributes(watch.span)
    assert {key: value for key, value in found.items() if key.startswith("server.")} == server


def test_memory_for_names_is_bounded(watch: Watch) -> None:
    """Sessions come and go: what is kept of their names does not grow with their number."""
    for number in range(3000):
        watch.observer.begin(CallInfo("GetSession", f"{_DATABASE}/sessions/{number}", "localhost:443"))
    assert telemetry._described.cache_info().currsize <= 1024


def test_a_name_without_a_hash_can_be_observed(client: SessionsClient, watch: Watch) -> None:
    """Whatever subclass of str the caller uses, the span has the database."""
    client.create_session(_Unhashable(_DATABASE))
    assert attributes(watch.span)["db.namespace"] == _DATABASE


@pytest.mark.parametrize("name", ["tracer_provider", "meter_provider"])
def test_provider_of_another_kind_is_refused(name: str) -> None:
    """The error names the parameter and the type."""
    wrong: Any = {name: object()}
    with pytest.raises(InvalidType, match=f"{name} must be .*Provider or None, got object"):
        OpenTelemetry(**wrong)
