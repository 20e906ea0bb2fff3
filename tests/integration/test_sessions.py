"""The session RPCs over both servers and in both colours, and the emulator's own REST gateway as the judge."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import DatabaseNotFound, NotFound, Session, SessionNotFound, SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import Emulator
from tests.support.colours import Colour
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer, Server

# RFC 3339 in UTC with 0, 3, 6 or 9 fraction digits, as the REST reference says.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")
_LABELS = {"team": "checkout", "empty": ""}


@pytest.fixture
def database(server: Server) -> str:
    """A database of the test's own."""
    return server.new_database()


def test_create_answers_the_session(client: SessionsClient, database: str) -> None:
    """A created session has a name in its database, two timestamps, and no key for what it lacks."""
    session = client.create_session(database)
    assert session.keys() == {"name", "createTime", "approximateLastUseTime"}
    assert re.fullmatch(re.escape(database) + "/sessions/[-_A-Za-z0-9]+", session["name"])
    assert _TIMESTAMP.fullmatch(session["createTime"])
    assert _TIMESTAMP.fullmatch(session["approximateLastUseTime"])


def test_keys_of_the_type_are_always_there(client: SessionsClient, server: Server, database: str) -> None:
    """Type checkers are told so: of every session that a method returns, a multiplexed one too."""
    created = client.create_session(database)
    sessions = [
        created,
        client.create_session(database, multiplexed=True),
        client.get_session(created["name"]),
        *client.batch_create_sessions(database, 2)["session"],
        *client.iter_sessions(database),
    ]
    assert Session.__required_keys__ == {"name", "createTime", "approximateLastUseTime"}
    assert len(sessions) >= 8
    for session in sessions:
        assert Session.__required_keys__ <= session.keys()


def test_create_keeps_labels(client: SessionsClient, database: str) -> None:
    """Labels come back as they were given, the one with an empty value included."""
    assert client.create_session(database, labels=_LABELS)["labels"] == _LABELS


def test_create_sends_role_and_multiplexed(client: SessionsClient, server: Server, database: str) -> None:
    """A role and the multiplexed flag reach the server; the emulator takes them and does not repeat them."""
    role = client.create_session(database, creator_role="reader")
    multiplexed = client.create_session(database, multiplexed=True)
    if server.kind == "local":
        assert role["creatorRole"] == "reader"
        assert multiplexed["multiplexed"] is True


def test_batch_create_answers_a_list_under_its_singular_key(client: SessionsClient, database: str) -> None:
    """The sessions of a batch come under `session`, each with the labels asked for."""
    body = client.batch_create_sessions(database, 3, labels=_LABELS)
    assert body.keys() == {"session"}
    assert [session["labels"] for session in body["session"]] == [_LABELS] * 3
    assert len({session["name"] for session in body["session"]}) == 3


def test_batch_create_gives_no_more_than_the_server_does(client: SessionsClient, database: str) -> None:
    """A server stops at 100; that is an answer, not an error."""
    assert len(client.batch_create_sessions(database, 101)["session"]) == 100


def test_get_answers_the_session(client: SessionsClient, database: str) -> None:
    """A session that was created can be looked up."""
    created = client.create_session(database)
    found = client.get_session(created["name"])
    assert (found["name"], found["createTime"]) == (created["name"], created["createTime"])


def test_list_answers_pages(client: SessionsClient, database: str) -> None:
    """Pages hold what they are asked to hold and lead to the next; the last one leads nowhere."""
    names = {session["name"] for session in client.batch_create_sessions(database, 3)["session"]}
    first = client.list_sessions(database, page_size=2)
    last = client.list_sessions(database, page_size=2, page_token=first["nextPageToken"])
    assert [len(first["sessions"]), len(last["sessions"])] == [2, 1]
    assert {session["name"] for session in first["sessions"] + last["sessions"]} == names
    assert "nextPageToken" not in last


def test_list_of_nothing_is_an_empty_body(client: SessionsClient, database: str) -> None:
    """A database without sessions answers `{}`, as REST does."""
    assert client.list_sessions(database) == {}


@pytest.mark.parametrize("page_size", [0, 1, 2, 5])
def test_iterating_gives_every_session_once(client: SessionsClient, database: str, page_size: int) -> None:
    """Whatever the page size, each session comes once."""
    names = [session["name"] for session in client.batch_create_sessions(database, 5)["session"]]
    found = [session["name"] for session in client.iter_sessions(database, page_size=page_size)]
    assert sorted(found) == sorted(names)


def test_iterating_sends_the_metadata_with_every_page(local: LocalSpanner, colour: Colour) -> None:
    """Also metadata that can be gone through only once."""
    database = "projects/p/instances/i/databases/d"
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.batch_create_sessions(database, 5)
        list(client.iter_sessions(database, page_size=2, metadata=(pair for pair in [("x-a", "1")])))
    assert [call.header("x-a") for call in local.calls if call.method == "ListSessions"] == ["1", "1", "1"]


