"""A server that answers as a test says, for what neither of the real servers can be brought to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.service.rpcs import RPCS

__all__ = ["scripted_server"]

Answer = Callable[[Any, grpc.ServicerContext], Any]
"""From request and context to the response, a message or its bytes; of an RPC that streams, to an iterator of them."""


class _Script(grpc.GenericRpcHandler):
    def __init__(self, answers: dict[str, Answer]) -> None:
        self._handlers = {RPCS[name].path: self._handler(name, answer) for name, answer in answers.items()}

    @staticmethod
    def _handler(name: str, answer: Answer) -> Any:
        rpc = RPCS[name]
        make = grpc.unary_stream_rpc_method_handler if rpc.streams else grpc.unary_unary_rpc_method_handler
        return make(answer, rpc.request_class.FromString, _serialized)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _serialized(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


@contextmanager
def scripted_server(**answers: Answer) -> Iterator[ClientOptions]:
    """Serve, in plaintext on loopback, the RPCs that are named; give the options of a client for it."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Script(answers)], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield ClientOptions(endpoint=f"127.0.0.1:{port}", plaintext=True)
    finally:
        server.stop(None).wait()
