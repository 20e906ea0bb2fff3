"""The RPCs as rows: what each is called, asks, answers, and how it is timed, repeated and routed. Pure data.

Timeouts and what may be repeated are those that Google publishes in spanner_grpc_service_config.json; which RPCs ask
for the leader region is what google-cloud-spanner does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from spanner_grpc_sessions import requests
from spanner_grpc_sessions.names import check_database, check_session
from spanner_grpc_sessions.rest import encoder_of
from spanner_grpc_sessions.stubs import result_set_pb2, spanner_pb2

__all__ = [
    "BATCH_CREATE_SESSIONS",
    "CREATE_SESSION",
    "DELETE_SESSION",
    "GET_SESSION",
    "LIST_SESSIONS",
    "PING_SESSION",
    "Method",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """One RPC of the service google.spanner.v1.Spanner.

    Attributes:
        name: of the RPC, like "CreateSession".
        build: makes the request from the resource's name and the other arguments.
        request_class: the class of what `build` makes.
        response_class: the class of what the server answers.
        decode: from the answer to what the caller gets.
        check: raises unless the resource's name has the form that this RPC needs.
        routing_field: the request field that the routing header repeats.
        timeout: seconds for the whole call, attempts and waits included.
        route_to_leader: whether the leader region serves it best.
        gone_is_done: whether NOT_FOUND, on an attempt that is not the first, means that an earlier one succeeded.
    """

    name: str
    build: Callable[..., Message]
    request_class: type[Message]
    response_class: type[Message]
    decode: Callable[[Any], Any]
    check: Callable[[str], str]
    routing_field: str
    timeout: float
    route_to_leader: bool = False
    gone_is_done: bool = False

    @property
    def path(self) -> str:
        """The path of the RPC on the wire."""
        return f"/google.spanner.v1.Spanner/{self.name}"


CREATE_SESSION: Final = Method(
    name="CreateSession",
    build=requests.create_session,
    request_class=spanner_pb2.CreateSessionRequest,
    response_class=spanner_pb2.Session,
    decode=encoder_of(spanner_pb2.Session),
    check=check_database,
    routing_field="database",
    timeout=30.0,
    route_to_leader=True,
)

BATCH_CREATE_SESSIONS: Final = Method(
    name="BatchCreateSessions",
    build=requests.batch_create_sessions,
    request_class=spanner_pb2.BatchCreateSessionsRequest,
    response_class=spanner_pb2.BatchCreateSessionsResponse,
    decode=encoder_of(spanner_pb2.BatchCreateSessionsResponse),
    check=check_database,
    routing_field="database",
    timeout=60.0,
    route_to_leader=True,
)

GET_SESSION: Final = Method(
    name="GetSession",
    build=requests.get_session,
    request_class=spanner_pb2.GetSessionRequest,
    response_class=spanner_pb2.Session,
    decode=encoder_of(spanner_pb2.Session),
    check=check_session,
    routing_field="name",
    timeout=30.0,
    route_to_leader=True,
)

LIST_SESSIONS: Final = Method(
    name="ListSessions",
    build=requests.list_sessions,
    request_class=spanner_pb2.ListSessionsRequest,
    response_class=spanner_pb2.ListSessionsResponse,
    decode=encoder_of(spanner_pb2.ListSessionsResponse),
    check=check_database,
    routing_field="database",
    timeout=3600.0,
)

DELETE_SESSION: Final = Method(
    name="DeleteSession",
    build=requests.delete_session,
    request_class=spanner_pb2.DeleteSessionRequest,
    response_class=Empty,
    decode=encoder_of(Empty),
    check=check_session,
    routing_field="name",
    timeout=30.0,
    gone_is_done=True,
)

PING_SESSION: Final = Method(
    name="ExecuteSql",
    build=requests.ping_session,
    request_class=spanner_pb2.ExecuteSqlRequest,
    response_class=result_set_pb2.ResultSet,
    decode=lambda _: None,
    check=check_session,
    routing_field="session",
    timeout=30.0,
)
