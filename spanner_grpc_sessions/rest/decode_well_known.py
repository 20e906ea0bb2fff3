"""Decoders of the well-known types whose JSON is not the JSON of their fields. Pure: no I/O.

Each fills a message as `google.protobuf.json_format.ParseDict` does; `depth` counts it and the messages around it.
`Any` needs the decoders of other messages: see `decoder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from spanner_grpc_sessions.rest.parse_error import MAX_DEPTH, PARSE_ERRORS, Expectation, too_deep
from spanner_grpc_sessions.rest.scalars import KEYS, text

_ARRAYS: Final = (list, tuple)
_NUMBERS: Final = (int, float)

OBJECT: Final = Expectation("object", (Mapping,))
ARRAY: Final = Expectation("array", _ARRAYS)
_VALUE: Final = Expectation("JSON value", (str, bool, *_NUMBERS, *_ARRAYS, Mapping))
_KEY: Final = KEYS[FieldDescriptor.CPPTYPE_STRING].expected

# What servers write. Other forms of a timestamp (offsets, odd spacing) are left to protobuf.
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z"
)
_EPOCH: Final = datetime(1970, 1, 1)  # UTC
_datetime: Final = datetime.fromisoformat


def decode_timestamp(message: Any, value: Any, depth: int) -> None:
    """Read RFC 3339 text with at most 9 fraction digits."""
    if depth > MAX_DEPTH:
        raise too_deep(value)
    match = _TIMESTAMP.fullmatch(value)
    if match:
        second, fraction = match.groups()
        since = _datetime(second) - _EPOCH
        message.seconds = since.days * 86_400 + since.seconds
        message.nanos = int(fraction.ljust(9, "0")) if fraction else 0
    else:
        message.FromJsonString(value)


def decode_by_protobuf(message: Any, value: Any, depth: int) -> None:
    """Read the text of a Duration or a FieldMask: both are rare."""
    if depth > MAX_DEPTH:
        raise too_deep(value)
    message.FromJsonString(text(value))


def decode_value(message: Any, value: Any, depth: int) -> None:
    """Read any JSON."""
    if depth > MAX_DEPTH:
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
    if depth > MAX_DEPTH:
        raise too_deep(value)
    if not isinstance(value, _ARRAYS):
        raise TypeError("not an array")
    message.ClearField("values")  # which also makes an empty list one that is set
    add = message.values.add
    elements = enumerate(value)
    index, element = 0, None
    try:
        for index, element in elements:  # noqa: B007 - the error tells where the element is
            if element.__class__ is str and depth < MAX_DEPTH:
                add().string_value = element  # most cells of a row are strings
            else:
                decode_value(add(), element, depth + 1)
    except PARSE_ERRORS as error:
        raise _VALUE.error(element, error).at_index(index) from None


def decode_struct(message: Any, value: Any, depth: int) -> None:
    """Read an object of any JSON."""
    if depth > MAX_DEPTH:
        raise too_deep(value)
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    message.Clear()  # which also makes an empty object one that is set
    fields = message.fields
    key, element = None, value
    try:
        for key, element in value.items():
            decode_value(_field(fields, key), element, depth + 1)
    except PARSE_ERRORS as error:
        raise _VALUE.error(element, error).at_key(key) from None


def _field(fields: Any, key: Any) -> Any:
    try:
        return fields[text(key)]
    except PARSE_ERRORS:
        raise _KEY.error(key) from None


def object_of(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for an empty array or string, as the reference reads them."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple | str) and not value:
        return {}
    raise TypeError("not an object")


# Full name of a well-known type to the function that fills it.
DECODERS: Final[dict[str, Callable[[Any, Any, int], None]]] = {
    "google.protobuf.Timestamp": decode_timestamp,
    "google.protobuf.Duration": decode_by_protobuf,
    "google.protobuf.FieldMask": decode_by_protobuf,
    "google.protobuf.Value": decode_value,
    "google.protobuf.ListValue": decode_list_value,
    "google.protobuf.Struct": decode_struct,
}

# Full name of a well-known type to what it takes.
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
