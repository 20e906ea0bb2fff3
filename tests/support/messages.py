"""Random protobuf messages: hypothesis draws the fields of any message class from its descriptor."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import spanner_grpc_sessions_pb as stubs
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from hypothesis import strategies as st

__all__ = ["message_classes", "messages"]

_T = TypeVar("_T", bound=Message)
_Draw = Callable[[st.SearchStrategy[Any]], Any]

_MOST_FIELDS: Final = 4
_MOST_ELEMENTS: Final = 3
_DEPTH: Final = 3

_INT32 = st.one_of(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]), st.integers(-(2**31), 2**31 - 1))
_INT64 = st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
_UINT32 = st.one_of(st.sampled_from([0, 1, 2**32 - 1]), st.integers(0, 2**32 - 1))
_UINT64 = st.one_of(st.sampled_from([0, 1, 2**64 - 1]), st.integers(0, 2**64 - 1))
_SCALARS: Final = {
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
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
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=5),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
}

# What Timestamp and Duration may hold, their borders, and (where asked for) what they may not.
_TIMESTAMP_SECONDS = st.one_of(
    st.sampled_from([0, -1, -62_135_596_800, 253_402_300_799]), st.integers(-62_135_596_800, 253_402_300_799)
)
_DURATION_SECONDS = st.one_of(
    st.sampled_from([0, -1, 315_576_000_000, -315_576_000_000]), st.integers(-315_576_000_000, 315_576_000_000)
)
_NANOS = st.one_of(
    st.sampled_from([0, 1, 1_000, 1_000_000, 500_000_000, 999_999_999]),
    st.integers(0, 999).map(lambda millis: millis * 1_000_000),
    st.integers(0, 999_999).map(lambda micros: micros * 1_000),
    st.integers(0, 999_999_999),
)
_SECONDS_BEYOND = st.sampled_from([-62_135_596_801, 253_402_300_800, 315_576_000_001, -315_576_000_001, 2**63 - 1])
_NANOS_BEYOND = st.sampled_from([-1, 1_000_000_000, -1_000_000_000, 2**31 - 1, -(2**31)])
_ANY_CLASSES: Final = [
    Timestamp,
    Duration,
    *(getattr(error_details_pb2, name) for name in ("ErrorInfo", "RetryInfo", "ResourceInfo", "BadRequest", "Help")),
]


def message_classes() -> list[type[Message]]:
    """Return every message class of our stubs, nested ones included, map entries not."""
    names = (module.name for module in pkgutil.iter_modules(stubs.__path__) if module.name.endswith("_pb2"))
    files = (importlib.import_module(f"{stubs.__name__}.{name}").DESCRIPTOR for name in names)
    roots = (message for file in files for message in file.message_types_by_name.values())
    return [message_factory.GetMessageClass(descriptor) for root in roots for descriptor in _with_nested(root)]


def _with_nested(descriptor: Descriptor) -> Iterator[Descriptor]:
    if not descriptor.GetOptions().map_entry:
        yield descriptor
    for nested in descriptor.nested_types:
        yield from _with_nested(nested)


@st.composite
def messages(draw: _Draw, message_class: type[_T], *, wild: bool = False) -> _T:
    """Return a strategy for messages of a class.

    Args:
        draw: given by hypothesis.
        message_class: any class of protobuf messages.
        wild: also draw values that proto3 JSON cannot write: timestamps and durations out of range, NaN in a Value,
            an Any of an unknown type, a FieldMask with paths that have no camel case.
    """
    message = message_class()
    _Filler(draw, wild).fill(message, _DEPTH)
    return message


class _Filler:
    """Draws the fields of one message and of those within it."""

    def __init__(self, draw: _Draw, wild: bool) -> None:
        self._draw = draw
        self._wild = wild
        self._special: dict[str, Callable[[Any, int], None]] = {
            "google.protobuf.Timestamp": self._timestamp,
            "google.protobuf.Duration": self._duration,
            "google.protobuf.FieldMask": self._field_mask,
            "google.protobuf.Any": self._any,
            "google.protobuf.Value": self._value,
        }

    def fill(self, message: Any, depth: int) -> None:
        """Set some fields of `message`; at depth 0 only scalar ones."""
        special = self._special.get(message.DESCRIPTOR.full_name)
        if special:
            special(message, depth)
            return
        fields = [field for field in message.DESCRIPTOR.fields if depth or not _holds_messages(field)]
        if not fields:
            return
        chosen = self._draw(
            st.lists(st.sampled_from(range(len(fields))), unique=True, max_size=min(_MOST_FIELDS, len(fields)))
        )
        for index in chosen:
            self._set(message, fields[index], depth)

    def _set(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._set_map(target, field.message_type, depth)
        elif is_repeated(field):
            for _ in range(self._draw(st.integers(0, _MOST_ELEMENTS))):
                if field.message_type is None:
                    target.append(self._scalar(field))
                else:
                    self.fill(target.add(), depth - 1)
        elif field.message_type is None:
            setattr(message, field.name, self._scalar(field))
        else:
            target.SetInParent()
            self.fill(target, depth - 1)

    def _set_map(self, target: Any, entry: Descriptor, depth: int) -> None:
        key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(self._draw(st.integers(0, _MOST_ELEMENTS))):
            key = self._scalar(key_field)
            if value_field.message_type is None:
                target[key] = self._scalar(value_field)
            else:
                self.fill(target[key], depth - 1)

    def _scalar(self, field: FieldDescriptor) -> Any:
        if field.enum_type is not None:
            return self._draw(_enum_numbers(field.enum_type))
        return self._draw(_SCALARS[field.type])

    def _timestamp(self, message: Timestamp, _: int) -> None:
        message.seconds = self._draw(_TIMESTAMP_SECONDS)
        message.nanos = self._draw(_NANOS)
        self._spoil(message)

    def _duration(self, message: Duration, _: int) -> None:
        message.seconds = self._draw(_DURATION_SECONDS)
        nanos = self._draw(_NANOS)
        negative = message.seconds < 0 or (message.seconds == 0 and self._draw(st.booleans()))
        message.nanos = -nanos if negative else nanos
        self._spoil(message)

    def _spoil(self, message: Any) -> None:
        if self._wild and self._draw(st.booleans()):
            if self._draw(st.booleans()):
                message.seconds = self._draw(_SECONDS_BEYOND)
            else:
                message.nanos = self._draw(_NANOS_BEYOND)

    def _field_mask(self, message: Any, _: int) -> None:
        paths = ["", "a", "user.name", "display_name", "a.b_c.d2"]
        message.paths.extend(
            self._draw(st.lists(st.sampled_from([*paths, "camelCase", "a__b", "a_"] if self._wild else paths)))
        )

    def _any(self, message: Any, depth: int) -> None:
        packed = self._draw(st.sampled_from(_ANY_CLASSES))()
        self.fill(packed, max(depth - 1, 0))
        if self._draw(st.booleans()):
            message.Pack(packed)
        if self._wild and self._draw(st.booleans()):
            message.type_url = self._draw(st.sampled_from(["", "type.googleapis.com/example.Unknown", "x", "/"]))
            message.value = self._draw(st.binary(max_size=5))

    def _value(self, message: Any, depth: int) -> None:
        kinds = ["null_value", "number_value", "string_value", "bool_value"]
        if depth > 0:
            kinds += ["struct_value", "list_value"]
        kind = self._draw(st.sampled_from([None, *kinds]))
        if kind == "number_value":
            message.number_value = self._draw(st.floats(allow_nan=self._wild, allow_infinity=self._wild))
        elif kind is not None:
            self._set(message, message.DESCRIPTOR.fields_by_name[kind], depth)


def _holds_messages(field: FieldDescriptor) -> bool:
    if field.message_type is None:
        return False
    if field.message_type.GetOptions().map_entry:
        return _holds_messages(field.message_type.fields_by_name["value"])
    return True


def _enum_numbers(descriptor: EnumDescriptor) -> st.SearchStrategy[int]:
    known = st.sampled_from(sorted(descriptor.values_by_number))
    return st.one_of(known, known, st.integers(-(2**31), 2**31 - 1))


def is_repeated(field: FieldDescriptor) -> bool:
    """Return whether a field is a list or a map, in the words of protobuf 5 or of later releases."""
    repeated = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED if repeated is None else repeated)
