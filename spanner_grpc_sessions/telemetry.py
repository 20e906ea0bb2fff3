"""Spans and metrics of calls and pools, through the API of OpenTelemetry: the extra `spanner-grpc-sessions[otel]`.

    client = SessionsClient(options=ClientOptions(observer=OpenTelemetry()))

Names and rules are those of OpenTelemetry's semantic conventions 1.45.0, the first in which the ones for gRPC are
stable: https://github.com/open-telemetry/semantic-conventions/tree/v1.45.0/docs/rpc. Those for pools are in docs/db of
the same version, and still in development. The older names are not written:
`rpc.system`, `rpc.service`, `rpc.grpc.status_code`, `rpc.response.status_code`, and the metric `rpc.client.duration` in
milliseconds. Errors are recorded as docs/general/recording-errors.md of the same version says: by status and
`error.type`, not by an event of the span.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import Setter
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as _error:
    raise ImportError("telemetry needs OpenTelemetry's API: pip install 'spanner-grpc-sessions[otel]'") from _error

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import InvalidName, InvalidType, checks
from spanner_grpc_sessions.errors.finished_call import FinishedCall
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.observers import CallInfo, PoolInfo
from spanner_grpc_sessions.service.names import check_database, database_of

__all__ = ["OpenTelemetry"]

_Attributes = dict[str, str | int | float]

_SCOPE: Final = "spanner_grpc_sessions"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.45.0"
# Seconds, as the conventions advise.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# The conventions advise these for the operations of databases, and nothing for pools.
_POOL_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_CONNECTION: Final = "db.client.connection."
_DATABASE_SYSTEM: Final[_Attributes] = {"db.system.name": "gcp.spanner"}
_STATE: Final = f"{_CONNECTION}state"
_COUNT: Final = "The number of connections that are currently in state described by the `state` attribute."
_OBSERVED: Final = (
    ("count", "{connection}", _COUNT),
    ("max", "{connection}", "The maximum number of open connections allowed."),
    ("idle.min", "{connection}", "The minimum number of idle open connections allowed."),
    ("pending_requests", "{request}", "The number of current pending requests for an open connection."),
)
_TIMES: Final = (
    ("create_time", "The time it took to create a new connection."),
    ("wait_time", "The time it took to obtain an open connection from the pool."),
    ("use_time", "The time between borrowing a connection and returning it to the pool."),
)
_TIMEOUTS: Final = "The number of connection timeouts that have occurred trying to obtain a connection from the pool."


class _Traceparent(Setter[list[tuple[str, str]]]):
    """Adds `traceparent` to headers, but not `tracestate`, which holds what other vendors wrote for themselves."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        if key == "traceparent":
            carrier.append((key, value))


_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = _Traceparent()


class _Begun(NamedTuple):
    """A call that has begun: its attributes, its span, the context with that span, and nanoseconds since the epoch."""

    attributes: _Attributes
    span: trace.Span
    context: Context | None
    started: int


