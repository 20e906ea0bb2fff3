"""Bad input: a clear error that names the value and the rule, before anything is sent, and nothing is created."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientOptions,
    InvalidName,
    InvalidType,
    InvalidValue,
    SessionsClient,
    SpannerSessionsError,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour

_DATABASE = "projects/p/instances/i/databases/d"
_SESSION = f"{_DATABASE}/sessions/s"

_BAD_NAMES = [
    "",
    "d",
    "projects/p/instances/i/databases/",
    "projects//instances/i/databases/d",
    "projects/p/instances/i/databases/d/",
    "projects/p/instances/i/databases/d\r\nx-injected: 1",
    "projects/p/instances/i/databases/d\n",
    "projects/p/instances/i/databases/d\x00",
    "projects/p/instances/i/databases/dä",
    "projects/p/instances/i/databases/d e",
    "/projects/p/instances/i/databases/d",
]
_LONG_NAME = "projects/p/instances/i/databases/" + "d" * 2048
_BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"labels": {"Team": "x"}}, ValueError, "'Team'"),
    ({"labels": {"": "x"}}, ValueError, "''"),
    ({"labels": {"a" * 64: "x"}}, ValueError, "a" * 64),
    ({"labels": {"a-": "x"}}, ValueError, "'a-'"),
    ({"labels": {"team": "X"}}, ValueError, "'X'"),
    ({"labels": {"team": "b" * 64}}, ValueError, "b" * 64),
    ({"labels": {f"l{number}": "" for number in range(65)}}, ValueError, "65"),
    ({"labels": {"team": 7}}, TypeError, "7"),
    ({"labels": {7: "x"}}, TypeError, "7"),
    ({"labels": ["team"]}, TypeError, "list"),
    ({"labels": {"team": "x"}, "multiplexed": True}, ValueError, "multiplexed"),
    ({"multiplexed": "yes"}, TypeError, "'yes'"),
    ({"multiplexed": None}, TypeError, "None"),
    ({"creator_role": ""}, ValueError, "''"),
    ({"creator_role": "röle"}, ValueError, "röle"),
    ({"creator_role": "a\nb"}, ValueError, "creator_role"),
    ({"creator_role": b"role"}, TypeError, "creator_role"),
    ({"timeout": -1}, ValueError, "-1"),
    ({"timeout": math.nan}, ValueError, "nan"),
    ({"timeout": math.inf}, ValueError, "inf"),
    ({"timeout": "30"}, TypeError, "'30'"),
    ({"timeout": True}, TypeError, "True"),
    ({"metadata": [("Upper", "x")]}, ValueError, "'Upper'"),
    ({"metadata": [("x-y", "a\r\nb")]}, ValueError, "x-y"),
    ({"metadata": [("authorization", "Bearer stolen")]}, ValueError, "authorization"),
    ({"metadata": [("x-y-bin", "text")]}, TypeError, "x-y-bin"),
    ({"metadata": [("x-y", b"bytes")]}, TypeError, "x-y"),
    ({"metadata": "x-y"}, TypeError, "metadata"),
    ({"metadata": [("x-y",)]}, TypeError, "metadata"),
    ({"metadata": 7}, TypeError, "metadata"),
    ({"metadata": [("x-y", "a" * 9000)]}, ValueError, "at most 8192 bytes"),
    ({"metadata": [(f"x-{number}", "1") for number in range(250)]}, ValueError, "32 more for each entry"),
    ({"timeout": 10**5000}, ValueError, "bits"),
    ({"retry": 3}, TypeError, "retry"),
]


def _client(local: LocalSpanner, colour: Colour) -> Any:
    return colour.client(local.credentials(), options=local.client_options())


@pytest.mark.parametrize("name", [*_BAD_NAMES, _SESSION])
def test_database_that_is_none_is_refused(local: LocalSpanner, colour: Colour, name: str) -> None:
    """A text that is no database name raises InvalidName, which quotes it, and nothing reaches the server."""
    with _client(local, colour) as client:
        for call in (client.create_session, client.list_sessions, lambda name: list(client.iter_sessions(name))):
            with pytest.raises(InvalidName, match=r"projects/\{project\}") as caught:
                call(name)
            assert repr(name) in str(caught.value)
        with pytest.raises(InvalidName):
            client.batch_create_sessions(name, 2)
    assert local.calls == []


@pytest.mark.parametrize("name", [*_BAD_NAMES, _DATABASE, f"{_SESSION}/", f"{_SESSION}\n"])
def test_session_that_is_none_is_refused(local: LocalSpanner, colour: Colour, name: str) -> None:
    """A text that is no session name raises InvalidName, and nothing reaches the server."""
    with _client(local, colour) as client:
        for call in (client.get_session, client.ping_session, client.delete_session):
            with pytest.raises(InvalidName, match=r"sessions/\{session\}"):
                call(name)
    assert local.calls == []


def test_name_that_no_header_can_hold_is_refused(local: LocalSpanner, colour: Colour) -> None:
    """It would otherwise be tried until the deadline, and be in every text of the way."""
    with _client(local, colour) as client:
        with pytest.raises(InvalidName, match="2048") as caught:
            client.create_session(_LONG_NAME)
        assert len(str(caught.value)) < 200
    assert local.calls == []


@pytest.mark.parametrize("name", [None, 7, b"projects/p/instances/i/databases/d", ["x"], {}])
def test_name_of_another_type_is_refused(local: LocalSpanner, colour: Colour, name: Any) -> None:
    """What is not a str raises InvalidType, hashable or not."""
    with _client(local, colour) as client:
        for call in (client.create_session, client.list_sessions, client.get_session, client.ping_session):
            with pytest.raises(InvalidType, match=type(name).__name__):
                call(name)
    assert local.calls == []


@pytest.mark.parametrize(("arguments", "kind", "culprit"), _BAD_ARGUMENTS)
def test_argument_that_breaks_its_rule_is_refused(
    local: LocalSpanner, colour: Colour, arguments: dict[str, Any], kind: type[Exception], culprit: str
) -> None:
    """The error is ours and also ValueError or TypeError, names the culprit, and nothing reaches the server."""
    with _client(local, colour) as client:
        with pytest.raises(kind) as caught:
            client.create_session(_DATABASE, **arguments)
        assert isinstance(caught.value, SpannerSessionsError)
        assert culprit in str(caught.value)
    assert local.calls == []
    assert local.sessions == []


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        (0, InvalidValue),
        (-1, InvalidValue),
        (2**31, InvalidValue),
        (1.0, InvalidType),
        (True, InvalidType),
        pytest.param(10**5000, InvalidValue, id="endless"),
    ],
)
def test_session_count_that_is_none_is_refused(
    local: LocalSpanner, colour: Colour, count: Any, kind: type[Exception]
) -> None:
    """A count must be a whole number from 1 that fits the wire."""
    with _client(local, colour) as client, pytest.raises(kind, match="session_count"):
        client.batch_create_sessions(_DATABASE, count)
    assert local.calls == []


@pytest.mark.parametrize("client_class", [SessionsClient, AsyncSessionsClient])
@pytest.mark.parametrize(
    ("credentials", "options"), [("token", None), (object(), None), (None, {"endpoint": "x"}), (None, "x:1")]
)
def test_client_of_something_else_is_refused(client_class: Any, credentials: Any, options: Any) -> None:
    """Credentials and options of the wrong type are refused when the client is made, and no thread is started."""
    before = set(threading.enumerate())
    with pytest.raises(InvalidType):
        client_class(credentials, options=options)
    # Threads of earlier tests may still be ending.
    assert set(threading.enumerate()) <= before


def test_default_options_are_valid() -> None:
    """Options without arguments are what the documentation says."""
    options = ClientOptions()
    assert (options.endpoint, options.plaintext, options.scopes) == (
        None,
        False,
        ("https://www.googleapis.com/auth/spanner.data",),
    )
