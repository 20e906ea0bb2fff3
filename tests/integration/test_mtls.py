"""Mutual TLS with a server that asks for certificates: which one it sees, and what fails before anything is sent."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientOptions,
    CredentialsError,
    InvalidValue,
    RetryOptions,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.local.certificates import make_certificates
from tests.support.certificates import Pair, make_authority
from tests.support.colours import Colour

_DATABASE = "projects/p/instances/i/databases/d"
_ANONYMOUS = AnonymousCredentials()
_AUTHORITY = make_authority()
_CHAIN, _KEY = _PAIR = _AUTHORITY.issue("options")

each_class = pytest.mark.parametrize("client_class", [SessionsClient, AsyncSessionsClient])


@dataclass(frozen=True)
class _Server:
    """A server that requires certificates of its clients.

    Attributes:
        clients: the names in the certificates that it was shown, one for each call.
    """

    endpoint: str
    root: bytes
    clients: list[str]

    def options(self, **changes: Any) -> ClientOptions:
        """Return options that lead here."""
        here = {"endpoint": self.endpoint, "root_certificates": self.root, "retry": RetryOptions.none()}
        return ClientOptions(**{**here, **changes})


@pytest.fixture
def server() -> Iterator[_Server]:
    """Start a server that requires a certificate signed by the authority of clients."""
    clients: list[str] = []

    def create(request: spanner_pb2.CreateSessionRequest, context: Any) -> spanner_pb2.Session:
        clients.extend(name.decode() for name in context.auth_context()["x509_common_name"])
        return spanner_pb2.Session(name=f"{request.database}/sessions/s")

    handler = grpc.unary_unary_rpc_method_handler(
        create,
        request_deserializer=spanner_pb2.CreateSessionRequest.FromString,
        response_serializer=spanner_pb2.Session.SerializeToString,
    )
    own = make_certificates()
    credentials = grpc.ssl_server_credentials(
        [(own.server_key, own.server)], root_certificates=_AUTHORITY.root, require_client_auth=True
    )
    with futures.ThreadPoolExecutor(2) as pool:
        handlers = [grpc.method_handlers_generic_handler("google.spanner.v1.Spanner", {"CreateSession": handler})]
        grpc_server = grpc.server(pool, handlers)
        port = grpc_server.add_secure_port("127.0.0.1:0", credentials)
        grpc_server.start()
        yield _Server(f"127.0.0.1:{port}", own.root, clients)
        grpc_server.stop(None).wait()


@contextmanager
def _configured(folder: Path, pair: Pair) -> Iterator[None]:
    """Give the environment a certificate, where google-auth looks for that of a workload."""
    workload = {}
    for name, part in zip(("cert", "key"), pair, strict=True):
        (folder / f"{name}.pem").write_bytes(part)
        workload[f"{name}_path"] = str(folder / f"{name}.pem")
    (folder / "config.json").write_text(json.dumps({"version": 1, "cert_configs": {"workload": workload}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_API_CERTIFICATE_CONFIG", str(folder / "config.json"))
        yield


_FORMS = {
    "as it is": _PAIR,
    "chain": (_CHAIN + _AUTHORITY.root, _KEY),
    "of EC": (
        _CHAIN,
        load_pem_private_key(_KEY, None).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    ),
    "one file": (_CHAIN + _KEY, _CHAIN + _KEY),
    "comments": (b"# \xff\n" + _CHAIN, b"# \xff\n" + _KEY),
}


@pytest.mark.parametrize("form", _FORMS)
def test_certificate_of_the_options_is_shown(server: _Server, colour: Colour, form: str) -> None:
    """What is taken when the client is made serves gRPC as well."""
    with colour.client(_ANONYMOUS, options=server.options(client_certificate=_FORMS[form])) as client:
        client.create_session(_DATABASE, timeout=20)
    assert server.clients == ["options"]


def test_server_that_asks_for_a_certificate_refuses_clients_without(server: _Server, colour: Colour) -> None:
    """Without a certificate no call gets through: the other tests here prove something."""
    with colour.client(_ANONYMOUS, options=server.options()) as client:
        with pytest.raises(Unavailable):
            client.create_session(_DATABASE, timeout=20)
    assert server.clients == []


@pytest.mark.parametrize(("use", "is_shown"), [(None, True), ("true", True), ("false", False)])
def test_certificate_of_the_environment_is_shown_as_google_auth_says(
    server: _Server, colour: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str | None, is_shown: bool
) -> None:
    """It is found by default and can be switched off."""
    if use is not None:
        monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", use)
    with _configured(tmp_path, _AUTHORITY.issue("environment")):
        with colour.client(_ANONYMOUS, options=server.options()) as client:
            if is_shown:
                client.create_session(_DATABASE, timeout=20)
            else:
                with pytest.raises(Unavailable):
                    client.create_session(_DATABASE, timeout=20)
    assert server.clients == ["environment"] * is_shown


def test_certificate_of_the_options_wins(server: _Server, colour: Colour, tmp_path: Path) -> None:
    """The environment's is not even read."""
    with _configured(tmp_path, (b"PEM", b"PEM")):
        with colour.client(_ANONYMOUS, options=server.options(client_certificate=_PAIR)) as client:
            client.create_session(_DATABASE, timeout=20)
    assert server.clients == ["options"]


