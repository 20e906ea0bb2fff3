"""The gRPC side: what each RPC does with the sessions, and what every call goes through first."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, cast

import grpc
from google.protobuf.struct_pb2 import ListValue, Value
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc, type_pb2

from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.faults import METHODS, Fault, Faults, Gate
from spanner_grpc_sessions.local.status import RpcStatus, trailers
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.local.tokens import Authority

# What an RPC does: takes the request and the time, and returns the answer.
_Function = Callable[[Any, float], Any]

_SELECT_1 = re.compile(r"\s*select\s+1\s*;?\s*", re.IGNORECASE)
_ABLE = "LocalSpanner can do the five session RPCs, and ExecuteSql and ExecuteStreamingSql of SELECT 1."

_ONE_INT64: Final = result_set_pb2.ResultSetMetadata(
    row_type=type_pb2.StructType(fields=[type_pb2.StructType.Field(type=type_pb2.Type(code=type_pb2.INT64))])
)
_ONE: Final = Value(string_value="1")
_RESULT: Final = result_set_pb2.ResultSet(metadata=_ONE_INT64, rows=[ListValue(values=[_ONE])])
_PARTIAL_RESULT: Final = result_set_pb2.PartialResultSet(metadata=_ONE_INT64, values=[_ONE])


@dataclass(frozen=True, slots=True)
class Servicer:
    """Answers RPCs from a session store. Without an authority it accepts every call, as the emulator does."""

    store: SessionStore
    clock: Callable[[], float]
    authority: Authority | None
    faults: Faults
    gate: Gate
    calls: deque[Call]

    def register(self, server: grpc.Server) -> None:
        """Serve every RPC on a gRPC server; those without a function here answer UNIMPLEMENTED."""
        functions: dict[str, _Function] = {
            "CreateSession": self.store.create,
            "BatchCreateSessions": self.store.batch_create,
            "GetSession": self.store.get,
            "ListSessions": self.store.page,
            "DeleteSession": self.store.delete,
            "ExecuteSql": self._execute_sql,
            "ExecuteStreamingSql": self._execute_streaming_sql,
        }
        behaviors = {name: partial(self._answer, name, functions.get(name, _unable)) for name in METHODS}
        servicer = cast(spanner_pb2_grpc.SpannerServicer, SimpleNamespace(**behaviors))
        spanner_pb2_grpc.add_SpannerServicer_to_server(servicer, server)

    def _answer(self, method: str, function: _Function, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self._admit(method, request, context)
            fault = self.faults.take(method)
            if fault is not None:
                self._meet(fault, context)
            return function(request, self.clock())
        except RpcStatus as status:
            context.set_trailing_metadata(trailers(status))
            context.abort(grpc.StatusCode[status.status], status.message)

    def _admit(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
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
            self.calls.append(Call(method, request, metadata, auth, principal))

    def _meet(self, fault: Fault, context: grpc.ServicerContext) -> None:
        context.add_callback(self.gate.wake)
        if not self.gate.hold(fault, lambda: not context.is_active()):
            raise RpcStatus("UNAVAILABLE", "LocalSpanner has stopped.")
        if not context.is_active():
            raise RpcStatus("CANCELLED", "The call ended before it was carried out.")
        if fault.status is not None:
            raise RpcStatus(fault.status, fault.message, *fault.details)

    def _execute_sql(self, request: spanner_pb2.ExecuteSqlRequest, now: float) -> result_set_pb2.ResultSet:
        self._select_1(request, now)
        return _RESULT

    def _execute_streaming_sql(self, request: spanner_pb2.ExecuteSqlRequest, now: float) -> Iterator[Any]:
        self._select_1(request, now)
        return iter([_PARTIAL_RESULT])

    def _select_1(self, request: spanner_pb2.ExecuteSqlRequest, now: float) -> None:
        self.store.use(request.session, now)
        if not _SELECT_1.fullmatch(request.sql):
            raise RpcStatus("UNIMPLEMENTED", f"No SQL but SELECT 1. {_ABLE}")
        if request.transaction.WhichOneof("selector") not in {None, "single_use"}:
            raise RpcStatus("UNIMPLEMENTED", f"No transactions but single use. {_ABLE}")


def _unable(*_: object) -> Any:
    raise RpcStatus("UNIMPLEMENTED", _ABLE)
