"""Spans and metrics of a client's calls, through the API of OpenTelemetry: the extra `spanner-grpc-sessions[otel]`.

    client = SessionsClient(options=ClientOptions(observer=OpenTelemetry()))

Names and rules are those of OpenTelemetry's semantic conventions 1.45.0, the first in which the ones for gRPC are
stable: https://github.com/open-telemetry/semantic-conventions/tree/v1.45.0/docs/rpc. What these have replaced is not
written beside them: `rpc.system`, `rpc.service`, `rpc.grpc.status_code`, `rpc.response.status_code`, and the metric
`rpc.client.duration` in milliseconds. Errors are recorded as docs/general/recording-errors.md of the same version says:
by status and `error.type`, not by an event of the span.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Final

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import Setter
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError("telemetry needs OpenTelemetry's API: pip install 'spanner-grpc-sessions[otel]'") from error

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import InvalidName, InvalidType
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.observers import ObservedCall
from spanner_grpc_sessions.service.names import check_database, database_of

__all__ = ["OpenTelemetry"]

_Attributes = dict[str, str | int]

_SCOPE: Final = "spanner_grpc_sessions"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.45.0"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: what the conventions advise."""
_MOST_SUBJECTS: Final = 1024
"""Resources whose attributes are kept. Session names come and go: past it the memory starts anew."""


class _Traceparent(Setter[list[tuple[str, str]]]):
    """Adds the id of the span to headers, and not `tracestate`, where other vendors write what is not for Spanner."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        if key == "traceparent":
            carrier.append((key, value))


_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = _Traceparent()


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the calls of one RPC, on one resource, at one address have in common.

    Attributes:
        rpc: the full name of the RPC, which is the name of their spans.
        common: attributes of their spans and measurements.
        of_span: those that spans begin with.
        of_success: those of a measurement when the call ended well.
    """

    rpc: str
    common: _Attributes
    of_span: _Attributes
    of_success: _Attributes

    @classmethod
    def of(cls, call: ObservedCall) -> _Subject:
        """Return the subject of a call."""
        rpc = f"google.spanner.v1.Spanner/{call.method}"
        common: _Attributes = {"rpc.system.name": "grpc", "rpc.method": rpc, **_server(call.address)}
        database = _database(call.resource)
        of_span = common if database is None else {**common, "db.namespace": database}
        return cls(rpc, common, of_span, {**common, "rpc.status_code": "OK"})


@dataclass(frozen=True, slots=True)
class _Begun:
    """A call that has begun.

    Attributes:
        subject: of the call.
        span: that is open.
        context: in which the span is the current one; None without an SDK.
        started: nanoseconds since the epoch.
    """

    subject: _Subject
    span: trace.Span
    context: Context | None
    started: int


