"""Requests for tokens over HTTP, by the credentials that google-auth has: repeated where that helps, and spared."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth import identity_pool, impersonated_credentials
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import CredentialsError
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.scripted import scripted_server
from tests.support.token_server import TokenServer

_DATABASE = "projects/p/instances/i/databases/d"


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    """A server of tokens."""
    with TokenServer() as server:
        yield server


def _user(tokens: TokenServer, _: Path) -> Any:
    make: Any = user_credentials.Credentials
    return make(None, refresh_token="r", token_uri=tokens.uri, client_id="c", client_secret="s")  # noqa: S106 - no secrets


def _impersonated(tokens: TokenServer, _: Path) -> Any:
    make: Any = impersonated_credentials.Credentials
    source: Any = user_credentials.Credentials
    return make(source("source"), "a@p.iam.gserviceaccount.com", ["s"], iam_endpoint_override=tokens.uri)


def _federated_info(tokens: TokenServer, folder: Path) -> dict[str, Any]:
    (folder / "subject").write_text("subject")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": tokens.uri,
        "credential_source": {"file": str(folder / "subject")},
    }


def _federated(tokens: TokenServer, folder: Path) -> Any:
    return identity_pool.Credentials.from_info(_federated_info(tokens, folder))


_KINDS = pytest.mark.parametrize("make", [_user, _impersonated, _federated], ids=["user", "impersonated", "federated"])


def _create(request: Any, context: Any) -> spanner_pb2.Session:
    return spanner_pb2.Session(name=f"{request.database}/sessions/s")


@_KINDS
@pytest.mark.parametrize("status", [503, 429, 500, 0])
def test_a_failure_that_passes_is_repeated(
    colour: Colour, tokens: TokenServer, tmp_path: Path, make: Callable[[TokenServer, Path], Any], status: int
) -> None:
    """One bad answer, or none, at the first token does not end a call, whatever class google-auth makes of it."""
    tokens.failures = [status] * 2
    with scripted_server(CreateSession=_create) as options:
        with colour.client(make(tokens, tmp_path), options=options) as client:
            client.create_session(_DATABASE, timeout=30)
    assert len(tokens.paths) >= 2


@pytest.mark.parametrize("make", [_impersonated, _federated])
def test_a_failure_that_passes_is_told_with_its_status_at_the_deadline(
    colour: Colour, tokens: TokenServer, tmp_path: Path, make: Callable[[TokenServer, Path], Any]
) -> None:
    """Until then it is repeated, with pauses."""
    tokens.failures = [503] * 1000
    with scripted_server(CreateSession=_create) as options:
        with colour.client(make(tokens, tmp_path), options=options) as client:
            with pytest.raises(CredentialsError, match="HTTP 503") as caught:
                client.create_session(_DATABASE, timeout=2)
    assert 2 <= len(tokens.paths) <= 30
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@_KINDS
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_failure_that_does_not_pass_is_told_at_once(
    colour: Colour, tokens: TokenServer, tmp_path: Path, make: Callable[[TokenServer, Path], Any], status: int
) -> None:
    """However long the call may take: the client asks when it opens, and once more for the call."""
    tokens.failures = [status] * 10
    with scripted_server(CreateSession=_create) as options:
        with colour.client(make(tokens, tmp_path), options=options) as client:
            with takes(), pytest.raises(CredentialsError):
                client.create_session(_DATABASE, timeout=60)
    assert len(tokens.paths) <= 2


def _list(client: Any) -> None:
    client.list_sessions(_DATABASE)


def _stream(client: Any) -> None:
    list(client.rest("POST", f"/v1/{_DATABASE}/sessions/s:executeStreamingSql", {"sql": "SELECT 1"}))


def _without_limit(client: Any) -> None:
    client.create_session(_DATABASE, timeout=None)


@pytest.mark.parametrize("call", [_list, _stream, _without_limit])
def test_a_call_that_may_take_an_hour_waits_for_a_token_for_a_bound_of_its_own(
    colour: Colour,
    tokens: TokenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Any], None],
) -> None:
    """An endpoint that does not come back is told of within it."""
    monkeypatch.setattr("spanner_grpc_sessions.auth.token_source._LONGEST_WAIT", 0.5)
    tokens.failures = [503] * 1000
    with scripted_server(CreateSession=_create) as options:
        with colour.client(_impersonated(tokens, tmp_path), options=options) as client:
            with takes(), pytest.raises(CredentialsError, match="HTTP 503"):
                call(client)


def test_no_project_is_looked_up(
    local: LocalSpanner, colour: Colour, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Application default credentials of a federation need its token service alone, and one request."""
    file = tmp_path / "federation.json"
    file.write_text(json.dumps(_federated_info(tokens, tmp_path)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    tokens.issue = lambda _: local.issue_token()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{elsewhere.getsockname()[1]}")
        with colour.client(options=local.client_options()) as client:
            client.create_session(_DATABASE)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert tokens.paths == ["/token"]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_requests_to_this_machine_go_through_no_proxy(
    colour: Colour, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """However the proxy is set: it knows another 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, scripted_server(CreateSession=_create) as options:
        proxy.settimeout(0)
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with colour.client(_user(tokens, tmp_path), options=options) as client:
            client.create_session(_DATABASE, timeout=5)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_an_endpoint_that_drips_is_left(
    colour: Colour, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends a byte now and then, and would hold the thread for as long as it does."""
    from spanner_grpc_sessions.auth.token_source import TokenSource

    monkeypatch.setitem(TokenSource.__init__.__kwdefaults__, "fetch_limit", 0.3)  # type: ignore[arg-type]  # it is no None
    tokens.drips = True
    with scripted_server(CreateSession=_create) as options:
        with colour.client(_user(tokens, tmp_path), options=options) as client:
            with pytest.raises(CredentialsError, match="deadline"):
                client.create_session(_DATABASE, timeout=0.1)
            tokens.drips = False
            client.create_session(_DATABASE, timeout=30)


_METADATA = """
import sys
from spanner_grpc_sessions import ClientOptions, SessionsClient
options = ClientOptions(endpoint=sys.argv[1], root_certificates=open(sys.argv[2], "rb").read())
with SessionsClient(options=options) as client:
    client.create_session("projects/p/instances/i/databases/d", timeout=30)
"""


@pytest.mark.skipif(
    tuple(map(int, grpc.__version__.split(".")[:2])) < (1, 70),
    reason="an old server of gRPC in this process does not answer the TLS handshake of the other one",
)
def test_a_metadata_server_that_is_late_is_waited_for(
    local: LocalSpanner, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment says that there is one, its failures pass; in another process, which has its address."""
    tokens.failures = [0] * 8
    monkeypatch.setenv("GCE_METADATA_HOST", tokens.address)
    monkeypatch.setenv("GCE_METADATA_IP", tokens.address)
    monkeypatch.delenv("NO_GCE_CHECK")
    tokens.issue = lambda _: local.issue_token()
    root = tmp_path / "root.pem"
    root.write_bytes(local.client_options().root_certificates or b"")
    program = [sys.executable, "-c", _METADATA, local.endpoint, str(root)]
    run = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert tokens.failures == []
