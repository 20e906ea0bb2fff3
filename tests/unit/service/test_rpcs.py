"""The rows of the RPCs, against the service's descriptor and the published timeouts."""

from __future__ import annotations

from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidName
from spanner_grpc_sessions.rest import from_rest
from spanner_grpc_sessions.rest.routes import http_rule
from spanner_grpc_sessions.service.rpcs import RPCS, Rpc, rpc_of
from spanner_grpc_sessions.service.types import ListSessionsBody, Session, SessionsBody

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"
SERVICE = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"]

# RPC: timeout in seconds (spanner_grpc_service_config.json), routing field, and whether it always goes to the leader
# region (google-cloud-spanner).
PUBLISHED = {
    "CreateSession": (30.0, "database", True),
    "BatchCreateSessions": (60.0, "database", True),
    "GetSession": (30.0, "name", True),
    "ListSessions": (3600.0, "database", False),
    "DeleteSession": (30.0, "name", False),
    "ExecuteSql": (30.0, "session", False),
    "ExecuteStreamingSql": (3600.0, "session", False),
    "ExecuteBatchDml": (30.0, "session", True),
    "Read": (30.0, "session", False),
    "StreamingRead": (3600.0, "session", False),
    "BeginTransaction": (30.0, "session", False),
    "Commit": (3600.0, "session", True),
    "Rollback": (30.0, "session", True),
    "PartitionQuery": (30.0, "session", True),
    "PartitionRead": (30.0, "session", True),
    "BatchWrite": (3600.0, "session", True),
    "FetchCacheUpdate": (None, "database", False),
}
each_rpc = pytest.mark.parametrize("rpc", RPCS.values(), ids=lambda rpc: rpc.name)


def test_every_rpc_has_one_row() -> None:
    """No RPC of the service is missing, and each row has the name of its key."""
    assert list(RPCS) == list(PUBLISHED) == [rpc.name for rpc in RPCS.values()]
    assert set(RPCS) == set(SERVICE.methods_by_name)


@each_rpc
def test_a_row_says_what_is_published(rpc: Rpc) -> None:
    """Timeout, routing field and leader routing are the documented ones."""
    assert (rpc.timeout, rpc.on, rpc.leader) == PUBLISHED[rpc.name]
    assert rpc.not_found_means_done is (rpc.name == "DeleteSession")
    assert rpc.path == f"/google.spanner.v1.Spanner/{rpc.name}"


@pytest.mark.parametrize(
    ("rpc", "body", "writes"),
    [
        ("ExecuteSql", {}, False),
        ("ExecuteSql", {"transaction": {"begin": {"readWrite": {}}}}, True),
        ("ExecuteSql", {"transaction": {"begin": {"partitionedDml": {}}}}, True),
        ("ExecuteSql", {"transaction": {"begin": {"readOnly": {}}}}, False),
        ("ExecuteSql", {"transaction": {"singleUse": {"readOnly": {}}}}, False),
        ("ExecuteSql", {"transaction": {"id": "AA=="}, "seqno": 1}, True),
        ("ExecuteStreamingSql", {"transaction": {"id": "AA=="}}, False),
        ("Read", {"transaction": {"begin": {"readWrite": {}}}}, True),
        ("StreamingRead", {}, False),
        ("BeginTransaction", {"options": {"readWrite": {}}}, True),
        ("BeginTransaction", {"options": {"readOnly": {}}}, False),
    ],
)
def test_requests_that_write_go_to_the_leader(rpc: str, body: dict[str, object], writes: bool) -> None:
    """Of the RPCs that may read or write, the request decides."""
    decide = RPCS[rpc].writes
    assert decide is not None
    assert decide(from_rest(RPCS[rpc].request_class, body)) is writes


@each_rpc
def test_a_row_has_the_types_of_the_service(rpc: Rpc) -> None:
    """Request and response classes are the ones that the .proto file declares, and the routing field exists."""
    declared = SERVICE.methods_by_name[rpc.name]
    assert rpc.streams is declared.server_streaming
    assert rpc.request_class.DESCRIPTOR is declared.input_type
    assert rpc.response_class.DESCRIPTOR is declared.output_type
    assert rpc.on in declared.input_type.fields_by_name
    assert rpc.on == http_rule(rpc).variable


def test_a_path_leads_to_its_rpc() -> None:
    """An RPC is found by its path on the wire; one of another service has no rules."""
    for rpc in RPCS.values():
        assert rpc_of(rpc.path) is rpc
    foreign = rpc_of("/other.Service/Method")
    assert (foreign.name, foreign.on, foreign.timeout) == ("other.Service/Method", None, None)


@each_rpc
def test_a_row_checks_the_name_that_its_routing_field_takes(rpc: Rpc) -> None:
    """RPCs on a database take a database's name, those on a session a session's, and not the other."""
    good, bad = (DATABASE, SESSION) if rpc.on == "database" else (SESSION, DATABASE)
    assert rpc.check(good) == good
    with pytest.raises(InvalidName):
        rpc.check(bad)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Session, spanner_pb2.Session),
        (SessionsBody, spanner_pb2.BatchCreateSessionsResponse),
        (ListSessionsBody, spanner_pb2.ListSessionsResponse),
    ],
)
def test_the_typed_bodies_have_the_keys_of_their_messages(body: type, message: type[spanner_pb2.Session]) -> None:
    """A TypedDict names every JSON key of its message, and no other; all that a server may leave out may be absent."""
    keys: Any = body
    assert keys.__required_keys__ | keys.__optional_keys__ == {field.json_name for field in message.DESCRIPTOR.fields}
    assert keys.__required_keys__ == ({"name", "createTime", "approximateLastUseTime"} if body is Session else set())
