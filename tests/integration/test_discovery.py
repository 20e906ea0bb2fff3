"""`discovery` on both servers and in both colours: what code for google-api-python-client does, and what it gets."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientClosed,
    InvalidRequest,
    NotFound,
    SessionNotFound,
    SessionsClient,
    discovery,
)
from spanner_grpc_sessions.discovery import AsyncRequest, HttpError, Request
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Blocking, Colour
from tests.support.scripted import scripted_server
from tests.support.servers import Server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_WITHOUT_EFFECT = {
    "alt": "proto",
    "pp": 1,
    "prettyPrint": False,
    "quotaUser": "u",
    "strict": True,
    "trace": "t",
    "uploadType": "media",
    "upload_protocol": "raw",
    "userip": "127.0.0.1",
    "x__xgafv": "1",
}


class Face:
    """The sessions resource on a client of either colour, and how its requests are made."""

    def __init__(self, client: SessionsClient) -> None:
        self.client: Any = client
        self._wait: Callable[[Any], Any] = lambda answer: answer
        if isinstance(client, Blocking):
            self.client, self._wait = client._target, client._thread.run
        self.service = discovery.build(self.client)
        self.sessions: Any = self.service.projects().instances().databases().sessions()

    def execute(self, request: Any) -> Any:
        """Make the call; of an asynchronous client, await it."""
        return self._wait(request.execute())


@pytest.fixture
def face(client: SessionsClient) -> Face:
    """The resource in each colour on each server."""
    return Face(client)


@pytest.fixture
def local_face(local: LocalSpanner, colour: Colour) -> Iterator[Face]:
    """The resource in each colour on the local server, which tells what it was sent."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        yield Face(client)


def test_a_session_lives_its_life(face: Face, server: Server) -> None:
    """Create, get, use, list by pages and delete."""
    database = server.new_database()
    for env in ("a", "b", "c"):
        face.execute(face.sessions.create(database=database, body={"session": {"labels": {"env": env}}}))
    request, found = face.sessions.list(database=database, pageSize=2), []
    while request is not None:
        page = face.execute(request)
        found.append([session["name"] for session in page.get("sessions", [])])
        request = face.sessions.list_next(request, page)
    assert [len(names) for names in found if names] == [2, 1]
    name = found[0][0]
    assert face.execute(face.sessions.get(name=name))["name"] == name
    assert face.execute(face.sessions.executeSql(session=name, body={"sql": "SELECT 1"}))["rows"] == [["1"]]
    streamed = face.execute(face.sessions.executeStreamingSql(session=name, body={"sql": "SELECT 1"}))
    assert [part["values"] for part in streamed] == [["1"]]
    assert face.execute(face.sessions.delete(name=name)) == {}
    with pytest.raises(HttpError):
        face.execute(face.sessions.get(name=name))


def test_a_filter_and_its_page_reach_the_server(local_face: Face) -> None:
    """What the query says is what is answered, also for a value that a number was cast from."""
    for env in ("a", "b", "b"):
        local_face.execute(local_face.sessions.create(database=_DATABASE, body={"session": {"labels": {"env": env}}}))
    request = local_face.sessions.list(database=_DATABASE, filter="labels.env:b", pageSize=True)
    page = local_face.execute(request)
    assert [session["labels"] for session in page["sessions"]] == [{"env": "b"}]
    page = local_face.execute(local_face.sessions.list_next(request, page))
    assert [session["labels"] for session in page["sessions"]] == [{"env": "b"}]


def test_what_has_no_effect_changes_nothing(face: Face, server: Server) -> None:
    """Each of the common keywords, on a method with a body and on one with a query."""
    database = server.new_database()
    created = face.execute(face.sessions.create(database=database, **_WITHOUT_EFFECT))
    got = face.execute(face.sessions.get(name=created["name"], **_WITHOUT_EFFECT))
    assert got.keys() == created.keys()
    page = face.execute(face.sessions.list(database=database, pageSize=5, **_WITHOUT_EFFECT))
    assert [session["name"] for session in page["sessions"]] == [created["name"]]


def test_a_request_is_what_it_was_when_it_was_built(face: Face, server: Server) -> None:
    """A body that its caller uses again does not change it, and it can be made as often as one likes."""
    name = face.execute(face.sessions.create(database=server.new_database()))["name"]
    body = {"sql": "SELECT 1"}
    request = face.sessions.executeSql(session=name, body=body)
    body["sql"] = "SELECT 2"
    assert [face.execute(request)["rows"] for _ in range(2)] == [[["1"]], [["1"]]]


def test_execute_is_awaited_in_one_colour_only(local_face: Face) -> None:
    """An asynchronous client has requests of its own; their `list_next` too."""
    asynchronous = isinstance(local_face.client, AsyncSessionsClient)
    request = local_face.sessions.list(database=_DATABASE)
    for page in (request, local_face.sessions.list_next(request, {"nextPageToken": "t"})):
        assert type(page) is (AsyncRequest if asynchronous else Request)
        assert inspect.iscoroutinefunction(page.execute) is asynchronous
    # Positions and names of the arguments are those of google's.
    assert local_face._wait(request.execute(None, num_retries=3)) == {}


