"""The request headers of a call, with the names and values that Google's own clients send.

They are kept per resource: a call builds no text but its request id.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable, Container, Iterator
from functools import lru_cache
from typing import Any, Final

import google.protobuf
import grpc
import grpc.aio

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import is_header_key, is_header_text
from spanner_grpc_sessions.options import CallMetadata
from spanner_grpc_sessions.runtime.fork import reset_after_fork
from spanner_grpc_sessions.service.rpcs import Rpc

Metadata = tuple[tuple[str, str | bytes], ...]

_TO_LEADER: Final = ("x-goog-spanner-route-to-leader", "true")
_SERVER_TIMING: Final = "x-goog-spanner-enable-afe-server-timing"
REQUEST_ID: Final = "x-goog-spanner-request-id"
RESERVED: Final = frozenset(
    {
        "authorization",
        "google-cloud-resource-prefix",
        "x-goog-api-client",
        "x-goog-request-params",
        "x-goog-user-project",
        _TO_LEADER[0],
        "x-goog-spanner-end-to-end-tracing",
        _SERVER_TIMING,
        REQUEST_ID,
    }
)
# Bytes of all headers but the token: more could exceed the 8 to 16 KiB that servers accept by default.
_MAX_METADATA: Final = 8192
# What HTTP/2 counts for an entry beside key and value (RFC 9113, section 6.5.2).
_ENTRY: Final = 32
# Resources per RPC whose headers are kept. Session names come and go: at the limit all are dropped.
_MAX_KEPT: Final = 1024


class Headers:
    """The headers that are the same for every call of an RPC on a resource, kept for the next one."""

    def __init__(
        self, *, leader_aware_routing: bool, end_to_end_tracing: bool = False, server_timing: bool = False
    ) -> None:
        self._leader_aware_routing = leader_aware_routing
        self._common: Metadata = (("x-goog-api-client", _api_client()),)
        if end_to_end_tracing:
            self._common += (("x-goog-spanner-end-to-end-tracing", "true"),)
        if server_timing:
            self._common += ((_SERVER_TIMING, "true"),)
        self._kept: dict[Rpc, dict[str, Metadata]] = {}

    def of(self, rpc: Rpc, name: str) -> Metadata:
        """Return the headers for a call of an RPC on the database or session `name`, which is checked."""
        try:
            return self._kept[rpc][name]
        except (KeyError, TypeError):
            return self._make(rpc, name)

    def to_leader(self, headers: Metadata) -> Metadata:
        """Return the headers with the one that asks for the leader region, unless the client's options rule it out."""
        return (*headers, _TO_LEADER) if self._leader_aware_routing else headers

    def _make(self, rpc: Rpc, name: str) -> Metadata:
        if rpc.on is None:
            return self._common
        name = rpc.check(name)
        headers: Metadata = (
            ("google-cloud-resource-prefix", "/".join(name.split("/", 6)[:6])),
            ("x-goog-request-params", f"{rpc.on}={_quoted(name)}"),
            *self._common,
        )
        if rpc.leader:
            headers = self.to_leader(headers)
        kept = self._kept.setdefault(rpc, {})
        if len(kept) >= _MAX_KEPT:
            kept.clear()
        kept[name] = headers
        return headers


class RequestIds:
    """Numbers for x-goog-spanner-request-id: `1.<process>.<client>.<channel>.<request>.<attempt>`.

    The process is 16 hexadecimal digits drawn at random; the others are decimal and count from 1. By the
    channel, Google's support finds a bad connection.
    """

    def __init__(self) -> None:
        self._client = next(_clients)
        self._requests = itertools.count(1)
        self.after_fork()
        reset_after_fork(self)

    def next(self, channel: int = 1) -> str:
        """Return the number of a new request on a channel, without its attempt. Safe in any thread."""
        return f"{self._prefix}{channel}.{next(self._requests)}."

    def after_fork(self) -> None:
        """Number the requests of a forked child as those of another process."""
        self._prefix = f"1.{_process_id(os.getpid())}.{self._client}."


