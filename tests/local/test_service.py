"""The RPCs over real gRPC, with a bare stub."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.local import LocalSpanner
from tests.local.wire import DATABASE, Wire, failure

SESSION_TYPE = "type.googleapis.com/google.spanner.v1.Session"
SELECT_1 = {"metadata": {"rowType": {"fields": [{"type": {"code": "INT64"}}]}}, "rows": [["1"]]}
START = "2027-01-15T08:00:00.250Z"


def sql(session: str, text: str = "SELECT 1", **fields: Any) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query."""
    return spanner_pb2.ExecuteSqlRequest(session=session, sql=text, **fields)


def test_a_created_session_is_what_rest_would_answer(plain: LocalSpanner, plain_wire: Wire) -> None:
    """The answer has the server's name and times, and the client's labels and role."""
    session = plain_wire.create(labels={"env": "dev"}, creator_role="reader")
    assert session.name.startswith(f"{DATABASE}/sessions/")
    assert len(session.name.rpartition("/")[2]) >= 40
    assert json_format.MessageToDict(session) == {
        "name": session.name,
        "labels": {"env": "dev"},
        "createTime": START,
        "approximateLastUseTime": START,
        "creatorRole": "reader",
    }
    assert plain.sessions == [json_format.MessageToDict(session)]


def test_fields_that_only_the_server_sets_are_ignored(plain_wire: Wire) -> None:
    """Name and times that a client sends change nothing."""
    theirs = json_format.ParseDict(
        {"name": "mine", "createTime": "2001-01-01T00:00:00Z", "approximateLastUseTime": "2001-01-01T00:00:00Z"},
        spanner_pb2.Session(),
    )
    request = spanner_pb2.CreateSessionRequest(database=DATABASE, session=theirs)
    session = plain_wire.call("CreateSession", request)
    assert session.name != "mine"
    assert json_format.MessageToDict(session)["createTime"] == START


def test_a_session_message_can_be_absent(plain_wire: Wire) -> None:
    """A database alone is enough to create a session."""
    assert plain_wire.call("CreateSession", spanner_pb2.CreateSessionRequest(database=DATABASE)).name


def test_times_have_microseconds() -> None:
    """A fraction of a second survives to the microsecond and not beyond."""
    with LocalSpanner(tls=False, clock=lambda: 1_800_000_000.123456) as spanner:
        wire = Wire(spanner)
        with wire.channel:
            assert wire.create().create_time.nanos == 123456000


def test_a_session_lives_from_create_to_delete(plain_wire: Wire) -> None:
    """Get shows it with its labels, a ping works, delete ends it, and a second delete finds nothing."""
    name = plain_wire.create(labels={"env": "dev"}).name
    assert plain_wire.get(name).labels == {"env": "dev"}
    assert json_format.MessageToDict(plain_wire.call("ExecuteSql", sql(name))) == SELECT_1
    delete = spanner_pb2.DeleteSessionRequest(name=name)
    assert json_format.MessageToDict(plain_wire.call("DeleteSession", delete)) == {}
    for call in (lambda: plain_wire.get(name), lambda: plain_wire.call("DeleteSession", delete)):
        assert failure(call).message == f"Session not found: {name}"


def test_not_found_carries_resource_info_twice(plain_wire: Wire) -> None:
    """The details are in the status and in a trailer of their own, byte for byte the same."""
    name = f"{DATABASE}/sessions/gone"
    error = failure(lambda: plain_wire.call("ExecuteSql", sql(name)))
    info = error_details_pb2.ResourceInfo(
        resource_type=SESSION_TYPE, resource_name=name, description="Session does not exist."
    )
    assert (error.status, error.message) == ("NOT_FOUND", f"Session not found: {name}")
    assert error.details == (info,)
    trailer = error.trailers["google.rpc.resourceinfo-bin"]
    assert isinstance(trailer, bytes)
    assert error_details_pb2.ResourceInfo.FromString(trailer) == info


def test_errors_without_details_have_no_trailers(plain_wire: Wire) -> None:
    """INVALID_ARGUMENT is a status and a message, as on the emulator."""
    error = failure(lambda: plain_wire.create("nope"))
    assert error.status == "INVALID_ARGUMENT"
    assert error.message.startswith("'nope' is not a database name")
    assert "grpc-status-details-bin" not in error.trailers


def test_a_batch_shares_its_template(plain: LocalSpanner, plain_wire: Wire) -> None:
    """Every session of a batch has the template's labels and role."""
    template = spanner_pb2.Session(labels={"env": "dev"}, creator_role="reader")
    request = spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_template=template, session_count=3)
    sessions = plain_wire.call("BatchCreateSessions", request).session
    assert {(session.labels["env"], session.creator_role) for session in sessions} == {("dev", "reader")}
    assert [session.name for session in sessions] == [session["name"] for session in plain.sessions]


