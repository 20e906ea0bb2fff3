"""Where a client connects: the table of options, environment and credentials."""

from __future__ import annotations

from typing import Any

import pytest
from google.auth import api_key
from google.auth.credentials import AnonymousCredentials, Credentials
from google.oauth2 import credentials as oauth2

from spanner_grpc_sessions.errors import CredentialsError, InvalidType, InvalidValue
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.transport import Security, Target, resolve

ANONYMOUS = AnonymousCredentials()
USER = oauth2.Credentials("ya29.secret")
KEY = api_key.Credentials("secret")
EMULATOR = {"SPANNER_EMULATOR_HOST": "localhost:9010"}
LOOPBACK = ["localhost:1", "127.0.0.1:1", "127.8.8.8:1", "[::1]:1"]


@pytest.mark.parametrize(
    ("options", "environment", "address"),
    [
        ({}, {}, "spanner.googleapis.com:443"),
        ({}, {"SPANNER_EMULATOR_HOST": ""}, "spanner.googleapis.com:443"),
        ({"universe_domain": "example.test"}, {}, "spanner.example.test:443"),
        ({"endpoint": "spanner.me-central2.rep.googleapis.com"}, {}, "spanner.me-central2.rep.googleapis.com:443"),
        ({"endpoint": "host:8443"}, {}, "host:8443"),
        ({"endpoint": "host:8443", "universe_domain": "example.test"}, {}, "host:8443"),
        ({"endpoint": "127.0.0.1"}, {}, "127.0.0.1:443"),
        ({"endpoint": "[::1]"}, {}, "[::1]:443"),
        ({"endpoint": "[2001:db8::1]:8443"}, {}, "[2001:db8::1]:8443"),
        ({"endpoint": "host:8443"}, EMULATOR, "host:8443"),
        ({"endpoint": "host"}, {"SPANNER_EMULATOR_HOST": "http://wrong"}, "host:443"),
    ],
)
@pytest.mark.parametrize("credentials", [None, USER, KEY, ANONYMOUS], ids=["default", "user", "key", "anonymous"])
def test_tls_is_the_rule(
    options: dict[str, Any], environment: dict[str, str], address: str, credentials: Credentials | None
) -> None:
    """Without plaintext or emulator the connection is TLS, and calls carry a token unless the caller is anonymous."""
    target = resolve(ClientOptions(**options), credentials, environment)
    assert target == Target(address, Security.TLS, authenticated=credentials is not ANONYMOUS)


@pytest.mark.parametrize("credentials", [None, USER, KEY, ANONYMOUS], ids=["default", "user", "key", "anonymous"])
@pytest.mark.parametrize("plaintext", [True, False])
@pytest.mark.parametrize("universe", ["googleapis.com", "example.test"])
@pytest.mark.parametrize("host", ["localhost:9010", "emulator.test:9010", "[::1]:9010"])
def test_nothing_is_authenticated_on_the_emulator(
    host: str, universe: str, plaintext: bool, credentials: Credentials | None
) -> None:
    """Whatever credentials were given, none are sent to the emulator, on this machine or another."""
    options = ClientOptions(plaintext=plaintext, universe_domain=universe)
    target = resolve(options, credentials, {"SPANNER_EMULATOR_HOST": host})
    assert target == Target(host, Security.PLAINTEXT, authenticated=False)


def test_plaintext_to_nowhere_is_refused() -> None:
    """Plaintext without an endpoint would have been TLS in silence."""
    with pytest.raises(InvalidValue, match="plaintext needs an endpoint"):
        resolve(ClientOptions(plaintext=True), None, {})


@pytest.mark.parametrize(
    "host", ["http://localhost:9010", "https://h:1", "localhost", "dns:///localhost:9010", " h:1 ", ":9010", "h:70000"]
)
def test_an_emulator_with_a_scheme_or_without_a_port_is_refused(host: str) -> None:
    """The variable is host:port; anything else would fail later, as a server that cannot be reached."""
    with pytest.raises(InvalidValue, match="SPANNER_EMULATOR_HOST must be host:port") as error:
        resolve(ClientOptions(), None, {"SPANNER_EMULATOR_HOST": host})
    assert repr(host) in str(error.value)


@pytest.mark.parametrize("credentials", [None, ANONYMOUS], ids=["default", "anonymous"])
@pytest.mark.parametrize("address", [*LOOPBACK, "emulator.test:1"])
def test_plaintext_without_credentials_may_go_anywhere(address: str, credentials: Credentials | None) -> None:
    """There is nothing to steal: application default credentials are not used in plaintext."""
    target = resolve(ClientOptions(endpoint=address, plaintext=True), credentials, {})
    assert target == Target(address, Security.PLAINTEXT, authenticated=False)


@pytest.mark.parametrize("credentials", [USER, KEY], ids=["user", "key"])
@pytest.mark.parametrize("address", [*LOOPBACK, "unix:/tmp/socket", "unix:relative"])
def test_plaintext_with_credentials_stays_on_this_machine(address: str, credentials: Credentials) -> None:
    """A token travels in plaintext over loopback and Unix sockets only, on a channel where gRPC checks it too."""
    target = resolve(ClientOptions(endpoint=address, plaintext=True), credentials, {})
    assert target == Target(address, Security.LOCAL, authenticated=True)


@pytest.mark.parametrize(
    "address",
    [
        "emulator.test:1",
        "10.0.0.1:1",
        "0.0.0.0:1",
        "[::]:1",
        "[2001:db8::1]:1",
        "localhost.evil.test:1",
        "127.0.0.1.evil.test:1",
        "evil.test",
    ],
)
@pytest.mark.parametrize("credentials", [USER, KEY], ids=["user", "key"])
def test_plaintext_with_credentials_to_another_machine_is_refused(address: str, credentials: Credentials) -> None:
    """What is not plainly this machine gets no token in plaintext; the message has the address and no secret."""
    with pytest.raises(CredentialsError, match="plaintext") as error:
        resolve(ClientOptions(endpoint=address, plaintext=True), credentials, {})
    assert address in str(error.value)
    assert "secret" not in str(error.value)


def test_the_default_environment_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is read when a client is made, not when the library is imported."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", "localhost:5")
    assert resolve(ClientOptions(), None).address == "localhost:5"
    monkeypatch.delenv("SPANNER_EMULATOR_HOST")
    assert resolve(ClientOptions(), None).address == "spanner.googleapis.com:443"


@pytest.mark.parametrize("credentials", ["token", 5, {}, "/path/key.json", object(), AnonymousCredentials])
@pytest.mark.parametrize("environment", [{}, EMULATOR])
def test_credentials_of_other_types_are_refused(credentials: Any, environment: dict[str, str]) -> None:
    """Only google.auth's credentials are taken, on the emulator too; what was passed may be a secret."""
    with pytest.raises(InvalidType, match="credentials must be") as error:
        resolve(ClientOptions(), credentials, environment)
    assert type(credentials).__name__ in str(error.value)
    assert "token" not in str(error.value)
