"""Options of the client, validated when they are made. Pure: no I/O, no gRPC."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, get_args

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.statuses import HTTP_CODES
from spanner_grpc_sessions.observers import Observer

__all__ = ["DEFAULT", "CallMetadata", "ClientOptions", "RetryOptions", "Timeout"]

SCOPE_DATA: Final = "https://www.googleapis.com/auth/spanner.data"
"""The narrow scope: data only. All session RPCs accept it, as the REST reference of `sessions.create` says."""


class Default(Enum):
    """The type of `DEFAULT`, the value of a parameter that the caller left out, where None has a meaning."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
Timeout = float | Literal[Default.DEFAULT] | None
"""Seconds; None is no limit; DEFAULT is the timeout that Google publishes for the RPC."""

CallMetadata = Iterable[tuple[str, str | bytes]]
"""Additional request headers: pairs of key and value, bytes for keys that end in -bin."""

InstanceType = Literal["cloud", "omni"]
"""Who runs Spanner: Google, or, with Spanner Omni, the user."""

MAX_TIMEOUT: Final = 1e9
"""Seconds: the longest timeout of a call, and the longest wait that a server may ask for."""
_HOST: Final = "[A-Za-z0-9_][-.A-Za-z0-9_]*"
_ENDPOINT: Final = rf"(?:\[[0-9A-Fa-f:.]+\]|{_HOST})(?::(?P<port>[0-9]{{1,5}}))?"
_MAX_PORT: Final = 65535
# What gRPC takes for a scheme in front of a colon: it then looks for a host named like the port, or for a file.
_SCHEMES: Final = frozenset(
    "dns fake google-c2p google-c2p-experimental ipv4 ipv6 unix unix-abstract vsock xds".split()  # noqa: SIM905
)
_MAX_CHANNELS: Final = 100
_MIN_INT: Final = -(2**31)
_MAX_INT: Final = 2**31 - 1
_MAX_FLOAT: Final = sys.float_info.max


def check_timeout(timeout: float | None) -> float | None:
    """Return a timeout that gRPC can keep: None, or a number of seconds from 0 to a billion."""
    if timeout is None:
        return None
    # gRPC counts nanoseconds in 64 bits: to it, a deadline after the year 2262 has passed already.
    return checks.number("timeout in seconds (None for no limit)", timeout, 0, MAX_TIMEOUT)


def check_endpoint(what: str, endpoint: str) -> bool:
    """Return whether an endpoint has a port, or is a Unix socket and needs none.

    It is a host name, an IPv4 address or an IPv6 address in brackets, with or without ":port", or "unix:path". gRPC
    accepts other forms, and then finds no server or uses another port.
    """
    if re.fullmatch(r"unix:(?!\d{1,5}$).+", endpoint):
        return True
    if endpoint.partition(":")[0].lower() in _SCHEMES and "/" not in endpoint:
        raise InvalidValue(
            f"{what} must not be named like a scheme of gRPC, got {endpoint!r}: use the full domain name of the host"
        )
    match = re.fullmatch(_ENDPOINT, endpoint)
    if not match or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        raise InvalidValue(f"{what} must be host:port without a scheme, the port up to 65535, got {endpoint!r}")
    return match["port"] is not None


def check_universe(what: str, universe: str) -> None:
    """Require the domain of a Google Cloud universe, like "googleapis.com"."""
    if not re.fullmatch(_HOST, universe):
        raise InvalidValue(f"{what} must be a domain name like googleapis.com, got {universe!r}")


@dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """Which failures are retried, and when. The timeout of the call includes all attempts.

    The defaults are the ones that Google publishes for Spanner in spanner_grpc_service_config.json.

    Attributes:
        initial_delay: the longest wait before the second attempt, in seconds. Each wait is drawn between 0 and the
            longest one (full jitter), so that many clients do not retry at the same moment.
        multiplier: the growth of the longest wait with each attempt.
        max_delay: the limit of the longest wait, in seconds.
        statuses: the canonical names of the statuses that are retried.

    Raises:
        InvalidValue: a number is out of range or not finite, or a status is not a canonical name.
        InvalidType: a value has the wrong type.
    """

    initial_delay: float = 0.25
    multiplier: float = 1.3
    max_delay: float = 32.0
    statuses: frozenset[str] = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})

    def __post_init__(self) -> None:
        for name, low in (("initial_delay", 0.0), ("multiplier", 1.0), ("max_delay", 0.0)):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), low, _MAX_FLOAT))
        statuses = checks.texts("statuses", self.statuses)
        for status in statuses:
            if status not in HTTP_CODES:
                raise InvalidValue(f"statuses must be canonical names like 'UNAVAILABLE', got {status!r}")
        object.__setattr__(self, "statuses", frozenset(statuses))

    @classmethod
    def none(cls) -> RetryOptions:
        """Return options that retry nothing."""
        return cls(statuses=frozenset())


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """Where a client connects and how it presents itself.

    Attributes:
        endpoint: "host:port", with port 443 by default. None is `SPANNER_EMULATOR_HOST` if that is set, otherwise
            Spanner's global endpoint in the universe.
        plaintext: connect without TLS, for emulators. Credentials then travel to this machine only (loopback).
        instance_type: "cloud" is Google's service. "omni" is Spanner Omni, which you run yourself at the `endpoint`:
            without credentials, calls carry no token and none is looked for. TLS, mutual TLS and plaintext are as the
            other options say, and the client certificates of the environment are for Google alone.
        root_certificates: PEM bytes of the authorities to trust instead of gRPC's own. The client parses them, and
            `client_certificate`, when it is created.
        client_certificate: PEM bytes of (certificate chain, private key) for mutual TLS, the key unencrypted. None is
            the certificate that google-auth finds if `GOOGLE_API_USE_CLIENT_CERTIFICATE` is "true", or is unset and
            the machine has one. It is read when the client is created: create a new client when it is renewed. With a
            certificate, Spanner's own endpoint is spanner.mtls.googleapis.com, unless `GOOGLE_API_USE_MTLS_ENDPOINT`
            ("auto", "always", "never") says otherwise.
        universe_domain: the Google Cloud universe; the endpoint is spanner.{universe_domain}. None is
            `GOOGLE_CLOUD_UNIVERSE_DOMAIN`, or googleapis.com if that is unset.
        quota_project_id: the project whose quota is used and which is billed, sent as x-goog-user-project.
        scopes: OAuth scopes of the tokens; by default the narrow data scope.
        retry: which failures are retried; see `RetryOptions`.
        stub_retry: which failures of stub calls are retried: none by default, since a stub may call what must not be
            repeated. `channel(retry=…)` says it for one channel.
        leader_aware_routing: route to the leader region the calls that it serves best.
        user_agent: text in front of gRPC's own user agent.
        observer: observes the calls of the client and of stubs on its channels, and if it is a `PoolObserver` also the
            client's pools and multiplexed sessions; for example `telemetry.OpenTelemetry()`.
        channels: the number of connections, 1 to 100. Each carries about 100 calls at a time.
        channel_options: further options of gRPC's channels, pairs like ("grpc.keepalive_time_ms", 30_000), with a str,
            bytes or int. They take the place of this library's own, and gRPC then applies limits of message size and of
            idle time, which are off otherwise and cost each call 10 µs. Calls to this machine go through no proxy all
            the same. ("grpc.max_receive_message_length", 64 * 1024 * 1024) limits an answer to 64 MiB, decompressed.
            With ("SingleThreadedUnaryStream", 1), streams of stubs in sync code need no thread of gRPC and take a
            quarter less time, but `code()`, `result()` and the like of a stream raise before its end, instead of
            waiting for it.
        end_to_end_tracing: ask Spanner to add its own spans to the caller's trace.

    Raises:
        InvalidValue: a value is invalid.
        InvalidType: a value has the wrong type.
    """

    endpoint: str | None = None
    plaintext: bool = False
    instance_type: InstanceType = "cloud"
    root_certificates: bytes | None = None
    client_certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    universe_domain: str | None = None
    quota_project_id: str | None = None
    scopes: tuple[str, ...] = (SCOPE_DATA,)
    retry: RetryOptions = field(default_factory=RetryOptions)
    stub_retry: RetryOptions = field(default_factory=RetryOptions.none)
    leader_aware_routing: bool = True
    user_agent: str | None = None
    channels: int = 1
    channel_options: tuple[tuple[str, str | bytes | int], ...] = ()
    end_to_end_tracing: bool = False
    observer: Observer | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", checks.texts("scopes", self.scopes))
        for name in ("endpoint", "universe_domain", "quota_project_id", "user_agent"):
            if getattr(self, name) is not None:
                checks.header_text(name, getattr(self, name))
        for name in ("plaintext", "leader_aware_routing", "end_to_end_tracing"):
            checks.boolean(name, getattr(self, name))
        checks.whole("channels", self.channels, 1, _MAX_CHANNELS)
        object.__setattr__(self, "channel_options", _channel_options(self.channel_options))
        checks.instance("retry", self.retry, RetryOptions)
        checks.instance("stub_retry", self.stub_retry, RetryOptions)
        checks.optional("root_certificates", self.root_certificates, bytes)
        _require_certificate(self.client_certificate)
        _require_observer(self.observer)
        if self.endpoint is not None:
            check_endpoint("endpoint", self.endpoint)
        if self.universe_domain is not None:
            check_universe("universe_domain", self.universe_domain)
        if self.instance_type not in get_args(InstanceType):
            raise InvalidValue(f"instance_type must be 'cloud' or 'omni', got {short(self.instance_type)}")
        if self.is_omni and (self.endpoint is None or self.universe_domain is not None):
            raise InvalidValue("instance_type='omni' needs an endpoint, and has no universe_domain")
        if self.plaintext and (self.root_certificates or self.client_certificate):
            raise InvalidValue("plaintext and certificates exclude each other: certificates need TLS")

    @property
    def is_omni(self) -> bool:
        """Whether the server is Spanner Omni, which knows no tokens of Google."""
        return self.instance_type == "omni"


