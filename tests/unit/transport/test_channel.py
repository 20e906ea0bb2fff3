"""Where a client connects: the table of options, environment and credentials."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

import pytest
from google.auth import api_key, compute_engine, identity_pool
from google.auth.credentials import AnonymousCredentials, Credentials
from google.oauth2 import credentials as oauth2

from spanner_grpc_sessions.errors import CredentialsError, InvalidType, InvalidValue
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.transport.channel import Security, _channel_arguments, open_channel, resolve
from tests.support.certificates import make_authority

ANONYMOUS = AnonymousCredentials()
USER = oauth2.Credentials("ya29.secret")
KEY = api_key.Credentials("secret")
OTHER_UNIVERSE = oauth2.Credentials("ya29.secret", universe_domain="example.test")
PAIR = make_authority().issue("client")
EMULATOR = {"SPANNER_EMULATOR_HOST": "localhost:9010"}
LOOPBACK = ["localhost:1", "127.0.0.1:1", "127.8.8.8:1", "[::1]:1"]


@pytest.mark.parametrize(
    ("options", "environment", "address"),
    [
        ({}, {}, "spanner.googleapis.com:443"),
        ({}, {"SPANNER_EMULATOR_HOST": ""}, "spanner.googleapis.com:443"),
        ({}, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": ""}, "spanner.googleapis.com:443"),
        ({"endpoint": "spanner.me-central2.rep.googleapis.com"}, {}, "spanner.me-central2.rep.googleapis.com:443"),
        ({"endpoint": "host:8443"}, {}, "host:8443"),
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
    assert (target.address, target.security, target.authenticated) == (
        address,
        Security.TLS,
        credentials is not ANONYMOUS,
    )


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
    assert (target.address, target.security, target.authenticated) == (host, Security.PLAINTEXT, False)


@pytest.mark.parametrize(
    ("options", "environment", "address"),
    [
        ({"universe_domain": "example.test"}, {}, "spanner.example.test:443"),
        ({}, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.test"}, "spanner.example.test:443"),
        (
            {"universe_domain": "example.test"},
            {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "googleapis.com"},
            "spanner.example.test:443",
        ),
        ({"endpoint": "host:8443", "universe_domain": "example.test"}, {}, "host:8443"),
        ({"endpoint": "host:8443"}, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.test"}, "host:8443"),
    ],
)
def test_credentials_have_to_be_of_the_clients_universe(
    options: dict[str, Any], environment: dict[str, str], address: str
) -> None:
    """The option names the universe, or the environment; a token of another one is not sent there."""
    for credentials in (None, ANONYMOUS, KEY, OTHER_UNIVERSE):
        assert resolve(ClientOptions(**options), credentials, environment).address == address
    with pytest.raises(CredentialsError, match=r"universe 'googleapis\.com', the client of 'example\.test'") as error:
        resolve(ClientOptions(**options), USER, environment)
    assert "secret" not in str(error.value)


def test_credentials_of_another_universe_are_refused_by_default() -> None:
    """Who names no universe means Google's own; service accounts and external accounts say theirs as well."""
    external = identity_pool.Credentials(
        audience="//iam.example.test/pool",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106 - not a secret, but its type
        credential_source={"file": "/token"},
        universe_domain="example.test",
    )
    for credentials in (OTHER_UNIVERSE, external):
        for endpoint in (None, "host:8443"):
            with pytest.raises(CredentialsError, match=r"universe 'example\.test'"):
                resolve(ClientOptions(endpoint=endpoint), credentials, {})


def test_credentials_that_would_ask_for_their_universe_are_not_asked() -> None:
    """Those of Compute Engine learn it from the metadata server, and a client is made without any network."""

    class Asking(compute_engine.Credentials):
        @property
        def universe_domain(self) -> str:
            raise AssertionError("the metadata server was asked")

    credentials = Asking()  # type: ignore[no-untyped-call]  # google.auth is typed in part only
    assert resolve(ClientOptions(universe_domain="example.test"), credentials, {}).authenticated