class OpenTelemetry:
    """An observer that makes a span and a measurement of each call, and measures pools and multiplexed sessions.

    It is safe to share between clients, threads and tasks.

    A span of kind CLIENT covers a call with all its attempts, or a stream to its end. It is a child of the span that is
    current when the call is made, and never becomes the current one. Spanner gets its id in a `traceparent` header, but
    no `tracestate` and no baggage. `ClientOptions(end_to_end_tracing=True)` makes Spanner add spans of its own.

    | attribute | on | value |
    |---|---|---|
    | `rpc.system.name` | both | "grpc" |
    | `rpc.method` | both | "google.spanner.v1.Spanner/CreateSession", also the name of the span |
    | `rpc.status_code` | both | "OK", "NOT_FOUND" …; the closest status if no RPC was sent |
    | `error.type` | both, of a failed call | the status, or the class of an exception that is not an `RpcError` |
    | `server.address`, `server.port` | both | where the client connects to |
    | `db.system.name` | span | "gcp.spanner" |
    | `db.namespace` | span | the name of the database |
    | `x_goog_spanner_request_id` | span | the request id of the last attempt, named as in Google's clients |
    | `spanner_grpc_sessions.attempts` | span | the number of attempts |
    | `spanner_grpc_sessions.gfe.duration` | span | seconds that Google's front end took, if the answer tells |
    | `spanner_grpc_sessions.afe.duration` | span | seconds that Spanner's API front end took, if the answer tells |

    The span of a failed call has the status ERROR, with the message of an `RpcError` as its description. The text of
    any other exception is not recorded, because it may repeat a value from the caller or the credentials. A call that
    its caller gave up has not failed: the task was cancelled, the stream closed before its end, or the program
    interrupted. Tokens, metadata, requests and answers are never recorded.

    The metric is the histogram `rpc.client.call.duration` in seconds, with the buckets that the conventions advise.

    Pools and multiplexed sessions are measured until they are closed or dropped. Here a "connection" is a session:

    | metric | instrument | value |
    |---|---|---|
    | `db.client.connection.count` | up-down counter | sessions by `db.client.connection.state`: "idle", "used" |
    | `db.client.connection.max` | up-down counter | `max_size` of the pool; 1 of a multiplexed session |
    | `db.client.connection.idle.min` | up-down counter | `min_size` of the pool, which counts used sessions too |
    | `db.client.connection.pending_requests` | up-down counter | callers that wait for a session |
    | `db.client.connection.timeouts` | counter | acquires that raised `PoolTimeout` |
    | `db.client.connection.create_time` | histogram, s | what the call that created a session took, once per session |
    | `db.client.connection.wait_time` | histogram, s | from acquire to session; 0 if one was idle |
    | `db.client.connection.use_time` | histogram, s | from acquire to release |

    A multiplexed session is "used" from its creation on, and has no timeouts and no use time; its wait time is that of
    callers that waited for its creation. Each metric has the attributes `db.system.name`, `db.namespace`,
    `server.address`, `server.port` and `db.client.connection.pool.name`. The name is "address:port/database", with
    "/multiplexed" behind it for a multiplexed session, and "#2" for the second of the same name that is open.

    Args:
        tracer_provider: makes the spans; None for the global provider.
        meter_provider: makes the instruments; None for the global provider.

    Raises:
        InvalidType: a provider is not one of OpenTelemetry's.
    """

    # `CallInfo.server_timing` goes on the span.
    server_timing = True

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        checks.optional("tracer_provider", tracer_provider, trace.TracerProvider)  # type: ignore[type-abstract]  # for isinstance
        checks.optional("meter_provider", meter_provider, metrics.MeterProvider)  # type: ignore[type-abstract]  # the same
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider, _SCHEMA)
        self._durations = metrics.get_meter(_SCOPE, __version__, meter_provider, _SCHEMA).create_histogram(
            "rpc.client.call.duration",
            unit="s",
            description="Measures the duration of an outgoing Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._pools = _pool_metrics(meter_provider)

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], _Begun]:
        """Begin the span of a call, and return the headers that Spanner gets."""
        # A subclass of str may have a hash of its own, or none.
        rpc, attributes, of_span = _described(call.method, str.__str__(call.resource), call.address)
        started = time.time_ns()
        span = self._tracer.start_span(rpc, kind=trace.SpanKind.CLIENT, attributes=of_span, start_time=started)
        # Without an SDK there is no span, and the caller's own trace continues.
        context = trace.set_span_in_context(span) if span.get_span_context().is_valid else None
        headers: list[tuple[str, str]] = []
        _PROPAGATOR.inject(headers, context, _TRACEPARENT)
        return tuple(headers), _Begun(attributes, span, context, started)

    def end(self, call: CallInfo, mark: _Begun) -> None:
        """Measure a call that has ended, and end its span."""
        # One duration for both, by a clock that is never set.
        seconds = time.monotonic() - call.started
        outcome: _Attributes = {"rpc.status_code": call.status}
        # CancelledError, GeneratorExit and the like are no Exception: the caller gave the call up.
        if isinstance(call.error, Exception):
            outcome["error.type"] = call.error.status if isinstance(call.error, RpcError) else _name(type(call.error))
        self._durations.record(seconds, {**mark.attributes, **outcome}, mark.context)
        if mark.span.is_recording():
            outcome["x_goog_spanner_request_id"] = call.request_id
            outcome["spanner_grpc_sessions.attempts"] = call.attempts
            for part, its_seconds in call.server_timing.items():
                outcome[f"spanner_grpc_sessions.{part}.duration"] = its_seconds
            mark.span.set_attributes(outcome)
            if isinstance(call.error, Exception):
                message = call.error.message if isinstance(call.error, RpcError) else None
                mark.span.set_status(trace.StatusCode.ERROR, message)
        mark.span.end(mark.started + int(seconds * 1e9))

    def watch_pool(self, pool: PoolInfo) -> _Attributes:
        """Begin to measure a pool, and return its attributes."""
        return self._pools.add(pool)

    def sessions_created(self, mark: _Attributes, count: int, seconds: float) -> None:
        """Measure the creation of sessions."""
        for _ in range(count):
            self._pools.create_time.record(seconds, mark)

    def session_acquired(self, mark: _Attributes, seconds: float) -> None:
        """Measure the wait of an acquire."""
        self._pools.wait_time.record(seconds, mark)

    def session_released(self, mark: _Attributes, seconds: float) -> None:
        """Measure the use of a session."""
        self._pools.use_time.record(seconds, mark)

    def acquire_timed_out(self, mark: _Attributes) -> None:
        """Count an acquire that got no session in time."""
        self._pools.timeouts.add(1, mark)


