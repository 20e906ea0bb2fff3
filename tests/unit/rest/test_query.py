"""Query parameters become the JSON of a request: names, repeated fields, nested fields, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import from_rest
from spanner_grpc_sessions.rest.query import refuse_parameters, to_json


@pytest.mark.parametrize(
    ("message_class", "parameters", "expected"),
    [
        (spanner_pb2.ListSessionsRequest, [("pageSize", "2"), ("page_token", "")], {"pageSize": "2", "pageToken": ""}),
        (spanner_pb2.ListSessionsRequest, [("pageSize", 2)], {"pageSize": 2}),
        (
            spanner_pb2.ReadRequest,
            [("columns", "a"), ("limit", "5"), ("columns", "b")],
            {"columns": ["a", "b"], "limit": "5"},
        ),
        (spanner_pb2.ReadRequest, [("keySet.all", "true")], {"keySet": {"all": True}}),
        (spanner_pb2.ReadRequest, [("key_set.all", False)], {"keySet": {"all": False}}),
        (spanner_pb2.ExecuteSqlRequest, [("queryMode", "PLAN")], {"queryMode": "PLAN"}),
        (spanner_pb2.ExecuteSqlRequest, [("queryMode", "1")], {"queryMode": "1"}),
        (spanner_pb2.ExecuteSqlRequest, [("resumeToken", "AP8=")], {"resumeToken": "AP8="}),
        (
            spanner_pb2.ExecuteSqlRequest,
            [("transaction.singleUse.readOnly.exactStaleness", "1.5s")],
            {"transaction": {"singleUse": {"readOnly": {"exactStaleness": "1.5s"}}}},
        ),
        (
            spanner_pb2.ExecuteSqlRequest,
            [("requestOptions.priority", "PRIORITY_LOW"), ("requestOptions.requestTag", "t")],
            {"requestOptions": {"priority": "PRIORITY_LOW", "requestTag": "t"}},
        ),
        (spanner_pb2.ListSessionsRequest, [("alt", "json"), ("$.xgafv", "2"), ("prettyPrint", False)], {}),
    ],
)
def test_parameters_become_json(
    message_class: type[Message], parameters: list[tuple[str, Any]], expected: dict[str, Any]
) -> None:
    """JSON and proto names, repeated and nested fields, every kind of value; `from_rest` takes the result."""
    assert to_json(message_class, parameters, taken="session") == expected
    from_rest(message_class, expected)


@pytest.mark.parametrize(
    ("message_class", "parameters", "reason"),
    [
        (spanner_pb2.ListSessionsRequest, [("bogus", "1")], "'bogus': unknown field of ListSessionsRequest"),
        (spanner_pb2.ListSessionsRequest, [("", "1")], "'': unknown field"),
        (spanner_pb2.ListSessionsRequest, [("\ud800", "1")], "unknown field"),
        (spanner_pb2.ListSessionsRequest, [("prettyPrint", "maybe")], "'prettyPrint': unknown field"),
        (spanner_pb2.ReadRequest, [("keySet.keys.values", "1")], r"'keySet\.keys\.values': unknown field"),
        (spanner_pb2.ListSessionsRequest, [("pageSize.x", "1")], r"'pageSize\.x': unknown field"),
        (spanner_pb2.ListSessionsRequest, [("pageSize", "1"), ("page_size", "1")], "'page_size': expected one value"),
        (spanner_pb2.ListSessionsRequest, [("database", "d")], "'database': this field is not taken from the query"),
        (spanner_pb2.ListSessionsRequest, [("fields", "sessions")], "'fields': unknown"),
        (spanner_pb2.ListSessionsRequest, [("alt", "media")], "'alt': unknown"),
        (spanner_pb2.ListSessionsRequest, [("access_token", "secret")], "'access_token': unknown"),
        (spanner_pb2.ReadRequest, [("keySet", "{}")], "'keySet': only single values"),
        (spanner_pb2.ReadRequest, [("keySet.ranges", "{}")], r"'keySet\.ranges': only single values"),
        (spanner_pb2.ExecuteSqlRequest, [("params", "{}")], "'params': only single values"),
        (spanner_pb2.Session, [("labels", "a")], "'labels': only single values"),
        (spanner_pb2.Session, [("labels.env", "dev")], r"'labels\.env': unknown field"),
        (spanner_pb2.Session, [("createTime.seconds", "1")], r"'createTime\.seconds': unknown field"),
    ],
)
def test_parameters_that_are_not_fields_are_refused(
    message_class: type[Message], parameters: list[tuple[str, Any]], reason: str
) -> None:
    """Unknown fields, the field of the path, single fields given twice, messages, and parameters with an effect."""
    with pytest.raises(InvalidValue, match=reason) as caught:
        to_json(message_class, parameters, taken="database")
    assert "secret" not in str(caught.value)


def test_no_field_is_taken_from_the_query_if_there_is_a_body() -> None:
    """The body is the whole request; parameters without an effect are allowed."""
    with pytest.raises(InvalidValue, match="'session': only single values"):
        refuse_parameters(spanner_pb2.CreateSessionRequest, [("session", "x")])
    with pytest.raises(InvalidValue, match="'sql': this field is not taken from the query"):
        refuse_parameters(spanner_pb2.ExecuteSqlRequest, [("sql", "SELECT 1")])
    refuse_parameters(spanner_pb2.CreateSessionRequest, [("alt", "json"), ("$prettyPrint", True), ("$alt", "json")])


def test_a_name_has_to_be_a_string() -> None:
    """A name of another type is refused."""
    with pytest.raises(InvalidType, match="query parameter 1: expected a string as name"):
        to_json(spanner_pb2.ListSessionsRequest, [(1, "x")], taken="database")  # type: ignore[list-item]  # on purpose