@pytest.mark.parametrize("universe", ["https://example.test", "example.test:443", "a b", "/"])
def test_a_universe_of_the_environment_that_is_no_domain_is_refused(universe: str) -> None:
    """It is part of a host name; anything else would fail later, as a server that cannot be reached."""
    with pytest.raises(InvalidValue, match="GOOGLE_CLOUD_UNIVERSE_DOMAIN must be a domain name") as error:
        resolve(ClientOptions(), None, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": universe})
    assert repr(universe) in str(error.value)


@pytest.mark.parametrize(
    ("mode", "certificate", "options", "host"),
    [
        ("", False, {}, "spanner.googleapis.com"),
        ("", True, {}, "spanner.mtls.googleapis.com"),
        ("auto", True, {}, "spanner.mtls.googleapis.com"),
        ("auto", True, {"universe_domain": "googleapis.com"}, "spanner.mtls.googleapis.com"),
        ("auto", True, {"universe_domain": "example.test"}, "spanner.example.test"),
        ("auto", True, {"endpoint": "host"}, "host"),
        ("always", False, {}, "spanner.mtls.googleapis.com"),
        ("always", False, {"endpoint": "host"}, "host"),
        ("always", True, {"endpoint": "host", "universe_domain": "example.test"}, "host"),
        ("never", True, {}, "spanner.googleapis.com"),
    ],
)
def test_mtls_has_an_endpoint_of_its_own(mode: str, certificate: bool, options: dict[str, Any], host: str) -> None:
    """With a certificate Google's universe has another host; the certificate is shown wherever the client connects."""
    pair = PAIR if certificate else None
    environment = {"GOOGLE_API_USE_MTLS_ENDPOINT": mode}
    target = resolve(ClientOptions(client_certificate=pair, **options), None, environment)
    assert target.address == f"{host}:443"
    assert (target.client_certificate == pair) is True


def test_other_universes_have_no_mtls_endpoint() -> None:
    """Asking for it there is an error."""
    environment = {"GOOGLE_API_USE_MTLS_ENDPOINT": "always"}
    with pytest.raises(InvalidValue, match=r"universe 'example\.test' has no mTLS endpoint"):
        resolve(ClientOptions(universe_domain="example.test"), None, environment)


@pytest.mark.parametrize("endpoint", [None, "host:1"])
def test_mtls_modes_that_do_not_exist_are_refused(endpoint: str | None) -> None:
    """A wrong word in the environment is found when a client is made."""
    with pytest.raises(InvalidValue, match="GOOGLE_API_USE_MTLS_ENDPOINT"):
        resolve(ClientOptions(endpoint=endpoint), None, {"GOOGLE_API_USE_MTLS_ENDPOINT": "perhaps"})


@pytest.mark.parametrize(
    "certificates",
    [{"root_certificates": b"PEM"}, {"root_certificates": b""}, {"client_certificate": (b"PEM", b"PEM")}],
)
def test_certificates_that_are_none_are_refused(certificates: dict[str, Any]) -> None:
    """They are looked at when a client is made, before gRPC fails with them in silence."""
    with pytest.raises(InvalidValue) as error:
        resolve(ClientOptions(**certificates), None, {})
    assert next(iter(certificates)) in str(error.value)


@pytest.mark.parametrize("options", [{}, {"endpoint": "localhost:1", "plaintext": True}], ids=["emulator", "plaintext"])
def test_plaintext_knows_no_certificates(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS nothing of mTLS and no universe is looked at, in options or environment."""
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "true")
    monkeypatch.setenv("GOOGLE_API_CERTIFICATE_CONFIG", __file__)
    wrong = {"GOOGLE_API_USE_MTLS_ENDPOINT": "perhaps", "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "a b"}
    target = resolve(ClientOptions(**options), OTHER_UNIVERSE, {**EMULATOR, **wrong})
    assert target.client_certificate is None
    assert target.security != Security.TLS
    with pytest.raises(CredentialsError, match="GOOGLE_API_USE_CLIENT_CERTIFICATE"):
        resolve(ClientOptions(), None, {})


def test_a_target_does_not_show_its_key() -> None:
    """Nothing of the client certificate is in its repr."""
    target = resolve(ClientOptions(client_certificate=PAIR), None, {})
    assert repr(PAIR[1]) not in repr(target)
    assert "PRIVATE KEY" not in repr(target)


def test_channels_share_no_connection() -> None:
    """Two channels to the same place make two connections: without that, several would be as one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        # Less than the 5 s after which gRPC makes a new connection, for this one is not answered.
        listener.settimeout(3)
        options = ClientOptions(endpoint=f"127.0.0.1:{listener.getsockname()[1]}", plaintext=True, channels=2)
        target = resolve(options, None, {})
        for _ in range(2):
            channel: Any = stack.enter_context(open_channel(target, options))
            stack.callback(channel.unary_unary("/any/call").future(b"").cancel)
        for _ in range(2):
            stack.enter_context(listener.accept()[0])


def arguments(options: ClientOptions) -> dict[str, Any]:
    """Return the arguments of the channels of a client with these options."""
    return dict(_channel_arguments(resolve(options, None, {}), options))


def test_channel_options_take_the_place_of_ours() -> None:
    """Those that are set, beside the others; and gRPC keeps limits of size, which it does not by default."""
    own = (
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.max_receive_message_length", 1024),
        ("grpc.primary_user_agent", "x"),
    )
    ours, theirs = arguments(ClientOptions()), arguments(ClientOptions(channel_options=own))
    assert theirs == {**ours, **dict(own), "grpc.minimal_stack": 0}


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "host:1"])
def test_a_proxy_never_stands_between_processes_of_one_machine(endpoint: str) -> None:
    """It could see a token that may not leave the machine."""
    own = (("grpc.http_proxy", "http://proxy:1"), ("grpc.enable_http_proxy", 1))
    made = arguments(ClientOptions(endpoint=endpoint, channel_options=own))
    proxied = endpoint == "host:1"
    assert (made.get("grpc.http_proxy"), made["grpc.enable_http_proxy"]) == (
        "http://proxy:1" if proxied else None,
        proxied,
    )


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
def test_plaintext_without_credentials_can_go_anywhere(address: str, credentials: Credentials | None) -> None:
    """There is nothing to steal: application default credentials are not used in plaintext."""
    target = resolve(ClientOptions(endpoint=address, plaintext=True), credentials, {})
    assert (target.address, target.security, target.authenticated) == (address, Security.PLAINTEXT, False)


