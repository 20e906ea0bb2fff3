"""REST calls become RPCs: paths, bodies and queries, and what is refused before anything is sent."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import InvalidArgument, InvalidName, InvalidRequest, InvalidType, NotFound, UnknownPath
from spanner_grpc_sessions.rest.routes import http_rule, route
from spanner_grpc_sessions.service.rpcs import RPCS

DATABASE = "projects/p/instances/i/databases/d"
SESSIONS = f"/v1/{DATABASE}/sessions"


def request(http_method: str, path: str, *, query: Any = None, body: Any = None) -> Any:
    """Return the request that a REST call becomes."""
    return route(http_method, path, query, body)[2]


@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_is_reached_by_its_path(rpc: str) -> None:
    """The path of each RPC leads back to it and gives the name that it is about."""
    name = DATABASE if RPCS[rpc].on == "database" else f"{DATABASE}/sessions/s"
    rule = http_rule(RPCS[rpc])
    method, given_name, message = route(rule.http_method, rule.path_of(name), None, None)
    assert (method.name, given_name) == (rpc, name)
    assert getattr(message, rule.variable) == name


@given(
    st.sampled_from(sorted(RPCS)),
    st.lists(st.text("!$&'()*+,;=:@-._~%?# é\n" + "aZ9", min_size=1), min_size=4, max_size=4),
)
def test_percent_encoding_is_undone(rpc: str, ids: list[str]) -> None:
    """Whatever an id holds but a slash, its encoded path gives it back."""
    from urllib.parse import quote

    project, instance, database, session = ids
    name = f"projects/{project}/instances/{instance}/databases/{database}"
    if RPCS[rpc].on != "database":
        name += f"/sessions/{session}"
    method, given_name, _ = route(
        http_rule(RPCS[rpc]).http_method, http_rule(RPCS[rpc]).path_of(quote(name)), None, None
    )
    assert (method.name, given_name) == (rpc, name)


def test_an_encoded_slash_adds_no_segment() -> None:
    """It stays encoded, and so the name stays one of four ids."""
    _, name, _ = route("GET", f"{SESSIONS}/a%2Fb", None, None)
    assert name == f"{DATABASE}/sessions/a%2Fb"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"{SESSIONS}?pageSize=2&pageToken=a%2Bb&filter=labels.x:*", None),
        (f"{SESSIONS}?pageSize=2", {"page_token": "a+b", "filter": "labels.x:*"}),
        (SESSIONS, {"pageSize": 2, "pageToken": ("a+b",), "filter": ["labels.x:*"], "alt": None}),
    ],
)
def test_a_query_can_be_in_the_path_and_beside_it(path: str, query: Any) -> None:
    """Both give parameters, and None stands for an absent one."""
    expected = spanner_pb2.ListSessionsRequest(database=DATABASE, page_size=2, page_token="a+b", filter="labels.x:*")  # noqa: S106 - no password
    assert request("get", path, query=query) == expected


def test_a_body_becomes_the_request() -> None:
    """JSON and proto names; the database comes from the path and may be repeated."""
    expected = spanner_pb2.CreateSessionRequest(
        database=DATABASE, session=spanner_pb2.Session(labels={"a": "b"}, creator_role="r")
    )
    for body in (
        {"session": {"labels": {"a": "b"}, "creatorRole": "r"}},
        {"session": {"labels": {"a": "b"}, "creator_role": "r"}, "database": DATABASE},
    ):
        assert request("POST", SESSIONS, body=body) == expected


@pytest.mark.parametrize(
    ("http_method", "path"),
    [
        ("GET", "/v1/nope"),
        ("GET", ""),
        ("GET", SESSIONS.removeprefix("/")),
        ("PUT", SESSIONS),
        ("PATCH", f"{SESSIONS}/s"),
        ("POST", f"{SESSIONS}:batchcreate"),
        ("GET", f"{SESSIONS}/s:executeSql/x"),
        ("POST", f"{SESSIONS}/s:adaptMessage"),
        ("GET", "/v1/projects//instances/i/databases/d/sessions"),
        ("GET", "https://spanner.googleapis.com" + SESSIONS),
        ("SÄLJA" * 99, "/" * 9999),
        ("po\ufb06", SESSIONS),
        ("GET", "/v1/\x1b[31m\r\n\ud800"),
        ("GET", f"{SESSIONS}/{'s' * 9999}"),
    ],
)
def test_an_unknown_path_is_what_rest_answers_with_404(http_method: str, path: str) -> None:
    """The error is a NotFound, and a ValueError, with the body of REST's."""
    with pytest.raises(UnknownPath) as caught:
        route(http_method, path, None, None)
    assert isinstance(caught.value, NotFound)
    assert isinstance(caught.value, ValueError)
    error = caught.value.to_rest()["error"]
    assert (error["code"], error["status"], "details" in error) == (404, "NOT_FOUND", False)
    assert "request id" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("http_method", "path", "query", "body", "message"),
    [
        ("POST", SESSIONS, None, {"sesion": {}}, "sesion: unknown field of CreateSessionRequest"),
        ("POST", SESSIONS, None, {"session": {"labels": {"env": 7}}}, "session.labels.env: expected string, got 7"),
        ("POST", SESSIONS, None, {"session": 7}, "session: expected object, got 7"),
        ("POST", SESSIONS, None, [], "body: expected object, got []"),
        ("POST", SESSIONS, None, "{}", "body: expected object, got '{}'"),
        ("POST", SESSIONS, None, {"database": "x"}, f"database: expected the name in the path, {DATABASE}, got 'x'"),
        ("POST", SESSIONS, {"session": "x"}, None, "query parameter 'session': only single values"),
        (
            "POST",
            f"{SESSIONS}:batchCreate",
            None,
            {"sessionCount": 1.5},
            "sessionCount: expected 32-bit integer, got 1.5",
        ),
        ("GET", SESSIONS, None, {}, "body: a GET has none, got {}"),
        ("DELETE", f"{SESSIONS}/s", None, {"name": "x"}, "body: a DELETE has none"),
        ("GET", SESSIONS, {"pageSize": "two"}, None, "pageSize: expected 32-bit integer, got 'two'"),
        ("GET", SESSIONS, {"pageSize": 2**31}, None, "pageSize: expected 32-bit integer"),
        ("GET", SESSIONS, {"filter": 5}, None, "filter: expected string, got 5"),
        ("GET", f"{SESSIONS}/s", {"name": "x"}, None, "query parameter 'name': this field is not taken from the query"),
        ("GET", f"{SESSIONS}?bogus", None, None, "query parameter 'bogus': unknown field of ListSessionsRequest"),
    ],
)
def test_what_does_not_fit_is_what_rest_answers_with_400(
    http_method: str, path: str, query: Any, body: Any, message: str
) -> None:
    """The error is an InvalidArgument, and a ValueError, that says where; its cause is kept."""
    with pytest.raises(InvalidRequest) as caught:
        request(http_method, path, query=query, body=body)
    assert isinstance(caught.value, InvalidArgument)
    assert isinstance(caught.value, ValueError)
    error = caught.value.to_rest()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith(message)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((b"GET", SESSIONS, None, None), "http_method must be a str, got b'GET'"),
        (("GET", None, None, None), "path must be a str like /v1/projects/…, got None"),
        (("GET", SESSIONS, "pageSize=2", None), "query must be a mapping of names to values, got 'pageSize=2'"),
        (("GET", SESSIONS, [("pageSize", 2)], None), "query must be a mapping"),
    ],
)
def test_wrong_types_raise_invalid_type(arguments: tuple[Any, ...], message: str) -> None:
    """What is no REST call at all is of the wrong type."""
    with pytest.raises(InvalidType, match=message):
        route(*arguments)


