"""Options of the client, validated when they are made. Pure: no I/O, no gRPC."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.statuses import HTTP_CODES
from spanner_grpc_sessions.observers import Observer

__all__ = [
    "DEFAULT",
    "MAX_TIMEOUT",
    "SCOPE_DATA",
    "ClientOptions",
    "Default",
    "RetryOptions",
    "Timeout",
    "check_endpoint",
    "check_timeout",
    "check_universe",
]

SCOPE_DATA: Final = "https://www.googleapis.com/auth/spanner.data"
"""The narrow scope: data only. Every session RPC accepts it, as the REST reference of `sessions.create` says."""


class Default(Enum):
    """The type of `DEFAULT`: the value that a parameter has when the caller said nothing, where None has a meaning."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
Timeout = float | Literal[Default.DEFAULT] | None
"""Seconds; None is no limit; DEFAULT is the timeout that Google publishes for the RPC."""

MAX_TIMEOUT: Final = 1e9
"""Seconds: the longest that a call may last, or that a server may make it wait."""
_HOST: Final = "[A-Za-z0-9_][-.A-Za-z0-9_]*"
_ENDPOINT: Final = rf"(?:\[[0-9A-Fa-f:.]+\]|{_HOST})(?::(?P<port>[0-9]{{1,5}}))?"
_MAX_PORT: Final = 65535
_MAX_CHANNELS: Final = 100
_MAX_FLOAT: Final = sys.float_info.max


def check_timeout(timeout: float | None) -> float | None:
    """Return `timeout` if gRPC can keep it: None, or a number of seconds from 0 to a billion.

    Raises:
        InvalidValue: it is negative, too large or not a number (no limit is None).
        InvalidType: it is not a number.
    """
    if timeout is None:
        return None
    # gRPC counts nanoseconds in 64 bits: to it, a deadline after the year 2262 has passed already.
    return checks.number("timeout in seconds (None for no limit)", timeout, 0, MAX_TIMEOUT)


def check_endpoint(what: str, endpoint: str) -> bool:
    """Return whether an endpoint names its port (or is a Unix socket and needs none).

    Args:
        what: the name of the setting, for the error.
        endpoint: a host name, IPv4 address or IPv6 address in brackets, with or without ":port"; or "unix:path".

    Raises:
        InvalidValue: it has another form. gRPC would take it, and look for a server in vain or at another port.
    """
    if endpoint.startswith("unix:") and len(endpoint) > len("unix:"):
        return True
    match = re.fullmatch(_ENDPOINT, endpoint)
    if not match or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        raise InvalidValue(f"{what} must be host:port without a scheme, the port up to 65535, got {endpoint!r}")
    return match["port"] is not None


def check_universe(what: str, universe: str) -> None:
    """Require the domain of a Google Cloud universe, like "googleapis.com".

    Args:
        what: the name of the setting, for the error.
        universe: a domain name.

    Raises:
        InvalidValue: it has another form.
    """
    if not re.fullmatch(_HOST, universe):
        raise InvalidValue(f"{what} must be a domain name like googleapis.com, got {universe!r}")


@dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """When and how often a failed attempt is repeated; the RPC's timeout bounds the total.

    The defaults are the ones that Google publishes for Spanner in spanner_grpc_service_config.json.

    Attributes:
        initial_delay: longest wait before the second attempt, in seconds. Each wait is drawn between 0 and the
            current longest one (full jitter), so that many clients do not come back together.
        multiplier: how much the longest wait grows with each attempt.
        max_delay: its upper limit, in seconds.
        statuses: canonical names of the statuses that are repeated.

    Raises:
        InvalidValue: a number is out of its range or not finite, or a status is no canonical name.
        InvalidType: a value of the wrong type.
    """

    initial_delay: float = 0.25
    multiplier: float = 1.3
    max_delay: float = 32.0
    statuses: frozenset[str] = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})

    def __post_init__(self) -> None:
        for name, low in (("initial_delay", 0.0), ("multiplier", 1.0), ("max_delay", 0.0)):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), low, _MAX_FLOAT))
        statuses = _texts("statuses", self.statuses)
        for status in statuses:
            if status not in HTTP_CODES:
                raise InvalidValue(f"statuses must be canonical names like 'UNAVAILABLE', got {status!r}")
        object.__setattr__(self, "statuses", frozenset(statuses))

    @classmethod
    def none(cls) -> RetryOptions:
        """Return options under which nothing is repeated."""
        return cls(statuses=frozenset())


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """Where a client connects and how it presents itself.

    Attributes:
        endpoint: "host:port", port 443 when absent; None is Spanner's global endpoint in the universe, or
            `SPANNER_EMULATOR_HOST` when that is set and no endpoint is given.
        plaintext: connect without TLS. For emulators; credentials then travel only to this machine (loopback).
        root_certificates: PEM bytes of the authorities to trust instead of gRPC's own. The client that is made with
            these options looks whether they can be parsed, and the same for `client_certificate`.
        client_certificate: PEM bytes of (certificate chain, private key) for mutual TLS; the key is not encrypted. None
            is the one that google-auth finds when `GOOGLE_API_USE_CLIENT_CERTIFICATE` is "true", or unset and this
            machine set up for it. It is read once, when the client is made: make a new one when it is renewed.
            With a certificate Spanner's own endpoint is spanner.mtls.googleapis.com, as far as
            `GOOGLE_API_USE_MTLS_ENDPOINT` ("auto", "always", "never") lets it.
        universe_domain: the Google Cloud universe; the endpoint is spanner.{universe_domain}. None is
            `GOOGLE_CLOUD_UNIVERSE_DOMAIN`, or googleapis.com when that is unset.
        quota_project_id: the project that pays and is limited, sent as x-goog-user-project.
        scopes: OAuth scopes to ask for; the narrow data scope by default.
        retry: what is repeated after a failure; see `RetryOptions`.
        leader_aware_routing: ask to be served by the leader region where that saves a hop.
        user_agent: text put before gRPC's own user agent.
        observer: is told of every call of the client's own, not of stubs; such as `telemetry.OpenTelemetry()`.
        channels: how many connections to make, 1 to 100. Each carries about 100 calls at a time.
        end_to_end_tracing: ask Spanner to add its own spans to the caller's trace.

    Raises:
        InvalidValue: a value that breaks its rule.
        InvalidType: a value of the wrong type.
    """

    endpoint: str | None = None
    plaintext: bool = False
    root_certificates: bytes | None = None
    client_certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    universe_domain: str | None = None
    quota_project_id: str | None = None
    scopes: tuple[str, ...] = (SCOPE_DATA,)
    retry: RetryOptions = field(default_factory=RetryOptions)
    leader_aware_routing: bool = True
    user_agent: str | None = None
    channels: int = 1
    end_to_end_tracing: bool = False
    observer: Observer | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", _texts("scopes", self.scopes))
        for name in ("endpoint", "universe_domain", "quota_project_id", "user_agent"):
            if getattr(self, name) is not None:
                checks.header_text(name, getattr(self, name))
        for name in ("plaintext", "leader_aware_routing", "end_to_end_tracing"):
            checks.boolean(name, getattr(self, name))
        checks.whole("channels", self.channels, 1, _MAX_CHANNELS)
        checks.instance("retry", self.retry, RetryOptions)
        checks.optional("root_certificates", self.root_certificates, bytes)
        _require_certificate(self.client_certificate)
        if not isinstance(self.observer, Observer | None):
            raise InvalidType(f"observer must have the methods begin and end, got {type(self.observer).__name__}")
        if self.endpoint is not None:
            check_endpoint("endpoint", self.endpoint)
        if self.universe_domain is not None:
            check_universe("universe_domain", self.universe_domain)
        if self.plaintext and (self.root_certificates or self.client_certificate):
            raise InvalidValue("plaintext and certificates exclude each other: certificates need TLS")


def _texts(name: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidType(f"{name} must be an iterable of str, got {short(values)}")
    return tuple(checks.text(f"each of {name}", value) for value in values)


def _require_certificate(pair: object) -> None:
    if pair is None:
        return
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair)):
        # The value may be a private key: the message has its type alone.
        raise InvalidType(f"client_certificate must be (chain, key), both PEM bytes, got {type(pair).__name__}")
