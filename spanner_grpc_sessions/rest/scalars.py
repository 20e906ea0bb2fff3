"""Decoders of scalar fields: as lenient and as strict as `google.protobuf.json_format`. Pure: no I/O.

Ranges and UTF-8 are left to protobuf, which checks them when a field is set.
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from spanner_grpc_sessions.rest.parse_error import Expectation

_MAX_FLOAT: Final = float.fromhex("0x1.fffffep+127")


@dataclass(frozen=True, slots=True)
class Scalar:
    """How a kind of scalar is read: the expression that converts a value, written `{0}`, and what it takes."""

    code: str
    expected: Expectation


class EnumNumbers(dict[str, int]):
    """The numbers of an enum by name; a key that is not a name has to be a number, known or not."""

    def __missing__(self, name: Any) -> int:
        return int(name)


def expected_of_enum(descriptor: EnumDescriptor) -> Expectation:
    """Return what a field of an enum takes."""
    return Expectation(f"name or number of {descriptor.name}", (str, int, float))


def text(value: Any) -> str:
    """Return a string as it is."""
    if isinstance(value, str):
        return value
    raise TypeError("not a string")


def integer(value: Any) -> int:
    """Return a whole number, given as a number or a string; it may have an exponent."""
    if isinstance(value, str) and " " not in value:
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    return int(value)


def number(value: Any) -> float:
    """Return a number, given as a number or a string; NaN and the infinities have to be strings."""
    if (isinstance(value, float) and not math.isfinite(value)) or value == "nan":
        raise ValueError("not a number of JSON")
    return float(value)


def number_of_32_bits(value: Any) -> float:
    """Return a number that a 32-bit float can hold; a string with a larger one is infinity."""
    if isinstance(value, float) and abs(value) > _MAX_FLOAT:
        raise ValueError("too large for 32 bits")
    return number(value)


def boolean(value: Any) -> bool:
    """Return a bool as it is: JSON has no other form of it."""
    if isinstance(value, bool):
        return value
    raise TypeError("not a bool")


def boolean_key(key: Any) -> bool:
    """Return the bool for a key of an object, which is always a string."""
    if key in {"true", "false"}:
        return bool(key == "true")
    raise ValueError("not a bool")


def binary(value: Any) -> bytes:
    """Return the bytes of a base64 string, in either alphabet, with or without padding."""
    data = str.encode(value) if isinstance(value, str) else value
    return urlsafe_b64decode(data + b"=" * (4 - len(data) % 4))


def scalar_of(field: FieldDescriptor) -> Scalar:
    """Return how a field that is neither message nor enum is read."""
    return _BYTES if field.type == FieldDescriptor.TYPE_BYTES else _SCALARS[field.cpp_type]


def _integer(noun: str) -> Scalar:
    return Scalar("{0} if {0}.__class__ is int else integer({0})", Expectation(noun, (int, float, str)))


_NUMBER: Final = Expectation(
    "number", (int, float, str), 'number, or one of the strings "NaN", "Infinity", "-Infinity"'
)
_BYTES: Final = Scalar("binary({0})", Expectation("base64 string", (str, bytes)))
_SCALARS: Final[dict[int, Scalar]] = {
    FieldDescriptor.CPPTYPE_STRING: Scalar(
        "{0} if isinstance({0}, str) else text({0})", Expectation("string", (str,), "string without surrogates")
    ),
    FieldDescriptor.CPPTYPE_BOOL: Scalar("boolean({0})", Expectation("true or false", (bool,))),
    FieldDescriptor.CPPTYPE_DOUBLE: Scalar("number({0})", _NUMBER),
    FieldDescriptor.CPPTYPE_FLOAT: Scalar("number_of_32_bits({0})", _NUMBER),
    FieldDescriptor.CPPTYPE_INT32: _integer("32-bit integer"),
    FieldDescriptor.CPPTYPE_INT64: _integer("64-bit integer"),
    FieldDescriptor.CPPTYPE_UINT32: _integer("unsigned 32-bit integer"),
    FieldDescriptor.CPPTYPE_UINT64: _integer("unsigned 64-bit integer"),
}

# How the keys of maps are read, which are strings in JSON, by the C++ type of the key field.
KEYS: Final = {
    cpp_type: Scalar(scalar.code, replace(scalar.expected, noun=f"{scalar.expected.noun} as key"))
    for cpp_type, scalar in _SCALARS.items()
} | {FieldDescriptor.CPPTYPE_BOOL: Scalar("boolean_key({0})", Expectation('"true" or "false" as key', (str,)))}

# The functions in the expressions, by name.
CONVERSIONS: Final = {
    function.__name__: function for function in (text, integer, number, number_of_32_bits, boolean, boolean_key, binary)
}
