"""From message to REST JSON: one function per message class, compiled from the descriptor. Pure: no I/O.

What is compiled for `Session`, in short:

    def encode_0(m):
        d = {}
        if v := m.name: d['name'] = v
        if v := m.labels: d['labels'] = {k: v[k] for k in v}
        if m.HasField('create_time'): d['createTime'] = encode_timestamp(m.create_time)
        ...
        return d

Keys come in field-number order and absent fields have none, as in `google.protobuf.json_format.MessageToDict`.
"""

from __future__ import annotations

import keyword
import threading
from binascii import b2a_base64
from collections.abc import Callable
from math import copysign
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from spanner_grpc_sessions.errors import InvalidType
from spanner_grpc_sessions.rest.well_known import ENCODERS, encode_double, encode_float

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
        message: any protobuf message; those of google.spanner.v1 come out as a dict.

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
    descriptor = getattr(message_class, "DESCRIPTOR", None)
    if not (isinstance(message_class, type) and isinstance(descriptor, Descriptor)):
        raise InvalidType(f"to_rest takes a protobuf message, got {getattr(message_class, '__name__', message_class)}")
    with _compiling:
        return _encoders.setdefault(message_class, _compiler.encoder(descriptor))


class _Compiler:
    """The compiled functions and what they refer to, by the names that the generated code uses."""

    def __init__(self) -> None:
        self._names: dict[Descriptor | EnumDescriptor, str] = {}
        self._namespace: dict[str, Any] = {
            "base64_of": b2a_base64,
            "copysign": copysign,
            "encode_double": encode_double,
            "encode_float": encode_float,
        }

    def encoder(self, descriptor: Descriptor) -> Encoder:
        encoder: Encoder = self._namespace[self._message(descriptor)]
        return encoder

    def _message(self, descriptor: Descriptor) -> str:
        name = self._names.get(descriptor)
        if name is None:
            name = self._names[descriptor] = f"encode_{len(self._names)}"
            well_known = ENCODERS.get(descriptor.full_name)
            if well_known:
                self._namespace[name] = well_known
            else:
                # The name is taken before the fields are looked at: a message may contain itself.
                exec(self._source(name, descriptor), self._namespace)  # noqa: S102 - built from a descriptor's names
        return name

    def _source(self, name: str, descriptor: Descriptor) -> str:
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        lines = (f"    {line}" for field in fields for line in self._statements(field))
        return "\n".join([f"def {name}(m):", "    d = {}", *lines, "    return d"])

    def _statements(self, field: FieldDescriptor) -> list[str]:
        source = f"m.{field.name}" if not keyword.iskeyword(field.name) else f"getattr(m, {field.name!r})"
        target = f"d[{field.json_name!r}]"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return [f"if v := {source}: {target} = {self._mapping(field.message_type)}"]
        if _is_repeated(field):
            element = self._value(field, "e")
            return [f"if v := {source}: {target} = " + ("list(v)" if element == "e" else f"[{element} for e in v]")]
        if field.has_presence:
            return [f"if m.HasField({field.name!r}): {target} = {self._value(field, source)}"]
        is_set = f"v := {source}"
        if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
            # Minus zero is falsy in Python and yet on the wire.
            is_set = f"({is_set}) or copysign(1, v) < 0"
        return [f"if {is_set}: {target} = {self._value(field, 'v')}"]

    def _mapping(self, entry: Descriptor) -> str:
        key = self._key(entry.fields_by_name["key"])
        value = self._value(entry.fields_by_name["value"], "v[k]")
        # Half the price of dict(v): a map of protobuf makes an object per item it is asked for.
        return f"{{{key}: {value} for k in v}}"

    def _key(self, field: FieldDescriptor) -> str:
        if field.type == FieldDescriptor.TYPE_BOOL:
            return "('true' if k else 'false')"
        return "k" if field.type == FieldDescriptor.TYPE_STRING else "str(k)"

    def _value(self, field: FieldDescriptor, source: str) -> str:
        if field.message_type is not None:
            return f"{self._message(field.message_type)}({source})"
        if field.enum_type is not None:
            return self._enum(field.enum_type, source)
        if field.type in _LONG_INTEGERS:
            return f"str({source})"
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"base64_of({source}, newline=False).decode()"
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return f"encode_double({source})"
        if field.type == FieldDescriptor.TYPE_FLOAT:
            return f"encode_float({source})"
        return source

    def _enum(self, descriptor: EnumDescriptor, source: str) -> str:
        if descriptor.full_name == "google.protobuf.NullValue":
            return "None"
        name = self._names.setdefault(descriptor, f"enum_{len(self._names)}")
        # Looked up by number, for where several names share one the first of them counts.
        names = descriptor.values_by_number
        self._namespace[name] = {number: names[number].name for number in names}
        return f"{name}.get({source}, {source})"


def _is_repeated(field: FieldDescriptor) -> bool:
    # `is_repeated` replaced `label` in protobuf 6; each of the two warns or is missing in the other's releases.
    repeated = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED if repeated is None else repeated)


_encoders: dict[type[Message], Encoder] = {}
_compiling = threading.RLock()
_compiler = _Compiler()
