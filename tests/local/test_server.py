"""LocalSpanner as a whole: TLS and tokens, what it records, start and stop."""

from __future__ import annotations

import json
import math
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.oauth2 import service_account
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidName, InvalidType, InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.local import Faults, LocalSpanner, NotRunning
from spanner_grpc_sessions.options import ClientOptions
from tests.local.wire import DATABASE, WatchedFaults, Wire, bearer, failure

ADMIN = "https://www.googleapis.com/auth/spanner.admin"


def test_a_call_over_tls_needs_a_token(spanner: LocalSpanner, wire: Wire) -> None:
    """Without one a call is UNAUTHENTICATED and does nothing; ErrorInfo says why."""
    error = failure(lambda: wire.create(metadata=()))
    assert (error.status, error.reason) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
    assert spanner.sessions == []
    assert wire.create().name


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        (lambda _: "nonsense", "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        (lambda spanner: spanner.issue_token(lifetime=0), "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"),
        (lambda spanner: spanner.issue_token(scopes=[ADMIN]), "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ],
)
def test_a_wrong_token_is_refused(
    spanner: LocalSpanner, wire: Wire, token: Callable[[LocalSpanner], str], status: str, reason: str
) -> None:
    """Unknown, expired, and for something else: each has its status and reason."""
    error = failure(lambda: wire.create(metadata=bearer(token(spanner))))
    assert (error.status, error.reason) == (status, reason)


def test_a_self_signed_jwt_is_recorded_with_its_account(spanner: LocalSpanner, wire: Wire) -> None:
    """The record of a call tells which kind of token came, and whose."""
    credentials: Any = spanner.credentials()
    credentials = credentials.with_always_use_jwt_access(True)
    credentials._create_self_signed_jwt("https://spanner.googleapis.com/")
    credentials.refresh(None)
    wire.create(metadata=bearer(credentials.token))
    wire.create()
    with pytest.raises(grpc.RpcError):
        wire.create(metadata=())
    assert [(call.auth, call.principal) for call in spanner.calls] == [
        ("self-signed JWT", credentials.service_account_email),
        ("access token", credentials.service_account_email),
        ("refused: UNAUTHENTICATED", ""),
    ]


def test_tokens_do_not_follow_the_clock_of_the_sessions(spanner: LocalSpanner, wire: Wire) -> None:
    """A day passes for the sessions, and the token of before is still good."""
    wire.create()
    spanner.advance(86400)
    assert spanner.sessions == []
    assert wire.create().name


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_fits_every_name_of_this_machine(spanner: LocalSpanner, host: str) -> None:
    """A client may use the address or the name."""
    wire = Wire(spanner, spanner.endpoint.replace("127.0.0.1", host))
    with wire.channel:
        assert wire.create().name


def test_a_client_must_trust_the_authority(spanner: LocalSpanner) -> None:
    """With the authority of another server there is no connection."""
    with LocalSpanner() as other:
        wire = Wire(other, spanner.endpoint)
        with wire.channel:
            assert failure(wire.create).status == "UNAVAILABLE"


def test_a_call_is_recorded_as_it_arrived(spanner: LocalSpanner, wire: Wire) -> None:
    """Method, request and every header are there; the repr hides the token, the tuple has it."""
    metadata = (*wire.metadata, ("google-cloud-resource-prefix", DATABASE), ("x-data-bin", b"\0"))
    request = spanner_pb2.CreateSessionRequest(database=DATABASE)
    wire.call("CreateSession", request, metadata=metadata)
    (call,) = spanner.calls
    assert (call.method, call.request) == ("CreateSession", request)
    assert set(metadata) <= set(call.metadata)
    assert call.header("google-cloud-resource-prefix") == DATABASE
    assert call.header("nope") is None
    token = wire.metadata[0][1].removeprefix("Bearer ")
    assert token not in repr(call)
    assert "'Bearer <redacted>'" in repr(call)
    assert DATABASE in repr(call)


def test_without_tls_no_token_is_looked_at(plain: LocalSpanner, plain_wire: Wire) -> None:
    """The plain server takes any call, as the emulator does, and still shows what came."""
    plain_wire.create(metadata=())
    plain_wire.create(metadata=bearer("nonsense"))
    assert [call.auth for call in plain.calls] == ["none", "none"]
    assert [call.header("authorization") for call in plain.calls] == [None, "Bearer nonsense"]


def test_client_options_lead_here(spanner: LocalSpanner, plain: LocalSpanner) -> None:
    """Options have endpoint and trust, and take further fields."""
    options = spanner.client_options(user_agent="test")
    assert options == ClientOptions(
        endpoint=spanner.endpoint, root_certificates=spanner.root_certificates, user_agent="test"
    )
    assert plain.client_options() == ClientOptions(endpoint=plain.endpoint, plaintext=True)


def test_emulator_clients_are_led_to_the_plain_server_only(spanner: LocalSpanner, plain: LocalSpanner) -> None:
    """The environment of emulator clients cannot name a TLS server."""
    assert plain.environment() == {"SPANNER_EMULATOR_HOST": plain.endpoint}
    with pytest.raises(InvalidValue, match="plaintext"):
        spanner.environment()


def test_the_key_file_is_private_and_complete(spanner: LocalSpanner, tmp_path: Path) -> None:
    """The file is readable for its owner alone, is what google-auth reads, and never replaces another file."""
    path = tmp_path / "key.json"
    previous = os.umask(0)
    try:
        assert spanner.service_account_file(path) is path
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    credentials: Any = service_account.Credentials.from_service_account_file(str(path))
    assert credentials.service_account_email == spanner.credentials().service_account_email
    assert json.loads(path.read_text())["token_uri"] == spanner.token_uri
    with pytest.raises(FileExistsError):
        spanner.service_account_file(path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"scopes": "https://www.googleapis.com/auth/spanner.data"},
        {"scopes": b"scope"},
        {"scopes": None},
        {"scopes": [7]},
        {"lifetime": "long"},
        {"lifetime": -1},
        {"lifetime": math.nan},
        {"lifetime": math.inf},
    ],
    ids=str,
)
def test_a_token_is_issued_for_scopes_and_a_time(spanner: LocalSpanner, arguments: dict[str, Any]) -> None:
    """A text would be taken for a set of letters, none of which opens Spanner."""
    (name,) = arguments
    with pytest.raises((InvalidType, InvalidValue), match=name):
        spanner.issue_token(**arguments)


