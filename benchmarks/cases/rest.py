"""This library beside clients of the REST API, on the two ports of Google's emulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from benchmarks.case import Case, Target, Way, calls
from benchmarks.environment import Environment
from spanner_grpc_sessions import ClientOptions, SessionsClient, discovery
from spanner_grpc_sessions.testing import Emulator

__all__ = ["CASES"]

BARE: Final = "bare stub, gRPC port"
OURS: Final = "this library, gRPC port"
OURS_REST: Final = "this library, client.rest(), gRPC port"
OURS_DISCOVERY: Final = "this library, discovery, gRPC port"
HTTPX: Final = "httpx, REST port"
REQUESTS: Final = "requests, REST port"
GOOGLE: Final = "google-api-python-client, REST port"
BODY: Final = {"session": {"labels": {"env": "prod", "team": "checkout"}}}


def _ways(environment: Environment) -> Sequence[Way]:
    emulator = environment.emulator()
    database = emulator.create_database()
    ways = {**_grpc_calls(emulator, database, environment), **_rest_calls(emulator, database, environment)}
    return [Way(name, calls(call)) for name, call in ways.items()]


def _grpc_calls(emulator: Emulator, database: str, environment: Environment) -> dict[str, Callable[[], object]]:
    channel = environment.enter_context(grpc.insecure_channel(emulator.grpc_endpoint))
    stub = spanner_pb2_grpc.SpannerStub(channel)
    request = spanner_pb2.CreateSessionRequest(database=database)
    request.session.labels.update(BODY["session"]["labels"])
    options = ClientOptions(endpoint=emulator.grpc_endpoint, plaintext=True)
    client = environment.enter_context(SessionsClient(options=options))
    sessions = discovery.build(client).projects().instances().databases().sessions()
    labels, path = BODY["session"]["labels"], f"/v1/{database}/sessions"
    return {
        BARE: lambda: stub.CreateSession(request),
        OURS: lambda: client.create_session(database, labels=labels),
        OURS_REST: lambda: client.rest("POST", path, BODY),
        OURS_DISCOVERY: lambda: sessions.create(database=database, body=BODY).execute(),
    }


def _rest_calls(emulator: Emulator, database: str, environment: Environment) -> dict[str, Callable[[], object]]:
    import httpx
    import requests

    url = f"{emulator.rest_url}/v1/{database}/sessions"
    # Proxies of the environment are for other machines.
    http = environment.enter_context(httpx.Client(trust_env=False))
    session = environment.enter_context(requests.Session())
    session.trust_env = False
    sessions = _google_sessions(emulator)
    return {
        HTTPX: lambda: http.post(url, json=BODY).raise_for_status().json(),
        REQUESTS: lambda: session.post(url, json=BODY, timeout=30).json(),
        GOOGLE: lambda: sessions.create(database=database, body=BODY).execute(),
    }


def _google_sessions(emulator: Emulator) -> Any:
    import httplib2
    from googleapiclient import discovery as google_discovery

    service = google_discovery.build(
        "spanner", "v1", http=httplib2.Http(proxy_info=None), static_discovery=True,
        client_options={"api_endpoint": emulator.rest_url},
    )  # fmt: skip
    return service.projects().instances().databases().sessions()


CASES: Final = (
    Case(
        "rest", "rest", "A session created with labels, over gRPC and over REST",
        "In plaintext, without tokens. The REST port is a gateway in front of the gRPC one, whose work is part of the "
        "times; the CPU is that of the client alone.",
        _ways, BARE, seconds=12, distribution=True, targets=(
            Target("on the emulator: CPU of httpx on REST over this library's", HTTPX, OURS, "cpu", least=1.5),
            Target("on the emulator: times as fast as google-api-python-client", GOOGLE, OURS, least=2),
        ),
    ),
)  # fmt: skip
