"""From message to REST JSON: one function per message class, compiled from the descriptor. Pure: no I/O.

What is compiled for `Session`, in short:

    def encode_0(m):
        d = {}
        if v := m.name: d['name'] = v
        if v := m.labels:
            d['labels'] = e = {}
            for k in v: e[k] = v[k]
        if m.HasField('create_time'): d['createTime'] = encode_timestamp(m.create_time)
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

from spanner_grpc_sessions.rest.codegen import Compiler, attribute, descriptor_of, entry_fields, is_map, is_repeated
from spanner_grpc_sessions.rest.encode_well_known import ENCODERS, encode_double, encode_float

__all__ = ["encoder_of", "to_rest"]

Encoder = Callable[[Any], Any]

_LONG_INTEGERS: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)


def to_rest(message: Message) -> Any:
    """Return a message as Spanner's REST API would have answered it.

    Args:
        message: any proto3 message; those of google.spanner.v1 come out as a dict. Extensions of proto2 are left out.

    Returns:
        JSON-compatible values, equal to those of `google.protobuf.json_format.MessageToDict`: int64 as text, bytes as
        base64, enums by name (a number that has none stays a number), timestamps as RFC 3339 text.

    Raises:
        InvalidValue: the message holds a value that has no JSON form, like a timestamp in the year 10000.
        InvalidType: `message` is not a protobuf message.
    """
    try:
        encode = _encoders[type(message)]
    except KeyError:
        encode = encoder_of(type(message))
    return encode(message)


def encoder_of(message_class: type[Message]) -> Encoder:
    """Return the function that converts messages of one class, compiling it at the first request.

    Raises:
        InvalidType: `message_class` is not a class of protobuf messages.
    """
    descriptor = descriptor_of(message_class, "to_rest takes a protobuf message")
    return _encoders.setdefault(message_class, _compiler.function(descriptor))


class _Compiler(Compiler):
    """Compiles functions `encode(message)` that return a dict."""

    def __init__(self) -> None:
        functions = {function.__name__: function for function in (b2a_base64, copysign, encode_double, encode_float)}
        super().__init__("encode", ENCODERS, functions)

    def _source(self, name: str, descriptor: Descriptor) -> str:
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        lines = (f"    {line}" for field in fields for line in self._statements(field))
        return "\n".join([f"def {name}(m):", "    d = {}", *lines, "    return d"])

    def _statements(self, field: FieldDescriptor) -> list[str]:
        source, target = attribute(field), f"d[{field.json_name!r}]"
        if is_map(field):
            return self._map_statements(field, source, target)
        if is_repeated(field):
            element = self._value(field, "e")
            return [f"if v := {source}: {target} = " + ("list(v)" if element == "e" else f"[{element} for e in v]")]
        if field.has_presence:
            return [f"if m.HasField({field.name!r}): {target} = {self._value(field, source)}"]
        is_set = f"v := {source}"
        if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
            # Minus zero is falsy in Python and yet on the wire.
            is_set = f"({is_set}) or copysign(1, v) < 0"
        return [f"if {is_set}: {target} = {self._value(field, 'v')}"]

    def _map_statements(self, field: FieldDescriptor, source: str, target: str) -> list[str]:
        key_field, value_field = entry_fields(field)
        key, value = self._key(key_field), self._value(value_field, "v[k]")
        # A third of the price of dict(v): a map of protobuf makes an object per item it is asked for.
        return [f"if v := {source}:", f"    {target} = e = {{}}", f"    for k in v: e[{key}] = {value}"]

    def _key(self, field: FieldDescriptor) -> str:
        if field.type == FieldDescriptor.TYPE_BOOL:
            return "('true' if k else 'false')"
        return "k" if field.type == FieldDescriptor.TYPE_STRING else "str(k)"

    def _value(self, field: FieldDescriptor, source: str) -> str:
        if field.message_type is not None:
            return f"{self._function_name(field.message_type)}({source})"
        if field.enum_type is not None:
            return self._enum(field.enum_type, source)
        if field.type in _LONG_INTEGERS:
            return f"str({source})"
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"b2a_base64({source}, newline=False).decode()"
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return f"encode_double({source})"
        if field.type == FieldDescriptor.TYPE_FLOAT:
            return f"encode_float({source})"
        return source

    def _enum(self, descriptor: EnumDescriptor, source: str) -> str:
        if descriptor.full_name == "google.protobuf.NullValue":
            return "None"
        # Asked for one by one: where several names have one number, the first counts, and `items()` ends with the last.
        values = descriptor.values_by_number
        names = {number: values[number].name for number in values}
        return f"{self._bind_once('enum', descriptor, names)}.get({source}, {source})"


_encoders: dict[type[Message], Encoder] = {}
_compiler = _Compiler()
