"""OAuth on each RPC: where tokens come from, where they go, and where they must never go."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import credentials as user_credentials, service_account
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientOptions,
    CredentialsError,
    InvalidValue,
    PermissionDenied,
    RetryOptions,
    SessionsClient,
    Unauthenticated,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"
_ADMIN = "https://www.googleapis.com/auth/spanner.admin"
_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


def _delegated(credentials: Any) -> Any:
    """Return credentials that act for a user, and so have to exchange a token."""
    return credentials.with_subject("user@example.com")


def _token(text: str) -> Any:
    """Return credentials that hold an access token and cannot renew it."""
    return user_credentials.Credentials(text)


@contextlib.contextmanager
def _plaintext_local() -> Iterator[LocalSpanner]:
    with LocalSpanner(tls=False) as server:
        yield server


def test_application_default_credentials_sign_their_own_token(
    local: LocalSpanner, colour: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service-account file that ADC finds is enough, and no token is asked of anyone."""
    key = local.service_account_file(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with colour.client(options=local.client_options()) as client:
        client.create_session(_DATABASE)
    assert [(call.auth, call.principal) for call in local.calls] == [
        ("self-signed JWT", local.credentials().service_account_email)
    ]
    assert local.token_requests == 0


def test_service_account_file_of_the_caller_is_scoped(local: LocalSpanner, colour: Colour, tmp_path: Path) -> None:
    """Credentials without scopes get the narrow data scope."""
    key = local.service_account_file(tmp_path / "key.json")
    credentials = service_account.Credentials.from_service_account_file(str(key))
    with colour.client(credentials, options=local.client_options()) as client:
        client.create_session(_DATABASE)
    assert local.calls[0].auth == "self-signed JWT"


def test_delegated_account_exchanges_its_token_once(local: LocalSpanner, colour: Colour, tmp_path: Path) -> None:
    """With a subject the token comes from the token endpoint, one request for any number of calls."""
    key = local.service_account_file(tmp_path / "key.json")
    credentials = service_account.Credentials.from_service_account_file(str(key), subject="user@example.com")
    with colour.client(credentials, options=local.client_options()) as client:
        for _ in range(3):
            client.create_session(_DATABASE)
    assert {(call.auth, call.principal) for call in local.calls} == {("access token", "user@example.com")}
    assert local.token_requests == 1


def test_access_token_of_the_caller_is_sent_with_each_call(local: LocalSpanner, colour: Colour) -> None:
    """Any google.auth credentials do, here a bare access token."""
    with colour.client(_token(local.issue_token()), options=local.client_options()) as client:
        session = client.create_session(_DATABASE)
        client.ping_session(session["name"])
        client.delete_session(session["name"])
    assert [call.auth for call in local.calls] == ["access token"] * 3


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (lambda server: "no such token", Unauthenticated),
        (lambda server: server.issue_token(lifetime=0), Unauthenticated),
        (lambda server: server.issue_token(scopes=[_ADMIN]), PermissionDenied),
    ],
    ids=["unknown", "expired", "wrong scope"],
)
def test_token_that_the_server_refuses_fails_fast(
    local: LocalSpanner, colour: Colour, token: Any, error: type[Exception]
) -> None:
    """A refused token is an error of its own class after a single attempt."""
    with colour.client(_token(token(local)), options=local.client_options()) as client:
        with pytest.raises(error):
            client.create_session(_DATABASE)
    assert len(local.calls) == 1
    assert local.sessions == []


def test_call_without_token_is_unauthenticated(local: LocalSpanner, colour: Colour) -> None:
    """Anonymous credentials over TLS send no token, and the server says so."""
    with colour.client(AnonymousCredentials(), options=local.client_options()) as client:
        with pytest.raises(Unauthenticated):
            client.create_session(_DATABASE)
    assert [call.header("authorization") for call in local.calls] == [None]


def test_wider_scope_can_be_asked_for(local: LocalSpanner, colour: Colour, tmp_path: Path) -> None:
    """The scopes of the options are the ones in the token."""
    key = local.service_account_file(tmp_path / "key.json")
    credentials = service_account.Credentials.from_service_account_file(str(key))
    for scopes, error in [((_PLATFORM,), None), ((_ADMIN,), PermissionDenied)]:
        options = local.client_options(scopes=scopes)
        with colour.client(credentials, options=options) as client:
            with pytest.raises(error) if error else contextlib.nullcontext():
                client.create_session(_DATABASE)


def test_missing_application_default_credentials_are_an_error(local: LocalSpanner, colour: Colour) -> None:
    """Without any credentials the call fails at once with CredentialsError that names the cause, and sends nothing."""
    with colour.client(options=local.client_options()) as client:
        with pytest.raises(CredentialsError, match="DefaultCredentialsError") as caught:
            client.create_session(_DATABASE, timeout=60)
    assert type(caught.value.__cause__).__name__ == "DefaultCredentialsError"
    assert local.calls == []


