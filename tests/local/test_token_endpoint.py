"""The token endpoint, over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from contextlib import closing, suppress
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import SCOPE_DATA
from tests.local.wire import WatchedFaults, Wire, bearer

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def connect(spanner: LocalSpanner) -> http.client.HTTPConnection:
    """Return a connection to the token endpoint, not opened yet."""
    return http.client.HTTPConnection(urllib.parse.urlsplit(spanner.token_uri).netloc, timeout=20)


def refresh(spanner: LocalSpanner, scopes: list[str]) -> str:
    """Let google-auth fetch a token."""
    credentials = spanner.credentials().with_scopes(scopes)
    with requests.Session() as session:
        credentials.refresh(Request(session))
    return str(credentials.token)


def assertion(spanner: LocalSpanner) -> str:
    """Return what google-auth would send."""
    token: bytes = spanner.credentials().with_scopes([SCOPE_DATA])._make_authorization_grant_assertion()
    return token.decode()


def post(
    spanner: LocalSpanner, form: dict[str, Any] | bytes, path: str = "/token", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Send a form and return status and JSON."""
    body = form if isinstance(form, bytes) else urllib.parse.urlencode(form, doseq=True).encode()
    with closing(connect(spanner)) as connection:
        connection.request("POST", path, body, headers or {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_google_auth_gets_a_token_that_the_server_takes(spanner: LocalSpanner, wire: Wire) -> None:
    """Service account credentials refresh over the endpoint."""
    assert wire.create(metadata=bearer(refresh(spanner, [SCOPE_DATA]))).name
    assert spanner.calls[-1].auth == "access token"
    assert spanner.token_requests == 1


def test_a_token_answer_is_that_of_oauth(spanner: LocalSpanner) -> None:
    """The body has a bearer token and its lifetime in seconds."""
    status, body = post(spanner, {"grant_type": GRANT_TYPE, "assertion": assertion(spanner)})
    assert status == 200
    assert body == {"access_token": body["access_token"], "expires_in": 3600, "token_type": "Bearer"}


def test_the_lifetime_of_tokens_can_be_chosen() -> None:
    """A short lifetime is told to the client and kept by the server."""
    with LocalSpanner(token_lifetime=7.5) as spanner:
        assert post(spanner, {"grant_type": GRANT_TYPE, "assertion": assertion(spanner)})[1]["expires_in"] == 7


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "assertion": "x"}, "unsupported_grant_type"),
        ({"grant_type": GRANT_TYPE}, "invalid_request"),
        ({"grant_type": GRANT_TYPE, "assertion": ["x", "y"]}, "invalid_request"),
        ({"grant_type": GRANT_TYPE, "assertion": "x"}, "invalid_grant"),
        (b"\xff", "invalid_request"),
        (b"&".join([b"a=b"] * 100), "invalid_request"),
    ],
)
def test_a_wrong_request_gets_an_oauth_error(spanner: LocalSpanner, form: dict[str, Any] | bytes, error: str) -> None:
    """What is wrong with a form is said in the words of RFC 6749."""
    status, body = post(spanner, form)
    assert (status, body["error"]) == (400, error)
    assert body["error_description"]


def test_a_jwt_for_spanner_is_no_assertion(spanner: LocalSpanner) -> None:
    """A JWT that is meant for calls cannot be exchanged."""
    credentials: Any = spanner.credentials()
    credentials = credentials.with_always_use_jwt_access(True)
    credentials._create_self_signed_jwt("https://spanner.googleapis.com/")
    credentials.refresh(None)
    status, body = post(spanner, {"grant_type": GRANT_TYPE, "assertion": credentials.token})
    assert (status, body["error"]) == (400, "invalid_grant")


def test_an_assertion_without_scope_is_refused(spanner: LocalSpanner) -> None:
    """google-auth reports the error of the endpoint."""
    with pytest.raises(RefreshError, match="invalid_scope"):
        refresh(spanner, [])


def test_only_small_posts_to_its_path_are_read(spanner: LocalSpanner) -> None:
    """Another path, an unknown length and a large one are turned down; other methods too."""
    assert post(spanner, {}, path="/other")[0] == 404
    assert post(spanner, b"", headers={"Content-Length": "65537"})[0] == 413
    assert post(spanner, b"", headers={"Content-Length": "1e3"})[0] == 411
    assert post(spanner, b"", headers={"Content-Length": "9" * 5000})[0] == 413
    with closing(connect(spanner)) as connection:
        connection.request("GET", "/token")
        assert connection.getresponse().status == 501


def test_the_endpoint_is_silent(spanner: LocalSpanner, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a good request, nor a bad one, nor a client that hangs up leaves a line on stderr."""
    post(spanner, {"grant_type": GRANT_TYPE, "assertion": assertion(spanner)})
    post(spanner, {})
    with closing(connect(spanner)) as connection:
        connection.connect()
        connection.sock.sendall(b"POST /token HTTP/1.0\r\nContent-Length: 10\r\n\r\nabc")
    spanner.stop()
    assert capfd.readouterr() == ("", "")


def test_faults_of_the_endpoint_come_in_their_order(spanner: LocalSpanner) -> None:
    """A status, a body that is no JSON, then the right answer again."""
    spanner.faults.add_token(status=503)
    spanner.faults.add_token(body=b"<html>")
    spanner.faults.add_token(status=200, body=b'{"access_token": 1}', delay=0.01)
    good = {"grant_type": GRANT_TYPE, "assertion": assertion(spanner)}
    assert post(spanner, good) == (503, {"error": "server_error", "error_description": "a fault of LocalSpanner"})
    with pytest.raises(json.JSONDecodeError):
        post(spanner, good)
    assert post(spanner, good) == (200, {"access_token": 1})
    assert post(spanner, good)[0] == 200
    assert spanner.token_requests == 4


def test_stop_ends_requests_in_progress() -> None:
    """A dropped request, a slow one, and a client that says nothing do not keep the server from stopping."""
    faults = WatchedFaults()
    faults.add_token(drop=True)
    faults.add_token(delay=3600)
    ended = threading.Barrier(3, timeout=20)
    with LocalSpanner(faults=faults) as spanner:

        def ask() -> None:
            with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
                post(spanner, {})
            ended.wait()

        for _ in range(2):
            threading.Thread(target=ask).start()
            assert faults.met.acquire(timeout=20)
        with closing(connect(spanner)) as silent:
            silent.connect()
            spanner.stop()
            # A reset if the server had not come to take the connection.
            with suppress(ConnectionResetError):
                assert silent.sock.recv(1) == b""
    ended.wait()
