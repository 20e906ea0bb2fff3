"""The well-known types whose JSON is not the JSON of their fields: timestamps, durations, free-form values, Any.

Each function takes a message and returns the value that `google.protobuf.json_format` gives. Pure: no I/O.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2  # noqa: F401 - makes known what the Any of a google.rpc.Status holds

from spanner_grpc_sessions.errors import InvalidValue

__all__ = ["ENCODERS", "THREE_DIGITS", "encode_double", "encode_float", "encode_timestamp", "fraction"]

# The years 0001 to 9999, and the +-10,000 years that a Duration may span: protobuf's documented ranges.
_TIMESTAMP_SECONDS = range(-62_135_596_800, 253_402_300_800)
_DURATION_SECONDS = range(-315_576_000_000, 315_576_000_001)
_EPOCH = datetime(1970, 1, 1)  # always UTC, and printed without an offset
_SECOND = 1_000_000_000  # in nanoseconds
THREE_DIGITS: Final = tuple(f"{number:03}" for number in range(1000))

# The last whole second that was printed. Sessions made together share it, and formatting a date is most of the cost
# of a timestamp. Always replaced whole, so that another thread reads a pair that fits.
_last_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def encode_timestamp(message: Any) -> str:
    """Return RFC 3339 text in UTC with 0, 3, 6 or 9 fraction digits."""
    global _last_second  # noqa: PLW0603 - a one-entry cache on the hot path
    seconds: int = message.seconds
    second, text = _last_second
    if second != seconds:
        if seconds not in _TIMESTAMP_SECONDS:
            raise InvalidValue(f"a Timestamp must lie in the years 0001 to 9999, got {seconds} seconds")
        text = _date_and_time(seconds)
        _last_second = (seconds, text)
    nanos = message.nanos
    if not nanos:
        return text + "Z"
    if nanos % 1000 or not 0 < nanos < _SECOND:
        return text + fraction(nanos) + "Z"
    # Servers count in microseconds; two look-ups take half as long as formatting six digits.
    millis, micros = nanos // 1_000_000, nanos // 1000 % 1000
    digits = THREE_DIGITS
    return f"{text}.{digits[millis]}{digits[micros]}Z" if micros else f"{text}.{digits[millis]}Z"


def encode_duration(message: Any) -> str:
    """Return seconds with 0, 3, 6 or 9 fraction digits and the suffix `s`."""
    seconds, nanos = message.seconds, message.nanos
    if seconds not in _DURATION_SECONDS:
        raise InvalidValue(f"a Duration must not exceed 315,576,000,000 seconds, got {seconds}")
    if seconds * nanos < 0:
        raise InvalidValue(f"seconds and nanos of a Duration must have one sign, got {seconds} and {nanos}")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{fraction(abs(nanos))}s"


def encode_value(message: Any) -> Any:
    """Return what a `google.protobuf.Value` holds; a Value that holds nothing is null."""
    # To look for a text is cheaper than to ask for the kind, and most cells of a row are texts.
    return message.string_value or _value_of_kind(message)


def encode_list_value(message: Any) -> list[Any]:
    """Return the elements of a `google.protobuf.ListValue`."""
    return [element.string_value or _value_of_kind(element) for element in message.values]


def encode_struct(message: Any) -> dict[str, Any]:
    """Return the fields of a `google.protobuf.Struct`."""
    fields = message.fields
    return {key: encode_value(fields[key]) for key in fields}


def _value_of_kind(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "number_value":
        number = message.number_value
        if not math.isfinite(number):
            raise InvalidValue(f"a Value cannot hold {number!r} as a number: JSON has none, Spanner sends it as text")
        return number
    if kind == "list_value":
        return encode_list_value(message.list_value)
    if kind == "struct_value":
        return encode_struct(message.struct_value)
    return getattr(message, kind)


def encode_double(number: float) -> float | str:
    """Return a finite number as it is, and the three others as the text that JSON uses for them."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def encode_float(number: float) -> float | str:
    """Return the shortest number that a 32-bit float keeps, as `encode_double` does for 64 bits."""
    if not math.isfinite(number):
        return encode_double(number)
    for digits in range(6, 9):
        shorter = float(f"{number:.{digits}g}")
        if struct.unpack("f", struct.pack("f", shorter))[0] == number:
            return shorter
    return float(f"{number:.9g}")


def _by_json_format(message: Any) -> Any:
    """Convert the rare types by the reference implementation: nothing is won by a second one."""
    try:
        return json_format.MessageToDict(message)
    except (ValueError, TypeError, json_format.Error, DecodeError) as error:
        raise InvalidValue(f"{message.DESCRIPTOR.full_name} has no JSON form: {error}") from error


def _date_and_time(seconds: int) -> str:
    # Not fromtimestamp, which fails for years before 1970 on some platforms.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def fraction(nanos: int) -> str:
    """Return the fraction digits of a time, 3, 6 or 9 after a point, or nothing for a whole second."""
    if not 0 <= nanos < _SECOND:
        raise InvalidValue(f"nanos must be less than a second, got {nanos}")
    if not nanos:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03}"
    if nanos % 1_000 == 0:
        return f".{nanos // 1_000:06}"
    return f".{nanos:09}"


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
"""Full name of a well-known type to the function that converts it."""
