"""How the server says no: a canonical status, a message, and google.rpc details. Pure: no gRPC."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

__all__ = ["Refusal", "error_info", "resource_not_found", "retry_info", "trailers"]

STATUS_TRAILER = "grpc-status-details-bin"


class Refusal(Exception):
    """The server refuses a call.

    Attributes:
        status: the canonical name of the status, such as "NOT_FOUND".
        message: the text for people.
        details: google.rpc messages, such as ResourceInfo.
    """

    def __init__(self, status: str, message: str, *details: Message) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.details = details


def resource_not_found(resource_type: str, name: str) -> Refusal:
    """Return the refusal of a call about a resource that does not exist, with its ResourceInfo.

    Args:
        resource_type: "google.spanner.v1.Session" or "google.spanner.admin.database.v1.Database".
        name: the full name of the resource.
    """
    kind = resource_type.rpartition(".")[2]
    info = error_details_pb2.ResourceInfo(
        resource_type=f"type.googleapis.com/{resource_type}",
        resource_name=name,
        description=f"{kind} does not exist.",
    )
    return Refusal("NOT_FOUND", f"{kind} not found: {name}", info)


def error_info(reason: str, method: str) -> Message:
    """Return the ErrorInfo that Google's front ends attach when they turn a token down.

    Args:
        reason: a name of google.api.ErrorReason, such as "ACCESS_TOKEN_EXPIRED".
        method: the bare name of the RPC.
    """
    metadata = {"service": "spanner.googleapis.com", "method": f"google.spanner.v1.Spanner.{method}"}
    info: Message = error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)
    return info


def retry_info(seconds: float) -> Message:
    """Return the RetryInfo that asks a client to wait `seconds` before it tries again."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(round(seconds * 1e9))
    message: Message = info
    return message


def trailers(refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata of a refused call.

    Spanner sends details twice: in a google.rpc.Status, and each google.rpc detail in a trailer of its own
    (`google.rpc.resourceinfo-bin`). Clients in the field read the one or the other.
    """
    if not refusal.details:
        return ()
    status = status_pb2.Status(code=code_pb2.Code.Value(refusal.status), message=refusal.message)
    for detail in refusal.details:
        status.details.append(_pack(detail))
    single = {
        f"{detail.DESCRIPTOR.full_name.lower()}-bin": detail.SerializeToString()
        for detail in refusal.details
        if detail.DESCRIPTOR.full_name.startswith("google.rpc.")
    }
    return ((STATUS_TRAILER, status.SerializeToString()), *single.items())


def _pack(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
