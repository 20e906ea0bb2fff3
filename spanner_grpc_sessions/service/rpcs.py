"""The RPCs as rows: what each is called, asks, answers, and how it is timed, repeated and routed. Pure data.

Timeouts are those that Google publishes in spanner_grpc_service_config.json; which RPCs ask for the leader region is
what google-cloud-spanner does. All else is read from the service's descriptor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.rest import encoder_of, to_rest
from spanner_grpc_sessions.rest.http_rules import HttpRule, rule_of
from spanner_grpc_sessions.rest.session_wire import read_session, session_to_rest
from spanner_grpc_sessions.service import requests
from spanner_grpc_sessions.service.names import check_database, check_session

__all__ = [
    "BATCH_CREATE_SESSIONS",
    "BATCH_CREATE_SESSION_MESSAGES",
    "CREATE_SESSION",
    "DELETE_SESSION",
    "GET_SESSION",
    "LIST_SESSIONS",
    "PING_SESSION",
    "RPCS",
    "RPC_BY_PATH",
    "Method",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """One RPC of the service google.spanner.v1.Spanner, and one way to call it.

    Attributes:
        name: of the RPC, like "CreateSession".
        build: makes the request from the resource's name and the other arguments: a message, or its bytes.
        request_class: the class of what `build` makes.
        response_class: the class of what the server answers.
        streams: whether it answers with any number of messages.
        read: from the bytes of an answer to what `decode` takes. Done within gRPC: what it raises ends as INTERNAL.
        decode: from an answer, as `read` or a `response_class()`, to what the caller gets.
        check: raises unless the resource's name has the form that this RPC needs.
        http: how REST spells it.
        timeout: seconds for the whole call, attempts and waits included; None for no limit.
        route_to_leader: whether the leader region serves it best.
        writes: of an RPC that may read or write, whether a request writes and the leader region serves it best.
        creates: whether an answer that gets lost leaves a session behind that nobody knows.
        gone_is_done: whether NOT_FOUND, on an attempt that is not the first, means that an earlier one succeeded.
    """

    name: str
    build: Callable[..., Message | bytes]
    request_class: type[Message]
    response_class: type[Message]
    streams: bool
    read: Callable[[bytes], Any]
    decode: Callable[[Any], Any]
    check: Callable[[str], str]
    http: HttpRule
    timeout: float | None
    route_to_leader: bool = False
    writes: Callable[[Any], bool] | None = None
    creates: bool = False
    gone_is_done: bool = False

    @property
    def path(self) -> str:
        """The path of the RPC on the wire."""
        return f"/google.spanner.v1.Spanner/{self.name}"

    @staticmethod
    def serialize(request: Any) -> bytes:
        """Return the bytes of what `build` made."""
        return request if request.__class__ is bytes else request.SerializeToString()

    @property
    def routing_field(self) -> str:
        """The request field that the routing header repeats: the one that REST has in the path."""
        return self.http.variable


_SERVICE: Final = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"]


def _rpc(name: str, timeout: float | None, **settings: Any) -> Method:
    declared = _SERVICE.methods_by_name[name]
    http = rule_of(declared)
    response_class = GetMessageClass(declared.output_type)
    return Method(
        name=name,
        build=lambda _, request: request,
        request_class=GetMessageClass(declared.input_type),
        response_class=response_class,
        streams=declared.server_streaming,
        read=response_class.FromString,
        decode=to_rest,
        check=check_session if http.pattern.endswith("/sessions/*") else check_database,
        http=http,
        timeout=timeout,
        **settings,
    )


def _begins_to_write(options: Any) -> bool:
    return options.WhichOneof("mode") in {"read_write", "partitioned_dml"}


def _is_part_of_writing(request: Any) -> bool:
    # Of a transaction that has begun, only the sequence number of a DML statement tells that it writes.
    return _begins_to_write(request.transaction.begin) or bool(getattr(request, "seqno", 0))


RPCS: Final = {
    rpc.name: rpc
    for rpc in (
        _rpc("CreateSession", 30.0, route_to_leader=True, creates=True),
        _rpc("BatchCreateSessions", 60.0, route_to_leader=True, creates=True),
        _rpc("GetSession", 30.0, route_to_leader=True),
        _rpc("ListSessions", 3600.0),
        _rpc("DeleteSession", 30.0, gone_is_done=True),
        _rpc("ExecuteSql", 30.0, writes=_is_part_of_writing),
        _rpc("ExecuteStreamingSql", 3600.0, writes=_is_part_of_writing),
        _rpc("ExecuteBatchDml", 30.0, route_to_leader=True),
        _rpc("Read", 30.0, writes=_is_part_of_writing),
        _rpc("StreamingRead", 3600.0, writes=_is_part_of_writing),
        _rpc("BeginTransaction", 30.0, writes=lambda request: _begins_to_write(request.options)),
        _rpc("Commit", 3600.0, route_to_leader=True),
        _rpc("Rollback", 30.0, route_to_leader=True),
        _rpc("PartitionQuery", 30.0, route_to_leader=True),
        _rpc("PartitionRead", 30.0, route_to_leader=True),
        _rpc("BatchWrite", 3600.0, route_to_leader=True),
        _rpc("FetchCacheUpdate", None),
    )
}
"""Every RPC of the service, as a call that takes the request and answers as REST does."""
RPC_BY_PATH: Final = {rpc.path: rpc for rpc in RPCS.values()}
"""The same, by the path on the wire."""


def _way(rpc: str, build: Callable[..., Message | bytes], decode: Callable[[Any], Any] | None = None) -> Method:
    row = RPCS[rpc]
    return replace(row, build=build, decode=decode or encoder_of(row.response_class))


CREATE_SESSION: Final = replace(_way("CreateSession", requests.create_session, session_to_rest), read=read_session)
BATCH_CREATE_SESSIONS: Final = _way("BatchCreateSessions", requests.batch_create_sessions)
BATCH_CREATE_SESSION_MESSAGES: Final = _way(
    "BatchCreateSessions", requests.batch_create_sessions, lambda answer: answer.session
)
GET_SESSION: Final = replace(_way("GetSession", requests.get_session, session_to_rest), read=read_session)
LIST_SESSIONS: Final = _way("ListSessions", requests.list_sessions)
DELETE_SESSION: Final = _way("DeleteSession", requests.delete_session)
PING_SESSION: Final = replace(_way("ExecuteSql", requests.ping_session, lambda _: None), writes=None)