def test_a_missing_session_is_a_404(face: Face, server: Server) -> None:
    """The error is read as google's is, also by its text, and our own is its cause."""
    name = f"{server.new_database()}/sessions/none"
    request = face.sessions.executeStreamingSql(session=name, body={"sql": "SELECT 1"})
    for failing in (request, face.sessions.get(name=name)):
        with pytest.raises(HttpError) as caught:
            face.execute(failing)
        error = caught.value
        assert (error.resp.status, error.status_code, error.uri) == (404, 404, failing.uri)
        assert json.loads(error.content)["error"]["status"] == "NOT_FOUND"
        assert isinstance(error.__cause__, SessionNotFound)
        assert str(error).startswith(f'<HttpError 404 when requesting {failing.uri} returned "')


def test_googles_class_catches_it(face: Face, server: Server) -> None:
    """An `except` clause that was written for google's client still works."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    request = face.sessions.get(name=f"{server.new_database()}/sessions/none")
    with pytest.raises(google.HttpError) as caught:
        face.execute(request)
    theirs = google.HttpError(caught.value.resp, caught.value.content, request.uri)
    assert str(caught.value) == repr(caught.value) == str(theirs)


@pytest.mark.parametrize("body", [{"bogus": 1}, {"session": {"labels": {"a": 7}}}, [], "text", False, {1: 2}])
def test_a_body_that_is_no_request_is_a_400(local_face: Face, local: LocalSpanner, body: Any) -> None:
    """Where REST would say so: when the call is made, not before; and nothing is sent."""
    request = local_face.sessions.create(database=_DATABASE, body=body)
    with pytest.raises(HttpError) as caught:
        local_face.execute(request)
    assert caught.value.resp.status == 400
    assert isinstance(caught.value.__cause__, InvalidRequest)
    assert local.calls == []


def test_a_parameter_out_of_its_range_is_a_400(local_face: Face, local: LocalSpanner) -> None:
    """A page size that no int32 holds; nothing is sent."""
    with pytest.raises(HttpError) as caught:
        local_face.execute(local_face.sessions.list(database=_DATABASE, pageSize=2**31))
    assert caught.value.resp.status == 400
    assert local.calls == []


def test_a_name_is_sent_as_it_was_given(local_face: Face) -> None:
    """Also one that means something else in an address, unless it is quoted there."""
    for last in ("a?b=c", "a%2541", "a#b", "a:read", "a+b&c"):
        with pytest.raises(HttpError) as caught:
            local_face.execute(local_face.sessions.get(name=f"{_DATABASE}/sessions/{last}"))
        assert isinstance(caught.value.__cause__, NotFound)
        assert f"{_DATABASE}/sessions/{last}" in caught.value.content.decode()


def test_closing_the_service_leaves_the_client_open(local_face: Face) -> None:
    """The owner of the client closes it, and then there are no more calls."""
    with local_face.service as service, service.projects() as projects:
        assert projects.instances().databases().sessions()
    local_face.service.close()
    local_face.sessions.close()
    request = local_face.sessions.list(database=_DATABASE)
    assert local_face.execute(request) == {}
    local_face._wait(local_face.client.close())
    with pytest.raises(ClientClosed):
        local_face.execute(request)


class Query:
    """A query that goes on, after its first answer, until it is told to stop."""

    def __init__(self, answer: result_set_pb2.PartialResultSet) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()
        self._answer = answer

    def __call__(self, _: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Answer."""
        context.add_callback(self.ended.set)
        yield self._answer
        self.begun.set()
        self.ended.wait(WAIT)


def _stream(sessions: Any) -> Any:
    return sessions.executeStreamingSql(session=f"{_DATABASE}/sessions/s", body={"sql": "SELECT 1"})


def test_a_failure_ends_the_work_of_the_server(colour: Colour) -> None:
    """A part that has no JSON form is the end of the call, while the error that tells of it is still held."""
    answer = result_set_pb2.PartialResultSet()
    answer.metadata.transaction.read_timestamp.seconds = 253_402_300_800  # the year 10000
    query = Query(answer)
    with scripted_server(ExecuteStreamingSql=query) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            face = Face(client)
            with pytest.raises(discovery.HttpError, match="no JSON form") as caught:
                face.execute(_stream(face.sessions))
            assert query.ended.wait(WAIT / 2)
            assert caught.value


def test_a_cancellation_ends_the_work_of_the_server() -> None:
    """A cancelled asynchronous call is cancelled on the server too."""
    query = Query(result_set_pb2.PartialResultSet(resume_token=b"1"))

    async def give_up() -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            sessions = discovery.build(client).projects().instances().databases().sessions()
            task = asyncio.ensure_future(_stream(sessions).execute())
            assert await asyncio.to_thread(query.begun.wait, WAIT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(query.ended.wait, WAIT / 2)

    with scripted_server(ExecuteStreamingSql=query) as options:
        asyncio.run(give_up())
