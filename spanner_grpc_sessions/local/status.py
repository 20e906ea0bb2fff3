"""The status that a rejected call is answered with, and its google.rpc details. Pure: no gRPC."""

from __future__ import annotations

from typing import cast

from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2


class RpcStatus(Exception):
    """A canonical status such as "NOT_FOUND", its message, and google.rpc messages as details."""

    def __init__(self, status: str, message: str, *details: Message) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.details = details


def resource_not_found(resource_type: str, name: str) -> RpcStatus:
    """Return NOT_FOUND with the ResourceInfo of a resource type such as "google.spanner.v1.Session"."""
    kind = resource_type.rpartition(".")[2]
    info = error_details_pb2.ResourceInfo(
        resource_type=f"type.googleapis.com/{resource_type}",
        resource_name=name,
        description=f"{kind} does not exist.",
    )
    return RpcStatus("NOT_FOUND", f"{kind} not found: {name}", info)


def error_info(reason: str, method: str) -> Message:
    """Return the ErrorInfo that Google's front ends attach when they reject a token."""
    metadata = {"service": "spanner.googleapis.com", "method": f"google.spanner.v1.Spanner.{method}"}
    return cast("Message", error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata))


def retry_info(seconds: float) -> Message:
    """Return the RetryInfo that asks a client to wait before it tries again."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(round(seconds * 1e9))
    return cast("Message", info)


def trailers(status: RpcStatus) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata of a rejected call.

    Like Spanner, it has each google.rpc detail twice, because some clients read the google.rpc.Status and others read
    the trailer of one detail, such as `google.rpc.resourceinfo-bin`.
    """
    if not status.details:
        return ()
    packed = status_pb2.Status(code=code_pb2.Code.Value(status.status), message=status.message)
    for detail in status.details:
        packed.details.add().Pack(detail)
    single = {
        f"{detail.DESCRIPTOR.full_name.lower()}-bin": detail.SerializeToString()
        for detail in status.details
        if detail.DESCRIPTOR.full_name.startswith("google.rpc.")
    }
    return (("grpc-status-details-bin", packed.SerializeToString()), *single.items())
