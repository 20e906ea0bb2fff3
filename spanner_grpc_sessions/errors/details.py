"""The google.rpc details of a failed call, read from its trailing metadata. Pure.

Servers send them in one of two ways: as a google.rpc.Status in `grpc-status-details-bin`, or in one trailer
`google.rpc.<type>-bin` for each detail. The first wins; a damaged trailer is ignored.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_STATUS_TRAILER: Final = "grpc-status-details-bin"
_TYPE_PREFIX: Final = "type.googleapis.com/"
_DETAIL_TYPES: Final[Mapping[str, type[Any]]] = {
    name: getattr(error_details_pb2, name)
    for name in (
        "BadRequest", "DebugInfo", "ErrorInfo", "Help", "LocalizedMessage",
        "PreconditionFailure", "QuotaFailure", "RequestInfo", "ResourceInfo", "RetryInfo",
    )
}  # fmt: skip
_DETAIL_TRAILERS: Final = {f"google.rpc.{name.lower()}-bin": name for name in _DETAIL_TYPES}


class Details(NamedTuple):
    """What the trailers contain.

    Attributes:
        entries: a REST object for each detail, with its `@type`.
        retry_delay: seconds that the server asks to wait before another attempt, or None.
        resource_type: the type of the resource that the error is about, or "".
    """

    entries: tuple[dict[str, Any], ...] = ()
    retry_delay: float | None = None
    resource_type: str = ""


def read_details(trailers: Iterable[tuple[str, str | bytes]]) -> Details:
    """Return the details in the trailing metadata of a failed call.

    Args:
        trailers: pairs of key and value, as gRPC gives them.
    """
    values = {key: value for key, value in trailers if isinstance(value, bytes)}
    details = _from_status(values.get(_STATUS_TRAILER, b""))
    if not details:
        details = [
            AnyMessage(type_url=f"{_TYPE_PREFIX}google.rpc.{name}", value=values[key])
            for key, name in _DETAIL_TRAILERS.items()
            if key in values
        ]
    unpacked = [_unpack(detail) for detail in details]
    return Details(
        entries=tuple(map(_entry, details, unpacked)),
        retry_delay=next((_seconds(message) for message in unpacked if _is(message, "RetryInfo")), None),
        resource_type=next((message.resource_type for message in unpacked if _is(message, "ResourceInfo")), ""),
    )


def _from_status(data: bytes) -> list[AnyMessage]:
    try:
        return list(status_pb2.Status.FromString(data).details)
    except DecodeError:
        return []


def _unpack(detail: AnyMessage) -> Any:
    message_class = _DETAIL_TYPES.get(detail.type_url.rpartition(".")[2])
    if message_class is None or not detail.Is(message_class.DESCRIPTOR):
        return None
    try:
        return message_class.FromString(detail.value)
    except DecodeError:
        return None


def _entry(detail: AnyMessage, message: Any) -> dict[str, Any]:
    if message is not None:
        try:
            return {"@type": detail.type_url, **json_format.MessageToDict(message)}
        except (ValueError, TypeError, json_format.Error):
            pass
    # Of an unknown type, or damaged: its bytes are kept as they came, so that nothing is lost.
    return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}


def _is(message: Any, name: str) -> bool:
    return isinstance(message, _DETAIL_TYPES[name])


def _seconds(message: Any) -> float:
    delay = message.retry_delay
    return float(max(delay.seconds + delay.nanos / 1e9, 0.0))
