"""From REST JSON to message: one function per message class, compiled from the descriptor. Pure: no I/O.

The function for `CreateSessionRequest`, in short:

    def decode_0(m, j, depth):
        if depth > MAX_DEPTH: raise too_deep(j)
        try:
            for k, v in j.items():
                n = numbers_0.get(k)
                if v is None and n in nulls_0: m.ClearField(nulls_0[n])
                elif n == 1: m.database = v if isinstance(v, str) else text(v)
                elif n == 2: decode_1(m.session, v, depth + 1)
                else: raise unknown_field('CreateSessionRequest')
        except PARSE_ERRORS as error:
            raise expected_at(fields_0, n).error(v, error).at_key(k)

Fields are set in place and in the order of the input. A field that is given under both of its names then gets what
`google.protobuf.json_format.ParseDict` gives it: the later value wins, and messages are merged.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import EncodeError, Message

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.rest.codegen import (
    Functions,
    Writer,
    attribute,
    descriptor_of,
    entry_fields,
    is_map,
    is_repeated,
)
from spanner_grpc_sessions.rest.decode_well_known import ARRAY, DECODERS, EXPECTED, OBJECT, object_of
from spanner_grpc_sessions.rest.parse_error import (
    MAX_DEPTH,
    PARSE_ERRORS,
    Expectation,
    ParseError,
    too_deep,
    unknown_field,
)
from spanner_grpc_sessions.rest.scalars import CONVERSIONS, KEYS, EnumNumbers, expected_of_enum, scalar_of

M = TypeVar("M", bound=Message)

_WRAPPERS: Final = "google/protobuf/wrappers.proto"

_MESSAGE: Final = """
def {name}(m, j, depth):
    if depth > MAX_DEPTH: raise too_deep(j)
    if j.__class__ is not dict: j = object_of(j)
    k = n = {seen}None
    v = j
    try:
        for k, v in j.items():
            n = {numbers}.get(k)
            if v is None and n in {nulls}:
                m.ClearField({nulls}[n])
{branches}
            else:
                raise unknown_field({title!r})
    except PARSE_ERRORS as error:
        raise expected({fields}.get(n)).error(v, error).at_key(k) from None
"""

_LIST: Final = """
def {name}(m, j, depth):
    if not isinstance(j, (list, tuple)): raise TypeError('not an array')
    m.ClearField({field!r})
    f = {attribute}
    j = enumerate(j)
    i, e = 0, None
    try:
        for i, e in j:
            {statement}
    except PARSE_ERRORS as error:
        raise expected_of_one({element}).error(e, error).at_index(i) from None
"""

_MAP: Final = """
def {name}(m, j, depth):
    if j.__class__ is not dict and not isinstance(j, Mapping): raise TypeError('not an object')
    m.ClearField({field!r})
    f = {attribute}
    k, v = None, j
    try:
        for k, v in j.items():
            {statement}
    except PARSE_ERRORS as error:
        try:
            {place}
        except PARSE_ERRORS:
            raise {expected_key}.error(k).at_key(k) from None
        raise expected_of_one({element}).error(v, error).at_key(k) from None
"""

_WRAPPER: Final = """
def {name}(m, j, depth):
    if depth > MAX_DEPTH: raise too_deep(j)
    m.value = {value}
