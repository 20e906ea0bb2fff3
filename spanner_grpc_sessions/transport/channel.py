"""Where a client connects and how, from its options and the environment; and the channels, sync and asyncio."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
import grpc.aio

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import CredentialsError, InvalidType, InvalidValue
from spanner_grpc_sessions.options import ClientOptions, check_endpoint, check_universe
from spanner_grpc_sessions.runtime.hosts import is_loopback
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.transport.proxy import Proxy, proxy_for

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_EMULATOR: Final = "SPANNER_EMULATOR_HOST"
_UNIVERSE: Final = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
_DEFAULT_UNIVERSE: Final = "googleapis.com"
_MTLS_HOST: Final = "spanner.mtls.googleapis.com"
_DEFAULT_PORT: Final = 443
_PROXY_OPTIONS: Final = frozenset({"grpc.http_proxy", "grpc.enable_http_proxy"})


class Security:
    """What protects a connection, and with it a token."""

    TLS: Final = "TLS"
    LOCAL: Final = "local"  # gRPC's local security type: plaintext that gRPC itself opens to this machine only
    PLAINTEXT: Final = "plaintext"  # carries no token


class Target(NamedTuple):
    """Where calls go: "host:port", how the connection is protected, whether calls carry a token, and by which proxy."""

    address: str
    security: str
    authenticated: bool
    client_certificate: tuple[bytes, bytes] | None = None
    proxy: Proxy | None = None

    def __repr__(self) -> str:
        # Without the certificate, which comes with its private key, and the proxy, which may have a password.
        return f"Target({self.address!r}, {self.security!r}, authenticated={self.authenticated})"


def resolve(
    options: ClientOptions, credentials: Credentials | None, environment: Mapping[str, str] = os.environ
) -> Target:
    """Return where a client with these options connects.

    An endpoint in the options wins over `SPANNER_EMULATOR_HOST`, and that over the endpoint of the universe. Calls to
    the emulator carry no token, even if there are credentials.

    Over TLS a client certificate in the options wins over the one that google-auth finds in the environment. That one
    is read now, since the endpoint depends on it, and kept as long as the client lives.
    """
    if credentials is not None:
        _require_credentials(credentials)
    emulator = environment.get(_EMULATOR) if options.endpoint is None else None
    if emulator:
        address = _emulator_address(emulator)
        _warn_of_emulator(address, options, credentials)
        return Target(address, Security.PLAINTEXT, authenticated=False)
    if options.plaintext:
        return _plaintext_target(options.endpoint, credentials)
    target = _omni_target(options, credentials) if options.is_omni else _tls_target(options, credentials, environment)
    # A proxy may see a token that must not leave this machine, and gRPC would take one on it for the peer.
    if _is_loopback(target.address) or not _PROXY_OPTIONS.isdisjoint(dict(options.channel_options)):
        return target
    return target._replace(proxy=proxy_for(target.address, environment))


def open_channel(target: Target, options: ClientOptions) -> grpc.Channel:
    """Return a new channel, which connects with its first call."""
    arguments = _channel_arguments(target, options)
    credentials = _channel_credentials(target, options)
    if credentials is None:
        return grpc.insecure_channel(target.address, arguments)
    return grpc.secure_channel(target.address, credentials, arguments)


def open_async_channel(target: Target, options: ClientOptions) -> grpc.aio.Channel:
    """Return a new asyncio channel of the running loop, which connects with its first call."""
    arguments = _channel_arguments(target, options)
    credentials = _channel_credentials(target, options)
    if credentials is None:
        return grpc.aio.insecure_channel(target.address, arguments)
    return grpc.aio.secure_channel(target.address, credentials, arguments)


def _plaintext_target(endpoint: str | None, credentials: Credentials | None) -> Target:
    if endpoint is None:
        raise InvalidValue("plaintext needs an endpoint: Spanner's own endpoint speaks TLS only")
    address = _with_port(endpoint)
    if credentials is None or not _needs_token(credentials):
        return Target(address, Security.PLAINTEXT, authenticated=False)
    if not _is_loopback(address):
        raise CredentialsError(f"credentials would travel in plaintext to {address}: use TLS, or a loopback address")
    return Target(address, Security.LOCAL, authenticated=True)


def _omni_target(options: ClientOptions, credentials: Credentials | None) -> Target:
    """Return where a self-managed Spanner is: nothing of Google's is looked for, neither token nor certificate."""
    _check_certificates(options)
    authenticated = credentials is not None and _needs_token(credentials)
    # `ClientOptions` has made sure of the endpoint.
    return Target(_with_port(str(options.endpoint)), Security.TLS, authenticated, options.client_certificate)


