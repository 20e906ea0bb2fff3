"""Types by their names in SQL, and Python values as Spanner has them on the wire, and back.

The form of each type on the wire is that of the comments in type.proto. Pure: no gRPC, no I/O.
"""

from __future__ import annotations

import base64
import json
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, NullValue, Value
from google.protobuf.timestamp_pb2 import Timestamp
from spanner_grpc_sessions_pb.type_pb2 import StructType, Type, TypeCode

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.errors.checks import short

# Those that a name alone stands for.
_SIMPLE: Final = (
    "BOOL", "INT64", "FLOAT64", "FLOAT32", "TIMESTAMP", "DATE", "STRING", "BYTES", "NUMERIC", "JSON", "INTERVAL", "UUID"
)  # fmt: skip
_RULE: Final = f"one of {', '.join(_SIMPLE)}, ARRAY<type> or STRUCT<name type, ...>"
_TOKEN: Final = re.compile(r"\s*(`[^`]+`|\w+|[<>,]|\(\w+\)|\S)")
_INT64: Final = range(-(2**63), 2**63)
_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})


def parse_type(text: str | Type) -> Type:
    """Return the type of this name, such as "INT64", "ARRAY<STRING>" or "STRUCT<id INT64, tags ARRAY<STRING>>".

    Raises:
        InvalidValue: it is not the name of a type.
        InvalidType: it is neither a str nor a Type.
    """
    if isinstance(text, Type):
        return text
    tokens = iter([*_TOKEN.findall(checks.text("a type", text)), ""])
    try:
        parsed, rest = _parse(next(tokens), tokens)
    except (ValueError, StopIteration):
        rest = "?"
    if rest:
        raise InvalidValue(f"a type must be {_RULE}, got {short(text)}")
    return parsed


def _parse(name: str, tokens: Iterator[str]) -> tuple[Type, str]:
    """Return the type that begins with this token, and the token after it."""
    code, after = name.upper(), next(tokens)
    if code == "ARRAY" and after == "<":
        element, after = _parse(next(tokens), tokens)
        parsed = Type(code=TypeCode.ARRAY, array_element_type=element)
        return parsed, _closed(after, tokens)
    if code == "STRUCT" and after == "<":
        fields, after = _parse_fields(tokens)
        return Type(code=TypeCode.STRUCT, struct_type=StructType(fields=fields)), _closed(after, tokens)
    if code not in _SIMPLE:
        raise ValueError
    if after.startswith("("):  # STRING(MAX)
        after = next(tokens)
    return Type(code=code), after


def _parse_fields(tokens: Iterator[str]) -> tuple[list[StructType.Field], str]:
    fields, after = [], ","
    while after == ",":
        name = next(tokens)
        kind, after = _parse(next(tokens), tokens)
        fields.append(StructType.Field(name=name.strip("`"), type=kind))
    return fields, after


def _closed(bracket: str, tokens: Iterator[str]) -> str:
    if bracket != ">":
        raise ValueError
    return next(tokens)


def encode(value: Any, kind: Type) -> Value:
    """Return a Python value as the wire has it.

    None is NULL. TIMESTAMP takes a datetime with a time zone, DATE a date, NUMERIC a Decimal or an int, BYTES bytes,
    UUID a UUID, JSON whatever `json.dumps` takes, STRUCT a sequence or a mapping; all but JSON, BOOL, BYTES, ARRAY and
    STRUCT also take a text as it is on the wire.

    Raises:
        InvalidType: the value has the wrong type.
        InvalidValue: the value is out of range, or a text is not as it would be on the wire.
    """
    if value is None:
        return Value(null_value=NullValue.NULL_VALUE)
    if kind.code == TypeCode.ARRAY:
        elements = checks.iterable("a value of type ARRAY", value, "values")
        return _list(encode(element, kind.array_element_type) for element in elements)
    if kind.code == TypeCode.STRUCT:
        return _list(encode(*pair) for pair in _struct_pairs(value, kind.struct_type))
    name = TypeCode.Name(kind.code)
    if name not in _ENCODERS:
        raise InvalidValue(f"values of type {name} cannot be given: use one of {', '.join(_ENCODERS)}, ARRAY, STRUCT")
    takes, encoder = _ENCODERS[name]
    # To Python alone, a bool is an int and a datetime a date.
    is_another = any(isinstance(value, kind) and kind not in takes for kind in (bool, datetime))
    if not isinstance(value, takes) or (is_another and object not in takes):
        expected = " or ".join(sorted({each.__name__ for each in takes}))
        raise InvalidType(f"a value of type {name} must be {expected}, got {short(value)}")
    if isinstance(value, str):
        _check_text(name, value)
    return encoder(value)


def _check_text(name: str, value: str) -> None:
    checks.text(f"a value of type {name}", value)
    try:
        is_right = name not in _TEXTS or _TEXTS[name](value)
    except (ValueError, ArithmeticError):
        is_right = False
    if not is_right:
        raise InvalidValue(f"a value of type {name} must be as Spanner sends it, got {short(value)}")