@pytest.mark.parametrize("broken", ["refused", "unreachable"])
def test_failing_token_endpoint_is_a_credentials_error(
    local: LocalSpanner, colour: Colour, tmp_path: Path, broken: str
) -> None:
    """A token endpoint that refuses fails the call at once; one that cannot be reached, at the deadline."""
    key = local.service_account_file(tmp_path / "key.json")
    credentials = service_account.Credentials.from_service_account_file(str(key), subject="user@example.com")
    timeout = 60.0
    if broken == "unreachable":
        credentials = credentials.with_token_uri("http://127.0.0.1:1/token")
        timeout = 0.2
    else:
        # The assertion is signed by a key that the endpoint does not know.
        with LocalSpanner() as other:
            credentials = _delegated(other.credentials()).with_token_uri(credentials._token_uri)
    with colour.client(credentials, options=local.client_options()) as client:
        with takes(), pytest.raises(CredentialsError):
            client.create_session(_DATABASE, timeout=timeout)
    assert local.calls == []


@pytest.mark.parametrize("client_class", [SessionsClient, AsyncSessionsClient])
@pytest.mark.parametrize("endpoint", ["spanner.example.com:443", "192.0.2.1:9010", "[2001:db8::1]:9010"])
def test_credentials_never_leave_in_plaintext(client_class: Any, endpoint: str) -> None:
    """A client with credentials for a plaintext endpoint elsewhere is refused when it is made."""
    with pytest.raises(CredentialsError, match="plaintext"):
        client_class(_token("secret"), options=ClientOptions(endpoint=endpoint, plaintext=True))


def test_loopback_plaintext_carries_the_token(colour: Colour) -> None:
    """To this machine credentials may travel without TLS, over gRPC's local security type."""
    with _plaintext_local() as server:
        with colour.client(_token("local token"), options=server.client_options()) as client:
            client.create_session(_DATABASE)
        assert server.calls[0].header("authorization") == "Bearer local token"


def test_emulator_never_sees_a_token(colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SPANNER_EMULATOR_HOST nothing is authenticated, not even with credentials given."""
    with _plaintext_local() as server:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", server.endpoint)
        for credentials in (None, _token("real token")):
            with colour.client(credentials) as client:
                client.create_session(_DATABASE)
        assert [call.header("authorization") for call in server.calls] == [None, None]


@pytest.mark.parametrize("plaintext", [True, False])
def test_proxy_of_the_environment_gets_nothing_meant_for_this_machine(
    colour: Colour, monkeypatch: pytest.MonkeyPatch, plaintext: bool
) -> None:
    """Calls to a loopback address pass by any proxy: it might carry the token anywhere."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, LocalSpanner(tls=not plaintext) as server:
        proxy.settimeout(0)
        for name in ("http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        credentials = _token("local token") if plaintext else server.credentials()
        with colour.client(credentials, options=server.client_options()) as client:
            client.create_session(_DATABASE)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_quota_project_is_sent(local: LocalSpanner, colour: Colour) -> None:
    """The quota project of the options reaches the server."""
    options = local.client_options(quota_project_id="paying")
    for credentials in (local.credentials(), _token(local.issue_token())):
        with colour.client(credentials, options=options) as client:
            client.create_session(_DATABASE)
    assert [call.header("x-goog-user-project") for call in local.calls] == ["paying"] * 2


def test_no_thread_is_started_per_call(local: LocalSpanner, colour: Colour) -> None:
    """A hundred calls start no thread of the client: only its token thread is there, and the server's own."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.create_session(_DATABASE)
        before = {thread.ident for thread in _client_threads()}
        started = _count_started(lambda: [client.create_session(_DATABASE) for _ in range(100)])
        assert {thread.ident for thread in _client_threads()} <= before
    assert started == []


def _client_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if not thread.name.startswith("local-spanner")]


def _count_started(work: Any) -> list[str]:
    started = []
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if not thread.name.startswith("local-spanner"):
            started.append(thread.name)
        original(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        work()
    return started


def test_call_credentials_work_on_a_channel_that_the_user_builds(local: LocalSpanner) -> None:
    """gRPC-first code puts the client's tokens on its own channel."""
    root = grpc.ssl_channel_credentials(local.root_certificates)
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        both = grpc.composite_channel_credentials(root, client.call_credentials())
        with grpc.secure_channel(local.endpoint, both) as channel:
            stub = spanner_pb2_grpc.SpannerStub(channel)
            session = stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE), timeout=10)
            assert session.name.startswith(_DATABASE)
            assert local.calls[0].auth == "self-signed JWT"
            client.close()
            with pytest.raises(grpc.RpcError, match="closed"):
                stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE), timeout=10)


