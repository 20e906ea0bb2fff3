"""Query parameters as the JSON of a request: the rules of google/api/http.proto. Pure: no I/O.

Parameters carry the JSON or the proto names of fields, dotted for fields of fields; one that is given several times is
a repeated field. What their values have to be is for the conversion of the JSON to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.rest.codegen import descriptor_of, is_repeated

__all__ = ["refuse_parameters", "to_json"]

# Of the parameters that every Google API has, those that change nothing here. One that asks for something else must
# not be ignored: the answer would not be what it asked for.
_WITHOUT_EFFECT: Final = {
    "$.xgafv": {"1", "2"},
    "$alt": {"json"},
    "$prettyPrint": {"true", "false"},
    "alt": {"json"},
    "prettyPrint": {"true", "false"},
}
_LIKE_SCALARS: Final = frozenset(
    {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}
    | {
        f"google.protobuf.{kind}Value"
        for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
    }
)
"""Messages that are one text or number in JSON."""


def to_json(message_class: type[Message], parameters: Iterable[tuple[str, Any]], *, taken: str) -> dict[str, Any]:
    """Return the JSON of a request that query parameters stand for.

    Args:
        message_class: of the request.
        parameters: pairs of name and value: text, or what text would stand for.
        taken: the field that the path has filled, which no parameter may.

    Raises:
        InvalidValue: a parameter is no field, or is given more than once and not repeated.
        InvalidType: a name is no text.
    """
    request: dict[str, Any] = {}
    for name, value, path in _with_effect(message_class, parameters):
        if path[0].name == taken:
            raise _not_from_the_query(name)
        _put(request, name, path, value)
    return request


def refuse_parameters(message_class: type[Message], parameters: Iterable[tuple[str, Any]]) -> None:
    """Refuse query parameters, but for those that change nothing: the body is the whole request.

    Raises:
        InvalidValue: there is one.
        InvalidType: a name is no text.
    """
    for name, _, _ in _with_effect(message_class, parameters):
        raise _not_from_the_query(name)


def _with_effect(
    message_class: type[Message], parameters: Iterable[tuple[str, Any]]
) -> Iterator[tuple[str, Any, list[FieldDescriptor]]]:
    """Yield name, value and fields of the parameters that say something of the request."""
    descriptor = descriptor_of(message_class, "a query is for a class of protobuf messages")
    for name, value in parameters:
        if not isinstance(name, str):
            raise InvalidType(f"query parameter {short(name)}: expected text as name")
        if not _is_without_effect(name, value):
            yield name, value, _fields(descriptor, name)


def _not_from_the_query(name: str) -> InvalidValue:
    return InvalidValue(f"query parameter {short(name)}: this field is not taken from the query")


def _is_without_effect(name: str, value: Any) -> bool:
    text = str(value).lower() if isinstance(value, bool) else value
    return name in _WITHOUT_EFFECT and isinstance(text, str) and text in _WITHOUT_EFFECT[name]


def _fields(descriptor: Descriptor, name: str) -> list[FieldDescriptor]:
    """Return the fields that lead to the one named, which is a scalar or a list of scalars, or like one."""
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
    if not name.isascii():  # protobuf fails for a text that UTF-8 cannot hold
        return None
    named: FieldDescriptor | None = descriptor.fields_by_camelcase_name.get(name)
    return named or descriptor.fields_by_name.get(name)


def _is_like_scalar(field: FieldDescriptor) -> bool:
    return field.message_type is None or field.message_type.full_name in _LIKE_SCALARS


def _put(request: dict[str, Any], name: str, path: list[FieldDescriptor], value: Any) -> None:
    *outer, leaf = path
    for field in outer:
        request = request.setdefault(field.json_name, {})
    value = _json(leaf, value)
    if is_repeated(leaf):
        request.setdefault(leaf.json_name, []).append(value)
    elif leaf.json_name in request:
        raise InvalidValue(f"query parameter {short(name)}: expected one value, got {short(value)} besides another")
    else:
        request[leaf.json_name] = value


def _json(field: FieldDescriptor, value: Any) -> Any:
    """Return a value as JSON has it: there a bool is no text, while numbers and all else may be."""
    if field.type == FieldDescriptor.TYPE_BOOL and isinstance(value, str):
        return {"true": True, "false": False}.get(value, value)
    return value
