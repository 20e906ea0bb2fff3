"""JSON to the values of scalar fields: as lenient and as strict as `google.protobuf.json_format`. Pure: no I/O.

Ranges and UTF-8 are left to protobuf: setting a field checks them anyway.
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from spanner_grpc_sessions.rest.parse_error import Expectation

__all__ = ["CONVERSIONS", "KEYS", "SCALARS", "EnumNumbers", "Scalar", "expected_of_enum"]

_LARGEST_FLOAT: Final = float.fromhex("0x1.fffffep+127")


@dataclass(frozen=True, slots=True)
class Scalar:
    """How a kind of scalar is read.

    Attributes:
        code: the expression that converts a value; `{0}` is where the value stands.
        expected: what it takes.
    """

    code: str
    expected: Expectation


class EnumNumbers(dict[str, int]):
    """The numbers of an enum by name; what is no name has to be a number, known or not."""

    def __missing__(self, name: Any) -> int:
        return int(name)


def expected_of_enum(descriptor: EnumDescriptor) -> Expectation:
    """Return what fields of an enum take."""
    return Expectation(f"name or number of {descriptor.name}", (str, int, float))


def text(value: Any) -> str:
    """Return a string as it is."""
    if isinstance(value, str):
        return value
    raise TypeError("not a string")


def integer(value: Any) -> int:
    """Return a whole number, given as one or as text, exponents allowed."""
    if isinstance(value, str) and " " not in value:
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    return int(value)


def number(value: Any) -> float:
    """Return a number, given as one or as text; what is not finite only as text."""
    if (isinstance(value, float) and not math.isfinite(value)) or value == "nan":
        raise ValueError("not a number of JSON")
    return float(value)


def number_of_32_bits(value: Any) -> float:
    """Return a number that a 32-bit float can hold; text for a larger one means infinity."""
    if isinstance(value, float) and abs(value) > _LARGEST_FLOAT:
        raise ValueError("too large for 32 bits")
    return number(value)


def boolean(value: Any) -> bool:
    """Return true or false as it is: no number and no text stands for them."""
    if isinstance(value, bool):
        return value
    raise TypeError("not a bool")


def boolean_key(key: Any) -> bool:
    """Return the bool that a key of an object, always text, stands for."""
    if key in {"true", "false"}:
        return bool(key == "true")
    raise ValueError("not a bool")


def binary(value: Any) -> bytes:
    """Return the bytes of base64 text, in either alphabet, with or without padding."""
    data = value.encode() if isinstance(value, str) else value
    return urlsafe_b64decode(data + b"=" * (4 - len(data) % 4))


def _integer(noun: str) -> Scalar:
    return Scalar("{0} if {0}.__class__ is int else integer({0})", Expectation(noun, (int, float, str)))


_BOOL: Final = Expectation("true or false", (bool,))
_NUMBER: Final = Expectation("number", (int, float, str), 'number, or one of the texts "NaN", "Infinity", "-Infinity"')
_INT32: Final = _integer("integer of 32 bits")
_INT64: Final = _integer("integer of 64 bits")
_UINT32: Final = _integer("unsigned integer of 32 bits")
_UINT64: Final = _integer("unsigned integer of 64 bits")

SCALARS: Final[dict[int, Scalar]] = {
    FieldDescriptor.TYPE_STRING: Scalar(
        "{0} if isinstance({0}, str) else text({0})", Expectation("string", (str,), "string without surrogates")
    ),
    FieldDescriptor.TYPE_BYTES: Scalar("binary({0})", Expectation("base64 string", (str, bytes))),
    FieldDescriptor.TYPE_BOOL: Scalar("boolean({0})", _BOOL),
    FieldDescriptor.TYPE_DOUBLE: Scalar("number({0})", _NUMBER),
    FieldDescriptor.TYPE_FLOAT: Scalar("number_of_32_bits({0})", _NUMBER),
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
"""Type of a field, enums apart, to how it is read."""

KEYS: Final = {
    type_: Scalar(scalar.code, replace(scalar.expected, noun=f"{scalar.expected.noun} as key"))
    for type_, scalar in SCALARS.items()
} | {FieldDescriptor.TYPE_BOOL: Scalar("boolean_key({0})", Expectation('"true" or "false" as key', (str,)))}
"""The same for the keys of maps, which are text in JSON."""

CONVERSIONS: Final = {
    function.__name__: function for function in (text, integer, number, number_of_32_bits, boolean, boolean_key, binary)
}
"""The functions that the expressions name."""
