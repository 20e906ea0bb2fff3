"""A service of somebody else, with an RPC of each kind, for channels that carry more than Spanner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from spanner_grpc_sessions.options import ClientOptions
from tests.support.scripted import plaintext_server

__all__ = ["PATHS", "echo_server"]

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
PATHS = {kind: f"/test.Echo/{kind}" for kind in KINDS}
"""The path of the RPC of each kind."""


def _checked(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request == b"fail":
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "as asked")
    return request


def _each(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield _checked(request, context)


@contextmanager
def echo_server() -> Iterator[ClientOptions]:
    """Serve bytes for bytes, joined by "+" where one answer is for many; "fail" among the requests fails the call."""
    handlers: dict[str, Any] = {
        "unary_unary": grpc.unary_unary_rpc_method_handler(_checked),
        "unary_stream": grpc.unary_stream_rpc_method_handler(lambda request, context: _each(iter([request]), context)),
        "stream_unary": grpc.stream_unary_rpc_method_handler(
            lambda requests, context: b"+".join(_each(requests, context))
        ),
        "stream_stream": grpc.stream_stream_rpc_method_handler(_each),
    }
    with plaintext_server(grpc.method_handlers_generic_handler("test.Echo", handlers), threads=4) as options:
        yield options
