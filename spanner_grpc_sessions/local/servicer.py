"""The gRPC side: which RPC does what with the sessions, and what every call passes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, cast

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import ListValue, Value
from google.protobuf.timestamp_pb2 import Timestamp
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc, type_pb2

from spanner_grpc_sessions.local.calls import Call, CallLog
from spanner_grpc_sessions.local.faults import METHODS, Fault, Faults
from spanner_grpc_sessions.local.gate import Gate
from spanner_grpc_sessions.local.status import Refusal, trailers
from spanner_grpc_sessions.local.store import Session, SessionStore
from spanner_grpc_sessions.local.tokens import Authority

__all__ = ["Service", "session_message"]

_SELECT_1 = re.compile(r"\s*select\s+1\s*;?\s*", re.IGNORECASE)
_ABLE = "LocalSpanner can do the five session RPCs, and ExecuteSql and ExecuteStreamingSql of SELECT 1."

_ONE_INT64: Final = result_set_pb2.ResultSetMetadata(
    row_type=type_pb2.StructType(fields=[type_pb2.StructType.Field(type=type_pb2.Type(code=type_pb2.INT64))])
)
_ONE: Final = Value(string_value="1")
_RESULT: Final = result_set_pb2.ResultSet(metadata=_ONE_INT64, rows=[ListValue(values=[_ONE])])
_PARTIAL_RESULT: Final = result_set_pb2.PartialResultSet(metadata=_ONE_INT64, values=[_ONE])


@dataclass(frozen=True, slots=True)
class Service:
    """Answers RPCs from a session store.

    Attributes:
        store: the sessions.
        clock: the time of the sessions, in seconds since the epoch.
        authority: verifies tokens; None lets every call in, as the emulator does.
        faults: what calls meet on request.
        gate: where they wait meanwhile.
        calls: where they are recorded.
    """

    store: SessionStore
    clock: Callable[[], float]
    authority: Authority | None
    faults: Faults
    gate: Gate
    calls: CallLog

    def register(self, server: grpc.Server) -> None:
        """Serve every RPC of the service on a gRPC server; those without a row here answer UNIMPLEMENTED."""
        rows: dict[str, Callable[[Any], Any]] = {
            "CreateSession": self._create_session,
            "BatchCreateSessions": self._batch_create_sessions,
            "GetSession": self._get_session,
            "ListSessions": self._list_sessions,
            "DeleteSession": self._delete_session,
            "ExecuteSql": self._execute_sql,
            "ExecuteStreamingSql": self._execute_streaming_sql,
        }
        behaviors = {method: partial(self._answer, method, rows.get(method, _unable)) for method in METHODS}
        servicer = cast(spanner_pb2_grpc.SpannerServicer, SimpleNamespace(**behaviors))
        spanner_pb2_grpc.add_SpannerServicer_to_server(servicer, server)

    def _answer(self, method: str, row: Callable[[Any], Any], request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self._admit(method, request, context)
            fault = self.faults.take(method)
            if fault is not None:
                self._suffer(fault, context)
            return row(request)
        except Refusal as refusal:
            context.set_trailing_metadata(trailers(refusal))
            context.abort(grpc.StatusCode[refusal.status], refusal.message)

    def _admit(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        metadata = tuple((key, value) for key, value in context.invocation_metadata())
        auth, principal = "none", ""
        try:
            if self.authority is not None:
                grant = self.authority.authorize(metadata, method)
                auth, principal = grant.kind, grant.principal
        except Refusal as refusal:
            auth = f"refused: {refusal.status}"
            raise
        finally:
            self.calls.add(Call(method, request, metadata, auth, principal))

    def _suffer(self, fault: Fault, context: grpc.ServicerContext) -> None:
        if fault.drop or fault.delay:
            context.add_callback(self.gate.wake)
            if not self.gate.wait(None if fault.drop else fault.delay, lambda: not context.is_active()):
                raise Refusal("UNAVAILABLE", "LocalSpanner has stopped.")
            if not context.is_active():
                raise Refusal("CANCELLED", "The call ended before it was carried out.")
        refusal = fault.refusal()
        if refusal is not None:
            raise refusal

    def _create_session(self, request: spanner_pb2.CreateSessionRequest) -> spanner_pb2.Session:
        wanted = request.session
        session = self.store.create(
            request.database,
            labels=dict(wanted.labels),
            creator_role=wanted.creator_role,
            multiplexed=wanted.multiplexed,
            now=self.clock(),
        )
        return session_message(session)

    def _batch_create_sessions(
        self, request: spanner_pb2.BatchCreateSessionsRequest
    ) -> spanner_pb2.BatchCreateSessionsResponse:
        wanted = request.session_template
        sessions = self.store.batch_create(
            request.database,
            request.session_count,
            labels=dict(wanted.labels),
            creator_role=wanted.creator_role,
            multiplexed=wanted.multiplexed,
            now=self.clock(),
        )
        return spanner_pb2.BatchCreateSessionsResponse(session=map(session_message, sessions))

    def _get_session(self, request: spanner_pb2.GetSessionRequest) -> spanner_pb2.Session:
        return session_message(self.store.use(request.name, self.clock()))

    def _list_sessions(self, request: spanner_pb2.ListSessionsRequest) -> spanner_pb2.ListSessionsResponse:
        page = self.store.page(
            request.database,
            page_size=request.page_size,
            page_token=request.page_token,
            filter_text=request.filter,
            now=self.clock(),
        )
        sessions = map(session_message, page.sessions)
        return spanner_pb2.ListSessionsResponse(sessions=sessions, next_page_token=page.next_page_token)

    def _delete_session(self, request: spanner_pb2.DeleteSessionRequest) -> Empty:
        self.store.delete(request.name, self.clock())
        return Empty()

    def _execute_sql(self, request: spanner_pb2.ExecuteSqlRequest) -> result_set_pb2.ResultSet:
        self._select_1(request)
        return _RESULT

    def _execute_streaming_sql(
        self, request: spanner_pb2.ExecuteSqlRequest
    ) -> Iterator[result_set_pb2.PartialResultSet]:
        self._select_1(request)
        return iter((_PARTIAL_RESULT,))

    def _select_1(self, request: spanner_pb2.ExecuteSqlRequest) -> None:
        self.store.use(request.session, self.clock())
        if not _SELECT_1.fullmatch(request.sql):
            raise Refusal("UNIMPLEMENTED", f"No SQL but SELECT 1. {_ABLE}")
        if request.transaction.WhichOneof("selector") not in {None, "single_use"}:
            raise Refusal("UNIMPLEMENTED", f"No transactions but single use. {_ABLE}")


def session_message(session: Session) -> spanner_pb2.Session:
    """Return a session as the service sends it."""
    return spanner_pb2.Session(
        name=session.name,
        labels=session.labels,
        create_time=_timestamp(session.create_time),
        approximate_last_use_time=_timestamp(session.last_use_time),
        creator_role=session.creator_role,
        multiplexed=session.multiplexed,
    )


def _timestamp(seconds: float) -> Timestamp:
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return Timestamp(seconds=whole, nanos=micros * 1000)


def _unable(_: object) -> Any:
    raise Refusal("UNIMPLEMENTED", _ABLE)
