"""A token that the server rejects is replaced: after calls of every kind, once, and at most once in ten seconds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import CredentialsError, PoolOptions, RetryOptions, SessionPool, Unauthenticated
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"
_SESSION = f"{_DATABASE}/sessions/s"
_BAD = "revoked"


class Rotating(user_credentials.Credentials):
    """Credentials with a bad token, then a good one; both have an hour to live."""

    def __init__(self, *tokens: str) -> None:
        super().__init__(None)  # type: ignore[no-untyped-call]  # google.oauth2 is typed in part only
        self._left = list(tokens)
        self.refreshes = 0
        self.open = threading.Event()
        self.open.set()

    def refresh(self, request: object) -> None:
        """Have the next token; the last one stays."""
        self.refreshes += 1
        if self.refreshes > 1:
            self.open.wait(WAIT)
        self.token = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        self.expiry = (datetime.now(timezone.utc) + timedelta(hours=1)).replace(tzinfo=None)


def _own(client: Any) -> None:
    client.create_session(_DATABASE)


def _rest_stream(client: Any) -> None:
    list(client.rest("POST", f"/v1/{_SESSION}:executeStreamingSql", {"sql": "SELECT 1"}))


def _stub(client: Any) -> None:
    client.stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE))


def _stub_stream(client: Any) -> None:
    list(client.stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=_SESSION, sql="SELECT 1")))


def _stub_that_retries(client: Any) -> None:
    from spanner_grpc_sessions_pb import spanner_pb2_grpc

    stub: Any = spanner_pb2_grpc.SpannerStub(client.channel(retry=RetryOptions()))
    stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE))


_WAYS = pytest.mark.parametrize("call", [_own, _rest_stream, _stub, _stub_stream, _stub_that_retries])


@_WAYS
def test_the_call_after_a_rejected_token_has_another_one(
    local: LocalSpanner, colour: Colour, call: Callable[[Any], None]
) -> None:
    """The call that carried it fails; the next one is authenticated, after one request."""
    credentials = Rotating(_BAD, local.issue_token())
    with colour.client(credentials, options=local.client_options()) as client:
        # A stub's first stream would wait for its token inside gRPC.
        client.warm_up()
        with pytest.raises(Unauthenticated):
            call(client)
        client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_a_stream_that_waited_inside_grpc_has_its_token_replaced(local: LocalSpanner, colour: Colour) -> None:
    """Its token is not known where it fails."""
    credentials = Rotating(_BAD, local.issue_token())
    with colour.client(credentials, options=local.client_options()) as client:
        with pytest.raises(Unauthenticated):
            _stub_stream(client)
        client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_a_future_of_a_stub_has_a_rejected_token_replaced(local: LocalSpanner) -> None:
    """When its failure is looked at."""
    credentials = Rotating(_BAD, local.issue_token())
    with Colour("sync").client(credentials, options=local.client_options()) as client:
        client.warm_up()
        future = client.stub.CreateSession.future(spanner_pb2.CreateSessionRequest(database=_DATABASE))
        assert isinstance(future.exception(WAIT), Unauthenticated)
        client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_a_background_call_has_a_rejected_token_replaced(local: LocalSpanner) -> None:
    """A pool's own calls are the only ones of a service that is starting."""
    credentials = Rotating(_BAD, local.issue_token())
    with Colour("sync").client(credentials, options=local.client_options()) as client:
        pool = SessionPool(client, _DATABASE, options=PoolOptions(min_size=1, max_size=1))
        with contextlib.closing(pool), contextlib.suppress(Unauthenticated):
            pool.open()
            until(lambda: credentials.refreshes == 2)
        client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_many_calls_with_a_rejected_token_make_one_request(local: LocalSpanner, colour: Colour) -> None:
    """Those that fail after the new token has come do not throw it away."""
    credentials = Rotating(_BAD, local.issue_token())
    with colour.client(credentials, options=local.client_options()) as client, ThreadPoolExecutor(20) as threads:
        client.warm_up()
        calls = [threads.submit(client.create_session, _DATABASE) for _ in range(40)]
        failed = [call for call in calls if isinstance(call.exception(WAIT), Unauthenticated)]
        assert failed
        client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_a_server_that_rejects_every_token_causes_one_request(local: LocalSpanner, colour: Colour) -> None:
    """In ten seconds, however many calls there are."""
    credentials = Rotating(_BAD)
    with colour.client(credentials, options=local.client_options()) as client:
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                client.create_session(_DATABASE)
    assert credentials.refreshes == 2


def test_calls_wait_for_the_token_that_replaces_a_rejected_one(local: LocalSpanner, colour: Colour) -> None:
    """They do not carry the old one meanwhile."""
    credentials = Rotating(_BAD, local.issue_token())
    with colour.client(credentials, options=local.client_options()) as client, ThreadPoolExecutor(1) as thread:
        client.warm_up()
        credentials.open.clear()
        with pytest.raises(Unauthenticated):
            client.create_session(_DATABASE)
        call = thread.submit(client.create_session, _DATABASE)
        until(lambda: credentials.refreshes == 2)
        assert len(local.calls) == 1
        credentials.open.set()
        call.result(WAIT)


def test_a_rejected_token_that_cannot_be_replaced_is_the_servers_error(local: LocalSpanner, colour: Colour) -> None:
    """Each call gets `Unauthenticated`, and not that a static token cannot be renewed."""
    make: Any = user_credentials.Credentials
    with colour.client(make(_BAD), options=local.client_options()) as client:
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                client.create_session(_DATABASE)


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "UNAVAILABLE"])
def test_other_failures_leave_the_token_alone(local: LocalSpanner, colour: Colour, status: str) -> None:
    """Only UNAUTHENTICATED is about the token."""
    credentials = Rotating(local.issue_token())
    local.faults.add("CreateSession", status=status)
    with colour.client(credentials, options=local.client_options(retry=RetryOptions.none())) as client:
        with pytest.raises(Exception, match=r"."):
            client.create_session(_DATABASE)
        client.create_session(_DATABASE)
    assert credentials.refreshes == 1


_HEADERS: dict[str, tuple[Any, Any]] = {
    "name with a space": ("bad name", "v"),
    "name of gRPC": ("grpc-timeout", "v"),
    "binary name": ("x-thing-bin", b"v"),
    "name that is no text": (7, "v"),
    "line break": ("x-key", "a\r\nx-injected: 1"),
    "value that is no text": ("x-key", None),
    "empty token": ("authorization", "Bearer "),
    "no token": ("authorization", "Bearer None"),
}


@pytest.mark.parametrize(("key", "value"), _HEADERS.values(), ids=_HEADERS.keys())
def test_a_header_of_credentials_that_cannot_be_sent_is_a_credentials_error(
    local: LocalSpanner, colour: Colour, key: Any, value: Any
) -> None:
    """When the token comes; neither the error nor its causes have the token, and nothing is sent."""

    class Odd(user_credentials.Credentials):
        def apply(self, headers: dict[Any, Any], token: str | None = None) -> None:
            headers["authorization"] = "Bearer s3cret"
            headers[key] = value

    make: Any = Odd
    with colour.client(make("s3cret"), options=local.client_options()) as client:
        for call in (_own, _rest_stream, _stub, _stub_stream):
            with pytest.raises(CredentialsError) as caught:
                call(client)
            error: BaseException | None = caught.value
            while error is not None:
                assert "s3cret" not in f"{error} {error!r}"
                error = error.__cause__ or error.__context__
    assert local.calls == []
