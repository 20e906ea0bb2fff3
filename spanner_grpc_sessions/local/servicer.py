"""The gRPC side: what each RPC does with the sessions, and what every call goes through first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import grpc
from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.data import DataRpcs
from spanner_grpc_sessions.local.faults import METHODS, Fault, Faults, Gate
from spanner_grpc_sessions.local.status import RpcStatus, trailers
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.local.tokens import Authority

# What an RPC does: takes the call, the time, and what has the call meet a fault; returns the answer.
_Function = Callable[[Call, float, Callable[[Fault], None]], Any]


@dataclass(frozen=True, slots=True)
class Servicer:
    """Answers RPCs from a session store. Without an authority it accepts every call, as the emulator does."""

    store: SessionStore
    data: DataRpcs
    clock: Callable[[], float]
    authority: Authority | None
    faults: Faults
    gate: Gate
    calls: deque[Call]

    def register(self, server: grpc.Server) -> None:
        """Serve every RPC on a gRPC server; those without a function here answer UNIMPLEMENTED."""
        functions: dict[str, _Function] = {
            "CreateSession": _of_request(self.store.create),
            "BatchCreateSessions": _of_request(self.store.batch_create),
            "GetSession": _of_request(self.store.get),
            "ListSessions": _of_request(self.store.page),
            "DeleteSession": _of_request(self.store.delete),
            **self.data.functions(),
        }
        behaviors = {name: partial(self._answer, name, functions.get(name, _unable)) for name in METHODS}
        servicer = cast(spanner_pb2_grpc.SpannerServicer, SimpleNamespace(**behaviors))
        spanner_pb2_grpc.add_SpannerServicer_to_server(servicer, server)

    def _answer(self, method: str, function: _Function, request: Any, context: grpc.ServicerContext) -> Any:
        with _aborting(context):
            call = self._admit(method, request, context)
            fault = self.faults.take(method)
            if fault is not None:
                self._meet(context, fault)
            answer = function(call, self.clock(), partial(self._meet, context))
        return _stream(answer, context) if isinstance(answer, Iterator) else answer

    def _admit(self, method: str, request: Any, context: grpc.ServicerContext) -> Call:
        metadata = tuple((key, value) for key, value in context.invocation_metadata())
        auth, principal = "none", ""
        try:
            if self.authority is not None:
                grant = self.authority.authorize(metadata, method)
                auth, principal = grant.kind, grant.principal
        except RpcStatus as status:
            auth = f"refused: {status.status}"
            raise
        finally:
            call = Call(method, request, metadata, auth, principal)
            self.calls.append(call)
        return call

    def _meet(self, context: grpc.ServicerContext, fault: Fault) -> None:
        context.add_callback(self.gate.wake)
        if not self.gate.hold(fault, lambda: not context.is_active()):
            raise RpcStatus("UNAVAILABLE", "LocalSpanner has stopped.")
        if not context.is_active():
            raise RpcStatus("CANCELLED", "The call ended before it was carried out.")
        if fault.status is not None:
            raise RpcStatus(fault.status, fault.message, *fault.details)


@contextmanager
def _aborting(context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with the status that the block raises."""
    try:
        yield
    except RpcStatus as status:
        context.set_trailing_metadata(trailers(status))
        context.abort(grpc.StatusCode[status.status], status.message)


def _stream(answers: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    with _aborting(context):
        yield from answers


def _of_request(function: Callable[[Any, float], Any]) -> _Function:
    return lambda call, now, _: function(call.request, now)


def _unable(*_: object) -> Any:
    raise RpcStatus("UNIMPLEMENTED", "LocalSpanner has no caches whose updates could be fetched.")
