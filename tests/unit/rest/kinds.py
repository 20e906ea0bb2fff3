"""A message with a field of every kind that protobuf has, beyond what Spanner's service uses.

Built at run time, so that no .proto file has to be compiled for it.
"""

from __future__ import annotations

from typing import Final

from google.protobuf import (
    any_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message

__all__ = ["SCALARS", "WELL_KNOWN", "kinds_class"]

_FILES: Final = [
    any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2,
]  # fmt: skip
WELL_KNOWN: Final = [
    *("Any", "Duration", "Empty", "FieldMask", "Struct", "Value", "ListValue", "Timestamp"),
    *("BoolValue", "BytesValue", "DoubleValue", "FloatValue", "StringValue"),
    *("Int32Value", "Int64Value", "UInt32Value", "UInt64Value"),
]
SCALARS: Final = [
    *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
    *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
]
_KEYS: Final = [scalar for scalar in SCALARS if scalar not in {"double", "float", "bytes"}]
_SINGULAR = FieldDescriptorProto.LABEL_OPTIONAL
_REPEATED = FieldDescriptorProto.LABEL_REPEATED


def kinds_class() -> type[Message]:
    """Return a new class of the message `kinds.Kinds`, in a descriptor pool of its own.

    For each scalar type T, for an enum and for the message itself it has the fields `T`, `T_list`, `T_map` (by text)
    and `T_optional`, for each type K of keys `K_keys` (to text), for each well-known type W `W`, `W_list` and `W_map`,
    and a oneof. Field numbers fall while the fields are declared, so that the two orders are told apart.
    """
    pool = descriptor_pool.DescriptorPool()
    for file in _FILES:
        pool.AddSerializedFile(file.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_file().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kinds.Kinds"))


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="kinds.proto", package="kinds", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in _FILES)
    color = file.enum_type.add(name="Color")
    color.options.allow_alias = True
    for name, number in (("NONE", 0), ("RED", 1), ("CRIMSON", 1), ("LAST", 2**31 - 1), ("NEGATIVE", -1)):
        color.value.add(name=name, number=number)
    _Builder(file.message_type.add(name="Kinds")).build()
    return file


class _Builder:
    def __init__(self, message: DescriptorProto) -> None:
        self._message = message
        self._number = 1000

    def build(self) -> None:
        self._message.oneof_decl.add(name="choice")
        for name in ("bool", "double", "string", "Color", "Kinds", "google.protobuf.NullValue"):
            field = self._add(f"choice_{name.rpartition('.')[2].lower()}", name, _SINGULAR)
            field.oneof_index = 0
        for name in (*SCALARS, "Color", "Kinds"):
            self._all_labels(name.lower(), name)
            self._optional(f"{name.lower()}_optional", name)
        for name in WELL_KNOWN:
            self._all_labels(f"wk_{name.lower()}", f"google.protobuf.{name}")
        self._all_labels("wk_nullvalue", "google.protobuf.NullValue")
        for key in _KEYS:
            self._map(f"{key}_keys", key, "string")
        # Names that are keywords of Python or used in generated code, and a JSON name that is not an identifier.
        for name in ("class", "from", "None", "m", "d", "v", "e", "k", "self", "encode_0", "str"):
            self._add(name, "int32", _SINGULAR)
        self._add("named", "string", _SINGULAR).json_name = 'it\'s "named"\\'

    def _all_labels(self, name: str, type_name: str) -> None:
        self._add(name, type_name, _SINGULAR)
        self._add(f"{name}_list", type_name, _REPEATED)
        self._map(f"{name}_map", "string", type_name)

    def _optional(self, name: str, type_name: str) -> None:
        field = self._add(name, type_name, _SINGULAR)
        field.proto3_optional = True
        field.oneof_index = len(self._message.oneof_decl)
        self._message.oneof_decl.add(name=f"_{name}")

    def _map(self, name: str, key: str, value: str) -> None:
        entry = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        nested = self._message.nested_type.add(name=entry)
        nested.options.map_entry = True
        for number, (field, type_name) in enumerate((("key", key), ("value", value)), start=1):
            _set_type(nested.field.add(name=field, number=number, label=_SINGULAR), type_name)
        self._add(name, f"Kinds.{entry}", _REPEATED)

    def _add(self, name: str, type_name: str, label: FieldDescriptorProto.Label.ValueType) -> FieldDescriptorProto:
        self._number -= 1
        field = self._message.field.add(name=name, number=self._number, label=label)
        _set_type(field, type_name)
        return field


def _set_type(field: FieldDescriptorProto, type_name: str) -> None:
    if type_name in SCALARS:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{type_name.upper()}")
        return
    is_enum = type_name in {"Color", "google.protobuf.NullValue"}
    field.type = FieldDescriptorProto.TYPE_ENUM if is_enum else FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = f".{type_name}" if type_name.startswith("google.") else f".kinds.{type_name}"
