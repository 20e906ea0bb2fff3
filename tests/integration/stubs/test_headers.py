"""The headers of stub calls: a caller's own take the place of the client's, in both colours."""

from __future__ import annotations

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import InvalidValue, RetryOptions, SessionNotFound
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour

_DATABASE = "projects/p/instances/i/databases/d"
_REQUEST_ID = "x-goog-spanner-request-id"
_OWN = {
    _REQUEST_ID: "1.00000000000000aa.7.1.3.2",
    "google-cloud-resource-prefix": "projects/own",
    "x-goog-api-client": "own/1.0",
    "x-goog-request-params": "database=own",
    "x-goog-spanner-route-to-leader": "false",
}


@pytest.mark.parametrize("key", _OWN)
def test_a_header_of_the_caller_is_sent_once(local: LocalSpanner, colour: Colour, key: str) -> None:
    """Google's clients send their own; the server gets no second one of ours."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
        client.stub.CreateSession(request, metadata=((key, _OWN[key]),))
        client.stub.CreateSession(request)
    own, ours = local.calls
    assert [value for name, value in own.metadata if name == key] == [_OWN[key]]
    assert {name for name, _ in own.metadata} == {name for name, _ in ours.metadata}
    assert ours.header(key) not in {None, _OWN[key]}


def test_an_error_names_the_request_id_of_the_caller(local: LocalSpanner, colour: Colour) -> None:
    """It is what the server saw."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        request = spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none")
        with pytest.raises(SessionNotFound) as caught:
            client.stub.GetSession(request, metadata=((_REQUEST_ID, _OWN[_REQUEST_ID]),))
    assert caught.value.request_id == local.calls[0].header(_REQUEST_ID) == _OWN[_REQUEST_ID]


def test_the_token_stays_the_clients(local: LocalSpanner, colour: Colour) -> None:
    """A caller that sets one is refused before anything is sent."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
        with pytest.raises(InvalidValue, match="authorization"):
            client.stub.CreateSession(request, metadata=(("authorization", "Bearer own"),))
    assert local.calls == []


def test_attempts_follow_a_request_id_of_another_form(local: LocalSpanner, colour: Colour) -> None:
    """They are counted behind what the caller made up."""
    retry = RetryOptions(initial_delay=0)
    with colour.client(local.credentials(), options=local.client_options(stub_retry=retry)) as client:
        local.faults.add("CreateSession", status="UNAVAILABLE", times=2)
        request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
        client.stub.CreateSession(request, metadata=((_REQUEST_ID, "mine.x"),))
    assert [call.header(_REQUEST_ID) for call in local.calls] == ["mine.x", "mine.x.2", "mine.x.3"]