"""


def from_rest(message_class: type[M], mapping: Mapping[str, Any]) -> M:
    """Return the message for a body of Spanner's REST API.

    Args:
        message_class: any class of proto3 messages, usually one of google.spanner.v1.
        mapping: the body, which is not changed. It may be any mapping, at every level. Keys are the JSON or proto names
            of fields, and None stands for an absent field.

    Returns:
        The message that `google.protobuf.json_format.ParseDict` returns for it.

    Raises:
        InvalidValue: a value breaks a rule, or a field is unknown. The message begins with the path to it, in the keys
            of the mapping: "session.labels.env: expected string, got 7".
        InvalidType: a value has the wrong JSON type, with a message of the same form; or `message_class` is not a class
            of protobuf messages.
    """
    try:
        decode = _decoders[message_class]
    except (KeyError, TypeError):
        decode = decoder_of(message_class)
    message: M = decode(mapping)
    return message


def decoder_of(message_class: type[M]) -> Callable[[Mapping[str, Any]], M]:
    """Return the function that makes messages of one class from mappings, and compile it at the first request.

    Raises:
        InvalidType: `message_class` is not a class of protobuf messages.
    """
    descriptor = descriptor_of(message_class, "from_rest takes a class of protobuf messages")
    fill = _functions.of(descriptor)

    def decode(mapping: Mapping[str, Any]) -> M:
        message = message_class()
        try:
            fill(message, mapping, 1)
        except PARSE_ERRORS as error:
            raise _expected_of_message(descriptor).error(mapping, error).to_raise(descriptor.name) from None
        return message

    return _decoders.setdefault(message_class, decode)


class _Writer(Writer):
    """Writes functions `decode(message, json, depth)` that fill a message; `depth` counts it and those around it."""

    verb = "decode"

    def _source(self, name: str, descriptor: Descriptor) -> str:
        if descriptor.file.name == _WRAPPERS:
            return _WRAPPER.format(name=name, value=self._scalar(descriptor.fields_by_name["value"], "j"))
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        # Where a JSON name clashes with another field's proto name, it wins, as in the reference.
        numbers = {field.name: field.number for field in fields} | {field.json_name: field.number for field in fields}
        return _MESSAGE.format(
            name=name,
            title=descriptor.name,
            seen="".join(f"{_seen(oneof)} = " for oneof in descriptor.oneofs),
            numbers=self._bind("numbers", numbers),
            nulls=self._bind("nulls", {field.number: field.name for field in fields if _null_clears(field)}),
            branches="\n".join(_branch(field, self._statements(field)) for field in fields),
            fields=self._bind("fields", {field.number: field for field in fields}),
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
            return [_assign(field, self._scalar(field, "v"))]
        decode = self._function_name(field.message_type)
        return [f"s = {attribute(field)}", "s.SetInParent()", f"{decode}(s, v, depth + 1)"]

    def _list(self, field: FieldDescriptor) -> str:
        if field.message_type is not None:
            statement = f"{self._function_name(field.message_type)}(f.add(), e, depth + 1)"
        else:
            statement = f"f.append({self._scalar(field, 'e')})"
        return self._define_field(_LIST, field, field, statement=statement)

    def _map(self, field: FieldDescriptor) -> str:
        key_field, value_field = entry_fields(field)
        key = KEYS[key_field.cpp_type]
        place = f"f[{key.code.format('k')}]"
        if value_field.message_type is not None:
            statement = f"{self._function_name(value_field.message_type)}({place}, v, depth + 1)"
        else:
            statement = f"{place} = {self._scalar(value_field, 'v')}"
        expected_key = self._bind("expected", key.expected)
        return self._define_field(_MAP, field, value_field, statement=statement, place=place, expected_key=expected_key)

    def _define_field(self, template: str, field: FieldDescriptor, element: FieldDescriptor, **parts: str) -> str:
        name, bound = self._bind(self.verb, None), self._bind("field", element)
        source = template.format(name=name, field=field.name, attribute=attribute(field), element=bound, **parts)
        self._define(source, field.full_name)
        return name

    def _scalar(self, field: FieldDescriptor, source: str) -> str:
        if field.enum_type is None:
            return scalar_of(field).code.format(source)
        numbers = EnumNumbers({name: value.number for name, value in field.enum_type.values_by_name.items()})
        return f"{self._bind_once('enum', field.enum_type, numbers)}[{source}]"


def _decode_any(message: Any, value: Any, depth: int) -> None:
    """Fill an Any from an object that names its type, one of those loaded in this process."""
    if depth > MAX_DEPTH:
        raise too_deep(value)
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    if not value:
        return
    type_url = _member(value, "@type")
    packed = _new_message(type_url)
    _decode_packed(packed, value, depth)
    message.type_url = type_url
    try:
        message.value = packed.SerializeToString()
    except EncodeError:
        raise Expectation("object with all required fields", (Mapping,)).error(value) from None


def _decode_packed(packed: Message, value: Mapping[str, Any], depth: int) -> None:
    descriptor: Any = packed.DESCRIPTOR
    decode = _functions.of(descriptor)
    is_wrapper = descriptor.file.name == _WRAPPERS
    if not (is_wrapper or descriptor.full_name in _functions.well_known):
        decode(packed, {key: value[key] for key in value if key != "@type"}, depth)
        return
    inner = _member(value, "value")
    try:
        # The reference counts no level for a wrapper here.
        decode(packed, inner, depth if is_wrapper else depth + 1)
    except PARSE_ERRORS as error:
        raise _expected_of_message(descriptor).error(inner, error).at_key("value") from None


def _expected(field: FieldDescriptor | None) -> Expectation:
    """Return what a field takes; a key that is no field has an error of its own."""
    if field is None or is_map(field):
        return OBJECT
    return ARRAY if is_repeated(field) else _expected_of_one(field)


def _expected_of_one(field: FieldDescriptor) -> Expectation:
    """Return what a field that is not repeated takes, or an element of one that is."""
    if field.message_type is not None:
        return _expected_of_message(field.message_type)
    return scalar_of(field).expected if field.enum_type is None else expected_of_enum(field.enum_type)


def _expected_of_message(descriptor: Descriptor) -> Expectation:
    if descriptor.file.name == _WRAPPERS:
        return _expected_of_one(descriptor.fields_by_name["value"])
    return EXPECTED.get(descriptor.full_name, OBJECT)


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
    """Return the variable that says whether a member of a oneof was given, even the same one by its other name."""
    return f"seen_{oneof.index}"


def _second_member(oneof: str) -> ParseError:
    return ParseError(InvalidValue, f"expected at most one field of the oneof {oneof!r}, got a second one")


def _member(value: Mapping[str, Any], key: str) -> Any:
    if key not in value:
        raise Expectation(f'object with "{key}"', (Mapping,)).error(value)
    return value[key]


def _new_message(type_url: Any) -> Message:
    expected = Expectation("string", (str,), "URL of a message type that is loaded in this process")
    if not isinstance(type_url, str):
        raise expected.error(type_url).at_key("@type")
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(type_url.split("/")[-1])
    except (KeyError, *PARSE_ERRORS):
        raise expected.error(type_url).at_key("@type") from None
    return message_factory.GetMessageClass(descriptor)()


_decoders: Final[dict[type[Message], Callable[[Any], Any]]] = {}
_NAMESPACE: Final = {
    "Mapping": Mapping,
    "MAX_DEPTH": MAX_DEPTH,
    "PARSE_ERRORS": PARSE_ERRORS,
    "expected": _expected,
    "expected_of_one": _expected_of_one,
    "object_of": object_of,
    "second_member": _second_member,
    "too_deep": too_deep,
    "unknown_field": unknown_field,
}
_functions: Final = Functions(_Writer, DECODERS | {"google.protobuf.Any": _decode_any}, _NAMESPACE | CONVERSIONS)