@pytest.mark.parametrize("credentials", [USER, KEY], ids=["user", "key"])
@pytest.mark.parametrize("address", [*LOOPBACK, "unix:/tmp/socket", "unix:relative"])
def test_plaintext_with_credentials_stays_on_this_machine(address: str, credentials: Credentials) -> None:
    """A token travels in plaintext over loopback and Unix sockets only, on a channel where gRPC checks it too."""
    target = resolve(ClientOptions(endpoint=address, plaintext=True), credentials, {})
    assert (target.address, target.security, target.authenticated) == (address, Security.LOCAL, True)


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


@pytest.mark.parametrize(
    ("host", "options", "credentials", "said"),
    [
        ("localhost:9010", {}, None, None),
        ("127.0.0.1:9010", {}, ANONYMOUS, None),
        ("emulator.test:9010", {}, None, "emulator.test:9010, another machine"),
        ("localhost:9010", {}, USER, "credentials have no effect"),
        ("localhost:9010", {"client_certificate": PAIR}, None, "client_certificate have no effect"),
        (
            "emulator.test:9010",
            {"root_certificates": b"PEM", "universe_domain": "example.test", "quota_project_id": "p"},
            KEY,
            "emulator.test:9010 in plaintext, and credentials, root_certificates, universe_domain, quota_project_id",
        ),
    ],
)
def test_an_emulator_by_accident_is_told(
    host: str,
    options: dict[str, Any],
    credentials: Credentials | None,
    said: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The variable may have been forgotten in a service: what it does is in the log, without the secrets."""
    with caplog.at_level(logging.WARNING, "spanner_grpc_sessions"):
        resolve(ClientOptions(**options), credentials, {"SPANNER_EMULATOR_HOST": host})
    assert len(caplog.messages) == (said is not None)
    assert (said or "") in caplog.text
    assert "secret" not in caplog.text
    assert "PEM" not in caplog.text


def test_an_endpoint_of_its_own_makes_the_emulator_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    """The variable has no effect then, and there is nothing to say."""
    resolve(ClientOptions(endpoint="host:1"), USER, {"SPANNER_EMULATOR_HOST": "emulator.test:9010"})
    assert caplog.messages == []


SCHEMES = ["dns", "xds", "ipv4", "ipv6", "unix", "vsock", "unix-abstract", "google-c2p", "fake", "DNS"]


@pytest.mark.parametrize("host", [*(f"{scheme}:443" for scheme in SCHEMES), *SCHEMES])
def test_hosts_named_like_schemes_are_refused(host: str) -> None:
    """To gRPC, "dns:443" is the host "443"; a full domain name says the same without doubt."""
    with pytest.raises(InvalidValue, match="endpoint must not be named like a scheme") as error:
        ClientOptions(endpoint=host)
    assert repr(host) in str(error.value)
    with pytest.raises(InvalidValue, match="SPANNER_EMULATOR_HOST must"):
        resolve(ClientOptions(), None, {"SPANNER_EMULATOR_HOST": host})


@pytest.mark.parametrize(
    "host", ["dns.svc.test:443", "dns.:443", "unix:./443", "unix:/tmp/1", "xds-proxy:1", "my.unix:1"]
)
def test_hosts_that_only_begin_like_schemes_are_accepted(host: str) -> None:
    """So are paths of sockets."""
    assert resolve(ClientOptions(endpoint=host), None, {}).address == host


def test_a_name_is_looked_up_again_before_a_call_ends() -> None:
    """By default gRPC keeps to the addresses of a name for 30 s, the timeout of most calls."""
    assert arguments(ClientOptions())["grpc.dns_min_time_between_resolutions_ms"] <= 10_000


def test_a_target_does_not_show_the_password_of_its_proxy() -> None:
    """It is neither in its repr nor in that of the proxy."""
    target = resolve(ClientOptions(), None, {"https_proxy": "http://u:secret@p.test"})
    assert target.proxy is not None
    assert "secret" not in repr(target) + repr(target.proxy)