def test_a_list_is_walked_by_its_tokens(plain_wire: Wire) -> None:
    """Pages, order, filter, and the multiplexed session that is not listed."""
    names = sorted(plain_wire.create(labels={"env": "dev"}).name for _ in range(3))
    plain_wire.create()
    plain_wire.create(multiplexed=True)
    request = spanner_pb2.ListSessionsRequest(database=DATABASE, page_size=2, filter="labels.env:*")
    first = plain_wire.call("ListSessions", request)
    request.page_token = first.next_page_token
    second = plain_wire.call("ListSessions", request)
    assert [session.name for page in (first, second) for session in page.sessions] == names
    assert second.next_page_token == ""


def test_a_multiplexed_session_says_so_and_stays(plain: LocalSpanner, plain_wire: Wire) -> None:
    """It is echoed, answers a ping, and may not be deleted."""
    session = plain_wire.create(multiplexed=True)
    assert json_format.MessageToDict(session)["multiplexed"] is True
    plain_wire.call("ExecuteSql", sql(session.name))
    error = failure(lambda: plain_wire.call("DeleteSession", spanner_pb2.DeleteSessionRequest(name=session.name)))
    assert (error.status, "may not be deleted" in error.message) == ("INVALID_ARGUMENT", True)
    assert plain.sessions[0]["multiplexed"] is True


@pytest.mark.parametrize("text", ["SELECT 1", "select 1", " Select\n1 ;\t", "SELECT 1;"])
def test_every_way_to_write_select_1_is_answered(plain_wire: Wire, text: str) -> None:
    """Case, blanks and a semicolon do not matter, plain or as a stream."""
    name = plain_wire.create().name
    assert json_format.MessageToDict(plain_wire.call("ExecuteSql", sql(name, text))) == SELECT_1
    stream = plain_wire.call("ExecuteStreamingSql", sql(name, text))
    assert [json_format.MessageToDict(part) for part in stream] == [
        {"metadata": SELECT_1["metadata"], "values": ["1"]},
    ]


def test_what_it_was_not_told_is_not_implemented_and_the_message_says_how_to_tell(plain_wire: Wire) -> None:
    """It is no SQL engine; the RPC of caches, too, is UNIMPLEMENTED."""
    name = plain_wire.create().name
    read = spanner_pb2.ReadRequest(session=name, table="Orders")
    for call, told in (
        (lambda: plain_wire.call("ExecuteSql", sql(name, "SELECT 2")), "LocalSpanner.answer('SELECT 2', "),
        (lambda: list(plain_wire.call("ExecuteStreamingSql", sql(name, "SELECT 1; SELECT 1"))), "answer('SELECT 1; S"),
        (lambda: list(plain_wire.call("StreamingRead", read)), "LocalSpanner.answer_read('Orders', "),
        (lambda: list(plain_wire.call("FetchCacheUpdate", spanner_pb2.FetchCacheUpdateRequest())), "no caches"),
    ):
        error = failure(call)
        assert error.status == "UNIMPLEMENTED"
        assert told in error.message


def test_a_ping_of_a_lost_session_says_so_before_it_looks_at_the_sql(plain_wire: Wire) -> None:
    """NOT_FOUND arrives on the stream as well."""
    name = f"{DATABASE}/sessions/gone"
    assert failure(lambda: list(plain_wire.call("ExecuteStreamingSql", sql(name, "SELECT 2")))).status == "NOT_FOUND"


def test_sessions_grow_old_by_the_clock_of_the_server(plain: LocalSpanner, plain_wire: Wire) -> None:
    """A ping keeps a session alive, an hour without one drops it, and `now` tells the time."""
    kept, lost = plain_wire.create().name, plain_wire.create().name
    plain.advance(1800)
    plain_wire.call("ExecuteSql", sql(kept))
    plain.advance(1801)
    assert plain_wire.get(kept).approximate_last_use_time.seconds == 1_800_003_601
    assert failure(lambda: plain_wire.get(lost)).status == "NOT_FOUND"
    assert plain.now == 1_800_003_601.25
    assert [session["name"] for session in plain.sessions] == [kept]


def test_the_clock_does_not_run_backwards(plain: LocalSpanner) -> None:
    """Only a finite step forward is one."""
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="seconds must be a finite number"):
            plain.advance(seconds)


def test_the_server_can_lose_sessions_and_databases(plain: LocalSpanner, plain_wire: Wire) -> None:
    """A forgotten session is not found; in a dropped database it is the database that is missing."""
    first, second = plain_wire.create().name, plain_wire.create().name
    plain.forget(first)
    assert failure(lambda: plain_wire.get(first)).message == f"Session not found: {first}"
    plain.drop_database(DATABASE)
    error = failure(lambda: plain_wire.get(second))
    assert error.message == f"Database not found: {DATABASE}"
    assert error.details[0].resource_type == "type.googleapis.com/google.spanner.admin.database.v1.Database"


def test_only_given_databases_exist() -> None:
    """With `databases`, another one is not found."""
    with LocalSpanner(tls=False, databases=[DATABASE]) as spanner:
        wire = Wire(spanner)
        with wire.channel:
            wire.create()
            assert failure(lambda: wire.create(f"{DATABASE}2")).message == f"Database not found: {DATABASE}2"