def test_nothing_secret_is_in_a_repr(spanner: LocalSpanner, wire: Wire) -> None:
    """Neither the server nor what it hands out prints a key or a token."""
    wire.create()
    shown = repr([spanner, spanner._identity, spanner.client_options(), spanner.calls, spanner.credentials()])
    assert "PRIVATE KEY" not in shown
    assert wire.metadata[0][1].removeprefix("Bearer ") not in shown


def test_what_exists_only_after_the_start_says_so() -> None:
    """Before the first start there is no address, key or token, and the error says what to do."""
    spanner = LocalSpanner()
    for ask in (lambda: spanner.endpoint, spanner.credentials, spanner.issue_token, spanner.client_options):
        with pytest.raises(NotRunning, match="call start"):
            ask()
    assert issubclass(NotRunning, SpannerSessionsError)
    assert (spanner.calls, spanner.sessions, spanner.token_requests) == ([], [], 0)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"port": -1}, InvalidValue),
        ({"port": 65536}, InvalidValue),
        ({"port": "9010"}, InvalidType),
        ({"workers": 0}, InvalidValue),
        ({"workers": 2.5}, InvalidType),
        ({"token_lifetime": -1.0}, InvalidValue),
        ({"token_lifetime": float("nan")}, InvalidValue),
        ({"token_lifetime": "1 h"}, InvalidType),
        ({"databases": ["nope"]}, InvalidName),
        ({"databases": DATABASE}, InvalidType),
        ({"clock": 3}, InvalidType),
    ],
)
def test_a_wrong_argument_is_refused_at_once(keywords: dict[str, Any], error: type[Exception]) -> None:
    """The constructor names the value that breaks a rule."""
    with pytest.raises(error):
        LocalSpanner(**keywords)


