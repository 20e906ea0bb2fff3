"""Statements and reads, answered as a test tells: rows, row counts, errors, pieces of streams."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from spanner_grpc_sessions_pb import spanner_pb2, type_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.local import Call, LocalSpanner
from tests.local.wire import Wire, failure

COLUMNS = {"id": "INT64", "name": "STRING"}
ROWS = [[1, "Ada"], [2, None]]


@pytest.fixture
def session(plain_wire: Wire) -> str:
    """A session."""
    return plain_wire.create().name


def run(wire: Wire, session: str, sql: str, method: str = "ExecuteSql", **fields: Any) -> Any:
    """Run a statement."""
    return wire.call(method, spanner_pb2.ExecuteSqlRequest(session=session, sql=sql, **fields))


def test_a_statement_gets_its_rows(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """By ExecuteSql and by ExecuteStreamingSql, as the wire has them."""
    plain.answer("SELECT id, name FROM Users", columns=COLUMNS, rows=ROWS)
    whole = json_format.MessageToDict(run(plain_wire, session, " SELECT id, name FROM Users\n"))
    fields = [{"name": "id", "type": {"code": "INT64"}}, {"name": "name", "type": {"code": "STRING"}}]
    assert whole == {"metadata": {"rowType": {"fields": fields}}, "rows": [["1", "Ada"], ["2", None]]}
    (piece,) = run(plain_wire, session, "SELECT id, name FROM Users", "ExecuteStreamingSql")
    streamed = json_format.MessageToDict(piece)
    assert streamed == {"metadata": whole["metadata"], "values": ["1", "Ada", "2", None]}


def test_statements_are_told_by_text_pattern_or_function(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """A pattern matches all of the statement; a function sees the call; the rows may be a function too."""

    def is_of_ada(call: Call) -> bool:
        return call.params == {"name": "Ada", "since": 5}

    plain.answer(re.compile("SELECT .* FROM A"), columns={"a": "INT64"}, rows=[{"a": 1}])
    plain.answer(is_of_ada, columns=COLUMNS, rows=lambda call: [[7, call.params["name"]]])
    assert run(plain_wire, session, "SELECT x FROM A").rows
    assert failure(lambda: run(plain_wire, session, "SELECT x FROM AB")).status == "UNIMPLEMENTED"
    types = {"since": type_pb2.Type(code=type_pb2.INT64)}
    params = Struct()
    params.update({"name": "Ada", "since": "5"})
    (row,) = run(plain_wire, session, "SELECT", params=params, param_types=types).rows
    assert list(row) == ["7", "Ada"]
    assert plain.calls[-1].params == {"name": "Ada", "since": 5}


def test_answers_with_a_number_of_times_come_first(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """In the order they were told; then the newest without; none after they were cleared."""
    for value in (1, 2):
        plain.answer("S", columns={"a": "INT64"}, rows=[[value]])
    for value in (3, 4):
        plain.answer("S", columns={"a": "INT64"}, rows=[[value]], times=value - 2)
    assert [run(plain_wire, session, "S").rows[0][0] for _ in range(5)] == ["3", "4", "4", "2", "2"]
    plain.clear_answers()
    assert failure(lambda: run(plain_wire, session, "S")).status == "UNIMPLEMENTED"


def test_dml_gets_a_row_count_in_a_transaction(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """Exact, a lower bound for partitioned DML; without a transaction it is refused, as on the emulator."""
    plain.answer("UPDATE A SET b = 1 WHERE true", row_count=3)
    sql = "UPDATE A SET b = 1 WHERE true"
    assert failure(lambda: run(plain_wire, session, sql)).status == "INVALID_ARGUMENT"
    result = run(plain_wire, session, sql, transaction={"begin": {"read_write": {}}}, seqno=1)
    assert (result.stats.row_count_exact, bool(result.metadata.transaction.id)) == (3, True)
    result = run(plain_wire, session, sql, transaction={"begin": {"partitioned_dml": {}}})
    assert result.stats.row_count_lower_bound == 3


def test_a_batch_of_dml_stops_at_the_first_error(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """The statements before it have their counts, and the status says what failed."""
    plain.answer("UPDATE A", row_count=1)
    plain.answer("UPDATE B", row_count=0, error="ALREADY_EXISTS", message="it is there")
    plain.answer("SELECT 2", columns={"a": "INT64"})
    for statements, counts, status in (
        (["UPDATE A", "UPDATE A"], [1, 1], (0, "")),
        (["UPDATE A", "UPDATE B", "UPDATE A"], [1], (6, "it is there")),
        (["SELECT 2"], [], (3, "The statement is no DML: its answer has no row_count: SELECT 2")),
    ):
        request = spanner_pb2.ExecuteBatchDmlRequest(
            session=session,
            transaction={"begin": {"read_write": {}}},
            statements=[spanner_pb2.ExecuteBatchDmlRequest.Statement(sql=sql) for sql in statements],
        )
        answer = plain_wire.call("ExecuteBatchDml", request)
        assert [result.stats.row_count_exact for result in answer.result_sets] == counts
        assert (answer.status.code, answer.status.message) == status


def test_an_error_and_a_delay(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """An answer may be an error; a call whose time is over during the delay gets none."""
    plain.answer("S", error="RESOURCE_EXHAUSTED", message="too much", times=1)
    plain.answer("S", delay=60.0)
    error = failure(lambda: run(plain_wire, session, "S"))
    assert (error.status, error.message) == ("RESOURCE_EXHAUSTED", "too much")
    late = spanner_pb2.ExecuteSqlRequest(session=session, sql="S")
    assert failure(lambda: plain_wire.call("ExecuteSql", late, timeout=0.05)).status == "DEADLINE_EXCEEDED"


def test_a_stream_comes_in_pieces_breaks_and_is_resumed(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """A long text is cut; after the break a resume token gives the rest."""
    rows = [[number, "x" * 18] for number in range(4)]
    plain.answer(
        "S", columns=COLUMNS, rows=rows, chunk_size=10, broken_after=7, error="UNAVAILABLE", message="gone", times=1
    )
    received: list[Any] = []

    def collect(**fields: Any) -> None:
        received.extend(run(plain_wire, session, "S", "ExecuteStreamingSql", **fields))

    assert failure(collect).status == "UNAVAILABLE"
    assert len(received) == 7
    while not received[-1].resume_token:
        received.pop()
    collect(resume_token=received[-1].resume_token)
    cells: list[str] = []
    cut = False
    for piece in received:
        for value in piece.values:
            cells[len(cells) - cut :] = [(cells[-1] if cut else "") + value.string_value]
            cut = False
        cut = piece.chunked_value
    assert cells == [text for number in range(4) for text in (str(number), "x" * 18)]
    assert failure(lambda: collect(resume_token=b"99/1")).status == "INVALID_ARGUMENT"


def test_reads_of_a_table(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """The columns that were asked for, up to the limit; an index has rows of its own; an unknown column is none."""
    plain.answer_read("Users", columns=COLUMNS, rows=ROWS)
    plain.answer_read("Users", index="ByName", columns=COLUMNS, rows=lambda call: [[len(call.request.columns), ""]])  # type: ignore[attr-defined]  # of a read
    read = spanner_pb2.ReadRequest(session=session, table="Users", columns=["name", "id"], key_set={"all": True})
    result = plain_wire.call("Read", read)
    assert [field.name for field in result.metadata.row_type.fields] == ["name", "id"]
    assert [list(row) for row in result.rows] == [["Ada", "1"], [None, "2"]]
    read.limit = 1
    (piece,) = plain_wire.call("StreamingRead", read)
    assert [value.string_value for value in piece.values] == ["Ada", "1"]
    read.index = "ByName"
    assert [list(row) for row in plain_wire.call("Read", read).rows] == [["", "2"]]
    read.columns.append("nope")
    error = failure(lambda: plain_wire.call("Read", read))
    assert (error.status, error.message) == ("NOT_FOUND", "Column not found in table Users: nope")


def test_partitions_are_parts_of_the_rows(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """Together they have each row once; a token that is none is refused."""
    plain.answer("S", columns={"a": "INT64"}, rows=[[number] for number in range(5)])
    request = spanner_pb2.PartitionQueryRequest(session=session, sql="S", transaction={"begin": {"read_only": {}}})
    answer = plain_wire.call("PartitionQuery", request)
    selector = {"id": answer.transaction.id}
    parts = [
        [
            row[0]
            for row in run(plain_wire, session, "S", partition_token=each.partition_token, transaction=selector).rows
        ]
        for each in answer.partitions
    ]
    assert len(parts) == 2
    assert sorted(itertools.chain(*parts)) == ["0", "1", "2", "3", "4"]
    assert failure(lambda: run(plain_wire, session, "S", partition_token=b"5/2")).status == "INVALID_ARGUMENT"


def test_a_batch_write_answers_each_group(plain_wire: Wire, session: str) -> None:
    """With its index and a time."""
    request = spanner_pb2.BatchWriteRequest(session=session, mutation_groups=[{}, {}])
    answers = list(plain_wire.call("BatchWrite", request))
    assert [(list(answer.indexes), answer.status.code) for answer in answers] == [([0], 0), ([1], 0)]
    assert all(answer.commit_timestamp.seconds for answer in answers)


def test_modes_of_a_query(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """PLAN gives the columns alone, PROFILE the number of rows as well."""
    plain.answer("S", columns=COLUMNS, rows=ROWS)
    mode = spanner_pb2.ExecuteSqlRequest.QueryMode
    planned = run(plain_wire, session, "S", query_mode=mode.PLAN)
    assert (len(planned.metadata.row_type.fields), len(planned.rows)) == (2, 0)
    profiled = run(plain_wire, session, "S", query_mode=mode.PROFILE)
    assert (len(profiled.rows), profiled.stats.query_stats["rows_returned"]) == (2, "2")


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"sql": 1}, InvalidType, "sql must be a str, a compiled pattern or a function"),
        ({"columns": ["a"]}, InvalidType, "columns must be a mapping"),
        ({"columns": {"a": "INT"}}, InvalidValue, "a type must be one of BOOL"),
        ({"columns": {"a": "INT64"}, "rows": ["x"]}, InvalidType, "each of rows must be a sequence or a mapping"),
        (
            {"columns": {"a": "INT64"}, "rows": [[1], ["x", 2]]},
            InvalidValue,
            "row 1: a value of this STRUCT must have 1",
        ),
        ({"row_count": -1}, InvalidValue, "row_count must be at least 0"),
        ({"error": "OOPS"}, InvalidValue, "status must be the name of a gRPC error"),
        ({"times": 0}, InvalidValue, "times .* must be at least 1"),
        ({"chunk_size": 0}, InvalidValue, "chunk_size must be at least 1"),
        ({"broken_after": 1}, InvalidValue, "error is missing"),
    ],
)
def test_bad_answers_are_refused_when_they_are_told(
    plain: LocalSpanner, arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    """By value and rule, and none is kept."""
    with pytest.raises(error, match=said):
        plain.answer(**{"sql": "S", **arguments})


def test_a_function_of_rows_that_raises_is_an_internal_error(
    plain: LocalSpanner, plain_wire: Wire, session: str
) -> None:
    """The message has the exception: the test that wrote it reads it."""
    plain.answer("S", columns=COLUMNS, rows=lambda call: call.params["x"])
    error = failure(lambda: run(plain_wire, session, "S"))
    assert (error.status, "the rows of an answer raised KeyError: 'x'" in error.message) == ("INTERNAL", True)


def test_a_function_that_chooses_calls_and_raises_is_told(plain: LocalSpanner, plain_wire: Wire, session: str) -> None:
    """With its error."""
    plain.answer(lambda call: 1 // 0 > 0, columns={"a": "INT64"}, rows=[])
    error = failure(lambda: run(plain_wire, session, "S"))
    assert error.status == "INTERNAL"
    assert "that chooses calls raised ZeroDivisionError" in error.message
