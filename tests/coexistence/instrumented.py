"""Run as a program: calls of a client and of its stubs, under an instrumentation that changes gRPC for the process.

    python instrumented.py otel|otel-channel|sentry sync|asyncio CHANNELS

Prints one JSON object: the spans, each with its name and whether it failed, and the calls that arrived. It never
asserts: the test does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

DATABASE = "projects/p/instances/i/databases/d"


class OpenTelemetry:
    """The contributed instrumentor: of the process, or of a channel that its interceptors are put on."""

    def __init__(self, *, process: bool) -> None:
        from opentelemetry import trace
        from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, GrpcInstrumentorClient
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        trace.set_tracer_provider(provider)
        self._process = process
        if process:
            GrpcInstrumentorClient().instrument()
            GrpcAioInstrumentorClient().instrument()

    def channel(self, client: Any) -> Any:
        """Return a channel of the client for stubs."""
        from opentelemetry.instrumentation.grpc import aio_client_interceptors, client_interceptor
        from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

        if self._process:
            return client.channel()
        if type(client).__name__.startswith("Async"):
            return client.channel(interceptors=aio_client_interceptors())
        # These interceptors are not gRPC's.
        return intercept_channel(client.channel(), client_interceptor())

    def spans(self) -> list[tuple[str, bool]]:
        """Return RPC and outcome of each span."""
        return [(span.name.rpartition("/")[2], not span.status.is_ok) for span in self._exporter.get_finished_spans()]


class Sentry:
    """Sentry's integration."""

    def __init__(self) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.grpc import GRPCIntegration

        self._events: list[Any] = []
        sentry_sdk.init(
            dsn="http://key@127.0.0.1:1/1",
            integrations=[GRPCIntegration()],
            default_integrations=False,
            traces_sample_rate=1.0,
            before_send_transaction=lambda event, _: self._events.append(event),
        )
        self._transaction = sentry_sdk.start_transaction(name="test")
        self._transaction.__enter__()

    def channel(self, client: Any) -> Any:
        """Return a channel of the client for stubs."""
        return client.channel()

    def spans(self) -> list[tuple[str, bool]]:
        """Return the RPC of each span. A failed call raises out of its span."""
        self._transaction.__exit__(None, None, None)
        # The server runs in this process too, and has transactions of its own.
        (event,) = (event for event in self._events if event["transaction"] == "test")
        return [
            (span["description"].rpartition("/")[2], span.get("status") not in {None, "ok"})
            for span in event["spans"]
            if span["op"] == "grpc.client"
        ]


def use_sync(spanner: Any, channels: int, tool: Any) -> None:
    """Make a call of each kind, failures among them."""
    from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

    from spanner_grpc_sessions import SessionNotFound, SessionsClient

    with SessionsClient(spanner.credentials(), options=spanner.client_options(channels=channels)) as client:
        stub: Any = spanner_pb2_grpc.SpannerStub(tool.channel(client))
        name = client.create_session(DATABASE)["name"]
        query = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
        missing = f"{DATABASE}/sessions/none"
        stub.ExecuteSql(query)
        stub.ExecuteSql.future(query).result(10)
        assert len(list(stub.ExecuteStreamingSql(query))) == 1
        with client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
            assert len(list(stream)) == 1
        for failing in (
            lambda: client.get_session(missing),
            lambda: stub.GetSession(spanner_pb2.GetSessionRequest(name=missing)),
            lambda: list(stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=missing, sql="SELECT 1"))),
        ):
            with contextlib.suppress(SessionNotFound):
                raise AssertionError(failing())


async def use_async(spanner: Any, channels: int, tool: Any) -> None:
    """The same in asyncio."""
    from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

    from spanner_grpc_sessions import AsyncSessionsClient, SessionNotFound

    async with AsyncSessionsClient(spanner.credentials(), options=spanner.client_options(channels=channels)) as client:
        stub: Any = spanner_pb2_grpc.SpannerStub(tool.channel(client))
        name = (await client.create_session(DATABASE))["name"]
        query = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
        missing = f"{DATABASE}/sessions/none"
        await stub.ExecuteSql(query)
        assert len([part async for part in stub.ExecuteStreamingSql(query)]) == 1
        async with await client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
            assert len([part async for part in stream]) == 1
        failing: list[Any] = [
            lambda: client.get_session(missing),
            lambda: stub.GetSession(spanner_pb2.GetSessionRequest(name=missing)),
            lambda: stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=missing, sql="SELECT 1")).read(),
        ]
        for call in failing:
            with contextlib.suppress(SessionNotFound):
                raise AssertionError(await call())


def main() -> None:
    """Instrument, call, report."""
    instrumentation, colour, channels = sys.argv[1:]
    tool = Sentry() if instrumentation == "sentry" else OpenTelemetry(process=instrumentation == "otel")
    from spanner_grpc_sessions.local import LocalSpanner

    with LocalSpanner() as spanner:
        if colour == "sync":
            use_sync(spanner, int(channels), tool)
        else:
            asyncio.run(use_async(spanner, int(channels), tool))
        report = {"spans": tool.spans(), "calls": [call.method for call in spanner.calls]}
        sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
