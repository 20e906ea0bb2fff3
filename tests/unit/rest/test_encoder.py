"""`to_rest` against protobuf's own `json_format`: the same values in the same order, and the same refusals."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings, strategies as st
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, type_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import encoder_of, to_rest
from tests.support.messages import message_classes, messages
from tests.unit.rest.kinds import WELL_KNOWN, kinds_class

CLASSES = message_classes()
few = settings(max_examples=20, suppress_health_check=list(HealthCheck))


def rest_or_refusal(message: Message) -> str:
    """Return the JSON text of `to_rest`, where order and kind of number show, or that it refuses."""
    try:
        return json.dumps(to_rest(message), allow_nan=False)
    except InvalidValue:
        return "refused"


def reference_or_refusal(message: Message) -> str:
    """Return the same of `MessageToDict`."""
    try:
        return json.dumps(json_format.MessageToDict(message), allow_nan=False)
    except (ValueError, TypeError, json_format.Error, DecodeError):
        return "refused"


def test_every_message_of_the_service_is_tried() -> None:
    """The service has 81 messages."""
    assert len({message_class.DESCRIPTOR.full_name for message_class in CLASSES}) == len(CLASSES) == 81


@pytest.mark.parametrize("message_class", CLASSES, ids=lambda message_class: message_class.DESCRIPTOR.full_name)
@few
@given(data=st.data())
def test_messages_of_the_service_come_out_as_the_reference_writes_them(
    message_class: type[Message], data: st.DataObject
) -> None:
    """Whatever a message holds, value, key order and refusal are those of `json_format`."""
    message = data.draw(messages(message_class, wild=data.draw(st.booleans())))
    assert rest_or_refusal(message) == reference_or_refusal(message)


KINDS = kinds_class()


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fields_of_every_kind_come_out_as_the_reference_writes_them(data: st.DataObject) -> None:
    """All scalar types, alone, in lists, in maps and as keys, proto3 optional, oneofs and all well-known types."""
    message = data.draw(messages(KINDS, wild=data.draw(st.booleans())))
    assert rest_or_refusal(message) == reference_or_refusal(message)


@pytest.mark.parametrize("name", WELL_KNOWN)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_well_known_types_on_their_own_come_out_as_the_reference_writes_them(name: str, data: st.DataObject) -> None:
    """A well-known type that is not inside another message has the same JSON."""
    descriptor = KINDS.DESCRIPTOR.fields_by_name[f"wk_{name.lower()}"].message_type
    assert descriptor is not None
    message = data.draw(messages(type(getattr(KINDS(), f"wk_{name.lower()}")), wild=data.draw(st.booleans())))
    assert rest_or_refusal(message) == reference_or_refusal(message)


def test_default_values_are_written_only_where_they_were_set() -> None:
    """A default in a oneof or in an optional field is there; in a plain field it is not."""
    message: Any = KINDS(int32=0, string="", bool=False, int32_optional=0, string_optional="", bool_optional=False)
    message.choice_bool = False
    assert to_rest(message) == {
        "boolOptional": False,
        "stringOptional": "",
        "int32Optional": 0,
        "choiceBool": False,
    }
    assert to_rest(result_set_pb2.ResultSetStats(row_count_exact=0)) == {"rowCountExact": "0"}


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        ({"double": -0.0, "float": -0.0}, {"float": -0.0, "double": -0.0}),
        ({"double": float("nan"), "float": float("inf")}, {"float": "Infinity", "double": "NaN"}),
        ({"double_list": [0.0, float("-inf"), 1e308]}, {"doubleList": [0.0, "-Infinity", 1e308]}),
        ({"float": 0.1, "double": 0.1}, {"float": 0.1, "double": 0.1}),
        ({"float": 16777216.0}, {"float": 16777216.0}),
        ({"float": 0.0009853}, {"float": 0.0009853}),
        ({"float": 3.4028234663852886e38}, {"float": 3.4028235e38}),
        ({"int64": -(2**63), "int32": -(2**31)}, {"int64": "-9223372036854775808", "int32": -2147483648}),
        ({"uint64": 2**64 - 1, "fixed32": 2**32 - 1}, {"fixed32": 4294967295, "uint64": "18446744073709551615"}),
        ({"bytes": b"\xff\xfe\xfb"}, {"bytes": "//77"}),
        ({"colour": 1}, {"colour": "RED"}),
        ({"colour": 7}, {"colour": 7}),
        ({"bool_keys": {True: "t", False: "f"}}, {"boolKeys": {"true": "t", "false": "f"}}),
        ({"int64_keys": {-5: "x"}, "sint32_keys": {0: ""}}, {"sint32Keys": {"0": ""}, "int64Keys": {"-5": "x"}}),
        ({"class": 1, "from": 2, "None": 3}, {"None": 3, "from": 2, "class": 1}),
        ({"named": "x"}, {"it's \"named\"\\": "x"}),
    ],
)  # fmt: skip
def test_values_are_written_as_documented(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """The rules of proto3 JSON, spelled out where they surprise."""
    result = to_rest(KINDS(**fields))
    assert json.dumps(result, sort_keys=True) == json.dumps(rest, sort_keys=True)


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (0, 0, "1970-01-01T00:00:00Z"),
        (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
        (1, 500_000_000, "1970-01-01T00:00:01.500Z"),
        (1, 1_000, "1970-01-01T00:00:01.000001Z"),
        (1, 1, "1970-01-01T00:00:01.000000001Z"),
        (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_timestamps_have_no_fraction_or_three_six_or_nine_digits(seconds: int, nanos: int, text: str) -> None:
    """The rule of the REST reference, at its borders."""
    assert to_rest(timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)) == text


@pytest.mark.parametrize(
    "message",
    [
        timestamp_pb2.Timestamp(seconds=-62_135_596_801),
        timestamp_pb2.Timestamp(seconds=253_402_300_800),
        timestamp_pb2.Timestamp(nanos=-1),
        timestamp_pb2.Timestamp(nanos=1_000_000_000),
        duration_pb2.Duration(seconds=315_576_000_001),
        duration_pb2.Duration(seconds=1, nanos=-1),
        duration_pb2.Duration(nanos=-1_000_000_000),
        struct_pb2.Value(number_value=float("nan")),
        struct_pb2.Value(number_value=float("-inf")),
        FieldMask(paths=["camelCase"]),
        AnyMessage(type_url="type.googleapis.com/example.Unknown", value=b"\x01"),
        AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff"),
    ],
)
def test_what_has_no_json_form_is_refused_by_our_exception(message: Message) -> None:
    """Where the reference raises one of several exceptions, ours is one, on its own and deep inside."""
    assert reference_or_refusal(message) == "refused"
    with pytest.raises(InvalidValue):
        to_rest(message)
    if isinstance(message, struct_pb2.Value):
        rows: Any = result_set_pb2.ResultSet(rows=[struct_pb2.ListValue(values=[message])])
        with pytest.raises(InvalidValue):
            to_rest(rows)


def test_details_of_a_known_type_are_written_out() -> None:
    """The status of a BatchWrite response has its details as REST gives them."""
    status = status_pb2.Status(code=5)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="R"))
    assert to_rest(spanner_pb2.BatchWriteResponse(status=status)) == {
        "status": {"code": 5, "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}]}
    }


def test_details_of_an_unknown_type_are_refused_as_by_the_reference() -> None:
    """An Any whose type is not known has no proto3 JSON: the whole response is refused."""
    status = status_pb2.Status(code=5, details=[AnyMessage(type_url="type.googleapis.com/example.Unknown")])
    response = spanner_pb2.BatchWriteResponse(status=status)
    with pytest.raises(TypeError, match="Unknown"):
        json_format.MessageToDict(response)
    with pytest.raises(InvalidValue, match="Unknown"):
        to_rest(response)


def test_details_are_known_without_the_rest_of_the_library() -> None:
    """`to_rest` writes google.rpc's details out also in a program that imports nothing but it and the stubs."""
    program = """
from spanner_grpc_sessions.rest import to_rest
from google.rpc import status_pb2
status = status_pb2.Status()
status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\\n\\1R")
print(to_rest(status)["details"][0]["reason"])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("R\n", "")


def test_unknown_fields_are_ignored() -> None:
    """What a newer server adds is not in the body, at the top and within."""
    known = spanner_pb2.ListSessionsResponse(sessions=[spanner_pb2.Session(name="n")], next_page_token="t")  # noqa: S106
    unknown = b"\xf8\x3e\x05"  # field 1007, varint 5
    inner = spanner_pb2.Session(name="n").SerializeToString() + unknown
    data = b"\x0a" + bytes([len(inner)]) + inner + b"\x12\x01t" + unknown
    assert to_rest(spanner_pb2.ListSessionsResponse.FromString(data)) == to_rest(known)


def test_an_empty_message_is_an_empty_object() -> None:
    """No message of the service is anything else than an object."""
    assert [to_rest(message_class()) for message_class in CLASSES] == [{}] * len(CLASSES)
    assert to_rest(Empty()) == {}


def test_a_message_inside_itself_comes_out_level_by_level() -> None:
    """Types may nest as deep as protobuf reads them from the wire."""
    message, rest = type_pb2.Type(code=type_pb2.INT64), {"code": "INT64"}
    for _ in range(90):
        message = type_pb2.Type(code=type_pb2.ARRAY, array_element_type=message)
        rest = {"code": "ARRAY", "arrayElementType": rest}  # type: ignore[dict-item]  # nested without end
    assert to_rest(type_pb2.Type.FromString(message.SerializeToString())) == rest


def test_each_result_is_the_callers_own() -> None:
    """Changing a result changes neither the message nor the next result."""
    message = spanner_pb2.Session(labels={"a": "b"})
    result = to_rest(message)
    result["labels"]["a"] = "changed"
    assert to_rest(message) == {"labels": {"a": "b"}}


@pytest.mark.parametrize("value", [None, 5, "text", {}, object(), spanner_pb2.Session, spanner_pb2])
def test_what_is_no_message_is_refused(value: Any) -> None:
    """Only messages are converted: no class, no module, no dict."""
    with pytest.raises(InvalidType, match="protobuf message"):
        to_rest(value)


@pytest.mark.parametrize("value", [None, 5, dict, object(), spanner_pb2.Session(), spanner_pb2])
def test_encoders_are_for_message_classes(value: Any) -> None:
    """Only classes of messages have an encoder: no instance, no module."""
    with pytest.raises(InvalidType, match="protobuf message"):
        encoder_of(value)


def test_threads_may_convert_a_class_for_the_first_time_at_once() -> None:
    """No thread sees a class that another one is still compiling, and all get the same."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            message: Any = kinds_class()(int32=1, kinds={"string": "s"}, wk_timestamp={"seconds": 1})
            start = threading.Barrier(8)

            def convert(_: int, message: Any = message, start: threading.Barrier = start) -> Any:
                start.wait(10)
                return to_rest(message)

            with ThreadPoolExecutor(8) as threads:
                results = list(threads.map(convert, range(8)))
            assert results == [{"wkTimestamp": "1970-01-01T00:00:01Z", "kinds": {"string": "s"}, "int32": 1}] * 8
    finally:
        sys.setswitchinterval(switching)
