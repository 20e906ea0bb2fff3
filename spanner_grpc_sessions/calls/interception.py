"""Interceptors of a stub channel in asyncio: gRPC runs them, and behind them one of ours, which makes the call.

grpc.aio knows interceptors only of a channel that it makes itself. A channel of its own for each set of them would be a
connection of its own too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc.aio

# Of its four classes, gRPC makes only the first one public.
from grpc.aio import _interceptor

from spanner_grpc_sessions.calls.headers import check_metadata
from spanner_grpc_sessions.calls.stub_rpc import RESERVED

_CALLS: Final = {
    "unary_unary": _interceptor.InterceptedUnaryUnaryCall,
    "unary_stream": _interceptor.InterceptedUnaryStreamCall,
    "stream_unary": _interceptor.InterceptedStreamUnaryCall,
    "stream_stream": _interceptor.InterceptedStreamStreamCall,
}


class _Last(
    grpc.aio.UnaryUnaryClientInterceptor,
    grpc.aio.UnaryStreamClientInterceptor,
    grpc.aio.StreamUnaryClientInterceptor,
    grpc.aio.StreamStreamClientInterceptor,
):
    """Makes the call, where other interceptors would go on to gRPC's."""

    def __init__(self, begin: Callable[..., Any]) -> None:
        self._begin = begin

    async def intercept_unary_unary(self, _: object, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        method = details.method
        path = method.decode() if isinstance(method, bytes) else method
        return self._begin(
            path, request, (details.timeout, details.metadata, details.credentials, details.wait_for_ready)
        )

    intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = intercept_unary_unary  # type: ignore[assignment]  # one for all


def intercepted(
    kind: str, interceptors: Sequence[Any], begin: Callable[..., Any], path: str, request: Any, details: Sequence[Any]
) -> Any:
    """Return a call that runs through interceptors.

    Args:
        kind: of the RPC, like "unary_stream".
        interceptors: of grpc.aio, the first one outermost.
        begin: makes the call, from path, request and details.
        path: of the RPC, on the wire.
        request: a message, or an iterator of messages.
        details: timeout, metadata, credentials and `wait_for_ready` of the caller.
    """
    timeout, metadata, *others = details
    pairs = grpc.aio.Metadata(*check_metadata(metadata or (), RESERVED))
    loop = asyncio.get_running_loop()
    # No gRPC channel and no serializers: the last interceptor never goes on to gRPC's call.
    return _CALLS[kind](
        (*interceptors, _Last(begin)), request, timeout, pairs, *others, None, path.encode(), None, None, loop
    )