def test_stop_ends_every_thread_at_once() -> None:
    """Start and stop may be repeated; with calls in progress, nothing is left, and none is waited for."""
    before = set(threading.enumerate())
    faults = WatchedFaults()
    spanner = LocalSpanner(faults=faults)
    # Threads of earlier tests may still be ending.
    assert set(threading.enumerate()) <= before
    spanner.start()
    spanner.start()
    faults.add(drop=True)
    faults.add(delay=3600)
    wire = Wire(spanner)
    request = spanner_pb2.CreateSessionRequest(database=DATABASE)
    with wire.channel:
        calls = [wire.stub.CreateSession.future(request, metadata=wire.metadata) for _ in range(2)]
        for _ in calls:
            assert faults.met.acquire(timeout=20)
        begun = time.monotonic()
        spanner.stop()
        assert time.monotonic() - begun < 10
        spanner.stop()
        assert {failure(partial(call.result, timeout=20)).status for call in calls} == {"UNAVAILABLE"}
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=20)
    assert set(threading.enumerate()) <= before
    assert spanner.sessions == []


def test_a_stop_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that is connected when the server stops has nothing printed to it by gRPC."""
    with LocalSpanner() as spanner:
        wire = Wire(spanner)
        wire.create()
    with wire.channel:
        assert failure(wire.create).status == "UNAVAILABLE"
    assert capfd.readouterr() == ("", "")


def test_a_restarted_server_is_the_same() -> None:
    """After stop and start a client goes on: same address, certificate, tokens and sessions."""
    spanner = LocalSpanner()
    with spanner:
        wire = Wire(spanner)
        name = wire.create().name
        address, token_uri = spanner.endpoint, spanner.token_uri
    assert (spanner.endpoint, [session["name"] for session in spanner.sessions]) == (address, [name])
    with wire.channel:
        assert failure(lambda: wire.get(name)).status == "UNAVAILABLE"
        with spanner:
            assert (spanner.endpoint, spanner.token_uri) == (address, token_uri)
            request = spanner_pb2.GetSessionRequest(name=name)
            assert wire.call("GetSession", request, wait_for_ready=True).name == name


def test_a_taken_port_is_an_error_and_leaves_nothing(plain: LocalSpanner) -> None:
    """A second server does not share the port of the first, and its start cleans up."""
    before = set(threading.enumerate())
    other = LocalSpanner(tls=False, port=int(plain.endpoint.rpartition(":")[2]))
    with pytest.raises(RuntimeError):
        other.start()
    assert set(threading.enumerate()) <= before
    assert "stopped" in repr(other)


def test_a_taken_port_of_the_token_endpoint_is_an_error_and_leaves_nothing() -> None:
    """The next start, once the port is free again, has the same one."""
    spanner = LocalSpanner()
    with spanner:
        token_uri = spanner.token_uri
    with socket.create_server(("127.0.0.1", urlsplit(token_uri).port or 0)), pytest.raises(OSError, match="in use"):
        spanner.start()
    assert "stopped" in repr(spanner)
    with spanner:
        assert spanner.token_uri == token_uri


def test_workers_share_the_store(plain: LocalSpanner) -> None:
    """Many calls at a time make as many sessions, and every call is recorded."""
    wire = Wire(plain)
    request = spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_count=5)
    with wire.channel:
        calls = [wire.stub.BatchCreateSessions.future(request, timeout=20) for _ in range(100)]
        names = {session.name for call in calls for session in call.result().session}
    assert len(names) == len(plain.sessions) == 500
    assert len(plain.calls) == 100


def test_faults_can_be_planned_beforehand() -> None:
    """A server takes the faults it is given."""
    faults = Faults()
    faults.add("CreateSession", status="UNAVAILABLE")
    with LocalSpanner(tls=False, faults=faults) as spanner:
        wire = Wire(spanner)
        with wire.channel:
            assert spanner.faults is faults
            assert failure(wire.create).status == "UNAVAILABLE"