@lru_cache(maxsize=1024)
def _described(method: str, resource: str, address: str) -> tuple[str, _Attributes, _Attributes]:
    """Return the full name of an RPC, the attributes of a call, and those that its span begins with."""
    rpc = method if "/" in method else f"google.spanner.v1.Spanner/{method}"
    attributes: _Attributes = {"rpc.system.name": "grpc", "rpc.method": rpc, **_server(address)}
    return rpc, attributes, {**attributes, **_DATABASE_SYSTEM, **_database(resource)}


def _server(address: str) -> _Attributes:
    if address.startswith("unix:"):
        return {"server.address": address.removeprefix("unix:").removeprefix("//")}
    host, _, port = address.rpartition(":")
    return {"server.address": host.strip("[]"), "server.port": int(port)}


def _database(resource: str) -> _Attributes:
    """Return the attribute for the database of a call; none if the resource is not a valid name."""
    for read in (check_database, database_of):
        with contextlib.suppress(InvalidName, InvalidType):
            return {"db.namespace": read(resource)}
    return {}


def _name(kind: type) -> str:
    if issubclass(kind, FinishedCall):
        # The public class, of which a stub's call raises a form of its own.
        kind = kind.__bases__[0]
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class _PoolMetrics:
    """The instruments of a meter provider for pools, and the pools that they measure, by name."""

    def __init__(self, provider: metrics.MeterProvider | None) -> None:
        meter = metrics.get_meter(_SCOPE, __version__, provider, _SCHEMA)
        # Names are added and removed in single steps, because a lock might be held when the process forks.
        self._pools: dict[str, weakref.ref[PoolInfo]] = {}
        for name, unit, description in _OBSERVED:
            callback = partial(self._observe, name)
            meter.create_observable_up_down_counter(_CONNECTION + name, [callback], unit, description)
        self.create_time, self.wait_time, self.use_time = (
            meter.create_histogram(_CONNECTION + name, "s", text, explicit_bucket_boundaries_advisory=_POOL_BUCKETS)
            for name, text in _TIMES
        )
        self.timeouts = meter.create_counter(f"{_CONNECTION}timeouts", "{timeout}", _TIMEOUTS)

    def add(self, pool: PoolInfo) -> _Attributes:
        """Measure a pool until it is gone; return its attributes."""
        name = stem = f"{pool.address}/{pool.database}{'/multiplexed' if pool.multiplexed else ''}"
        numbers = itertools.count(2)
        while True:
            reference = weakref.ref(pool, partial(_forget, self._pools, name))
            if self._pools.setdefault(name, reference) is reference:
                return _pool_attributes(name, pool)
            name = f"{stem}#{next(numbers)}"

    def _observe(self, metric: str, _: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        for name, reference in self._pools.copy().items():
            pool = reference()
            if pool is not None:
                attributes = _pool_attributes(name, pool)
                for value, more in _values(pool)[metric]:
                    yield metrics.Observation(value, {**attributes, **more})


def _values(pool: PoolInfo) -> dict[str, list[tuple[int, _Attributes]]]:
    counts = pool.counts()
    return {
        "count": [(counts.idle, {_STATE: "idle"}), (counts.used, {_STATE: "used"})],
        "max": [(pool.max_size, {})],
        "idle.min": [(pool.min_size, {})],
        "pending_requests": [(counts.waiting, {})],
    }


def _pool_attributes(name: str, pool: PoolInfo) -> _Attributes:
    own: _Attributes = {f"{_CONNECTION}pool.name": name, "db.namespace": pool.database}
    return {**_DATABASE_SYSTEM, **own, **_server(pool.address)}


def _forget(pools: dict[str, Any], name: str, _: object) -> None:
    pools.pop(name, None)


# OpenTelemetry ignores the callbacks of an instrument that exists: all observers with one provider share theirs.
_by_provider: Final[weakref.WeakKeyDictionary[Any, _PoolMetrics]] = weakref.WeakKeyDictionary()
_by_provider_lock: Final = threading.Lock()


def _pool_metrics(provider: metrics.MeterProvider | None) -> _PoolMetrics:
    # The global provider may be set later, so another object stands for it.
    is_global = provider in {None, metrics.get_meter_provider()}
    key: Any = metrics if is_global else provider
    with _by_provider_lock:
        if key not in _by_provider:
            _by_provider[key] = _PoolMetrics(None if is_global else provider)
        return _by_provider[key]
