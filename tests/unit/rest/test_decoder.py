"""`from_rest`: the messages that it makes of bodies, beside those of protobuf's `json_format`."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings, strategies as st
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, type_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import decoder_of, from_rest, to_rest
from tests.fuzz.oracle import NEWEST, assert_agreement
from tests.support.messages import message_classes, messages
from tests.unit.rest.kinds import kinds_class

CLASSES = message_classes()
KINDS: Any = kinds_class()
REQUEST = spanner_pb2.CreateSessionRequest
some = settings(max_examples=100, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"int32": "7", "int64": 7.0, "uint64": "18446744073709551615"}, {"int32": 7, "int64": 7, "uint64": 2**64 - 1}),
        ({"int32": "1e3", "int64": "-2.0"}, {"int32": 1000, "int64": -2}),
        ({"double": "NaN", "float": "Infinity"}, {"double": float("nan"), "float": float("inf")}),
        ({"double": "1e400", "float": -1}, {"double": float("inf"), "float": -1.0}),
        ({"double": -0.0, "float": "0.1"}, {"double": -0.0, "float": 0.1}),
        ({"bool": True, "boolList": [False]}, {"bool": True, "bool_list": [False]}),
        ({"string": "ü\0"}, {"string": "ü\0"}),
        ({"bytes": "-_8"}, {"bytes": b"\xfb\xff"}),
        ({"bytes": "+/8="}, {"bytes": b"\xfb\xff"}),
        ({"color": "CRIMSON", "colorList": ["RED", 1, "1", 5]}, {"color": 1, "color_list": [1, 1, 1, 5]}),
        ({"int64Keys": {"-5": "x"}, "boolKeys": {"true": "t"}}, {"int64_keys": {-5: "x"}, "bool_keys": {True: "t"}}),
        ({"int32_optional": 0, "stringOptional": ""}, {"int32_optional": 0, "string_optional": ""}),
        ({"choiceBool": False, "choiceString": None}, {"choice_bool": False}),
        ({"choiceNullvalue": None}, {"choice_nullvalue": 0}),
        ({"wkTimestamp": None, "wkDuration": None, "int32List": None, "stringMap": None, "bool": None}, {}),
        ({"wkInt32value": 5, "wkStringvalue": ""}, {"wk_int32value": {"value": 5}, "wk_stringvalue": {}}),
        ({"wkTimestamp": "1969-12-31T23:59:59.5Z"}, {"wk_timestamp": {"seconds": -1, "nanos": 500_000_000}}),
        ({"wkTimestamp": "1970-01-01T01:00:00+00:30"}, {"wk_timestamp": {"seconds": 1800}}),
        ({"wkTimestamp": "1970-01-01T23:00:00.000000001Z"}, {"wk_timestamp": {"seconds": 82_800, "nanos": 1}}),
        ({"wkDuration": "-1.5s"}, {"wk_duration": {"seconds": -1, "nanos": -500_000_000}}),
        ({"wkFieldmask": "a.bC,d"}, {"wk_fieldmask": {"paths": ["a.b_c", "d"]}}),
        ({"class": 1, "from": 2, "it's \"named\"\\": "x"}, {"class": 1, "from": 2, "named": "x"}),
        ({"kinds": {"kindsList": [{}]}}, {"kinds": KINDS(kinds_list=[KINDS()])}),
        ({"kinds": "", "kindsList": [[]]}, {"kinds": KINDS(), "kinds_list": [KINDS()]}),
    ],
)  # fmt: skip
def test_bodies_are_read_as_documented(body: dict[str, Any], fields: dict[str, Any]) -> None:
    """The rules of proto3 JSON, in the cases that surprise."""
    message = from_rest(KINDS, body)
    expected = KINDS(**fields)
    assert message.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    assert_agreement(KINDS, body)


@pytest.mark.parametrize("value", [None, True, 1.5, 7, "text", ["a", [None]], {"a": {"b": []}}, float("nan"), (1, ())])
def test_a_value_can_be_any_json(value: Any) -> None:
    """A Value takes null too, where other fields would be absent."""
    assert_agreement(struct_pb2.Value, value)
    message = from_rest(KINDS, {"wkValue": value, "wkValueList": [value], "wkValueMap": {"k": value}})
    kinds = {
        inner.WhichOneof("kind") for inner in (message.wk_value, *message.wk_value_list, message.wk_value_map["k"])
    }
    assert len(kinds) == 1
    assert kinds != {None}


def test_a_field_can_be_given_under_both_of_its_names() -> None:
    """The later value wins and messages are merged, as in the reference."""
    bodies: list[dict[str, Any]] = [
        {"int32_list": [1, 2], "int32List": [3]},
        {"string_map": {"a": "b"}, "stringMap": {"c": "d"}},
        {"wk_timestamp": "1970-01-01T00:00:01Z", "wkTimestamp": None},
        {"wkStruct": {"a": 1}, "wk_struct": {}},
        {"wk_value": [1], "wkValue": {"a": 1}},
        {"wk_listvalue": [1, 2], "wkListvalue": [3]},
        {"kinds_list": [{}], "kindsList": []},
    ]
    for body in bodies:
        assert from_rest(KINDS, body)
        assert_agreement(KINDS, body)
    assert from_rest(REQUEST, {"session": {"create_time": None}}).HasField("session")


def test_details_are_read_by_their_type() -> None:
    """An Any takes an object that names its type, one of those loaded in the process."""
    info = error_details_pb2.ErrorInfo(reason="R", metadata={"k": "v"})
    packed = AnyMessage()
    packed.Pack(info)
    body = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R", "metadata": {"k": "v"}}
    assert from_rest(AnyMessage, body) == packed
    packed.Pack(Duration(seconds=1))
    assert from_rest(AnyMessage, {"@type": packed.type_url, "value": "1s"}) == packed
    assert from_rest(AnyMessage, {}) == AnyMessage()


def _nested(levels: int, wrap: Any) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("message_class", "levels", "wrap"),
    [
        (type_pb2.Type, 99, lambda inner: {"arrayElementType": inner}),
        (KINDS, 99, lambda inner: {"kindsMap": {"k": inner}}),
        (KINDS, 99, lambda inner: {"kindsList": [inner]}),
        (struct_pb2.Value, 49, lambda inner: [inner]),
        (struct_pb2.Value, 49, lambda inner: {"k": inner}),
        (AnyMessage, 99, lambda inner: {"@type": "x/google.protobuf.Any", "value": inner}),
    ],
)
def test_at_most_a_hundred_levels_are_read(message_class: type[Message], levels: int, wrap: Any) -> None:
    """This is the limit of the reference; without one, a request could exhaust the stack."""
    if NEWEST:
        assert_agreement(message_class, _nested(levels, wrap))
    assert from_rest(message_class, _nested(levels, wrap))
    with pytest.raises(InvalidValue, match=r"expected at most 100 levels of nesting, got .* below them"):
        from_rest(message_class, _nested(levels + 1, wrap))
    with pytest.raises(InvalidValue, match="100 levels"):
        from_rest(struct_pb2.Value, _nested(50, lambda inner: [inner or "text"]))
    with pytest.raises(InvalidValue) as raised:
        from_rest(message_class, _nested(5000, wrap))
    assert len(str(raised.value)) < 400


class _Dict(dict[str, Any]):
    """A subclass of dict."""


@pytest.mark.parametrize("mapping", [MappingProxyType, _Dict])
def test_every_mapping_is_taken(mapping: Any) -> None:
    """At every level, even where the reference takes only dicts."""
    body = mapping(
        {
            "session": mapping({"labels": mapping({"a": "b"})}),
        }
    )
    assert from_rest(REQUEST, body) == REQUEST(session=spanner_pb2.Session(labels={"a": "b"}))
    free = mapping({"wkStruct": mapping({"a": mapping({})}), "wkAny": mapping({"@type": "x/google.protobuf.Empty"})})
    assert from_rest(KINDS, free).wk_struct.fields["a"].HasField("struct_value")


@pytest.mark.parametrize("value", [None, 5, dict, [], object(), spanner_pb2.Session(), spanner_pb2, Message, "Session"])
def test_only_message_classes_have_a_decoder(value: Any) -> None:
    """An instance, a module or the base class is refused."""
    for function in (decoder_of, lambda value: from_rest(value, {})):
        with pytest.raises(InvalidType, match="from_rest takes a class of protobuf messages"):
            function(value)


def test_a_class_has_one_decoder() -> None:
    """The code is compiled once, and makes a new message each time."""
    decode = decoder_of(spanner_pb2.Session)
    assert decoder_of(spanner_pb2.Session) is decode
    assert decode({"name": "n"}) == from_rest(spanner_pb2.Session, {"name": "n"}) == spanner_pb2.Session(name="n")
    assert decode({}) is not decode({})


def test_threads_can_read_a_new_class_at_the_same_time() -> None:
    """No thread uses a function that another one is still compiling."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            new_class, start = kinds_class(), threading.Barrier(8)

            def read(_: int, new_class: Any = new_class, start: threading.Barrier = start) -> Any:
                start.wait(10)
                return from_rest(new_class, {"kinds": {"string": "s"}, "wkTimestamp": "1970-01-01T00:00:01Z"})

            with ThreadPoolExecutor(8) as threads:
                expected = new_class(kinds={"string": "s"}, wk_timestamp={"seconds": 1})
                assert list(threads.map(read, range(8))) == [expected] * 8
    finally:
        sys.setswitchinterval(switching)


def test_stubs_of_other_libraries_are_read_and_written() -> None:
    """The messages of Google's client give the same results as ours, for conversions go by descriptor."""
    types = pytest.importorskip("google.cloud.spanner_v1.types")
    for ours, theirs in (
        (spanner_pb2.Session, types.Session.pb()),
        (spanner_pb2.CommitRequest, types.CommitRequest.pb()),
        (type_pb2.StructType, types.StructType.pb()),
        (result_set_pb2.ResultSet, types.ResultSet.pb()),
    ):
        _check_stubs_of_other_libraries(ours, theirs)


@some
@given(data=st.data())
def _check_stubs_of_other_libraries(ours: type[Message], theirs: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(ours))
    body = json_format.MessageToDict(message)
    same = from_rest(theirs, body)
    assert type(same) is theirs
    assert to_rest(same) == body
    assert same.SerializeToString(deterministic=True) == from_rest(ours, body).SerializeToString(deterministic=True)