def test_a_name_that_cannot_be_a_header_is_no_name() -> None:
    """The path may encode anything; the row checks the name before it goes into a header."""
    method, name, _ = route("GET", f"{SESSIONS}/s%0d%0Ax", None, None)
    with pytest.raises(InvalidName):
        method.check(name)


@pytest.mark.parametrize("http_method", ["GET", "POST"])
def test_half_a_surrogate_pair_is_no_name(http_method: str) -> None:
    """A request cannot hold it, so the path is refused before there is one."""
    with pytest.raises(InvalidName) as caught:
        route(http_method, SESSIONS.replace("projects/p", "projects/\ud800"), None, None)
    assert str(caught.value).isprintable()


def test_a_refusal_repeats_a_name_on_one_line() -> None:
    """A name in a path may hold anything, and the message of an error may end in a log."""
    with pytest.raises(InvalidRequest) as caught:
        route("POST", SESSIONS.replace("databases/d", "databases/d%0a"), None, {"database": "x"})
    assert str(caught.value).isprintable()


def test_the_errors_survive_copies() -> None:
    """They are pickled and copied as every failed call's error is."""
    with pytest.raises(InvalidRequest) as caught:
        request("GET", SESSIONS, query={"bogus": 1})
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):  # noqa: S301 - our own
        assert type(twin) is InvalidRequest
        assert (str(twin), twin.to_rest()) == (str(caught.value), caught.value.to_rest())
