"""`to_rest` beside protobuf's `json_format`: the same values in the same order, and the same refusals."""

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
from spanner_grpc_sessions.rest import encode_well_known, encoder_of, to_rest
from tests.support.messages import message_classes, messages
from tests.support.thorough import tries
from tests.unit.rest.kinds import WELL_KNOWN, kinds_class

CLASSES = message_classes()
few = settings(max_examples=20, suppress_health_check=list(HealthCheck))


def ours(message: Message) -> str:
    """Return the result of `to_rest` as JSON text, which shows order and number types, or "refused"."""
    try:
        return json.dumps(to_rest(message), allow_nan=False)
    except InvalidValue:
        return "refused"


def reference(message: Message) -> str:
    """Return the result of `MessageToDict` in the same form."""
    try:
        return json.dumps(json_format.MessageToDict(message), allow_nan=False)
    except (ValueError, TypeError, json_format.Error, DecodeError):
        return "refused"


def test_all_messages_of_the_service_are_tested() -> None:
    """The service has 81 messages."""
    assert len({message_class.DESCRIPTOR.full_name for message_class in CLASSES}) == len(CLASSES) == 81


@pytest.mark.parametrize("message_class", CLASSES, ids=lambda message_class: message_class.DESCRIPTOR.full_name)
@few
@given(data=st.data())
def test_messages_of_the_service_are_written_as_by_the_reference(
    message_class: type[Message], data: st.DataObject
) -> None:
    """Values, key order and refusals are those of `json_format`, for random contents."""
    message = data.draw(messages(message_class, wild=data.draw(st.booleans())))
    assert ours(message) == reference(message)


KINDS = kinds_class()


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fields_of_every_kind_are_written_as_by_the_reference(data: st.DataObject) -> None:
    """All scalar types, alone, in lists, in maps and as keys, proto3 optional, oneofs and all well-known types."""
    message = data.draw(messages(KINDS, wild=data.draw(st.booleans())))
    assert ours(message) == reference(message)


@pytest.mark.parametrize("name", WELL_KNOWN)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_well_known_types_on_their_own_are_written_as_by_the_reference(name: str, data: st.DataObject) -> None:
    """A well-known type has the same JSON outside of another message."""
    descriptor = KINDS.DESCRIPTOR.fields_by_name[f"wk_{name.lower()}"].message_type
    assert descriptor is not None
    message = data.draw(messages(type(getattr(KINDS(), f"wk_{name.lower()}")), wild=data.draw(st.booleans())))
    assert ours(message) == reference(message)


def test_default_values_are_written_only_if_their_presence_is_known() -> None:
    """A default value is written in a oneof and in an optional field, and not in a plain field."""
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
        ({"color": 1}, {"color": "RED"}),
        ({"color": 7}, {"color": 7}),
        ({"bool_keys": {True: "t", False: "f"}}, {"boolKeys": {"true": "t", "false": "f"}}),
        ({"int64_keys": {-5: "x"}, "sint32_keys": {0: ""}}, {"sint32Keys": {"0": ""}, "int64Keys": {"-5": "x"}}),
        ({"class": 1, "from": 2, "None": 3}, {"None": 3, "from": 2, "class": 1}),
        ({"named": "x"}, {"it's \"named\"\\": "x"}),
    ],
)  # fmt: skip
def test_values_are_written_as_documented(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """The rules of proto3 JSON, in the cases that surprise."""
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
    """The rule of the REST reference, at its limits."""
    assert to_rest(timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)) == text


_TIMES = st.builds(
    timestamp_pb2.Timestamp,
    seconds=st.integers(-62_135_596_800, 253_402_300_799),
    nanos=st.one_of(*(st.integers(0, 10**digits - 1).map((10 ** (9 - digits)).__mul__) for digits in (0, 3, 6, 9))),
)


@tries(2000)
@given(time=_TIMES)
def test_timestamps_of_all_years_are_written_as_by_the_reference(time: timestamp_pb2.Timestamp) -> None:
    """A field, a list and a timestamp on its own are encoded in different ways."""
    text = time.ToJsonString()
    message: Any = KINDS(wk_timestamp={"seconds": time.seconds, "nanos": time.nanos})
    message.wk_timestamp_list.add(seconds=time.seconds, nanos=time.nanos)
    for _ in range(2):  # the second time with the hour in the cache
        assert to_rest(message) == {"wkTimestampList": [text], "wkTimestamp": text}
    assert to_rest(time) == text


def test_a_timestamp_of_1970_is_written_and_an_absent_one_is_not() -> None:
    """Both have no seconds and no nanos."""
    session = spanner_pb2.Session()
    session.create_time.SetInParent()
    assert to_rest(session) == {"createTime": "1970-01-01T00:00:00Z"}


def test_the_hours_that_are_kept_are_bounded() -> None:
    """Threads that write 20,000 different hours get the right text, and keep at most 1024 hours and one per thread."""

    def write(thread: int) -> int:
        times = [
            timestamp_pb2.Timestamp(seconds=3600 * (5000 * thread + hour) + 61, nanos=1000) for hour in range(5000)
        ]
        assert [to_rest(time) for time in times] == [time.ToJsonString() for time in times]
        return len(encode_well_known._hours)

    with ThreadPoolExecutor(4) as threads:
        assert max(threads.map(write, range(4))) <= 1024 + 4


