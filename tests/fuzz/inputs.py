"""Strategies of hypothesis for the JSON of a message class, right, nearly right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from tests.support.messages import is_repeated

__all__ = ["bodies"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]

_INTEGERS: Final = [
    0, 1, -1, 7, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64,
    10**400, -(10**4200),
]  # fmt: skip
_FLOATS: Final = [0.0, -0.0, 1.0, 1.5, 7.9, 3e9, 1e20, 3.4028235e38, 3.41e38, -3.41e38, 1e300]
_NUMBER_TEXTS: Final = [
    *map(str, _INTEGERS[:-1]), *map(str, _FLOATS), "1e3", "1E+2", "1e-1", "1e400", "1.", ".5", "+1", "-0", " 1", "1\t",
    "1 ", "1_0", "1__0", "0x10", "0b1", "01", "\u0661", "\uff19", "1" * 5000, "NaN", "nan", "-nan", "NAN", "Infinity",
    "-Infinity", "inf", "-INF", "infinity", "null", "true", "false", "True", "1,5", "½",
]  # fmt: skip
_TEXTS: Final = ["", "a", "é", "\0", "\ud800", "a\udfff", "\ud83d\ude00", "😀", "a\nb", "x" * 500]
_BASE64: Final = [
    "", "A", "AA", "AAA", "AAAA", "AA=", "AA==", "AA===", "AA==AA==", "-_-_", "+/+/", "-/", "A A\nA", "é", "=", "====",
    "\ud800", "AAAAA", b"AA", bytearray(b"AA=="),
]  # fmt: skip
_TIMESTAMPS: Final = [
    "2026-11-24T08:00:00Z", "2026-11-24T23:59:59.123456789Z", "2026-11-24T08:00:00.1234567891Z",
    "1969-12-31T23:59:59.5Z",
    "2026-11-24t08:00:00Z", "2026-11-24T08:00:00z", "2026-11-24T08:00:00", "2026-11-24T08:00:00+01:30",
    "2026-11-24T08:00:00.5-00:30", "2026-11-24T08:00:00+0130", "2026-11-24T08:00:00+ab:cd", "2026-11-24T08:00:00+9:9",
    "2026-11-24T08:00:00ZZ", "2026-11-24T08:00:00Z ", "2026-11-24 08:00:00Z", "2016-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-11-24T24:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "2026-1-2T3:4:5Z",
    "2026-11-24T08:00:00.Z", "2026-11-24T08:00:00.1e400Z", "2026-11-24T08:00:00.1e9Z", "2026-11-24T08:00:00.-1Z",
    "2026-11-24T08:00:00.1_1Z", "\uff12\uff10\uff12\uff16-11-24T08:00:00Z", "2026-11-24T08:00:00.\uff15Z",
    "20261124T080000Z", "2026-W48-2T08:00:00Z",
    "Z", "+", "-", "T", "\ud800Z",
]  # fmt: skip
_DURATIONS: Final = [
    "0s", "1s", "-1s", "1.5s", "-0.5s", "0.000000001s", "1.1234567891s", "315576000000s", "-315576000000.5s",
    "315576000001s", "315576000000.999999999s", "s", "1", "1.s", ".5s", "-.5s", "1 s", " 1s", "+1s", "1_0s", "1e3s",
    "1.5e1s", "1.1e400s", "1.nans", "1.-5s", "1S", "-0s", "-0.0s", "\u0661s", "\ud800s", "1" * 5000 + "s",
]  # fmt: skip
_MASKS: Final = ["", "a", "aB", "a,b", "a.b", "aB.cD,e", "a_b", "A", ",", "a,,b", "é", "É", "\ud800"]
_TYPES: Final = [
    *("ErrorInfo", "RetryInfo", "BadRequest", "Status"),
    *("Duration", "Timestamp", "FieldMask", "Value", "Struct", "ListValue", "Any", "Empty"),
    *("BoolValue", "BytesValue", "DoubleValue", "FloatValue", "StringValue", "Int32Value", "UInt64Value"),
]
_TYPE_URLS: Final = [
    *(f"type.googleapis.com/google.{package}.{name}" for package in ("rpc", "protobuf") for name in _TYPES),
    *("google.protobuf.Duration", "/google.protobuf.Empty", "a/b/google.rpc.ErrorInfo"),
    *("", "/", "x", "type.googleapis.com/example.Unknown", "\ud800", "x/\ud800"),
]

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=4),
    st.text(st.characters(categories=["Cs", "Ll"]), max_size=2),
    st.sampled_from([*_INTEGERS, *_FLOATS]),
    st.sampled_from([*_NUMBER_TEXTS, *_TEXTS]),
)
_keys = st.one_of(
    st.sampled_from(["", "a", "7", "true", "value", "@type", "[a.b]", "\ud800", "seconds"]), st.text(max_size=3)
)
_odd_keys = st.one_of(_keys, _keys, _keys, st.integers(0, 2), st.booleans(), st.none(), st.just(1.0))


def _deep(levels: int, leaf: Any, wrap: Callable[[Any], Any]) -> Any:
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


_anything = st.one_of(
    _scalars,
    st.recursive(
        _scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=2).map(tuple),
            st.dictionaries(_odd_keys, inner, max_size=3),
        ),
        max_leaves=4,
    ),
    st.builds(
        _deep,
        st.sampled_from([10, 32, 33, 47, 48, 49, 50, 96, 97, 98, 99, 100, 101, 120]),
        _scalars,
        st.sampled_from([lambda value: [value], lambda value: {"a": value}, lambda value: ["", value]]),
    ),
)

_SPECIAL: Final = {
    "google.protobuf.Timestamp": st.one_of(
        st.sampled_from(_TIMESTAMPS),
        st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,10})?(Z|[+-][0-9]{2}:[0-9]{2})\Z"),
    ),
    "google.protobuf.Duration": st.one_of(
        st.sampled_from(_DURATIONS), st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,10})?s\Z", fullmatch=True)
    ),
    "google.protobuf.FieldMask": st.sampled_from(_MASKS),
    "google.protobuf.Value": _anything,
    "google.protobuf.ListValue": st.lists(_anything, max_size=3),
    "google.protobuf.Struct": st.dictionaries(_odd_keys, _anything, max_size=3),
    "google.protobuf.Any": st.builds(
        lambda rest, type_: rest | type_,
        st.dictionaries(_keys, _anything | st.sampled_from([*_DURATIONS, *_TIMESTAMPS]), max_size=2),
        st.dictionaries(st.just("@type"), st.sampled_from(_TYPE_URLS)),
    ),
}  # fmt: skip


@st.composite
def bodies(draw: _Draw, message_class: type[Message]) -> Any:
    """Return a strategy for the JSON of a message class: mostly as its descriptor says, sometimes anything."""
    descriptor: Any = message_class.DESCRIPTOR
    return _Body(draw).message(descriptor, 3)


class _Body:
    """Draws the JSON of one message and of those within it."""

    def __init__(self, draw: _Draw) -> None:
        self._draw = draw

    def message(self, descriptor: Descriptor, depth: int) -> Any:
        """Return JSON for a message; at depth 0 an empty object."""
        if self._is_odd():
            return self._draw(_anything)
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            return self._scalar(descriptor.fields_by_name["value"])
        if descriptor.full_name in _SPECIAL:
            return self._draw(_SPECIAL[descriptor.full_name])
        body: dict[Any, Any] = {}
        for _ in range(self._draw(st.integers(0, 4)) if depth and descriptor.fields else 0):
            field = descriptor.fields[self._draw(st.integers(0, len(descriptor.fields) - 1))]
            name = field.name if self._draw(st.integers(0, 3)) == 0 else field.json_name
            body[name] = self._draw(_anything) if self._is_odd() else self._field(field, depth)
        if self._is_odd():
            body[self._draw(_odd_keys)] = self._draw(_anything)
        return body

    def _is_odd(self) -> bool:
        return bool(self._draw(st.integers(0, 15)) == 15)

    def _field(self, field: FieldDescriptor, depth: int) -> Any:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            is_text = key.type == FieldDescriptor.TYPE_STRING
            keys = [self._draw(_keys) if is_text else self._scalar(key) for _ in range(self._draw(st.integers(0, 2)))]
            return {_hashable(key): self._one(value, depth) for key in keys}
        if is_repeated(field):
            return [self._one(field, depth) for _ in range(self._draw(st.integers(0, 3)))]
        return self._one(field, depth)

    def _one(self, field: FieldDescriptor, depth: int) -> Any:
        if self._is_odd():
            return self._draw(_anything)
        return self._scalar(field) if field.message_type is None else self.message(field.message_type, depth - 1)

    def _scalar(self, field: FieldDescriptor) -> Any:
        if field.enum_type is not None:
            names = st.sampled_from([*field.enum_type.values_by_name, "NOPE", "7", 7, 7.9, True, "1.0", " 1 "])
            return self._draw(st.one_of(names, st.sampled_from([*_INTEGERS, *_FLOATS, *_NUMBER_TEXTS])))
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._draw(st.one_of(st.sampled_from(_TEXTS), st.text(max_size=3)))
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._draw(st.one_of(st.sampled_from(_BASE64), st.text(max_size=6)))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self._draw(st.one_of(st.booleans(), st.sampled_from([True, False, "true", "false", 0, 1, None])))
        return self._draw(
            st.one_of(st.sampled_from([*_INTEGERS, *_FLOATS, *_NUMBER_TEXTS]), st.integers(), st.floats())
        )


def _hashable(key: Any) -> Any:
    return bytes(key) if isinstance(key, bytearray) else key
