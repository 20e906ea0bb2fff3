"""Types by name, and Python values on the wire and back."""

from __future__ import annotations

import contextlib
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb.type_pb2 import Type, TypeCode

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.local.values import decode, encode, parse_type

UTC = timezone.utc
# A name of a type, a Python value, and how the comments in type.proto say that it is written.
FORMS: list[tuple[str, Any, Any]] = [
    ("BOOL", True, True),
    ("INT64", -(2**63), "-9223372036854775808"),
    ("FLOAT64", 1.5, 1.5),
    ("FLOAT64", math.inf, "Infinity"),
    ("FLOAT32", -math.inf, "-Infinity"),
    ("STRING", "München", "München"),
    ("BYTES", b"\x00\xff", "AP8="),
    ("TIMESTAMP", datetime(2026, 11, 30, 8, 0, 0, 250, UTC), "2026-11-30T08:00:00.000250Z"),
    ("DATE", date(2026, 11, 30), "2026-11-30"),
    ("NUMERIC", Decimal("-1.10"), "-1.10"),
    ("JSON", {"a": [1, None]}, '{"a":[1,null]}'),
    ("INTERVAL", "P1Y2M3DT4H", "P1Y2M3DT4H"),
    ("UUID", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ("ARRAY<INT64>", [1, None, 2], ["1", None, "2"]),
    ("STRUCT<id INT64, tags ARRAY<STRING>>", {"id": 1, "tags": ["x"]}, ["1", ["x"]]),
    ("STRING", None, None),
]


@pytest.mark.parametrize(("name", "value", "wire"), FORMS)
def test_a_value_has_the_form_of_its_type_and_comes_back(name: str, value: Any, wire: Any) -> None:
    """Both ways, by the documentation of each type."""
    kind = parse_type(name)
    encoded = encode(value, kind)
    assert json_format.MessageToDict(encoded) == wire
    assert decode(encoded, kind) == value


def test_not_a_number_comes_back() -> None:
    """It equals nothing, itself included."""
    assert math.isnan(decode(encode(math.nan, parse_type("FLOAT64")), parse_type("FLOAT64")))


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """The wire has UTC."""
    moment = datetime(2026, 11, 30, 9, tzinfo=timezone(timedelta(hours=1)))
    assert encode(moment, parse_type("TIMESTAMP")).string_value == "2026-11-30T08:00:00Z"


@pytest.mark.parametrize("name", ["string(MAX)", "Array < STRING(10) >", "STRUCT<`a b` INT64,c ARRAY<BOOL>>"])
def test_names_of_types_are_read_as_sql_has_them(name: str) -> None:
    """Case, blanks, sizes and quoted names."""
    assert parse_type(name).code


@pytest.mark.parametrize("name", ["", "INT", "ARRAY", "ARRAY<", "ARRAY<INT64", "ARRAY<INT64>>", "STRUCT<INT64>", "A B"])
def test_what_names_no_type_is_refused(name: str) -> None:
    """With the value, and what would be one."""
    with pytest.raises(InvalidValue, match="a type must be one of BOOL, INT64"):
        parse_type(name)


def test_a_type_stands_for_itself() -> None:
    """Instead of its name, in the messages of the wire."""
    kind = Type(code=TypeCode.INT64)
    assert parse_type(kind) is kind


@pytest.mark.parametrize(
    ("name", "text"),
    [("FLOAT64", "NaN"), ("FLOAT32", "-Infinity"), ("TIMESTAMP", "2026-11-30T08:00:00.123456789Z")],
)
def test_what_python_cannot_hold_is_given_as_text(name: str, text: str) -> None:
    """It is sent as it stands: a timestamp with nanoseconds, for one."""
    assert encode(text, parse_type(name)).string_value == text


def test_a_type_without_a_form_is_refused() -> None:
    """A message may leave the type out."""
    with pytest.raises(InvalidValue, match="values of type TYPE_CODE_UNSPECIFIED cannot be given: use one of BOOL"):
        encode(1, Type())


def test_an_object_of_a_request_is_a_dict() -> None:
    """Whatever its type was meant to be."""
    value = Value()
    value.struct_value.update({"a": 1, "b": [True, None]})
    decoded = decode(value)
    assert type(decoded) is dict  # the message equals one too
    assert decoded == {"a": 1, "b": [True, None]}


@given(st.text())
def test_any_text_is_a_type_or_refused(name: str) -> None:
    """No other error."""
    with contextlib.suppress(InvalidValue):
        assert isinstance(parse_type(name), Type)


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("INT64", True, InvalidType, "type INT64 must be int or str, got True"),
        ("INT64", 2**63, InvalidValue, "must have 64 bits"),
        ("STRING", 1, InvalidType, "type STRING must be str, got 1"),
        ("DATE", datetime(2026, 1, 1), InvalidType, "type DATE must be date or str"),
        ("STRING", "\ud800", InvalidValue, "type STRING must be"),
        ("JSON", ["\ud800"], InvalidValue, "type JSON must be JSON"),
        ("INT64", "x", InvalidValue, "type INT64 must be as Spanner sends it, got 'x'"),
        ("INT64", "", InvalidValue, "as Spanner sends it"),
        ("INT64", "007", InvalidValue, "as Spanner sends it"),
        ("INT64", str(2**63), InvalidValue, "as Spanner sends it"),
        ("FLOAT64", "1.5", InvalidValue, "as Spanner sends it"),
        ("DATE", "yesterday", InvalidValue, "as Spanner sends it"),
        ("DATE", "20261130", InvalidValue, "as Spanner sends it"),
        ("TIMESTAMP", "now", InvalidValue, "as Spanner sends it"),
        ("NUMERIC", "x", InvalidValue, "as Spanner sends it"),
        ("NUMERIC", "NaN", InvalidValue, "as Spanner sends it"),
        ("UUID", "x", InvalidValue, "as Spanner sends it"),
        ("TIMESTAMP", datetime(2026, 1, 1), InvalidValue, "must have a time zone"),
        ("JSON", {1, 2}, InvalidValue, "must be JSON"),
        ("ARRAY<INT64>", 1, InvalidType, "ARRAY must be an iterable"),
        ("STRUCT<a INT64>", {"b": 1}, InvalidValue, "has no field 'b'"),
        ("STRUCT<a INT64>", [1, 2], InvalidValue, "must have 1 fields, got 2"),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: Any, error: type[Exception], said: str) -> None:
    """By name, value and rule."""
    with pytest.raises(error, match=said):
        encode(value, parse_type(name))
