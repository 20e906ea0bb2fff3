"""The compiler of `from_rest`: the code that fills a message from JSON. Pure: no I/O.

What comes out for `CreateSessionRequest`, in short:

    def decode_0(m, j, depth):
        if depth > DEEPEST: raise too_deep(j)
        for k, v in j.items():
            n = numbers_0.get(k)
            if v is None and n in nulls_0: m.ClearField(nulls_0[n])
            elif n == 1: m.database = v if isinstance(v, str) else text(v)
            elif n == 2: decode_1(m.session, v, depth + 1)
            else: raise unknown_field('CreateSessionRequest')

Fields are set in place and in the order of the input. A field that is given under both of its names then comes out
as `google.protobuf.json_format.ParseDict` makes it: the later value wins, and messages are merged.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import EncodeError, Message

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.rest.codegen import Compiler, attribute, entry_fields, is_map, is_repeated
from spanner_grpc_sessions.rest.decode_well_known import ARRAY, DECODERS, EXPECTED, OBJECT, object_of
from spanner_grpc_sessions.rest.parse_error import DEEPEST, REFUSED, Expectation, Refusal, too_deep, unknown_field
from spanner_grpc_sessions.rest.scalars import CONVERSIONS, KEYS, SCALARS, EnumNumbers, Scalar, expected_of_enum

__all__ = ["DecodeCompiler"]

_WRAPPERS: Final = "google/protobuf/wrappers.proto"

_MESSAGE: Final = """
def {name}(m, j, depth):
    if depth > DEEPEST: raise too_deep(j)
    if j.__class__ is not dict: j = object_of(j)
    k = v = {seen}None
    try:
        for k, v in j.items():
            n = {numbers}.get(k)
            if v is None and n in {nulls}:
                m.ClearField({nulls}[n])
{branches}
            else:
                raise unknown_field({title!r})
    except Refusal as refusal:
        refusal.at_key(k)
        raise
    except REFUSED as error:
        raise {expected}[k].refusal(v).at_key(k) from error
"""

_LIST: Final = """
def {name}(m, j, depth):
    if not isinstance(j, (list, tuple)): raise TypeError('not an array')
    m.ClearField({field!r})
    f = {attribute}
    i, e = 0, None
    try:
        for i, e in enumerate(j):
            {statement}
    except Refusal as refusal:
        refusal.at_index(i)
        raise
    except REFUSED as error:
        raise {expected}.refusal(e).at_index(i) from error
"""

_MAP: Final = """
def {name}(m, j, depth):
    if j.__class__ is not dict and not isinstance(j, Mapping): raise TypeError('not an object')
    m.ClearField({field!r})
    f = {attribute}
    k = v = None
    try:
        for k, v in j.items():
            {statement}
    except Refusal as refusal:
        refusal.at_key(k)
        raise
    except REFUSED as error:
        try:
            {place}
        except REFUSED:
            raise {expected_key}.refusal(k).at_key(k) from error
        raise {expected}.refusal(v).at_key(k) from error
"""

_WRAPPER: Final = """
def {name}(m, j, depth):
    if depth > DEEPEST: raise too_deep(j)
    m.value = {value}