def _list(values: Iterator[Value]) -> Value:
    return Value(list_value=ListValue(values=values))


def _struct_pairs(value: Any, struct: StructType) -> list[tuple[Any, Type]]:
    fields = struct.fields
    if isinstance(value, Mapping):
        unknown = set(value) - {field.name for field in fields}
        if unknown:
            raise InvalidValue(f"a value of type STRUCT has no field {short(min(map(str, unknown)))}")
        return [(value.get(field.name), field.type) for field in fields]
    values = tuple(checks.iterable("a value of type STRUCT", value, "values"))
    if len(values) != len(fields):
        raise InvalidValue(f"a value of this STRUCT must have {len(fields)} fields, got {len(values)}")
    return [(each, field.type) for each, field in zip(values, fields, strict=True)]


def _text(value: Any) -> Value:
    return Value(string_value=str(value))


def _int64(value: int | str) -> Value:
    if isinstance(value, int) and not (_INT64.start <= value < _INT64.stop):
        raise InvalidValue(f"a value of type INT64 must have 64 bits, got {short(value)}")
    return _text(value if isinstance(value, str) else int(value))


def _float(value: float | str) -> Value:
    if isinstance(value, str):
        return _text(value)
    if math.isfinite(value):
        return Value(number_value=value)
    return _text("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")


def _timestamp(value: datetime | str) -> Value:
    if isinstance(value, str):
        return _text(value)
    if value.tzinfo is None:
        raise InvalidValue(f"a value of type TIMESTAMP must have a time zone, got {value!r}")
    return _text(value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"))


def _base64(value: bytes) -> Value:
    return _text(base64.b64encode(value).decode())


def _json(value: Any) -> Value:
    try:
        return _text(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"a value of type JSON must be JSON: {error}") from error


def _is_int64(text: str) -> bool:
    return str(int(text)) == text and int(text) in _INT64


# Whether a text is what the type has on the wire; some raise an error if it is not.
_TEXTS: Final[dict[str, Callable[[str], bool]]] = {
    "INT64": _is_int64,
    "ENUM": _is_int64,
    "FLOAT64": _NOT_FINITE.__contains__,
    "FLOAT32": _NOT_FINITE.__contains__,
    "TIMESTAMP": lambda text: bool(_datetime(text)),
    "DATE": lambda text: date.fromisoformat(text).isoformat() == text,
    "NUMERIC": lambda text: Decimal(text).is_finite(),
    "UUID": lambda text: str(uuid.UUID(text)) == text.lower(),
}
# What each type takes, and its form on the wire.
_ENCODERS: Final[dict[str, tuple[tuple[type, ...], Callable[[Any], Value]]]] = {
    "BOOL": ((bool,), lambda value: Value(bool_value=value)),
    "INT64": ((int, str), _int64),
    "FLOAT64": ((int, float, str), _float),
    "FLOAT32": ((int, float, str), _float),
    "TIMESTAMP": ((datetime, str), _timestamp),
    "DATE": ((date, str), lambda value: _text(value.isoformat() if isinstance(value, date) else value)),
    "STRING": ((str,), _text),
    "BYTES": ((bytes,), _base64),
    "NUMERIC": ((Decimal, int, str), _text),
    "JSON": ((object,), _json),
    "INTERVAL": ((str,), _text),
    "UUID": ((uuid.UUID, str), _text),
    "PROTO": ((bytes,), _base64),
    "ENUM": ((int, str), _int64),
}


def decode(value: Value, kind: Type | None = None) -> Any:
    """Return a value of the wire as Python has it: the inverse of `encode`; without a type, as JSON has it.

    A TIMESTAMP loses what is below a microsecond. A STRUCT is a dict by the names of its fields.

    Raises:
        ValueError: the value is not of this type.
    """
    which = value.WhichOneof("kind")
    if which in {None, "null_value"}:
        return None
    if kind is not None and kind.code == TypeCode.STRUCT:
        fields = kind.struct_type.fields
        return {field.name: decode(each, field.type) for field, each in zip(fields, value.list_value.values)}  # noqa: B905 - a request may be wrong
    if which == "list_value":
        element = kind.array_element_type if kind is not None and kind.code == TypeCode.ARRAY else None
        return [decode(each, element) for each in value.list_value.values]
    if which == "struct_value":
        return {key: decode(each) for key, each in value.struct_value.fields.items()}
    plain = getattr(value, which)
    decoder = _DECODERS.get(TypeCode.Name(kind.code)) if kind is not None else None
    return plain if decoder is None else decoder(plain)


def _datetime(text: str) -> datetime:
    moment = Timestamp()
    moment.FromJsonString(text)
    return moment.ToDatetime(timezone.utc)


_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "INT64": int,
    "ENUM": int,
    "FLOAT64": float,
    "FLOAT32": float,
    "TIMESTAMP": _datetime,
    "DATE": date.fromisoformat,
    "BYTES": base64.b64decode,
    "PROTO": base64.b64decode,
    "NUMERIC": Decimal,
    "JSON": json.loads,
    "UUID": uuid.UUID,
}
