"""Query parameters as the JSON of a request, by the rules of google/api/http.proto. Pure: no I/O.

A parameter has the JSON or the proto name of a field, with dots for fields of fields. One that is given several times
is a repeated field. Its value is checked when the JSON is converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.rest.codegen import descriptor_of, is_repeated
from spanner_grpc_sessions.rest.parse_error import is_a

# The parameters of all Google APIs that change nothing here. With another value they would change the answer, and are
# refused like an unknown field.
_WITHOUT_EFFECT: Final = {
    *(("alt", "json"), ("$alt", "json"), ("$.xgafv", "1"), ("$.xgafv", "2")),
    *((name, value) for name in ("prettyPrint", "$prettyPrint") for value in ("true", "false")),
}
# Messages that are a single string, number or bool in JSON.
_LIKE_SCALARS: Final = {
    f"google.protobuf.{name}"
    for name in (
        "Timestamp", "Duration", "FieldMask", "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value",
        "UInt32Value", "BoolValue", "StringValue", "BytesValue",
    )
}  # fmt: skip


def to_json(message_class: type[Message], parameters: Iterable[tuple[str, Any]], *, taken: str) -> dict[str, Any]:
    """Return query parameters as the JSON of a request; none may set the field `taken`, which the path has set.

    Raises:
        InvalidValue: a parameter is no field that can be set here, or a field that is not repeated is given twice.
        InvalidType: a name is not a string.
    """
    request: dict[str, Any] = {}
    for name, value, path in _with_effect(message_class, parameters):
        if path[0].name == taken:
            raise _not_from_the_query(name)
        _put(request, name, path, value)
    return request


def refuse_parameters(message_class: type[Message], parameters: Iterable[tuple[str, Any]]) -> None:
    """Refuse query parameters, except those without an effect: the body is the whole request.

    Raises:
        InvalidValue: there is one.
        InvalidType: a name is not a string.
    """
    for name, _, _ in _with_effect(message_class, parameters):
        raise _not_from_the_query(name)


def _with_effect(
    message_class: type[Message], parameters: Iterable[tuple[str, Any]]
) -> Iterator[tuple[str, Any, list[FieldDescriptor]]]:
    """Yield name, value and fields of the parameters that have an effect."""
    descriptor = descriptor_of(message_class, "a query is for a class of protobuf messages")
    for name, value in parameters:
        if not is_a(name, str):
            raise InvalidType(f"query parameter {short(name)}: expected a string as name")
        text = str(value).lower() if isinstance(value, bool) else value
        if not (isinstance(text, str) and (name, text) in _WITHOUT_EFFECT):
            yield name, value, _fields(descriptor, name)


def _not_from_the_query(name: str) -> InvalidValue:
    return InvalidValue(f"query parameter {short(name)}: this field is not taken from the query")


def _fields(descriptor: Descriptor, name: str) -> list[FieldDescriptor]:
    """Return the fields on the path that a name spells; the last one is a scalar or a list of scalars, or like one."""
    path: list[FieldDescriptor] = []
    inner: Descriptor | None = descriptor
    for part in name.split("."):
        field = _field(inner, part) if inner is not None else None
        if field is None:
            raise InvalidValue(f"query parameter {short(name)}: unknown field of {descriptor.name}")
        path.append(field)
        inner = None if is_repeated(field) or _is_like_scalar(field) else field.message_type
    if not _is_like_scalar(path[-1]):
        raise InvalidValue(f"query parameter {short(name)}: only single values and lists of them can be given here")
    return path


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    if not name.isascii():  # protobuf raises for a string that UTF-8 cannot encode
        return None
    named: FieldDescriptor | None = descriptor.fields_by_camelcase_name.get(name)
    return named or descriptor.fields_by_name.get(name)


def _is_like_scalar(field: FieldDescriptor) -> bool:
    return field.message_type is None or field.message_type.full_name in _LIKE_SCALARS


def _put(request: dict[str, Any], name: str, path: list[FieldDescriptor], value: Any) -> None:
    *outer, leaf = path
    for field in outer:
        request = request.setdefault(field.json_name, {})
    if leaf.type == FieldDescriptor.TYPE_BOOL and isinstance(value, str):
        value = {"true": True, "false": False}.get(value, value)  # in JSON, a string is no bool
    if is_repeated(leaf):
        request.setdefault(leaf.json_name, []).append(value)
    elif leaf.json_name in request:
        raise InvalidValue(f"query parameter {short(name)}: expected one value, got {short(value)} as a second one")
    else:
        request[leaf.json_name] = value