def _require_observer(observer: object) -> None:
    if isinstance(observer, type):
        raise InvalidType(f"observer must be an object, got the class {observer.__name__}: pass {observer.__name__}()")
    if not isinstance(observer, Observer | None):
        raise InvalidType(f"observer must have the methods begin and end, got {type(observer).__name__}")


def _require_certificate(pair: object) -> None:
    if pair is None:
        return
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair)):
        # The value may be a private key: the message has its type alone.
        raise InvalidType(f"client_certificate must be (chain, key), both PEM bytes, got {type(pair).__name__}")


def _channel_options(pairs: object) -> tuple[tuple[str, str | bytes | int], ...]:
    if isinstance(pairs, str | bytes | dict) or not isinstance(pairs, Iterable):
        raise InvalidType(f"channel_options must be pairs of name and value, got {type(pairs).__name__}")
    return tuple(map(_channel_option, pairs))


def _channel_option(pair: object) -> tuple[str, str | bytes | int]:
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise InvalidType(f"each of channel_options must be a pair of name and value, got {type(pair).__name__}")
    name, value = pair
    # The other one is an option of Python's gRPC: `grpc.experimental.ChannelOptions.SingleThreadedUnaryStream`.
    if not (isinstance(name, str) and re.fullmatch(r"grpc\.[a-z0-9_.]+|SingleThreadedUnaryStream", name)):
        raise InvalidValue(f"channel_options must be named like 'grpc.keepalive_time_ms', got {short(name)}")
    if not isinstance(value, str | bytes | int) or isinstance(value, bool):
        # gRPC leaves out a value of another type without a word.
        raise InvalidType(f"channel_options: {name} must be a str, bytes or int, got {type(value).__name__}")
    if isinstance(value, int) and not _MIN_INT <= value <= _MAX_INT:
        raise InvalidValue(f"channel_options: {name} must be an int of 32 bits, got {short(value)}")
    return name, value