class OpenTelemetry:
    """An observer that makes a span and a measurement of each call. Safe to share between clients, threads and tasks.

    A span of kind CLIENT covers a call with all its attempts, or a stream to its end. It is a child of the span that is
    current when the call is made, and never becomes the current one. Its id goes to Spanner in a `traceparent` header;
    no `tracestate` and no baggage does. `ClientOptions(end_to_end_tracing=True)` has Spanner add spans of its own.

    | attribute | on | value |
    |---|---|---|
    | `rpc.system.name` | both | "grpc" |
    | `rpc.method` | both | "google.spanner.v1.Spanner/CreateSession", the name of the span as well |
    | `rpc.status_code` | both | "OK", "NOT_FOUND" …; what never became an RPC has the status that fits it |
    | `error.type` | both, of a failed call | the status, or the class of an exception that is no `RpcError` |
    | `server.address`, `server.port` | both | where the client connects to |
    | `db.namespace` | span | the name of the database |
    | `x_goog_spanner_request_id` | span | the request id of the last attempt, by the name that Google's clients use |
    | `spanner_grpc_sessions.attempts` | span | how many there were |

    The span of a failed call has the status ERROR, described by the message of an `RpcError`. The text of any other
    exception may repeat what the caller or the credentials gave, and stays out. A call that its caller gave up is not a
    failed one: its task was cancelled, its stream closed before the end, its program interrupted. Neither tokens nor
    metadata, requests or answers are recorded.

    The metric is the histogram `rpc.client.call.duration` in seconds, with the buckets that the conventions advise.

    Args:
        tracer_provider: who makes spans; None for the global one.
        meter_provider: who takes measurements; None for the global one.

    Raises:
        InvalidType: a provider is none of OpenTelemetry's.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        if not isinstance(tracer_provider, trace.TracerProvider | None):
            raise InvalidType(f"tracer_provider must be a TracerProvider or None, got {type(tracer_provider).__name__}")
        if not isinstance(meter_provider, metrics.MeterProvider | None):
            raise InvalidType(f"meter_provider must be a MeterProvider or None, got {type(meter_provider).__name__}")
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider, _SCHEMA)
        self._durations = metrics.get_meter(_SCOPE, __version__, meter_provider, _SCHEMA).create_histogram(
            "rpc.client.call.duration",
            unit="s",
            description="Measures the duration of an outgoing Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._subjects: dict[tuple[str, str, str], _Subject] = {}

    def begin(self, call: ObservedCall) -> tuple[tuple[tuple[str, str], ...], _Begun]:
        """Begin the span of a call; return the headers that tell Spanner of it."""
        subject = self._subject(call)
        started = time.time_ns()
        span = self._tracer.start_span(
            subject.rpc, kind=trace.SpanKind.CLIENT, attributes=subject.of_span, start_time=started
        )
        # Without an SDK there is no span to speak of, and the caller's own trace goes on.
        context = trace.set_span_in_context(span) if span.get_span_context().is_valid else None
        headers: list[tuple[str, str]] = []
        _PROPAGATOR.inject(headers, context, _TRACEPARENT)
        return tuple(headers), _Begun(subject, span, context, started)

    def end(self, call: ObservedCall, mark: _Begun) -> None:
        """Measure a call that has ended, and end its span."""
        # One duration for both, by the clock that nobody sets.
        seconds = time.monotonic() - call.started
        outcome = _outcome(call)
        attributes = mark.subject.of_success if call.error is None else {**mark.subject.common, **outcome}
        self._durations.record(seconds, attributes, mark.context)
        if mark.span.is_recording():
            outcome["x_goog_spanner_request_id"] = call.request_id
            outcome["spanner_grpc_sessions.attempts"] = call.attempts
            mark.span.set_attributes(outcome)
            if "error.type" in outcome:
                message = call.error.message if isinstance(call.error, RpcError) else None
                mark.span.set_status(trace.StatusCode.ERROR, message)
        mark.span.end(mark.started + int(seconds * 1e9))

    def _subject(self, call: ObservedCall) -> _Subject:
        try:
            return self._subjects[call.method, call.resource, call.address]
        except (KeyError, TypeError):
            # A name that is none may be anything, and not even hashable.
            subject = _Subject.of(call)
        if "db.namespace" in subject.of_span:
            if len(self._subjects) >= _MOST_SUBJECTS:
                self._subjects.clear()
            self._subjects[call.method, str.__str__(call.resource), call.address] = subject
        return subject


def _server(address: str) -> _Attributes:
    if address.startswith("unix:"):
        return {"server.address": address.removeprefix("unix:").removeprefix("//")}
    host, _, port = address.rpartition(":")
    return {"server.address": host.strip("[]"), "server.port": int(port)}


def _database(resource: str) -> str | None:
    """Return the name of the database that a call is about, None if the resource has no name that is one."""
    for read in (check_database, database_of):
        with contextlib.suppress(InvalidName, InvalidType):
            return read(resource)
    return None


def _outcome(call: ObservedCall) -> _Attributes:
    outcome: _Attributes = {"rpc.status_code": call.status}
    # All others, like CancelledError and GeneratorExit, tell that the caller gave up.
    if isinstance(call.error, Exception):
        outcome["error.type"] = call.error.status if isinstance(call.error, RpcError) else _name(type(call.error))
    return outcome


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
