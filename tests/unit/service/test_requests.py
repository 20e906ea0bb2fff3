"""Requests: the documented rules at their borders, and messages that say exactly what was asked."""

from __future__ import annotations

import contextlib
import re
from collections import UserDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.service import requests
from tests.unit.rest.strategies import anything

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"
A63, A64 = "a" * 63, "a" * 64

# As the REST reference of `sessions` states them; lengths are stated beside.
LABEL_KEY = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([a-z]([-a-z0-9]*[a-z0-9])?)?")

GOOD_KEYS = ["a", "z9", "a-b", "a--b", A63, "a" + "-" * 61 + "b", "k8s"]
BAD_KEYS = [
    *("", "A", "aB", "1a", "9", "-a", "a-", "a_b", "a.b", "a b", "é", "aé", "a\n", "\na", A64, "a\0", "\ud800"),
    "a" + "-" * 62,
]


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_label_keys_inside_the_rule_are_sent(key: str) -> None:
    """A key of 1 to 63 characters that follows the rule is sent, and so is it as a value."""
    request = requests.create_session(DATABASE, {key: key}, None, False)
    assert dict(request.session.labels) == {key: key}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_label_keys_outside_the_rule_are_refused(key: str) -> None:
    """A key that breaks the rule is refused with the key and the rule in the message."""
    with pytest.raises(InvalidValue) as error:
        requests.create_session(DATABASE, {key: "v"}, None, False)
    assert repr(key) in str(error.value)
    assert "1 to 63" in str(error.value) or "UTF-8" in str(error.value)


@pytest.mark.parametrize("value", [bad for bad in BAD_KEYS if bad])
def test_label_values_outside_the_rule_are_refused(value: str) -> None:
    """A value that breaks the rule is refused with the value and its key in the message."""
    with pytest.raises(InvalidValue) as error:
        requests.batch_create_sessions(DATABASE, 1, {"key": value}, None)
    assert repr(value) in str(error.value) or "UTF-8" in str(error.value)
    assert "'key'" in str(error.value)


def test_a_label_can_be_empty() -> None:
    """A label with an empty value is sent: it is there or not there."""
    assert dict(requests.create_session(DATABASE, {"a": ""}, None, False).session.labels) == {"a": ""}


@given(st.text("aA1-_.\n", max_size=6))
def test_labels_follow_the_documented_expressions(text: str) -> None:
    """A text is accepted as key or value exactly where the expression of the REST reference says so."""
    assert _accepts({text: ""}) == bool(LABEL_KEY.fullmatch(text))
    assert _accepts({"k": text}) == bool(LABEL_VALUE.fullmatch(text))


@pytest.mark.parametrize(("count", "accepted"), [(63, True), (64, True), (65, False)])
def test_a_session_has_at_most_64_labels(count: int, accepted: bool) -> None:
    """The 65th label is one too many."""
    assert _accepts({f"k{number}": "" for number in range(count)}) is accepted


@pytest.mark.parametrize("labels", [UserDict({"a": "b"}), MappingProxyType({"a": "b"})])
def test_labels_can_be_any_mapping(labels: Any) -> None:
    """Labels are not bound to be a dict."""
    assert dict(requests.create_session(DATABASE, labels, None, False).session.labels) == {"a": "b"}


@pytest.mark.parametrize(
    "labels", ["", "ab", b"", 0, False, [], [("a", "b")], {"a"}, {"a": 1}, {"a": None}, {1: "a"}, {b"a": "b"}, object()]
)
@pytest.mark.parametrize(
    "build",
    [
        lambda labels: requests.create_session(DATABASE, labels, None, False),
        lambda labels: requests.create_session(DATABASE, labels, None, True),
        lambda labels: requests.batch_create_sessions(DATABASE, 1, labels, None),
    ],
)
def test_labels_of_other_types_are_refused(build: Callable[[Any], object], labels: Any) -> None:
    """What is no mapping of text to text is refused, also where it is empty or false."""
    with pytest.raises(InvalidType, match="label"):
        build(labels)


def test_create_session_says_what_was_asked() -> None:
    """Labels, role and kind arrive in their fields."""
    assert requests.create_session(DATABASE, {"a": "b"}, "role", False) == spanner_pb2.CreateSessionRequest(
        database=DATABASE, session=spanner_pb2.Session(labels={"a": "b"}, creator_role="role")
    )
    assert requests.create_session(DATABASE, None, "role", True) == spanner_pb2.CreateSessionRequest(
        database=DATABASE, session=spanner_pb2.Session(creator_role="role", multiplexed=True)
    )


@pytest.mark.parametrize("labels", [None, {}])
def test_an_empty_session_is_left_out(labels: dict[str, str] | None) -> None:
    """Where nothing is asked of the session, the request has no Session message."""
    assert not requests.create_session(DATABASE, labels, None, False).HasField("session")
    assert not requests.batch_create_sessions(DATABASE, 1, labels, None).HasField("session_template")


def test_a_multiplexed_session_has_no_labels() -> None:
    """Labels and multiplexed exclude each other, as the server would say."""
    with pytest.raises(InvalidValue, match="multiplexed session has no labels"):
        requests.create_session(DATABASE, {"a": "b"}, None, True)
    assert requests.create_session(DATABASE, {}, None, True).session.multiplexed


