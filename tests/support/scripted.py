"""A server that answers as a test says, for what neither of the real servers can be brought to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.service.rpcs import RPCS
from tests.support.waiting import WAIT

__all__ = ["Gate", "plaintext_server", "scripted_server"]

Answer = Callable[[Any, grpc.ServicerContext], Any]
"""From request and context to the response, a message or its bytes; of an RPC that streams, to an iterator of them."""


class _Script(grpc.GenericRpcHandler):
    def __init__(self, answers: dict[str, Answer]) -> None:
        self._handlers = {RPCS[name].path: self._handler(name, answer) for name, answer in answers.items()}

    @staticmethod
    def _handler(name: str, answer: Answer) -> Any:
        rpc = RPCS[name]
        make = grpc.unary_stream_rpc_method_handler if rpc.streams else grpc.unary_unary_rpc_method_handler
        return make(answer, rpc.request_class.FromString, _serialize)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _serialize(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


@contextmanager
def scripted_server(**answers: Answer) -> Iterator[ClientOptions]:
    """Serve, in plaintext on loopback, the RPCs that are named; give the options of a client for it."""
    with plaintext_server(_Script(answers), threads=100) as options:
        yield options


@contextmanager
def plaintext_server(*handlers: grpc.GenericRpcHandler, threads: int) -> Iterator[ClientOptions]:
    """Serve what the handlers do, in plaintext on loopback; give the options of a client for it."""
    server = grpc.server(ThreadPoolExecutor(threads), handlers=list(handlers), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield ClientOptions(endpoint=f"127.0.0.1:{port}", plaintext=True)
    finally:
        server.stop(None).wait()


@dataclass
class Gate:
    """Answers creates when the test lets them go on, and deletes at once.

    Attributes:
        open: whether creates go on.
        arrived: how many creates have come.
        sessions: what was created and not deleted.
        deleted: how many were deleted.
    """

    open: threading.Event = field(default_factory=threading.Event)
    arrived: int = 0
    sessions: set[str] = field(default_factory=set)
    deleted: int = 0

    def create(self, request: Any, context: grpc.ServicerContext) -> spanner_pb2.Session:
        """Answer CreateSession with a multiplexed session, in time."""
        (name,) = self._create(request.database, 1)
        return spanner_pb2.Session(name=name, multiplexed=True)

    def batch_create(self, request: Any, context: grpc.ServicerContext) -> spanner_pb2.BatchCreateSessionsResponse:
        """Answer BatchCreateSessions, in time."""
        names = self._create(request.database, request.session_count)
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])

    def delete(self, request: Any, context: grpc.ServicerContext) -> bytes:
        """Answer DeleteSession."""
        self.sessions.remove(request.name)
        self.deleted += 1
        return b""

    def _create(self, database: str, count: int) -> list[str]:
        self.arrived += 1
        names = [f"{database}/sessions/{self.arrived}-{number}" for number in range(count)]
        self.open.wait(2 * WAIT)
        self.sessions.update(names)
        return names
