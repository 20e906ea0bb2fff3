"""The RPCs of google.spanner.v1.Spanner, a row for each. Pure.

Timeouts are those that Google publishes in spanner_grpc_service_config.json; the RPCs that ask for the leader region
are those of google-cloud-spanner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.service.names import check_database, check_session, is_session_of

_SERVICE: Final = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"]


@dataclass(frozen=True, eq=False)
class Rpc:
    """One RPC.

    Attributes:
        name: like "CreateSession"; of a foreign RPC with its service, like "test.Echo/Say".
        on: the request field with the name of the database or session that the RPC is about; None of a foreign RPC.
        timeout: seconds for the whole call, attempts and waits included; None for no limit.
        streams: the server answers with any number of messages.
        leader: the leader region serves it best.
        writes: of an RPC that may read or write, tells of a request that it writes: the leader region serves it best.
        may_leave_session: a lost answer leaves a session behind.
        not_found_means_done: NOT_FOUND on a second attempt means that the first one succeeded.
        flaw: tells of a request and its answer how the answer breaks the contract; empty if it does not.
        final_answer: a failure that the server reports ends the call, unless the server asks for another attempt: the
            work may be done, and doing it twice may do harm.
    """

    name: str
    on: Literal["database", "session", "name"] | None
    timeout: float | None
    streams: bool = False
    leader: bool = False
    writes: Callable[[Any], bool] | None = None
    may_leave_session: bool = False
    not_found_means_done: bool = False
    flaw: Callable[[Any, Any], str] | None = None
    final_answer: bool = False

    @cached_property
    def path(self) -> str:
        """The path of the RPC on the wire."""
        return f"/google.spanner.v1.Spanner/{self.name}"

    @cached_property
    def request_class(self) -> type[Message]:
        """The class of its requests."""
        return GetMessageClass(_SERVICE.methods_by_name[self.name].input_type)

    @cached_property
    def response_class(self) -> type[Message]:
        """The class of its answers."""
        return GetMessageClass(_SERVICE.methods_by_name[self.name].output_type)

    def check(self, name: str) -> str:
        """Return the name of the database or session if it has the form that the RPC needs."""
        return check_database(name) if self.on == "database" else check_session(name)


def _begins_to_write(options: Any) -> bool:
    return options.WhichOneof("mode") in {"read_write", "partitioned_dml"}


def _is_part_of_writing(request: Any) -> bool:
    # In a transaction that was begun before, only the sequence number of a DML statement tells that it writes.
    return _begins_to_write(request.transaction.begin) or bool(getattr(request, "seqno", 0))


def _begins_writing(request: Any) -> bool:
    return _begins_to_write(request.options)


def _flaw_of_session(request: Any, answer: Any) -> str:
    return _flaw(request.database, (answer,))


def _flaw_of_sessions(request: Any, answer: Any) -> str:
    return _flaw(request.database, answer.session)


def _flaw(database: str, sessions: Iterable[Any]) -> str:
    for session in sessions:
        if not is_session_of(database, session.name):
            return f"the server answered with {short(session.name)}, which names no session of {database}"
    return ""


CREATE_SESSION: Final = Rpc("CreateSession", "database", 30.0, leader=True, may_leave_session=True)
BATCH_CREATE_SESSIONS: Final = Rpc("BatchCreateSessions", "database", 60.0, leader=True, may_leave_session=True)
# For sessions that the library itself uses. A caller's own calls answer what the server says, as REST does.
CREATE_OWN_SESSION: Final = replace(CREATE_SESSION, flaw=_flaw_of_session)
BATCH_CREATE_OWN_SESSIONS: Final = replace(BATCH_CREATE_SESSIONS, flaw=_flaw_of_sessions)
GET_SESSION: Final = Rpc("GetSession", "name", 30.0, leader=True)
LIST_SESSIONS: Final = Rpc("ListSessions", "database", 3600.0)
DELETE_SESSION: Final = Rpc("DeleteSession", "name", 30.0, not_found_means_done=True)
EXECUTE_SQL: Final = Rpc("ExecuteSql", "session", 30.0, writes=_is_part_of_writing)

# Every RPC of the service, by name.
RPCS: Final = {
    rpc.name: rpc
    for rpc in (
        CREATE_SESSION,
        BATCH_CREATE_SESSIONS,
        GET_SESSION,
        LIST_SESSIONS,
        DELETE_SESSION,
        EXECUTE_SQL,
        Rpc("ExecuteStreamingSql", "session", 3600.0, streams=True, writes=_is_part_of_writing),
        Rpc("ExecuteBatchDml", "session", 30.0, leader=True),
        Rpc("Read", "session", 30.0, writes=_is_part_of_writing),
        Rpc("StreamingRead", "session", 3600.0, streams=True, writes=_is_part_of_writing),
        Rpc("BeginTransaction", "session", 30.0, writes=_begins_writing),
        Rpc("Commit", "session", 3600.0, leader=True, final_answer=True),
        Rpc("Rollback", "session", 30.0, leader=True),
        Rpc("PartitionQuery", "session", 30.0, leader=True),
        Rpc("PartitionRead", "session", 30.0, leader=True),
        Rpc("BatchWrite", "session", 3600.0, streams=True, leader=True),
        Rpc("FetchCacheUpdate", "database", None, streams=True),
    )
}
_RPC_BY_PATH: Final = {rpc.path: rpc for rpc in RPCS.values()}


def rpc_of(path: str) -> Rpc:
    """Return the RPC with this path on the wire; a row without rules for one of another service."""
    return _RPC_BY_PATH.get(path) or Rpc(path.lstrip("/"), None, None)
