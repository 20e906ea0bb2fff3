"""The request headers of each call: kept per resource, so that a call builds no string but its request id.

The names and values are those that Google's own clients send; `metadata` that a caller adds is checked here.
"""

from __future__ import annotations

import itertools
import os
import platform
import re
import secrets
from collections.abc import Container, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus

import google.protobuf
import grpc
import grpc.aio

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.runtime.fork import begin_anew_after_fork
from spanner_grpc_sessions.service.rpcs import Method

__all__ = ["REQUEST_ID", "AsyncMetadata", "Headers", "Metadata", "RequestIds", "check_metadata"]

Metadata = tuple[tuple[str, str | bytes], ...]

_TO_LEADER: Final = ("x-goog-spanner-route-to-leader", "true")
REQUEST_ID: Final = "x-goog-spanner-request-id"
_OURS: Final = frozenset(
    {
        "authorization",
        "google-cloud-resource-prefix",
        "x-goog-api-client",
        "x-goog-request-params",
        _TO_LEADER[0],
        "x-goog-spanner-end-to-end-tracing",
        REQUEST_ID,
    }
)
_KEY: Final = re.compile(r"[0-9a-z_.\-]+")
_LARGEST_METADATA: Final = 8192
"""What servers take by default. Beyond it a call would fail, and be repeated until its deadline."""
_MOST_ROUTES: Final = 1024
"""Resources whose headers are kept per RPC. Session names come and go: past it the memory starts anew."""


class Headers:
    """The headers that do not change from call to call, kept per RPC and resource.

    Attributes:
        common: those of every call.
    """

    def __init__(self, *, leader_aware_routing: bool, end_to_end_tracing: bool = False) -> None:
        self._leader_aware_routing = leader_aware_routing
        self.common: Metadata = (("x-goog-api-client", _api_client()),)
        if end_to_end_tracing:
            self.common += (("x-goog-spanner-end-to-end-tracing", "true"),)
        self._kept: dict[Method, dict[str, Metadata]] = {}

    def of(self, method: Method, name: str) -> Metadata:
        """Return the headers for a call of `method` on the resource `name`.

        Raises:
            InvalidName: `name` is not a name of the kind that the RPC takes.
            InvalidType: it is not a string.
        """
        try:
            return self._kept[method][name]
        except (KeyError, TypeError):
            return self._make(method, name)

    def to_leader(self, headers: Metadata) -> Metadata:
        """Return the headers with the one that asks for the leader region, unless that is switched off."""
        return (*headers, _TO_LEADER) if self._leader_aware_routing else headers

    def _make(self, method: Method, name: str) -> Metadata:
        # A plain str, whatever subclass was given: it becomes a key.
        name = str.__str__(method.check(name))
        database = "/".join(name.split("/")[:6])
        headers: Metadata = (
            ("google-cloud-resource-prefix", database),
            ("x-goog-request-params", f"{method.routing_field}={quote_plus(name, safe='/')}"),
            *self.common,
        )
        if method.route_to_leader:
            headers = self.to_leader(headers)
        kept = self._kept.setdefault(method, {})
        if len(kept) >= _MOST_ROUTES:
            kept.clear()
        kept[name] = headers
        return headers


class RequestIds:
    """Numbers for x-goog-spanner-request-id: `1.<process>.<client>.<channel>.<request>.<attempt>`.

    The process is 16 hexadecimal digits drawn at random; the others are decimal and count from 1.
    """

    def __init__(self) -> None:
        self._client = next(_clients)
        self._requests = itertools.count(1)
        self.after_fork()
        begin_anew_after_fork(self)

    def next(self) -> str:
        """Return the number of a new request, without its attempt. Safe to call from any thread."""
        return f"{self._prefix}{next(self._requests)}."

    def after_fork(self) -> None:
        """Number requests in a forked child as another process: not like the parent, nor like the siblings."""
        self._prefix = f"1.{_process()}.{self._client}.1."


class AsyncMetadata(tuple[tuple[str, "str | bytes"], ...]):
    """Headers for a call in asyncio: only iterated over there, while gRPC's own class sorts them into lists first."""

    __slots__ = ()


grpc.aio.Metadata.register(AsyncMetadata)


def check_metadata(metadata: Iterable[tuple[str, str | bytes]], reserved: Container[str] = _OURS) -> Metadata:
    """Return a caller's metadata as a tuple if gRPC can send it.

    Args:
        metadata: pairs of key and value.
        reserved: keys that the caller may not set; by default all those that this library sets.

    Raises:
        InvalidValue: a key or value that cannot be a header, or a key that this library sets itself.
        InvalidType: not pairs of str and str (bytes for keys that end in -bin).
    """
    try:
        pairs = tuple(map(_pair, metadata))
    except (TypeError, ValueError) as error:
        raise InvalidType(f"metadata must be pairs of key and value, got {type(metadata).__name__}") from error
    for key, value in pairs:
        _check_pair(key, value, reserved)
    size = sum(len(key) + len(value) for key, value in pairs)
    if size > _LARGEST_METADATA:
        raise InvalidValue(f"metadata must be at most {_LARGEST_METADATA} bytes in all, got {size}")
    return pairs


def _pair(pair: tuple[str, str | bytes]) -> tuple[str, str | bytes]:
    if isinstance(pair, str):
        # Text of two characters would pass for a pair; a dict gives such, when it is iterated over.
        raise TypeError("text is no pair of key and value")
    key, value = pair
    return key, value


def _check_pair(key: object, value: object, reserved: Container[str]) -> None:
    if not isinstance(key, str):
        raise InvalidType(f"a metadata key must be a str, got {type(key).__name__}")
    if not _KEY.fullmatch(key) or key.startswith("grpc-"):
        raise InvalidValue(f"metadata key {key!r} must be of a-z, 0-9, '_', '-' and '.', and not begin with grpc-")
    if key in reserved:
        raise InvalidValue(f"metadata key {key!r} is set by this library")
    # The value may be a secret: it is not repeated in the message.
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise InvalidType(f"the value of metadata key {key!r} must be bytes, got {type(value).__name__}")
    elif not isinstance(value, str):
        raise InvalidType(f"the value of metadata key {key!r} must be a str, got {type(value).__name__}")
    elif not (value.isascii() and value.isprintable()):
        raise InvalidValue(f"the value of metadata key {key!r} must be printable ASCII")


def _api_client() -> str:
    python = platform.python_version()
    return f"gl-python/{python} grpc/{grpc.__version__} gccl/{__version__} pb/{google.protobuf.__version__}"


@lru_cache(maxsize=1)
def _name_of_process(_: int) -> str:
    return secrets.token_hex(8)


def _process() -> str:
    return _name_of_process(os.getpid())


_clients = itertools.count(1)
