"""From message to REST JSON: one function per message class, compiled from the descriptor. Pure: no I/O.

The function for `Session`, in short:

    def encode_0(m):
        d = {}
        if v := m.name: d['name'] = v
        if v := m.labels:
            d['labels'] = e = {}
            for k in v: e[k] = v[k]
        if (s := (v := m.create_time).seconds) or m.HasField('create_time'): d['createTime'] = encode_time(s, v.nanos)
        ...
        return d

Keys come in field-number order and absent fields have none, as in `google.protobuf.json_format.MessageToDict`.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from math import copysign
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from spanner_grpc_sessions.rest.codegen import (
    Functions,
    Writer,
    attribute,
    descriptor_of,
    entry_fields,
    is_map,
    is_repeated,
)
from spanner_grpc_sessions.rest.encode_well_known import ENCODERS, encode_double, encode_float, encode_time

Encoder = Callable[[Any], Any]

# How scalars are written where JSON has no form for all their values; `{0}` is the value.
_SCALARS: Final = {
    FieldDescriptor.CPPTYPE_INT64: "str({0})",
    FieldDescriptor.CPPTYPE_UINT64: "str({0})",
    FieldDescriptor.CPPTYPE_DOUBLE: "encode_double({0})",
    FieldDescriptor.CPPTYPE_FLOAT: "encode_float({0})",
}


def to_rest(message: Message) -> Any:
    """Return a message as the JSON of Spanner's REST API.

    Args:
        message: any proto3 message; those of google.spanner.v1 become a dict. Extensions of proto2 are left out.

    Returns:
        JSON-compatible values, equal to those of `google.protobuf.json_format.MessageToDict`, with int64 as a string,
        bytes as base64, enums by name (unknown ones by number) and timestamps as RFC 3339 strings.

    Raises:
        InvalidValue: the message holds a value that has no JSON form, such as a timestamp in the year 10000.
        InvalidType: `message` is not a protobuf message.
    """
    try:
        encode = _encoders[type(message)]
    except (KeyError, TypeError):
        encode = encoder_of(type(message))
    return encode(message)


def encoder_of(message_class: type[Message]) -> Encoder:
    """Return the function that converts messages of one class, and compile it at the first request.

    Raises:
        InvalidType: `message_class` is not a class of protobuf messages.
    """
    descriptor = descriptor_of(message_class, "to_rest takes a protobuf message")
    return _encoders.setdefault(message_class, _functions.of(descriptor))


class _Writer(Writer):
    """Writes functions `encode(message)` that return a dict."""

    verb = "encode"

    def _source(self, name: str, descriptor: Descriptor) -> str:
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        lines = (f"    {line}" for field in fields for line in self._statements(field))
        return "\n".join([f"def {name}(m):", "    d = {}", *lines, "    return d"])

    def _statements(self, field: FieldDescriptor) -> list[str]:
        source, target = attribute(field), f"d[{field.json_name!r}]"
        if is_map(field):
            key_field, value_field = entry_fields(field)
            statement = f"for k in v: e[{_key(key_field)}] = {self._value(value_field, 'v[k]')}"
            # A third of the time of dict(v): a map of protobuf creates an object for each item of that.
            return [f"if v := {source}:", f"    {target} = e = {{}}", f"    {statement}"]
        if is_repeated(field):
            element = self._value(field, "e")
            return [f"if v := {source}: {target} = " + ("list(v)" if element == "e" else f"[{element} for e in v]")]
        if field.has_presence:
            is_set, value = f"m.HasField({field.name!r})", self._value(field, source)
            if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
                # Most timestamps have seconds, and reading those takes half as long as HasField.
                is_set, value = f"(s := (v := {source}).seconds) or {is_set}", "encode_time(s, v.nanos)"
            return [f"if {is_set}: {target} = {value}"]
        is_set = f"v := {source}"
        if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
            # Minus zero is falsy in Python and yet on the wire.
            is_set = f"({is_set}) or copysign(1, v) < 0"
        return [f"if {is_set}: {target} = {self._value(field, 'v')}"]

    def _value(self, field: FieldDescriptor, source: str) -> str:
        if field.message_type is not None:
            return f"{self._function_name(field.message_type)}({source})"
        if field.enum_type is not None:
            return self._enum(field.enum_type, source)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"b2a_base64({source}, newline=False).decode()"
        return _SCALARS.get(field.cpp_type, "{0}").format(source)

    def _enum(self, descriptor: EnumDescriptor, source: str) -> str:
        if descriptor.full_name == "google.protobuf.NullValue":
            return "None"
        # Asked for one by one: where several names have one number, the first counts, and `items()` ends with the last.
        values = descriptor.values_by_number
        names = {number: values[number].name for number in values}
        return f"{self._bind_once('enum', descriptor, names)}.get({source}, {source})"


def _key(field: FieldDescriptor) -> str:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "('true' if k else 'false')"
    return "k" if field.type == FieldDescriptor.TYPE_STRING else "str(k)"


_encoders: Final[dict[type[Message], Encoder]] = {}
_USED: Final = (b2a_base64, copysign, encode_double, encode_float, encode_time)
_functions: Final = Functions(_Writer, ENCODERS, {function.__name__: function for function in _USED})