def test_iterating_survives_sessions_that_vanish(client: SessionsClient, server: Server, database: str) -> None:
    """Sessions that go between two pages, the next ones among them, are left out; what stays comes once."""
    for _ in range(9):
        client.create_session(database)
    listed = [session["name"] for session in client.list_sessions(database)["sessions"]]
    doomed = {*listed[1:5], listed[6]}
    walked: list[str] = []
    for session in client.iter_sessions(database, page_size=2):
        if not walked:
            for name in doomed:
                client.delete_session(name)
        walked.append(session["name"])
    assert walked == [name for name in listed if name not in doomed or name == listed[1]]


def test_listing_survives_the_loss_of_all(client: SessionsClient, database: str) -> None:
    """When all sessions have gone, the next page is empty and the last."""
    client.batch_create_sessions(database, 5)
    page = client.list_sessions(database, page_size=2)
    for session in client.list_sessions(database)["sessions"]:
        client.delete_session(session["name"])
    assert client.list_sessions(database, page_size=2, page_token=page["nextPageToken"]) == {}


@pytest.mark.parametrize(
    ("tokens", "pages"),
    [
        (["a", "a"], 2),  # an empty page whose token is the one that asked for it
        (["a", "b", "b"], 3),
        (["a", "b", ""], 3),
        ([""], 1),
    ],
)
def test_iterating_ends_on_an_empty_page_with_a_token_that_repeats(
    colour: Colour, tokens: list[str], pages: int
) -> None:
    """An empty page alone is not the end, for its token may be new; a token that repeats with it is."""
    asked: list[str] = []

    def answer(request: Any, _: Any) -> Any:
        asked.append(request.page_token)
        sessions = [spanner_pb2.Session(name=f"{len(asked)}")] if len(asked) == 1 else []
        return spanner_pb2.ListSessionsResponse(sessions=sessions, next_page_token=tokens[len(asked) - 1])

    with scripted_server(ListSessions=answer) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            assert list(client.iter_sessions("projects/p/instances/i/databases/d")) == [{"name": "1"}]
    assert asked == ["", *tokens[: pages - 1]]


def test_ping_returns_nothing(client: SessionsClient, database: str) -> None:
    """A ping of a living session returns None."""
    session = client.create_session(database)
    assert client.ping_session(session["name"]) is None  # type: ignore[func-returns-value]  # the claim itself


def test_deleted_session_is_gone(client: SessionsClient, database: str) -> None:
    """Deleting answers `{}`; a ping afterwards says that it is the session that is gone, and which."""
    name = client.create_session(database)["name"]
    assert client.delete_session(name) == {}
    with pytest.raises(SessionNotFound) as caught:
        client.ping_session(name)
    error = caught.value.to_rest()["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ResourceInfo",
            "resourceType": "type.googleapis.com/google.spanner.v1.Session",
            "resourceName": name,
            "description": "Session does not exist.",
        }
    ]


def test_missing_database_and_missing_session_are_distinguished(client: SessionsClient, server: Server) -> None:
    """A database that does not exist raises its own class of NotFound."""
    with pytest.raises(DatabaseNotFound):
        client.create_session(server.missing_database)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ({}, {}),
        ({"session": {}}, {"labels": {}}),
        ({"session": {"labels": _LABELS}}, {"labels": _LABELS}),
        ({"session": {"labels": {}, "creatorRole": "reader"}}, {"creator_role": "reader"}),
        ({"session": {"multiplexed": True}}, {"multiplexed": True}),
    ],
)
def test_answer_equals_the_one_of_the_rest_gateway(
    emulator: Emulator, colour: Colour, body: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """The emulator's REST gateway and the client give the same body for the same session, value for value."""
    server = EmulatorServer(emulator)
    database = server.new_database()
    with colour.client(options=server.options()) as client:
        created = client.create_session(database, **arguments)
        status, over_rest = emulator.rest("POST", f"/v1/{database}/sessions", body)
        assert status == 200
        assert _without_chosen(created) == _without_chosen(over_rest)
        assert created.keys() == over_rest.keys()
        # The very same session, looked at from both sides.
        assert client.list_sessions(database) == emulator.rest("GET", f"/v1/{database}/sessions")[1]


def _without_chosen(session: Any) -> dict[str, Any]:
    return {key: value for key, value in session.items() if key not in {"name", "createTime", "approximateLastUseTime"}}


def test_not_found_is_caught_by_its_base(client: SessionsClient, database: str) -> None:
    """SessionNotFound is a NotFound, for code that does not care which."""
    with pytest.raises(NotFound):
        client.get_session(f"{database}/sessions/none")
