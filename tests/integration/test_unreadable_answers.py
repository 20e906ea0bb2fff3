"""Answers that are no session, or one that REST has no body for: the same exceptions in both colours."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import Internal, PoolError, PoolTimeout
from spanner_grpc_sessions.runtime.clock import CLOCK
from tests.support.colours import Colour
from tests.support.http2 import http2_server, status_alone
from tests.support.pools import multiplexed_of, rig_of
from tests.support.scripted import scripted_server

_DATABASE = "projects/p/instances/i/databases/d"
_SESSION = f"{_DATABASE}/sessions/s"
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
def test_a_session_without_json_form_is_an_internal_error(colour: Colour, channels: int) -> None:
    """Its time lies in the year 10000: protobuf reads it, and JSON has no text for it. It is no input of the caller."""
    session = spanner_pb2.Session(name=_SESSION)
    session.create_time.seconds = 253_402_300_800
    with scripted_server(CreateSession=lambda *_: session) as plain:
        options = dataclasses.replace(plain, channels=channels)
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(Internal, match="years 0001 to 9999"):
                client.create_session(_DATABASE)


_OTHER = "projects/p/instances/i/databases/other/sessions/s"


@pytest.mark.parametrize("name", ["", "hello8", f"{_SESSION}/x", f"{_SESSION}\nb", f"{_SESSION}{'x' * 3000}", _OTHER])
def test_a_name_is_checked_before_it_is_believed(colour: Colour, name: str) -> None:
    """No session, or one of another database: an error that says so, with the request id, and no lease."""

    def batch(request: Any, context: grpc.ServicerContext) -> Any:
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name)])

    session = spanner_pb2.Session(name=name, multiplexed=True)
    with (
        scripted_server(CreateSession=lambda *_: session, BatchCreateSessions=batch) as options,
        rig_of(colour, AnonymousCredentials(), options) as rig,
    ):
        with pytest.raises(Internal, match=r"names no session of .*request id 1\."):
            multiplexed_of(rig.client, rig.database).open()
        with pytest.raises(PoolTimeout) as error:
            rig.pool(clock=CLOCK).acquire(timeout=1.0)
        assert isinstance(error.value.__cause__, Internal)
        # A caller's own call answers what REST would.
        assert rig.client.create_session(rig.database, multiplexed=True).get("name", "") == name


def test_an_answer_without_a_message_is_an_internal_error(colour: Colour) -> None:
    """Status OK alone: no call of ours takes it for success, not even one that has no use for the answer."""
    with http2_server(itertools.repeat(status_alone("0"))) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            uses: tuple[Callable[[], Any], ...] = (
                lambda: rig.client.create_session(_DATABASE),
                lambda: rig.client.ping_session(_SESSION),
                lambda: rig.client.delete_session(_SESSION),
                lambda: rig.client.rest("GET", f"/v1/{_SESSION}"),
            )
            for use in uses:
                with pytest.raises(Internal, match="request id"):
                    use()
            with pytest.raises(PoolTimeout) as error:
                rig.pool(clock=CLOCK).acquire(timeout=1.0)
            assert isinstance(error.value.__cause__, Internal)


def test_a_regular_session_is_not_taken_for_a_multiplexed_one(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """It serves one caller at a time. The old emulator makes one, which is told in the log."""
    caplog.set_level("INFO")
    session = spanner_pb2.Session(name=_SESSION)
    with scripted_server(CreateSession=lambda *_: session) as options:
        token = Credentials("a token")
        with colour.client(token, options=options) as client, pytest.raises(PoolError, match="regular session"):
            multiplexed_of(client, _DATABASE).open()
        with colour.client(AnonymousCredentials(), options=options) as client:
            used = multiplexed_of(client, _DATABASE)
            assert used.open().name == _SESSION
            used.close()
    assert len([line for line in caplog.messages if "regular session" in line]) == 1