class AsyncMetadata:
    """Headers for a call in asyncio, with all that `grpc.aio.Metadata` can.

    gRPC only iterates over them, while its own class sorts them into lists first: it is made when something else is
    asked for, as interceptors do.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Metadata) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


def _as_metadata(name: str) -> Callable[..., Any]:
    def method(self: AsyncMetadata, *args: Any) -> Any:
        metadata = grpc.aio.Metadata(*self._pairs)
        # Its comparison takes a class that is registered for one of its own.
        others = (grpc.aio.Metadata(*arg) if isinstance(arg, AsyncMetadata) else arg for arg in args)
        answer = getattr(metadata, name)(*others)
        self._pairs = tuple(metadata)
        return answer

    method.__name__ = name
    return method


for _name in (
    *("add", "delete_all", "get", "get_all", "items", "keys", "set_all", "values"),
    *("__add__", "__contains__", "__delitem__", "__eq__", "__getitem__", "__repr__", "__setitem__"),
):
    setattr(AsyncMetadata, _name, _as_metadata(_name))
grpc.aio.Metadata.register(AsyncMetadata)


def check_metadata(metadata: CallMetadata, reserved: Container[str] = RESERVED) -> Metadata:
    """Return a caller's metadata as a tuple, or raise `InvalidValue` or `InvalidType` if gRPC cannot send it.

    The caller may not set a `reserved` key; by default those are all that this library sets.
    """
    try:
        pairs = tuple(map(_pair, metadata))
    except (TypeError, ValueError) as error:
        raise InvalidType(f"metadata must be pairs of key and value, got {type(metadata).__name__}") from error
    for key, value in pairs:
        _check_pair(key, value, reserved)
    return pairs


def check_size(headers: Metadata) -> None:
    """Raise `InvalidValue` if there are more headers, a caller's metadata among them, than a server accepts."""
    size = sum(len(key) + len(value) + _ENTRY for key, value in headers)
    if size > _MAX_METADATA:
        raise InvalidValue(
            f"metadata and the headers of this library must be at most {_MAX_METADATA} bytes in all, "
            f"with {_ENTRY} more for each entry, got {size}"
        )


def with_headers(metadata: CallMetadata | None, headers: Metadata, reserved: Container[str] = RESERVED) -> Metadata:
    """Return a caller's metadata, checked, with those headers of an observer that it does not have."""
    own = check_metadata(metadata or (), reserved)
    keys = {key for key, _ in own}
    return (*own, *(pair for pair in headers if pair[0] not in keys))


def _quoted(name: str) -> str:
    if re.fullmatch(r"[\w.~/-]*", name, re.ASCII):
        return name
    from urllib.parse import quote_plus  # noqa: PLC0415 - 3 ms that most names do not need

    return quote_plus(name, safe="/")


def _pair(pair: tuple[str, str | bytes]) -> tuple[str, str | bytes]:
    if isinstance(pair, str):
        # Two characters would pass for a pair, and a dict with such keys for pairs.
        raise TypeError("a str is not a pair of key and value")
    key, value = pair
    return key, value


def _check_pair(key: object, value: object, reserved: Container[str]) -> None:
    if not isinstance(key, str):
        raise InvalidType(f"a metadata key must be a str, got {type(key).__name__}")
    if not is_header_key(key):
        raise InvalidValue(f"metadata key {key!r} must be of a-z, 0-9, '_', '-' and '.', and not begin with grpc-")
    if key in reserved:
        raise InvalidValue(f"metadata key {key!r} is set by this library")
    # The value may be secret: the message does not have it.
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise InvalidType(f"the value of metadata key {key!r} must be bytes, got {type(value).__name__}")
    elif not isinstance(value, str):
        raise InvalidType(f"the value of metadata key {key!r} must be a str, got {type(value).__name__}")
    elif not is_header_text(value):
        raise InvalidValue(f"the value of metadata key {key!r} must be printable ASCII")


def _api_client() -> str:
    python = sys.version.partition(" ")[0]
    return f"gl-python/{python} grpc/{grpc.__version__} gccl/{__version__} pb/{google.protobuf.__version__}"


@lru_cache(maxsize=1)
def _process_id(_: int) -> str:
    return os.urandom(8).hex()


_clients = itertools.count(1)
