"""Failed calls as gRPC raises them: real `AioRpcError` objects, which need no server to be made."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import status_pb2

__all__ = ["any_of", "failure", "status_trailer"]


def failure(
    code: grpc.StatusCode, message: str = "text", trailers: Iterable[tuple[str, str | bytes]] = ()
) -> grpc.aio.AioRpcError:
    """Return the error of a call that ended with this status, text and trailers."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details=message)


def status_trailer(*details: Message) -> tuple[str, bytes]:
    """Return the trailer that holds the whole google.rpc.Status."""
    status = status_pb2.Status(code=5, message="text", details=map(any_of, details))
    return "grpc-status-details-bin", status.SerializeToString()


def any_of(detail: Message) -> AnyMessage:
    """Return `detail` packed, or as it is if it already is an Any."""
    if isinstance(detail, AnyMessage):
        return detail
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