def _tls_target(options: ClientOptions, credentials: Credentials | None, environment: Mapping[str, str]) -> Target:
    from spanner_grpc_sessions.transport import client_certificate as certificates  # noqa: PLC0415 - not for plaintext

    universe = options.universe_domain or _universe(environment)
    if credentials is not None:
        _require_universe(universe, credentials)
    mode = certificates.endpoint_mode(environment)
    _check_certificates(options)
    certificate = options.client_certificate or certificates.environment_certificate()
    address = _with_port(options.endpoint or _host(universe, mode, shows_certificate=certificate is not None))
    return Target(address, Security.TLS, _needs_token(credentials), certificate)


def _check_certificates(options: ClientOptions) -> None:
    from spanner_grpc_sessions.transport import client_certificate as certificates  # noqa: PLC0415 - not for plaintext

    if options.root_certificates is not None:
        certificates.check_root_certificates(options.root_certificates)
    if options.client_certificate is not None:
        certificates.check_client_certificate(options.client_certificate)


def _universe(environment: Mapping[str, str]) -> str:
    universe = environment.get(_UNIVERSE) or _DEFAULT_UNIVERSE
    check_universe(_UNIVERSE, universe)
    return universe


def _require_credentials(credentials: object) -> None:
    from google.auth.credentials import Credentials  # noqa: PLC0415 - not needed for the emulator

    if not isinstance(credentials, Credentials):
        raise InvalidType(f"credentials must be google.auth credentials or None, got {type(credentials).__name__}")


def _require_universe(universe: str, credentials: Credentials) -> None:
    """Refuse to send a token of one universe to another, where the credentials know theirs without I/O."""
    from google.auth.credentials import Credentials  # noqa: PLC0415 - not needed for the emulator

    # The credentials of Compute Engine would ask the metadata server.
    is_attribute = type(credentials).universe_domain is Credentials.universe_domain
    # API keys, for one, have the default because they cannot have another.
    if not (is_attribute and hasattr(credentials, "with_universe_domain")):
        return
    if credentials.universe_domain != universe:
        raise CredentialsError(
            f"the credentials are of the universe {credentials.universe_domain!r}, the client of {universe!r}: "
            f"set ClientOptions(universe_domain=…) or {_UNIVERSE}"
        )


def _host(universe: str, mode: str, *, shows_certificate: bool) -> str:
    if mode == "always" and universe != _DEFAULT_UNIVERSE:
        raise InvalidValue(f"GOOGLE_API_USE_MTLS_ENDPOINT is always, but universe {universe!r} has no mTLS endpoint")
    if mode == "always" or (mode == "auto" and shows_certificate and universe == _DEFAULT_UNIVERSE):
        return _MTLS_HOST
    return f"spanner.{universe}"


def _needs_token(credentials: Credentials | None) -> bool:
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - not needed for the emulator

    return not isinstance(credentials, AnonymousCredentials)


def _channel_credentials(target: Target, options: ClientOptions) -> grpc.ChannelCredentials | None:
    if target.security == Security.PLAINTEXT:
        return None
    if target.security == Security.LOCAL:
        is_socket = target.address.startswith("unix:")
        return grpc.local_channel_credentials(
            grpc.LocalConnectionType.UDS if is_socket else grpc.LocalConnectionType.LOCAL_TCP
        )
    chain, key = target.client_certificate or (None, None)
    return grpc.ssl_channel_credentials(options.root_certificates, key, chain)