def test_environment_is_read_when_the_client_is_made_and_never_in_a_call(server: _Server, tmp_path: Path) -> None:
    """A client that was made needs the files no more, not even to connect."""
    with _configured(tmp_path, _AUTHORITY.issue("environment")):
        client = SessionsClient(_ANONYMOUS, options=server.options())
        for file in tmp_path.iterdir():
            file.unlink()
        with client:
            client.create_session(_DATABASE, timeout=20)
    assert server.clients == ["environment"]


def test_plaintext_reads_no_certificate(colour: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the emulator, or in plaintext, mTLS has no meaning, and a broken setting of it does no harm."""
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "true")
    monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "perhaps")
    with LocalSpanner(tls=False) as plain, _configured(tmp_path, (b"PEM", b"PEM")):
        with colour.client(options=plain.client_options()) as client:
            client.create_session(_DATABASE)
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", plain.endpoint)
        with colour.client() as client:
            client.create_session(_DATABASE)
        assert len(plain.calls) == 2


@each_class
def test_environment_that_cannot_be_used_is_an_error_of_the_client(client_class: Any, tmp_path: Path) -> None:
    """The error comes when the client is made, says where to look, and shows nothing of the key."""
    with _configured(tmp_path, (_AUTHORITY.root, _KEY)):
        with pytest.raises(CredentialsError, match="GOOGLE_API_USE_CLIENT_CERTIFICATE") as error:
            client_class(_ANONYMOUS)
    shown = "".join(traceback.format_exception(error.value))
    assert not any(line in shown for line in _KEY.decode().splitlines() if len(line) > 20)


@each_class
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("root_certificates", b"not PEM"),
        ("client_certificate", (_AUTHORITY.root, b"not PEM")),
        ("client_certificate", (_AUTHORITY.root, _KEY)),
    ],
    ids=["roots", "no key", "key of another"],
)
def test_certificates_that_grpc_would_fail_with_are_refused_at_once(client_class: Any, name: str, value: Any) -> None:
    """What used to end as an unavailable server at the deadline is refused when the client is made."""
    with pytest.raises(InvalidValue, match=name):
        client_class(_ANONYMOUS, options=ClientOptions(**{name: value}))


@each_class
def test_address_of_a_client_is_googles_mtls_endpoint(client_class: Any, tmp_path: Path) -> None:
    """Without an endpoint, a certificate of the environment leads to the host that asks for one."""
    with _configured(tmp_path, _PAIR):
        assert "spanner.mtls.googleapis.com:443" in repr(client_class(_ANONYMOUS))
    assert "spanner.googleapis.com:443" in repr(client_class(_ANONYMOUS))
