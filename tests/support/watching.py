"""An `OpenTelemetry` observer over providers of its own, and what it recorded. Needs opentelemetry-sdk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from spanner_grpc_sessions.telemetry import OpenTelemetry

__all__ = ["Watch", "attributes", "ids", "traceparent"]


class Watch:
    """What a test sees of the spans and measurements of its clients.

    Args:
        sampler: which spans are recorded.

    Attributes:
        observer: to give to clients.
        tracer: for spans of the test's own, which are recorded with the others.
        meters: the provider of the measurements.
    """

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.observer = OpenTelemetry(self._tracers, self.meters)
        self.tracer = self._tracers.get_tracer("test")

    def close(self) -> None:
        """End the providers."""
        self._tracers.shutdown()
        self.meters.shutdown()

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of calls that have ended, in the order of their ends."""
        return [span for span in self._exporter.get_finished_spans() if not self._is_own(span)]

    @property
    def span(self) -> ReadableSpan:
        """The only span of a call."""
        (span,) = self.spans
        return span

    @property
    def metrics(self) -> dict[str, Metric]:
        """What was measured so far, by name."""
        data = self._reader.get_metrics_data()
        scopes = [] if data is None else [scope for of in data.resource_metrics for scope in of.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    @property
    def metric(self) -> Metric:
        """The only metric there is."""
        (metric,) = self.metrics.values()
        return metric

    def of_pools(self, name: str, key: str = "db.client.connection.pool.name") -> dict[str, Any]:
        """Return what a metric of pools says by one of its attributes: a number, or the number and sum of seconds."""
        metric = self.metrics.get(f"db.client.connection.{name}")
        points = () if metric is None else metric.data.data_points
        return {
            str(attributes(point)[key]): (point.count, point.sum)
            if isinstance(point, HistogramDataPoint)
            else point.value  # type: ignore[union-attr]  # there are no exponential histograms here
            for point in points
        }

    @property
    def points(self) -> list[HistogramDataPoint]:
        """The measurements, one point per set of attributes."""
        points = list(self.metric.data.data_points)
        assert all(isinstance(point, HistogramDataPoint) for point in points)
        return points  # type: ignore[return-value]  # what the line before asserts

    @property
    def point(self) -> HistogramDataPoint:
        """The only measurement."""
        (point,) = self.points
        assert point.count == 1
        return point

    @staticmethod
    def _is_own(span: ReadableSpan) -> bool:
        assert span.instrumentation_scope is not None
        return span.instrumentation_scope.name == "test"


def attributes(of: Any) -> Mapping[str, Any]:
    """Return the attributes of a span or a measurement."""
    return dict(of.attributes or {})


def ids(span: ReadableSpan) -> trace.SpanContext:
    """Return what identifies a span."""
    found = span.get_span_context()
    assert isinstance(found, trace.SpanContext)
    return found


def traceparent(span: ReadableSpan) -> str:
    """Return the W3C header that names a span."""
    found = ids(span)
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
