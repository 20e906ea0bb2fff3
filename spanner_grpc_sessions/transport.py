"""Where a client connects and how: from options and environment to a channel, sync or asyncio."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import grpc
import grpc.aio
from google.auth.credentials import AnonymousCredentials, Credentials

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import CredentialsError, InvalidType, InvalidValue
from spanner_grpc_sessions.options import ClientOptions, check_endpoint

__all__ = ["Security", "Target", "open_async_channel", "open_channel", "resolve"]

_EMULATOR: Final = "SPANNER_EMULATOR_HOST"
_DEFAULT_PORT: Final = 443


class Security(Enum):
    """What protects a connection, and with it a token."""

    TLS = "TLS"
    LOCAL = "local"  # gRPC's local security type: plaintext that gRPC itself opens to this machine only
    PLAINTEXT = "plaintext"  # carries no token


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go.

    Attributes:
        address: "host:port".
        security: what protects the connection.
        authenticated: whether calls carry a token.
    """

    address: str
    security: Security
    authenticated: bool


def resolve(
    options: ClientOptions, credentials: Credentials | None, environment: Mapping[str, str] = os.environ
) -> Target:
    """Return where a client with these options connects.

    An endpoint in the options wins over `SPANNER_EMULATOR_HOST`, and that over the endpoint of the universe. On the
    emulator nothing is authenticated, whatever credentials were given.

    Raises:
        CredentialsError: credentials were given for a plaintext connection that leaves this machine.
        InvalidType: `credentials` are none of google.auth's.
        InvalidValue: the environment variable has another form than host:port, or `plaintext` has nowhere to go.
    """
    if credentials is not None and not isinstance(credentials, Credentials):
        raise InvalidType(f"credentials must be google.auth credentials or None, got {type(credentials).__name__}")
    if options.endpoint is None:
        emulator = environment.get(_EMULATOR)
        if emulator:
            return Target(_emulator_address(emulator), Security.PLAINTEXT, authenticated=False)
        if options.plaintext:
            raise InvalidValue("plaintext needs an endpoint: Spanner's own speaks TLS only")
        return Target(f"spanner.{options.universe_domain}:{_DEFAULT_PORT}", Security.TLS, _needs_token(credentials))
    address = _with_port(options.endpoint)
    if not options.plaintext:
        return Target(address, Security.TLS, _needs_token(credentials))
    if credentials is None or not _needs_token(credentials):
        return Target(address, Security.PLAINTEXT, authenticated=False)
    if not _is_loopback(address):
        raise CredentialsError(f"credentials would travel in plaintext to {address}: use TLS, or a loopback address")
    return Target(address, Security.LOCAL, authenticated=True)


def open_channel(target: Target, options: ClientOptions) -> grpc.Channel:
    """Return a new channel to `target`. It connects with its first call."""
    arguments = _channel_arguments(target, options)
    credentials = _channel_credentials(target, options)
    if credentials is None:
        return grpc.insecure_channel(target.address, arguments)
    return grpc.secure_channel(target.address, credentials, arguments)


def open_async_channel(target: Target, options: ClientOptions) -> grpc.aio.Channel:
    """Return a new asyncio channel to `target`, bound to the running loop. It connects with its first call."""
    arguments = _channel_arguments(target, options)
    credentials = _channel_credentials(target, options)
    if credentials is None:
        return grpc.aio.insecure_channel(target.address, arguments)
    return grpc.aio.secure_channel(target.address, credentials, arguments)


def _needs_token(credentials: Credentials | None) -> bool:
    return not isinstance(credentials, AnonymousCredentials)


def _channel_credentials(target: Target, options: ClientOptions) -> grpc.ChannelCredentials | None:
    if target.security is Security.PLAINTEXT:
        return None
    if target.security is Security.LOCAL:
        is_socket = target.address.startswith("unix:")
        return grpc.local_channel_credentials(
            grpc.LocalConnectionType.UDS if is_socket else grpc.LocalConnectionType.LOCAL_TCP
        )
    chain, key = options.client_certificate or (None, None)
    return grpc.ssl_channel_credentials(options.root_certificates, key, chain)


def _channel_arguments(target: Target, options: ClientOptions) -> list[tuple[str, Any]]:
    agent = f"spanner-grpc-sessions/{__version__}"
    # gRPC sends even what is meant for this machine through a proxy of the environment, and takes the proxy, if it is
    # on this machine, for the local peer that a token may be shown to.
    stays_here = target.security is not Security.TLS or _is_loopback(target.address)
    return [
        ("grpc.enable_http_proxy", int(not stays_here)),
        ("grpc.primary_user_agent", f"{options.user_agent} {agent}" if options.user_agent else agent),
        # As often as Google's clients do: pings that come more often are answered with GOAWAY too_many_pings.
        ("grpc.keepalive_time_ms", 120_000),
        # A result may be larger than gRPC's default limit of 4 MiB; the limits that hold are Spanner's own.
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Attempts are counted and bounded in our own loop.
        ("grpc.enable_retries", 0),
        # A server that comes back is found again within about a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # Without it gRPC lets channels with equal arguments share one connection, another client's included.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def _emulator_address(value: str) -> str:
    if not check_endpoint(_EMULATOR, value):
        raise InvalidValue(f"{_EMULATOR} must be host:port, got {value!r}")
    return value


def _with_port(endpoint: str) -> str:
    return endpoint if check_endpoint("endpoint", endpoint) else f"{endpoint}:{_DEFAULT_PORT}"


def _is_loopback(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
