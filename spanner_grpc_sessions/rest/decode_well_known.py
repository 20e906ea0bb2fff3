"""JSON to the well-known types whose JSON is not that of their fields: timestamps, durations, free-form values.

Each function fills a message as `google.protobuf.json_format.ParseDict` does; `depth` counts the messages around it,
itself included. `Any` needs the code of other messages and lies in `decode_compiler`. Pure: no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from spanner_grpc_sessions.rest.parse_error import DEEPEST, REFUSED, Expectation, Refusal, too_deep
from spanner_grpc_sessions.rest.scalars import KEYS, text

__all__ = ["ARRAY", "DECODERS", "EXPECTED", "OBJECT", "object_of"]

_ARRAYS: Final = (list, tuple)
_NUMBERS: Final = (int, float)

OBJECT: Final = Expectation("object", (Mapping,))
ARRAY: Final = Expectation("array", _ARRAYS)
_VALUE: Final = Expectation("JSON value", (str, bool, *_NUMBERS, *_ARRAYS, Mapping))
_KEY: Final = KEYS[FieldDescriptor.TYPE_STRING].expected

# What servers write. All else that may stand for a timestamp (offsets, odd spacing) is left to protobuf.
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z"
)
_EPOCH: Final = datetime(1970, 1, 1)  # always UTC

# The last date and time that was read, and its seconds: sessions made together share it. Always replaced whole, so
# that another thread reads a pair that fits.
_last_second: tuple[str, int] = ("1970-01-01T00:00:00", 0)


def decode_timestamp(message: Any, value: Any, depth: int) -> None:
    """Read RFC 3339 text with at most 9 fraction digits."""
    global _last_second  # noqa: PLW0603 - a one-entry cache on the hot path
    _check_depth(value, depth)
    match = _TIMESTAMP.fullmatch(value)
    if not match:
        message.FromJsonString(value)
        return
    second, fraction = match.groups()
    last, seconds = _last_second
    if last != second:
        since = datetime.fromisoformat(second) - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        _last_second = (second, seconds)
    message.seconds = seconds
    message.nanos = int(fraction.ljust(9, "0")) if fraction else 0


def decode_by_protobuf(message: Any, value: Any, depth: int) -> None:
    """Read the text of a Duration or a FieldMask: nothing is won by a second implementation."""
    _check_depth(value, depth)
    if not isinstance(value, str):
        raise TypeError("not a string")
    message.FromJsonString(value)


def decode_value(message: Any, value: Any, depth: int) -> None:
    """Read any JSON."""
    if depth > DEEPEST:
        raise too_deep(value)
    if isinstance(value, str):
        message.string_value = value
    elif value is None:
        message.null_value = 0
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, _NUMBERS):
        message.number_value = value
    elif isinstance(value, _ARRAYS):
        decode_list_value(message.list_value, value, depth + 1)
    else:
        decode_struct(message.struct_value, value, depth + 1)


def decode_list_value(message: Any, value: Any, depth: int) -> None:
    """Read an array of any JSON."""
    if depth > DEEPEST:
        raise too_deep(value)
    if not isinstance(value, _ARRAYS):
        raise TypeError("not an array")
    message.ClearField("values")  # which also makes an empty list one that is set
    add = message.values.add
    index, element = 0, None
    try:
        for index, element in enumerate(value):  # noqa: B007 - told where an element is refused
            if element.__class__ is str and depth < DEEPEST:
                add().string_value = element  # what most cells of a row are, without a call
            else:
                decode_value(add(), element, depth + 1)
    except Refusal as refusal:
        refusal.at_index(index)
        raise
    except REFUSED as error:
        raise _VALUE.refusal(element).at_index(index) from error


def decode_struct(message: Any, value: Any, depth: int) -> None:
    """Read an object of any JSON."""
    _check_depth(value, depth)
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    message.Clear()  # which also makes an empty object one that is set
    fields = message.fields
    key, element = None, None
    try:
        for key, element in value.items():
            decode_value(_field(fields, key), element, depth + 1)
    except Refusal as refusal:
        refusal.at_key(key)
        raise
    except REFUSED as error:
        raise _VALUE.refusal(element).at_key(key) from error


def object_of(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for an empty array or string, as the reference reads them."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple | str) and not value:
        return {}
    raise TypeError("not an object")


def _field(fields: Any, key: Any) -> Any:
    try:
        return fields[text(key)]
    except REFUSED as error:
        raise _KEY.refusal(key) from error


def _check_depth(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise too_deep(value)


DECODERS: Final[dict[str, Callable[[Any, Any, int], None]]] = {
    "google.protobuf.Timestamp": decode_timestamp,
    "google.protobuf.Duration": decode_by_protobuf,
    "google.protobuf.FieldMask": decode_by_protobuf,
    "google.protobuf.Value": decode_value,
    "google.protobuf.ListValue": decode_list_value,
    "google.protobuf.Struct": decode_struct,
}
"""Full name of a well-known type to the function that fills it."""

EXPECTED: Final = {
    "google.protobuf.Timestamp": Expectation(
        "timestamp string", (str,), "RFC 3339 timestamp of the years 0001 to 9999, at most 9 fraction digits"
    ),
    "google.protobuf.Duration": Expectation(
        "duration string", (str,), 'duration like "3.5s" of at most 315,576,000,000 seconds'
    ),
    "google.protobuf.FieldMask": Expectation("field mask string", (str,), "field paths in camel case with commas"),
    "google.protobuf.Value": _VALUE,
    "google.protobuf.ListValue": ARRAY,
    "google.protobuf.Struct": OBJECT,
}
"""Full name of a well-known type to what it takes."""