@pytest.mark.parametrize("multiplexed", [None, 0, 1, "yes", [], object()])
def test_multiplexed_is_a_bool(multiplexed: Any) -> None:
    """A flag that is merely true or false in Python's eyes is refused."""
    with pytest.raises(InvalidType, match="multiplexed must be a bool"):
        requests.create_session(DATABASE, None, None, multiplexed)


@pytest.mark.parametrize("role", ["", "a\n", "é", "\ud800", "a\tb"])
def test_creator_roles_that_cannot_be_sent_are_refused(role: str) -> None:
    """A role is printable ASCII, and an empty one would be none."""
    for build in (
        lambda: requests.create_session(DATABASE, None, role, False),
        lambda: requests.batch_create_sessions(DATABASE, 1, None, role),
    ):
        with pytest.raises(InvalidValue, match="creator_role"):
            build()


def test_batch_create_sessions_says_what_was_asked() -> None:
    """The count and the template arrive in their fields."""
    assert requests.batch_create_sessions(
        DATABASE, 2**31 - 1, {"a": "b"}, "role"
    ) == spanner_pb2.BatchCreateSessionsRequest(
        database=DATABASE,
        session_count=2**31 - 1,
        session_template=spanner_pb2.Session(labels={"a": "b"}, creator_role="role"),
    )


@pytest.mark.parametrize("count", [0, -1, 2**31, -(2**31) - 1, 10**400])
def test_session_counts_out_of_range_are_refused(count: int) -> None:
    """A count is at least one and fits the field."""
    with pytest.raises(InvalidValue, match="session_count"):
        requests.batch_create_sessions(DATABASE, count, None, None)


@pytest.mark.parametrize("number", [True, False, 1.0, "1", None, b"1"])
def test_numbers_of_other_types_are_refused(number: Any) -> None:
    """A bool is no int, and neither is a float without fraction."""
    with pytest.raises(InvalidType, match="session_count"):
        requests.batch_create_sessions(DATABASE, number, None, None)
    with pytest.raises(InvalidType, match="page_size"):
        requests.list_sessions(DATABASE, number, "", "")


def test_list_sessions_says_what_was_asked() -> None:
    """Size, token and filter arrive in their fields; a size below one is the server's own."""
    page = "next é"
    assert requests.list_sessions(DATABASE, -1, page, "labels.a:*") == spanner_pb2.ListSessionsRequest(
        database=DATABASE, page_size=-1, page_token=page, filter="labels.a:*"
    )


@pytest.mark.parametrize("size", [2**31, -(2**31) - 1])
def test_page_sizes_out_of_range_are_refused(size: int) -> None:
    """A page size fits the field."""
    with pytest.raises(InvalidValue, match="page_size"):
        requests.list_sessions(DATABASE, size, "", "")


@pytest.mark.parametrize(("token", "filter_", "name"), [("\ud800", "", "page_token"), ("", "\udfff", "filter")])
def test_text_that_utf8_cannot_hold_is_refused(token: str, filter_: str, name: str) -> None:
    """A lone surrogate is refused by our exception, before protobuf would by its own."""
    with pytest.raises(InvalidValue, match=name):
        requests.list_sessions(DATABASE, 0, token, filter_)


def test_requests_of_one_session_name_it() -> None:
    """Get, delete and ping carry the session's name, and the ping the documented query."""
    assert requests.get_session(SESSION) == spanner_pb2.GetSessionRequest(name=SESSION)
    assert requests.delete_session(SESSION) == spanner_pb2.DeleteSessionRequest(name=SESSION)
    assert requests.ping_session(SESSION) == spanner_pb2.ExecuteSqlRequest(session=SESSION, sql="SELECT 1")


@given(anything(), anything(), anything())
def test_any_arguments_of_create_raise_only_our_errors(labels: Any, role: Any, multiplexed: Any) -> None:
    """A request comes out, or one of our two exceptions."""
    _ours_or_nothing(lambda: requests.create_session(DATABASE, labels, role, multiplexed))
    _ours_or_nothing(lambda: requests.create_session(DATABASE, labels, None, True))


@given(anything(), anything(), anything())
def test_any_arguments_of_batch_create_raise_only_our_errors(count: Any, labels: Any, role: Any) -> None:
    """A request comes out, or one of our two exceptions."""
    _ours_or_nothing(lambda: requests.batch_create_sessions(DATABASE, count, labels, role))
    _ours_or_nothing(lambda: requests.batch_create_sessions(DATABASE, 1, labels, None))


@given(anything(), anything(), anything())
def test_any_arguments_of_list_raise_only_our_errors(size: Any, token: Any, filter_: Any) -> None:
    """A request comes out, or one of our two exceptions."""
    _ours_or_nothing(lambda: requests.list_sessions(DATABASE, size, token, filter_))
    _ours_or_nothing(lambda: requests.list_sessions(DATABASE, 0, "", filter_))


def _accepts(labels: dict[str, str]) -> bool:
    try:
        requests.create_session(DATABASE, labels, None, False)
    except InvalidValue:
        return False
    return True


def _ours_or_nothing(build: Callable[[], object]) -> None:
    with contextlib.suppress(InvalidValue, InvalidType):
        build()