@pytest.mark.parametrize("client_class", [SessionsClient, AsyncSessionsClient])
def test_call_credentials_of_a_client_that_was_never_opened_leave_no_thread(
    local: LocalSpanner, client_class: type[Any]
) -> None:
    """They work on a channel of the user's, and their thread ends with it."""
    before = set(threading.enumerate())
    client = client_class(local.credentials(), options=local.client_options())
    root = grpc.ssl_channel_credentials(local.root_certificates)
    both = grpc.composite_channel_credentials(root, client.call_credentials())
    del client
    with grpc.secure_channel(local.endpoint, both) as channel:
        stub = spanner_pb2_grpc.SpannerStub(channel)
        assert stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE), timeout=WAIT).name
        assert {thread.name for thread in set(threading.enumerate()) - before} >= {"spanner-sessions-token"}
    del stub, channel, both

    def ended() -> bool:
        gc.collect()
        return not any(thread.name == "spanner-sessions-token" for thread in set(threading.enumerate()) - before)

    until(ended)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_close_that_is_cancelled_ends_the_token_thread(local: LocalSpanner, channels: int) -> None:
    """A task that is cancelled while it closes its client leaves nothing that renews tokens."""
    before = set(threading.enumerate())

    async def main() -> None:
        client = AsyncSessionsClient(_delegated(local.credentials()), options=local.client_options(channels=channels))
        await client.create_session(_DATABASE)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait((closing,))
        await until_async(lambda: not token_threads())

    def token_threads() -> list[threading.Thread]:
        return [each for each in set(threading.enumerate()) - before if each.name == "spanner-sessions-token"]

    asyncio.run(main())


_AT_EXIT = """
import atexit, sys
from google.auth.credentials import Credentials
from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.options import ClientOptions

class Own(Credentials):
    def refresh(self, request):
        self.token = "own"

source = tokens_for(Own(), ClientOptions(), address="example.com:1", authenticated=True)
atexit.register(lambda: (print(dict(source.wait(10))["authorization"]), source.close()))
"""


def test_a_token_can_be_had_when_the_interpreter_ends() -> None:
    """Python 3.12 starts no thread then: the caller asks for it itself."""
    run = subprocess.run([sys.executable, "-c", _AT_EXIT], capture_output=True, text=True, timeout=WAIT, check=True)
    assert (run.stdout, run.stderr) == ("Bearer own\n", "")


def test_the_quota_project_of_a_call_is_refused(local: LocalSpanner, colour: Colour) -> None:
    """It would be sent beside the client's, and the server could take either."""
    metadata = (("x-goog-user-project", "other"),)
    request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
    with colour.client(local.credentials(), options=local.client_options(quota_project_id="paying")) as client:
        with pytest.raises(InvalidValue, match="x-goog-user-project"):
            client.create_session(_DATABASE, metadata=metadata)
        with pytest.raises(InvalidValue, match="x-goog-user-project"):
            client.stub.CreateSession(request, metadata=metadata)
    assert local.calls == []


def test_no_secret_is_shown(
    local: LocalSpanner, colour: Colour, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No token and no key in a repr, a log line, an exception or a traceback."""
    caplog.set_level(logging.DEBUG)
    token = local.issue_token(scopes=[_ADMIN])
    key = local.service_account_file(tmp_path / "key.json").read_text()
    options = local.client_options(retry=RetryOptions.none(), client_certificate=None)
    shown: list[str] = []
    with colour.client(_token(token), options=options) as client:
        with pytest.raises(PermissionDenied) as caught:
            client.create_session(_DATABASE)
        shown += [repr(client), repr(options), repr(caught.value), str(caught.value), repr(caught.value.to_rest())]
        shown += traceback.format_exception(caught.value)
    with colour.client(local.credentials(), options=options) as client:
        client.create_session(_DATABASE)
        shown.append(repr(client))
    shown += [repr(local), *map(repr, local.calls), caplog.text]
    jwt = str(local.calls[-1].header("authorization")).removeprefix("Bearer ")
    private_lines = [line for line in key.split("\\n") if len(line) > 40 and "-----" not in line]
    for secret in (token, jwt, *private_lines):
        assert secret not in "\n".join(shown)


def test_the_wait_for_a_token_is_part_of_the_timeout(colour: Colour) -> None:
    """A call that waited for its token has that much less time for its RPC."""
    left: list[float] = []

    class Slow(user_credentials.Credentials):
        def refresh(self, request: object) -> None:
            threading.Event().wait(0.5)
            self.token = "t"  # noqa: S105 - no secret

    def create(request: Any, context: grpc.ServicerContext) -> spanner_pb2.Session:
        left.append(context.time_remaining())
        return spanner_pb2.Session(name=f"{request.database}/sessions/s")

    with scripted_server(CreateSession=create) as options:
        credentials = Slow(None)  # type: ignore[no-untyped-call]  # google.oauth2 is typed in part only
        with colour.client(credentials, options=options) as client:
            client.create_session(_DATABASE, timeout=30)
    assert left[0] < 29.6
