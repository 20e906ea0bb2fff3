"""The rows of the RPCs, against the service's descriptor and the published timeouts."""

from __future__ import annotations

import pytest

from spanner_grpc_sessions import methods
from spanner_grpc_sessions.errors import InvalidName
from spanner_grpc_sessions.methods import Method
from spanner_grpc_sessions.resources import ListSessionsBody, Session, SessionsBody
from spanner_grpc_sessions.stubs import spanner_pb2

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"

# RPC: timeout in seconds (spanner_grpc_service_config.json), routing field and leader routing (google-cloud-spanner).
PUBLISHED = {
    "CreateSession": (30.0, "database", True),
    "BatchCreateSessions": (60.0, "database", True),
    "GetSession": (30.0, "name", True),
    "ListSessions": (3600.0, "database", False),
    "DeleteSession": (30.0, "name", False),
    "ExecuteSql": (30.0, "session", False),
}
ROWS = [value for value in vars(methods).values() if isinstance(value, Method)]
row = pytest.mark.parametrize("method", ROWS, ids=lambda method: method.name)


def test_every_published_rpc_has_one_row() -> None:
    """No row is missing, and none is there twice."""
    assert sorted(method.name for method in ROWS) == sorted(PUBLISHED)


@row
def test_a_row_says_what_is_published(method: Method) -> None:
    """Timeout, routing field and leader routing are the documented ones."""
    assert (method.timeout, method.routing_field, method.route_to_leader) == PUBLISHED[method.name]
    assert method.gone_is_done is (method.name == "DeleteSession")
    assert method.path == f"/google.spanner.v1.Spanner/{method.name}"


@row
def test_a_row_has_the_types_of_the_service(method: Method) -> None:
    """Request and response classes are the ones that the .proto file declares, and the routing field exists."""
    declared = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].methods_by_name[method.name]
    assert method.request_class.DESCRIPTOR is declared.input_type
    assert method.response_class.DESCRIPTOR is declared.output_type
    assert method.routing_field in declared.input_type.fields_by_name


@row
def test_a_row_checks_the_name_that_its_routing_field_takes(method: Method) -> None:
    """RPCs on a database take a database's name, those on a session a session's, and not the other."""
    good, bad = (DATABASE, SESSION) if method.routing_field == "database" else (SESSION, DATABASE)
    assert method.check(good) == good
    with pytest.raises(InvalidName):
        method.check(bad)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Session, spanner_pb2.Session),
        (SessionsBody, spanner_pb2.BatchCreateSessionsResponse),
        (ListSessionsBody, spanner_pb2.ListSessionsResponse),
    ],
)
def test_the_typed_bodies_have_the_keys_of_their_messages(body: type, message: type[spanner_pb2.Session]) -> None:
    """A TypedDict names every JSON key of its message, and no other; all may be absent."""
    assert list(body.__annotations__) == [field.json_name for field in message.DESCRIPTOR.fields]
    assert body.__total__ is False  # type: ignore[attr-defined]  # of every TypedDict
