"""A day of work: google-api-python-client on the emulator's REST port, and we on its gRPC port, get the same."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("googleapiclient", reason="google-api-python-client is the judge here, and is not installed")

from spanner_grpc_sessions import RpcError, SessionsClient, discovery
from spanner_grpc_sessions.discovery.http_error import http_error
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.testing import Emulator
from tests.support.colours import Blocking, Colour
from tests.support.day_of_work import STATEMENTS, Step, normalised, work
from tests.support.discovery_document import check_body, google_sessions, session_methods

Day = list[Step]


@pytest.fixture(scope="module")
def day_in_rest(emulator: Emulator) -> Day:
    """What a day of work gives through google-api-python-client."""
    return _day(google_sessions(emulator.rest_endpoint), emulator.create_database(STATEMENTS))


@pytest.fixture(params=["discovery", "rest"])
def day_in_grpc(request: pytest.FixtureRequest, emulator: Emulator, colour: Colour) -> Day:
    """What the same day gives through us: by the face of google's client, and by paths, in each colour."""
    options = ClientOptions(endpoint=emulator.grpc_endpoint, plaintext=True)
    with colour.client(options=options) as client:
        sessions = _sessions(client) if request.param == "discovery" else Paths(client.rest)
        return _day(sessions, emulator.create_database(STATEMENTS))


def _day(sessions: Any, database: str) -> Day:
    return [(what, method, normalised(body, database)) for what, method, body in work(sessions, database)]


def _sessions(client: SessionsClient) -> Any:
    """Return the sessions resource of `discovery`; that of an asynchronous client behind a blocking face."""
    if not isinstance(client, Blocking):
        return discovery.build(client).projects().instances().databases().sessions()
    service = discovery.build(client._target)
    return BlockingSessions(service.projects().instances().databases().sessions(), client._thread.run)


class BlockingSessions:
    """The sessions resource of an asynchronous client, whose requests are waited for where they are executed."""

    def __init__(self, sessions: discovery.Sessions, run: Callable[[Any], Any]) -> None:
        self._sessions = sessions
        self._run = run

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any, **keywords: Any) -> Any:
            request = getattr(self._sessions, name)(*args, **keywords)
            if request is not None:
                execute = request.execute
                request.execute = lambda: self._run(execute())
            return request

        return method


# Typed by hand from the REST reference; a method that is not here is a POST to its name after the session's.
PATHS = {
    "create": ("POST", "/v1/{}/sessions"),
    "batchCreate": ("POST", "/v1/{}/sessions:batchCreate"),
    "list": ("GET", "/v1/{}/sessions"),
    "get": ("GET", "/v1/{}"),
    "delete": ("DELETE", "/v1/{}"),
}


class Paths:
    """The methods of google's client by their paths, on `client.rest`."""

    def __init__(self, rest: Callable[..., Any]) -> None:
        self._rest = rest

    def __getattr__(self, name: str) -> Any:
        return functools.partial(PathRequest, self._rest, *PATHS.get(name, ("POST", f"/v1/{{}}:{name}")))

    @staticmethod
    def list_next(request: PathRequest, page: dict[str, Any]) -> PathRequest | None:
        """Return the request for the next page."""
        return request.next(page["nextPageToken"]) if "nextPageToken" in page else None


class PathRequest:
    """One REST call that is ready to be made."""

    def __init__(self, rest: Callable[..., Any], method: str, path: str, body: Any = None, **keywords: Any) -> None:
        resource = keywords.pop("database", None) or keywords.pop("name", None) or keywords.pop("session", None)
        self._call = (method, path.format(resource), body)
        self._rest = rest
        self._query = keywords

    def execute(self) -> Any:
        """Make the call."""
        try:
            answer = self._rest(*self._call, query=self._query)
            return answer if isinstance(answer, dict) else list(answer)
        except RpcError as error:
            raise http_error(error, self._call[1]) from error

    def next(self, token: str) -> PathRequest:
        """Return the call for the next page."""
        method, path, body = self._call
        return PathRequest(self._rest, method, path, body, **{**self._query, "pageToken": token})


def test_the_day_uses_every_method(day_in_rest: Day) -> None:
    """No method of the discovery document is left out."""
    assert {method for _, method, _ in day_in_rest} == set(session_methods())


def test_every_body_is_the_one_that_rest_gives(day_in_rest: Day, day_in_grpc: Day) -> None:
    """All bodies are equal, after the values that the server chose are taken out."""
    assert [what for what, _, _ in day_in_grpc] == [what for what, _, _ in day_in_rest]
    for (what, _, ours), (_, _, theirs) in zip(day_in_grpc, day_in_rest, strict=True):
        assert ours == theirs, what


def test_every_body_has_the_form_of_its_schema(day_in_grpc: Day) -> None:
    """Each body is valid under the schema of the discovery document, with no key that it does not name."""
    checked = 0
    for _, method, body in day_in_grpc:
        if "error" not in body:
            for part in body if isinstance(body, list) else [body]:
                check_body(session_methods()[method]["response"]["$ref"], part)
                checked += 1
    assert checked > len(session_methods())