"""


class DecodeCompiler(Compiler):
    """Compiles functions `decode(message, json, depth)` that fill a message; `depth` counts it and those around it."""

    def __init__(self) -> None:
        helpers = {helper.__name__: helper for helper in (Mapping, Refusal, object_of, too_deep, unknown_field)}
        constants = {"DEEPEST": DEEPEST, "REFUSED": REFUSED, "second_member": _second_member}
        well_known = {**DECODERS, "google.protobuf.Any": self._decode_any}
        super().__init__("decode", well_known, helpers | constants | CONVERSIONS)

    def expected_of_message(self, descriptor: Descriptor) -> Expectation:
        """Return what a message takes."""
        if descriptor.file.name == _WRAPPERS:
            return self._scalar(descriptor.fields_by_name["value"]).expected
        return EXPECTED.get(descriptor.full_name, OBJECT)

    def _source(self, name: str, descriptor: Descriptor) -> str:
        if descriptor.file.name == _WRAPPERS:
            value = self._scalar(descriptor.fields_by_name["value"])
            return _WRAPPER.format(name=name, value=value.code.format("j"))
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        return _MESSAGE.format(
            name=name,
            title=descriptor.name,
            seen="".join(f"{_seen(oneof)} = " for oneof in descriptor.oneofs),
            numbers=self._bind("numbers", _by_names(fields, lambda field: field.number)),
            nulls=self._bind("nulls", {field.number: field.name for field in fields if _null_clears(field)}),
            branches="\n".join(_branch(field, self._statements(field)) for field in fields),
            expected=self._bind("expected", _by_names(fields, self._expected)),
        )

    def _statements(self, field: FieldDescriptor) -> list[str]:
        lines = self._assignment(field)
        oneof = field.containing_oneof
        if oneof is not None and (len(oneof.fields) > 1 or field.name != field.json_name):
            lines = [f"if {_seen(oneof)}: raise second_member({oneof.name!r})", f"{_seen(oneof)} = True", *lines]
        if _null_clears(field) or is_repeated(field):
            return lines
        null = f"{attribute(field)}.null_value = 0" if field.message_type else _assign(field, "0")
        return [f"if v is None: {null}", "else:", *(f"    {line}" for line in lines)]

    def _assignment(self, field: FieldDescriptor) -> list[str]:
        if is_map(field):
            return [f"{self._map(field)}(m, v, depth)"]
        if is_repeated(field):
            return [f"{self._list(field)}(m, v, depth)"]
        if field.message_type is None:
            return [_assign(field, self._scalar(field).code.format("v"))]
        decode = self._function_name(field.message_type)
        return [f"s = {attribute(field)}", "s.SetInParent()", f"{decode}(s, v, depth + 1)"]

    def _list(self, field: FieldDescriptor) -> str:
        if field.message_type is not None:
            statement = f"{self._function_name(field.message_type)}(f.add(), e, depth + 1)"
        else:
            statement = f"f.append({self._scalar(field).code.format('e')})"
        return self._define_field(_LIST, field, field, statement=statement)

    def _map(self, field: FieldDescriptor) -> str:
        key_field, value_field = entry_fields(field)
        key = KEYS[key_field.type]
        place = f"f[{key.code.format('k')}]"
        if value_field.message_type is not None:
            statement = f"{self._function_name(value_field.message_type)}({place}, v, depth + 1)"
        else:
            statement = f"{place} = {self._scalar(value_field).code.format('v')}"
        expected_key = self._bind("expected", key.expected)
        return self._define_field(_MAP, field, value_field, statement=statement, place=place, expected_key=expected_key)

    def _define_field(self, template: str, field: FieldDescriptor, element: FieldDescriptor, **parts: str) -> str:
        name = self._bind(self._verb, None)
        expected = self._bind("expected", self._expected_of_one(element))
        parts |= {"field": field.name, "attribute": attribute(field), "expected": expected}
        self._define(template.format(name=name, **parts), field.full_name)
        return name

    def _scalar(self, field: FieldDescriptor) -> Scalar:
        if field.enum_type is None:
            return SCALARS[field.type]
        numbers = EnumNumbers({name: value.number for name, value in field.enum_type.values_by_name.items()})
        return Scalar(self._bind_once("enum", field.enum_type, numbers) + "[{0}]", expected_of_enum(field.enum_type))

    def _expected(self, field: FieldDescriptor) -> Expectation:
        if is_repeated(field):
            return OBJECT if is_map(field) else ARRAY
        return self._expected_of_one(field)

    def _expected_of_one(self, field: FieldDescriptor) -> Expectation:
        return self.expected_of_message(field.message_type) if field.message_type else self._scalar(field).expected

    def _decode_any(self, message: Any, value: Any, depth: int) -> None:
        """Fill an Any from an object that names its type, one of those loaded in this process."""
        if depth > DEEPEST:
            raise too_deep(value)
        if not isinstance(value, Mapping):
            raise TypeError("not an object")
        if not value:
            return
        type_url = _member(value, "@type")
        packed = _new_message(type_url)
        self._decode_packed(packed, value, depth)
        message.type_url = type_url
        try:
            message.value = packed.SerializeToString()
        except EncodeError as error:
            raise Expectation("object with all required fields", (Mapping,)).refusal(value) from error

    def _decode_packed(self, packed: Message, value: Mapping[str, Any], depth: int) -> None:
        descriptor: Any = packed.DESCRIPTOR
        decode = self.function(descriptor)
        is_wrapper = descriptor.file.name == _WRAPPERS
        if not (is_wrapper or descriptor.full_name in self._well_known):
            decode(packed, {key: value[key] for key in value if key != "@type"}, depth)
            return
        inner = _member(value, "value")
        try:
            # The reference counts no level for a wrapper here.
            decode(packed, inner, depth if is_wrapper else depth + 1)
        except Refusal as refusal:
            refusal.at_key("value")
            raise
        except REFUSED as error:
            raise self.expected_of_message(descriptor).refusal(inner).at_key("value") from error


def _by_names(fields: Iterable[FieldDescriptor], value_of: Callable[[FieldDescriptor], Any]) -> dict[str, Any]:
    """Return a dict by proto name and JSON name; where they clash the JSON name counts, as in the reference."""
    values = [(field, value_of(field)) for field in fields]
    return {field.name: value for field, value in values} | {field.json_name: value for field, value in values}


def _branch(field: FieldDescriptor, statements: list[str]) -> str:
    indented = (f"\n{' ' * 16}{statement}" for statement in statements)
    return f"            elif n == {field.number}:{''.join(indented)}"


def _assign(field: FieldDescriptor, value: str) -> str:
    return f"setattr(m, {field.name!r}, {value})" if keyword.iskeyword(field.name) else f"m.{field.name} = {value}"


def _null_clears(field: FieldDescriptor) -> bool:
    """Return whether null is the absence of a field; null is a value of Value and of NullValue."""
    if field.message_type is not None:
        return field.message_type.full_name != "google.protobuf.Value"
    return field.enum_type is None or field.enum_type.full_name != "google.protobuf.NullValue"


def _seen(oneof: OneofDescriptor) -> str:
    """Return the variable that says whether a member of a oneof was given, be it the same one by its other name."""
    return f"seen_{oneof.index}"


def _second_member(oneof: str) -> Refusal:
    return Refusal(InvalidValue, f"expected one field of the oneof {oneof!r} at most, got a second one")


def _member(value: Mapping[str, Any], key: str) -> Any:
    if key not in value:
        raise Expectation(f'object with "{key}"', (Mapping,)).refusal(value)
    return value[key]


def _new_message(type_url: Any) -> Message:
    expected = Expectation("string", (str,), "URL of a message type that is loaded in this process")
    if not isinstance(type_url, str):
        raise expected.refusal(type_url).at_key("@type")
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(type_url.split("/")[-1])
    except (KeyError, *REFUSED) as error:
        raise expected.refusal(type_url).at_key("@type") from error
    return message_factory.GetMessageClass(descriptor)()
