"""`from_rest`: the input that it refuses, and its error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings, strategies as st
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import from_rest, to_rest
from tests.fuzz.oracle import assert_agreement, read
from tests.support.messages import message_classes, messages
from tests.unit.rest.kinds import kinds_class
from tests.unit.rest.strategies import anything

KINDS: Any = kinds_class()
REQUEST = spanner_pb2.CreateSessionRequest
TIMESTAMP = "RFC 3339 timestamp of the years 0001 to 9999, at most 9 fraction digits"


def _refusal(message_class: type[Message], body: Any, error_class: type[Exception] = InvalidValue) -> str:
    """Return the error message of `from_rest` for a body that the reference refuses too."""
    assert_agreement(message_class, body)
    with pytest.raises((InvalidValue, InvalidType)) as raised:
        from_rest(message_class, body)
    assert raised.type is error_class
    return str(raised.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"session": {"labels": {"env": 7}}}, "session.labels.env: expected string, got 7"),
        ({"session": {"labels": {"a b": None}}}, "session.labels['a b']: expected string, got None"),
        ({"session": {"labels": {7: "x"}}}, "session.labels[7]: expected string as key, got 7"),
        ({"session": {"labels": ["env"]}}, "session.labels: expected object, got ['env']"),
        ({"session": {"create_time": 7}}, "session.create_time: expected timestamp string, got 7"),
        ({"session": {"multiplexed": "true"}}, "session.multiplexed: expected true or false, got 'true'"),
        ({"session": ["name"]}, "session: expected object, got ['name']"),
        (7, "CreateSessionRequest: expected object, got 7"),
        (None, "CreateSessionRequest: expected object, got None"),
    ],
)
def test_the_error_for_a_wrong_type_has_the_path(body: Any, text: str) -> None:
    """The path has the keys of the body; the body as a whole goes by the name of its message."""
    assert _refusal(REQUEST, body, InvalidType) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"sesion": {}}, "sesion: unknown field of CreateSessionRequest"),
        ({"session": {"nam": None}}, "session.nam: unknown field of Session"),
        ({"session": {7: None}}, "session[7]: unknown field of Session"),
        ({"session": {"name": "\ud800"}}, r"session.name: expected string without surrogates, got '\ud800'"),
        ({"session": {"labels": {"k": "\ud800"}}},
         r"session.labels.k: expected string without surrogates, got '\ud800'"),
        ({"session": {"createTime": ""}}, f"session.createTime: expected {TIMESTAMP}, got ''"),
    ],
)  # fmt: skip
def test_the_error_for_a_wrong_value_has_the_path(body: Any, text: str) -> None:
    """A value of the right type that breaks a rule raises another error than a value of a wrong type."""
    assert _refusal(REQUEST, body) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"mutations": [{}, {}, {"insert": {"values": [3]}}]}, "mutations[2].insert.values[0]: expected array, got 3"),
        ({"mutations": [{"insert": {"values": [["a", {1}]]}}]},
         "mutations[0].insert.values[0][1]: expected JSON value, got {1}"),
        ({"mutations": {}}, "mutations: expected array, got {}"),
        ({"mutations": [None]}, "mutations[0]: expected object, got None"),
        ({"maxCommitDelay": 5}, "maxCommitDelay: expected duration string, got 5"),
        ({"requestOptions": {"priority": []}}, "requestOptions.priority: expected name or number of Priority, got []"),
        ({"requestOptions": {"client_context": {"secureContext": {"k": {"x": [object]}}}}},
         "requestOptions.client_context.secureContext.k.x[0]: expected JSON value, got <class 'object'>"),
    ],
)  # fmt: skip
def test_paths_lead_through_arrays_objects_and_free_json(body: Any, text: str) -> None:
    """Indexes and keys of free-form JSON are steps of the path, like fields."""
    assert _refusal(spanner_pb2.CommitRequest, body, InvalidType) == text


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("int32", [2**31, -(2**31) - 1, 1.5, "1.5", "", " 1", "0x1", "NaN", float("nan"), float("inf")]),
        ("uint32", [-1, 2**32, "-1"]),
        ("int64", [2**63, "9223372036854775808", 1e300, "1e400", "1" * 5000]),
        ("uint64", [-1, 2**64, "1e20"]),
        ("double", [float("nan"), float("inf"), "nan", "", "0x1", "1,5", 10**400]),
        ("float", [3.5e38, -3.5e38, float("-inf")]),
        ("string", ["\ud800", "\ud83d\ude00"]),
        ("bytes", ["A", "AAAAA", "\ud800"]),
        ("color", ["GREEN", "", "1.0", 2**31, -(2**31) - 1, float("inf"), float("nan")]),
        ("wkTimestamp", ["", "2026-11-24", "2026-11-24T08:00:00", "2026-11-24t08:00:00Z", "2026-11-24T08:00:60Z",
                         "2026-11-24T08:00:00.1234567890Z", "9999-12-31T23:59:59-00:01", "2026-02-30T08:00:00Z",
                         "2026-11-24T24:00:00Z"]),
        ("wkDuration", ["", "1", "s", "315576000001s", "-315576000000.5s!", "1.1e400s"]),
        ("wkFieldmask", ["a_b", "\ud800"]),
        ("wkValue", [10**400, "\ud800"]),
        ("wkStruct", [{"a": "\ud800"}, {"\ud800": "a"}]),
    ],
)  # fmt: skip
def test_values_that_break_a_rule_are_refused(field: str, values: list[Any]) -> None:
    """Ranges, forms and characters: the error names the value, alone, in an array and in an object."""
    for value in values:
        assert _refusal(KINDS, {field: value}).startswith(field)
        assert _refusal(KINDS, {f"{field}List": [value]}).startswith(f"{field}List[0]")
        assert _refusal(KINDS, {f"{field}Map": {"k": value}}).startswith(f"{field}Map.k")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("int32", [True, None, [], {}, object()]),
        ("double", [[], {}, object()]),
        ("string", [7, True, b"a", []]),
        ("bytes", [7, []]),
        ("bool", [0, 1, "true", [], {}]),
        ("color", [[], {}, object()]),
        ("kinds", [7, True, [7], "a", object()]),
        ("wkTimestamp", [7, True, [], {}]),
        ("wkDuration", [7, 1.5, {}]),
        ("wkFieldmask", [["a"], {}]),
        ("wkInt32value", [{"value": 7}, [], True]),
        ("wkStruct", [[], "", 7, [["a", 1]]]),
        ("wkListvalue", [{}, "", "abc", 7]),
        ("wkAny", [[], "", 7]),
        ("wkValue", [object(), {1}, b"a"]),
    ],
)
def test_values_of_the_wrong_type_are_refused(field: str, values: list[Any]) -> None:
    """A value that is not JSON is refused like JSON of another type; null is refused only inside a list or map."""
    for value in values:
        if value is not None:
            assert _refusal(KINDS, {field: value}, InvalidType).startswith(field)
        assert _refusal(KINDS, {f"{field}List": [value]}, InvalidType).startswith(f"{field}List[0]")
        assert _refusal(KINDS, {f"{field}Map": {"k": value}}, InvalidType).startswith(f"{field}Map.k")


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("int32Keys", "x"),
        ("int32Keys", "1.5"),
        ("uint64Keys", "-1"),
        ("boolKeys", "True"),
        ("boolKeys", "1"),
        ("stringKeys", "\ud800"),
    ],
)
def test_keys_that_break_a_rule_are_refused(field: str, key: str) -> None:
    """Keys are strings in JSON, and may stand for a number or a bool."""
    path, _, reason = _refusal(KINDS, {field: {key: "v"}}).partition(": ")
    assert path in {f"{field}.{key}", f"{field}[{key!r}]"}
    assert reason.endswith(f", got {key!r}")


def test_two_members_of_a_oneof_are_refused() -> None:
    """So is one member under both of its names; null does not count."""
    text = "choiceDouble: expected at most one field of the oneof 'choice', got a second one"
    assert _refusal(KINDS, {"choiceBool": True, "choiceDouble": 1.5}) == text
    assert _refusal(KINDS, {"choice_double": 1.5, "choiceDouble": 1.5}) == text
    assert "oneof '_int32_optional'" in _refusal(KINDS, {"int32_optional": 1, "int32Optional": 1})
    assert from_rest(KINDS, {"choiceBool": None, "choiceDouble": 1.5, "choiceString": None}) == KINDS(choice_double=1.5)


@pytest.mark.parametrize(
    ("any_", "text"),
    [
        ({"a": 1}, """: expected object with "@type", got {'a': 1}"""),
        ({"@type": "x/y"}, ".@type: expected URL of a message type that is loaded in this process, got 'x/y'"),
        ({"@type": "x/google.rpc.ErrorInfo", "b": 1}, ".b: unknown field of ErrorInfo"),
        ({"@type": "google.protobuf.Int32Value", "value": "x"}, ".value: expected 32-bit integer, got 'x'"),
        (
            {"@type": "x/google.protobuf.Any"},
            """: expected object with "value", got {'@type': 'x/google.protobuf.Any'}""",
        ),
        ({"@type": "google.protobuf.Struct", "value": {"a": "\ud800"}}, r".value.a: expected JSON value, got '\ud800'"),
        (
            {"@type": "google.protobuf.UninterpretedOption.NamePart"},
            ": expected object with all required fields, got {'@type': 'google.protobuf.UninterpretedOption.NamePart'}",
        ),
    ],
)
def test_details_that_cannot_be_read_are_refused(any_: dict[str, Any], text: str) -> None:
    """The type is missing or unknown, or does not take the rest."""
    assert _refusal(KINDS, {"wkAny": any_}) == f"wkAny{text}"
    assert _refusal(KINDS, {"wkAny": {"@type": 7}}, InvalidType) == "wkAny.@type: expected string, got 7"


@pytest.mark.parametrize("level", [0, 1, 2])
def test_long_values_and_paths_are_shortened(level: int) -> None:
    """An error message is one short line for any input."""
    long: list[Any] = ["x" * 10**6, 10**6000, [[[[[]]]]] * 10**5, {1: {2: {3: {}}}}]
    for value in long:
        nested = [value, [value] * 10, {"k": value}][level]
        error_class = InvalidValue if nested == long[0] else InvalidType
        assert len(_refusal(REQUEST, {"session": {"createTime": nested}}, error_class)) < 250
        assert len(_refusal(REQUEST, {"x" * 10**6: nested})) < 250


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(field=st.sampled_from([field.json_name for field in KINDS.DESCRIPTOR.fields]), value=anything())
def test_no_other_exception_is_raised_for_any_input(field: str, value: Any) -> None:
    """At every kind of field: JSON, other numbers, bytes, sets, objects without a truth value."""
    for body in (value, {field: value}, {field: [value]}, {field: {"k": value}}):
        read(KINDS, body)


def test_the_error_shows_the_value_on_one_line() -> None:
    """The `repr` of a message has several lines."""
    session = spanner_pb2.Session(name="n", creator_role="r")
    with pytest.raises(InvalidType) as raised:
        from_rest(REQUEST, {"session": session})
    assert str(raised.value) == 'session: expected object, got name: "n" creator_role: "r" '


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all parts of a JSON value."""
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in children for place in ((*path, key), *_places(inner, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, list):
        return [_replaced(inner, path[1:], new) if index == path[0] else inner for index, inner in enumerate(value)]
    return {key: _replaced(inner, path[1:], new) if key == path[0] else inner for key, inner in value.items()}


def _written(path: tuple[Any, ...]) -> str:
    steps = (f".{step}" if isinstance(step, str) and re.fullmatch(r"[\w@-]+", step) else f"[{step!r}]" for step in path)
    return "".join(steps).removeprefix(".")


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_path_leads_to_the_wrong_value(data: st.DataObject) -> None:
    """One part of a body is replaced at random, and the error names it."""
    message = data.draw(messages(data.draw(st.sampled_from([*message_classes(), KINDS]))))
    body = to_rest(message)
    places = _places(body)
    if places:
        place = data.draw(st.sampled_from(places))
        with pytest.raises(InvalidType) as raised:
            from_rest(type(message), _replaced(body, place, object))
        assert str(raised.value).startswith(f"{_written(place)}: expected ")
        assert str(raised.value).endswith(", got <class 'object'>")