def _channel_arguments(target: Target, options: ClientOptions) -> list[tuple[str, Any]]:
    agent = f"spanner-grpc-sessions/{__version__}"
    ours: dict[str, Any] = {
        "grpc.enable_http_proxy": 0,
        "grpc.primary_user_agent": f"{options.user_agent} {agent}" if options.user_agent else agent,
        # As often as Google's clients: servers answer pings that come more often with GOAWAY too_many_pings.
        "grpc.keepalive_time_ms": 120_000,
        # A result may be larger than gRPC's default limit of 4 MiB. Spanner has limits of its own.
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        # By default gRPC replaces an error whose text or details exceed 8 to 16 KiB by one of its own.
        "grpc.max_metadata_size": 1024 * 1024,
        # `calls.retry` counts and limits attempts, and sends again what the server never took up, as gRPC would.
        "grpc.enable_retries": 0,
        # Leaves out what costs each call 10 µs: gRPC's retries, limits of size, and closing idle connections.
        "grpc.minimal_stack": 1,
        # A server that comes back is used again within a second; gRPC makes each pause up to a fifth longer.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 500,
        # How long one attempt to connect may take. TCP doubles its pauses while there is no answer, so a new attempt
        # finds a machine that comes back sooner; with less, a slow server could never be reached.
        "grpc.min_reconnect_backoff_ms": 5_000,
        # How long a peer that vanished is waited for (gRPC's defaults are 20 s and 60 s): for the acknowledgement of
        # bytes (TCP_USER_TIMEOUT), and for the answer to a ping, which may queue behind a result on a slow line. Most
        # calls have 30 s, and so time left for another connection.
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.http2.ping_timeout_ms": 15_000,
        # Otherwise channels with equal arguments share one connection, in one client and across clients.
        "grpc.use_local_subchannel_pool": 1,
        # How long gRPC keeps to the addresses of a name after it has asked for them. Its default of 30 s is the whole
        # timeout of most calls.
        "grpc.dns_min_time_between_resolutions_ms": 5_000,
    }
    return list(_with_channel_options(ours, target, dict(options.channel_options)).items())


def _with_channel_options(ours: dict[str, Any], target: Target, theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with the user's options in the place of ours; a proxy never before this machine."""
    if any(name.startswith("grpc.") for name in theirs):
        ours["grpc.minimal_stack"] = 0
    if target.proxy is not None:
        ours |= target.proxy.arguments()
    if target.security != Security.TLS or _is_loopback(target.address):
        theirs = {name: value for name, value in theirs.items() if name not in _PROXY_OPTIONS}
    elif "grpc.http_proxy" in theirs:
        ours["grpc.enable_http_proxy"] = 1
    return {**ours, **theirs}


def _emulator_address(value: str) -> str:
    if not check_endpoint(_EMULATOR, value):
        raise InvalidValue(f"{_EMULATOR} must be host:port, got {value!r}")
    return value


def _warn_of_emulator(address: str, options: ClientOptions, credentials: Credentials | None) -> None:
    """Log what a forgotten variable would do without a word: calls to another machine, options without effect."""
    explicit = {"credentials": credentials is not None and _needs_token(credentials)}
    for name in ("root_certificates", "client_certificate", "universe_domain", "quota_project_id"):
        explicit[name] = getattr(options, name) is not None
    dropped = [name for name, is_set in explicit.items() if is_set]
    if dropped:
        log.warning(
            "%s is set: calls go to %s in plaintext, and %s have no effect", _EMULATOR, address, ", ".join(dropped)
        )
    elif not _is_loopback(address):
        log.warning("%s is set: calls go to %s, another machine, in plaintext and without a token", _EMULATOR, address)


def _with_port(endpoint: str) -> str:
    return endpoint if check_endpoint("endpoint", endpoint) else f"{endpoint}:{_DEFAULT_PORT}"


def _is_loopback(address: str) -> bool:
    return address.startswith("unix:") or is_loopback(address.rpartition(":")[0])
