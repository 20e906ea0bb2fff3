"""Encoders of the well-known types whose JSON is not the JSON of their fields. Pure: no I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from math import isfinite, isnan
from typing import Any, Final

from google.protobuf.message import DecodeError

from spanner_grpc_sessions.errors import InvalidValue

_EPOCH: Final = datetime(1970, 1, 1)  # UTC, without an offset to print
_MAX_DURATION_SECONDS: Final = 315_576_000_000  # 10,000 years
_MAX_HOURS: Final = 1024  # a session lives for 28 days, or 672 hours

_DIGITS: Final = tuple(tens + ones for tens in "0123456789" for ones in "0123456789")
# Text like "2026-11-24T08:" by hours since 1970. An lru_cache would make a timestamp a fifth slower.
_hours: Final[dict[int, str]] = {}


def encode_time(seconds: int, nanos: int) -> str:
    """Return the fields of a Timestamp as RFC 3339 text in UTC with 0, 3, 6 or 9 fraction digits."""
    second = seconds % 3600
    try:
        hour = _hours[seconds // 3600]
        # Servers count in microseconds, and three look-ups take half as long as formatting six digits.
        if nanos > 0 and nanos % 1_000_000 and not nanos % 1000:
            return (
                f"{hour}{_DIGITS[second // 60]}:{_DIGITS[second % 60]}."
                f"{_DIGITS[nanos // 10_000_000]}{_DIGITS[nanos // 100_000 % 100]}{_DIGITS[nanos // 1000 % 100]}Z"
            )
    except (KeyError, IndexError):  # an hour that is not kept, or more nanos than a second has
        hour = _hour(seconds)
    return f"{hour}{_DIGITS[second // 60]}:{_DIGITS[second % 60]}{_fraction(nanos)}Z"


def _hour(seconds: int) -> str:
    try:
        # Not fromtimestamp, which fails for years before 1970 on some platforms.
        hour = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:14]
    except OverflowError:
        raise InvalidValue(f"a Timestamp must lie in the years 0001 to 9999, got {seconds} seconds") from None
    if len(_hours) >= _MAX_HOURS:
        _hours.clear()
    _hours[seconds // 3600] = hour
    return hour


def _fraction(nanos: int) -> str:
    """Return a point and 3, 6 or 9 fraction digits of a second, or nothing for a whole second."""
    if not 0 <= nanos < 1_000_000_000:
        raise InvalidValue(f"nanos must be from 0 to 999,999,999, got {nanos}")
    return f".{nanos:09}".removesuffix("000").removesuffix("000") if nanos else ""


def encode_timestamp(message: Any) -> str:
    """Return RFC 3339 text in UTC with 0, 3, 6 or 9 fraction digits."""
    return encode_time(message.seconds, message.nanos)


def encode_duration(message: Any) -> str:
    """Return seconds with 0, 3, 6 or 9 fraction digits and the suffix `s`."""
    seconds, nanos = message.seconds, message.nanos
    if abs(seconds) > _MAX_DURATION_SECONDS:
        raise InvalidValue(f"a Duration must not exceed 315,576,000,000 seconds, got {seconds}")
    if seconds * nanos < 0:
        raise InvalidValue(f"seconds and nanos of a Duration must have the same sign, got {seconds} and {nanos}")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def encode_value(message: Any) -> Any:
    """Return what a `google.protobuf.Value` holds; a Value that holds nothing is null."""
    # Reading a string is cheaper than asking for the kind, and most cells of a row are strings.
    return message.string_value or _value_of_kind(message)


def encode_list_value(message: Any) -> list[Any]:
    """Return the elements of a `google.protobuf.ListValue`."""
    return [element.string_value or _value_of_kind(element) for element in message.values]


def encode_struct(message: Any) -> dict[str, Any]:
    """Return the fields of a `google.protobuf.Struct`."""
    fields = message.fields
    return {key: encode_value(fields[key]) for key in fields}


def _value_of_kind(message: Any) -> Any:
    # To read a value and to ask for its kind take equally long, and only a zero, a false or an empty one needs both.
    number = message.number_value
    if number and isfinite(number):
        return number
    if message.bool_value:
        return True
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "number_value":
        number = message.number_value
        if not isfinite(number):
            raise InvalidValue(f"JSON has no number {number!r}: Spanner sends it as a string, got a number Value")
        return number
    if kind == "list_value":
        return encode_list_value(message.list_value)
    if kind == "struct_value":
        return encode_struct(message.struct_value)
    return getattr(message, kind)


def encode_double(number: float) -> float | str:
    """Return a finite number as it is, and the three others as the string that JSON uses for them."""
    if isfinite(number):
        return number
    if isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def encode_float(number: float) -> float | str:
    """Return the shortest number that reads back as the same 32-bit float."""
    if not isfinite(number):
        return encode_double(number)
    for digits in range(6, 9):
        shorter = float(f"{number:.{digits}g}")
        if struct.unpack("f", struct.pack("f", shorter))[0] == number:
            return shorter
    return float(f"{number:.9g}")


def _by_json_format(message: Any) -> Any:
    """Convert a rare type with the reference implementation, which is loaded only for that."""
    from google.protobuf import json_format  # noqa: PLC0415
    from google.rpc import error_details_pb2  # noqa: F401, PLC0415 - types that the Any of a google.rpc.Status holds

    try:
        return json_format.MessageToDict(message)
    except (ValueError, TypeError, json_format.Error, DecodeError) as error:
        raise InvalidValue(f"{message.DESCRIPTOR.full_name} has no JSON form: {error}") from error


# Full name of a well-known type to the function that converts it.
ENCODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "google.protobuf.Timestamp": encode_timestamp,
    "google.protobuf.Duration": encode_duration,
    "google.protobuf.Value": encode_value,
    "google.protobuf.ListValue": encode_list_value,
    "google.protobuf.Struct": encode_struct,
    **{
        f"google.protobuf.{name}": _by_json_format
        for name in (
            "Any", "FieldMask", "BoolValue", "BytesValue", "DoubleValue", "FloatValue",
            "Int32Value", "Int64Value", "StringValue", "UInt32Value", "UInt64Value",
        )
    },
}  # fmt: skip