@pytest.mark.parametrize(
    "message",
    [
        timestamp_pb2.Timestamp(seconds=-62_135_596_801),
        timestamp_pb2.Timestamp(seconds=253_402_300_800),
        timestamp_pb2.Timestamp(nanos=-1),
        timestamp_pb2.Timestamp(nanos=-1_000),
        timestamp_pb2.Timestamp(nanos=1_000_000_000),
        timestamp_pb2.Timestamp(nanos=1_000_001_000),
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
def test_values_without_a_json_form_raise_invalid_value(message: Message) -> None:
    """The reference raises several exceptions; ours is one, for the value on its own and inside a message."""
    assert reference(message) == "refused"
    with pytest.raises(InvalidValue):
        to_rest(message)
    if isinstance(message, struct_pb2.Value):
        rows: Any = result_set_pb2.ResultSet(rows=[struct_pb2.ListValue(values=[message])])
        with pytest.raises(InvalidValue):
            to_rest(rows)


def test_details_of_a_known_type_are_written_out() -> None:
    """The status of a BatchWrite response has its details as in REST."""
    status = status_pb2.Status(code=5)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="R"))
    assert to_rest(spanner_pb2.BatchWriteResponse(status=status)) == {
        "status": {"code": 5, "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}]}
    }


def test_details_of_an_unknown_type_are_refused() -> None:
    """An Any of an unknown type has no proto3 JSON: the whole response is refused, as by the reference."""
    status = status_pb2.Status(code=5, details=[AnyMessage(type_url="type.googleapis.com/example.Unknown")])
    response = spanner_pb2.BatchWriteResponse(status=status)
    with pytest.raises(TypeError, match="Unknown"):
        json_format.MessageToDict(response)
    with pytest.raises(InvalidValue, match="Unknown"):
        to_rest(response)


def _run(program: str) -> str:
    """Return the output of a program in a new interpreter."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert not run.stderr
    return run.stdout


def test_details_of_google_rpc_are_known_without_importing_them() -> None:
    """`to_rest` writes details of google.rpc in a program that imports nothing else."""
    program = """
from spanner_grpc_sessions.rest import to_rest
from google.rpc import status_pb2
status = status_pb2.Status()
status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\\n\\1R")
print(to_rest(status)["details"][0]["reason"])
"""
    assert _run(program) == "R\n"


def test_the_first_session_loads_neither_decoder_nor_json_format() -> None:
    """Modules that a session does not need are loaded at their first use, which works."""
    program = """
import sys
from spanner_grpc_sessions import rest
from spanner_grpc_sessions_pb import spanner_pb2
session = rest.to_rest(spanner_pb2.Session(name="n", create_time={"seconds": 1}))
late = "google.protobuf.json_format", "google.rpc.error_details_pb2"
mine = (f"spanner_grpc_sessions.rest.{name}" for name in ("decoder", "decode_well_known", "scalars", "parse_error"))
print([name for name in (*late, *mine) if name in sys.modules])
print(rest.to_rest(rest.from_rest(spanner_pb2.Session, session)))
print([name in dir(rest) for name in ("from_rest", "to_rest", "decoder_of", "encoder_of")], hasattr(rest, "nothing"))
"""
    session = {"name": "n", "createTime": "1970-01-01T00:00:01Z"}
    assert _run(program) == f"[]\n{session}\n[True, True, True, True] False\n"


def test_unknown_fields_are_ignored() -> None:
    """Fields that a newer server adds are left out, at the top and inside."""
    known = spanner_pb2.ListSessionsResponse(sessions=[spanner_pb2.Session(name="n")], next_page_token="t")  # noqa: S106
    unknown = b"\xf8\x3e\x05"  # field 1007, varint 5
    inner = spanner_pb2.Session(name="n").SerializeToString() + unknown
    data = b"\x0a" + bytes([len(inner)]) + inner + b"\x12\x01t" + unknown
    assert to_rest(spanner_pb2.ListSessionsResponse.FromString(data)) == to_rest(known)


def test_an_empty_message_is_an_empty_object() -> None:
    """Every message of the service is an object."""
    assert [to_rest(message_class()) for message_class in CLASSES] == [{}] * len(CLASSES)
    assert to_rest(Empty()) == {}


def test_a_message_inside_itself_is_written_level_by_level() -> None:
    """Types may be nested as deep as protobuf parses them."""
    message, rest = type_pb2.Type(code=type_pb2.INT64), {"code": "INT64"}
    for _ in range(90):
        message = type_pb2.Type(code=type_pb2.ARRAY, array_element_type=message)
        rest = {"code": "ARRAY", "arrayElementType": rest}  # type: ignore[dict-item]  # nested without end
    assert to_rest(type_pb2.Type.FromString(message.SerializeToString())) == rest


def test_each_result_is_a_new_dict() -> None:
    """Changing a result changes neither the message nor the next result."""
    message = spanner_pb2.Session(labels={"a": "b"})
    result = to_rest(message)
    result["labels"]["a"] = "changed"
    assert to_rest(message) == {"labels": {"a": "b"}}


@pytest.mark.parametrize("value", [None, 5, "text", {}, object(), spanner_pb2.Session, spanner_pb2])
def test_only_messages_are_converted(value: Any) -> None:
    """A class, a module or a dict is refused."""
    with pytest.raises(InvalidType, match="protobuf message"):
        to_rest(value)


@pytest.mark.parametrize("value", [None, 5, dict, object(), spanner_pb2.Session(), spanner_pb2])
def test_only_message_classes_have_an_encoder(value: Any) -> None:
    """An instance or a module has none."""
    with pytest.raises(InvalidType, match="protobuf message"):
        encoder_of(value)


def test_threads_can_convert_a_new_class_at_the_same_time() -> None:
    """No thread uses a function that another one is still compiling."""
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
