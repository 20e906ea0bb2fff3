"""Answers that are no session, or one that REST has no body for: the same exceptions in both colours."""

from __future__ import annotations

import dataclasses

import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import Internal, InvalidValue
from tests.support.colours import Colour
from tests.support.scripted import scripted_server

_DATABASE = "projects/p/instances/i/databases/d"
each_number_of_channels = pytest.mark.parametrize("channels", [1, 3])


@each_number_of_channels
@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x01\xff", b"no session"], ids=["cut", "no text", "anything"])
def test_bytes_that_are_no_session_are_an_internal_error(colour: Colour, channels: int, data: bytes) -> None:
    """Whatever calls for a session, whatever stands in its place."""
    with scripted_server(CreateSession=lambda *_: data, GetSession=lambda *_: data) as plain:
        options = dataclasses.replace(plain, channels=channels)
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(Internal, match=r"CreateSession: INTERNAL: Exception deserializing.*request id"):
                client.create_session(_DATABASE)
            with pytest.raises(Internal, match="GetSession"):
                client.get_session(f"{_DATABASE}/sessions/s")
            with pytest.raises(Internal, match="CreateSession"):
                client.rest("POST", f"/v1/{_DATABASE}/sessions", {})


def test_a_call_without_a_body_does_not_hide_it(colour: Colour) -> None:
    """A ping has no use for its answer, but one that cannot be parsed is no success."""
    with scripted_server(ExecuteSql=lambda *_: b"\x0a") as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(Internal):
                client.ping_session(f"{_DATABASE}/sessions/s")


def test_a_stream_of_unreadable_messages_is_no_end_and_no_answer(colour: Colour) -> None:
    """What can be read is given, and then the error."""
    with scripted_server(ExecuteStreamingSql=lambda *_: iter([b"", b"\x0a"])) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            stream = client.rest("POST", f"/v1/{_DATABASE}/sessions/s:executeStreamingSql", {"sql": "SELECT 1"})
            assert next(stream) == {}
            with pytest.raises(Internal, match=r"ExecuteStreamingSql: INTERNAL: Exception deserializing"):
                next(stream)


@each_number_of_channels
def test_a_session_without_json_form_is_an_invalid_value(colour: Colour, channels: int) -> None:
    """Its time lies in the year 10000: protobuf reads it, and JSON has no text for it."""
    session = spanner_pb2.Session(name=f"{_DATABASE}/sessions/s")
    session.create_time.seconds = 253_402_300_800
    with scripted_server(CreateSession=lambda *_: session) as plain:
        options = dataclasses.replace(plain, channels=channels)
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(InvalidValue, match="years 0001 to 9999"):
                client.create_session(_DATABASE)
