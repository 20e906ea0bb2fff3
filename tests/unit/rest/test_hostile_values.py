"""Hostile values: each is refused by one of our exceptions, or raises its own, at once and without a trace."""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from unittest.mock import Mock

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Value
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import InvalidRequest, UnknownPath
from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import decoder_of, encoder_of, from_rest, to_rest
from spanner_grpc_sessions.rest.routes import route
from tests.unit.rest.kinds import kinds_class

KINDS: Any = kinds_class()
REFUSED: Final = (InvalidValue, InvalidType, InvalidRequest, UnknownPath)
SESSIONS: Final = "/v1/projects/p1/instances/i1/databases/d1/sessions"


class Own(Exception):
    """What the values here raise."""


class OwnValueError(Own, ValueError):
    """One that looks like a refusal."""


def raising(*_: object, **__: object) -> Any:
    """Stand for any method of a value."""
    raise Own


class Colour(enum.IntEnum):
    """Its members are ints."""

    RED = 1
    HUGE = 2**70


class LyingInt(int):
    """Raises for whatever it is asked."""

    __int__ = __index__ = __trunc__ = __float__ = __eq__ = __lt__ = __gt__ = __bool__ = __repr__ = raising
    __hash__ = int.__hash__


class LyingStr(str):
    """Raises for whatever it is asked."""

    __slots__ = ()
    __str__ = __repr__ = __format__ = __len__ = __contains__ = __iter__ = __getitem__ = raising
    encode = strip = lower = upper = split = partition = isascii = startswith = raising


class EqualStr(str):
    """Is equal to everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(str(self))


class BrokenMapping(Mapping[str, Any]):
    """Breaks after its first key."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getitem__(self, key: str) -> Any:
        raise self._error

    def __iter__(self) -> Iterator[str]:
        raise self._error

    def __len__(self) -> int:
        return 1


class BrokenList(list[Any]):
    """Raises for its elements."""

    __iter__ = raising


class Silent:
    """Raises whatever it is asked."""

    __class__ = property(raising)
    __hash__ = __eq__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __getattr__ = raising


def cycle() -> Any:
    """Return a dict within itself."""
    inner: dict[str, Any] = {"kinds": None, "list": [None]}
    inner["kinds"] = inner["list"][0] = inner
    return inner


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    """Return a value that lies deep."""
    value: Any = None
    for _ in range(levels):
        value = wrap(value)
    return value


VALUES: Final[dict[str, Any]] = {
    "IntEnum": Colour.RED,
    "huge IntEnum": Colour.HUGE,
    "huge int": 10**5000,
    "negative huge int": -(10**5000),
    "lying int": LyingInt(1),
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "huge text of digits": "9" * 100_000,
    "huge exponent": "1e999999999",
    "decimal nan": Decimal("sNaN"),
    "fraction": Fraction(10**5000, 3),
    "complex": 1j,
    "surrogate": "\ud800",
    "lying str": LyingStr("name"),
    "lying str of a number": LyingStr("12"),
    "equal str": EqualStr("1970-01-01T00:00:00Z"),
    "bytes": b"\xff",
    "memoryview": memoryview(b"ab"),
    "cycle": cycle(),
    "deep object": nested(5_000, lambda value: {"kinds": value}),
    "deep list": nested(5_000, lambda value: [value]),
    "broken mapping": BrokenMapping(Own()),
    "mapping that raises ValueError": BrokenMapping(OwnValueError()),
    "mock of a dict": Mock(spec=dict),
    "mock of a list": Mock(spec=list),
    "mock of a str": Mock(spec=str),
    "mock of an int": Mock(spec=int),
    "mock of a float": Mock(spec=float),
    "broken list": BrokenList([1]),
    "generator": iter([1]),
    "class": dict,
    "silent": Silent(),
}
# By name: pytest asks a parameter things, and some of these raise then.
each_value = pytest.mark.parametrize("kind", VALUES)
FIELDS: Final = [field.json_name for field in KINDS.DESCRIPTOR.fields]


def _is_key(value: Any) -> bool:
    try:
        hash(value)
    except (TypeError, ValueError, Own):
        return False
    return True


def _assert_refused_or_own(call: Callable[[], object]) -> None:
    """Fail for an exception that is neither ours nor the value's."""
    with contextlib.suppress(Own):
        try:
            call()
        except REFUSED as refusal:
            text = str(refusal)
        else:
            return
        assert len(text) < 1000
        assert text.isprintable()


@each_value
def test_a_field_takes_a_hostile_value_or_refuses_it(kind: str) -> None:
    """As the value itself, as an element of a list, and as one of a map, in fields of every kind."""
    value = VALUES[kind]
    for name in FIELDS:
        for given in (value, [value], {"1": value}, {"k": [value]}):
            _assert_refused_or_own(lambda name=name, given=given: from_rest(KINDS, {name: given}))  # type: ignore[misc]  # a default binds them


@each_value
def test_a_body_and_its_keys_may_be_hostile(kind: str) -> None:
    """The whole body is refused like a part of it, and so is a key that is none."""
    value = VALUES[kind]
    _assert_refused_or_own(lambda: from_rest(KINDS, value))
    if not _is_key(value):
        return
    for body in ({value: 1}, {"stringMap": {value: "x"}}, {"int64Keys": {value: "x"}}, {"wkStruct": {value: 1}}):
        _assert_refused_or_own(lambda body=body: from_rest(KINDS, body))  # type: ignore[misc]  # a default binds it


@each_value
@pytest.mark.parametrize("convert", [lambda value: from_rest(value, {}), to_rest, decoder_of, encoder_of])
def test_what_is_no_message_is_refused(kind: str, convert: Callable[[Any], object]) -> None:
    """It is InvalidType, without another exception around it, unless the value raises its own."""
    with pytest.raises((InvalidType, Own)) as raised:
        convert(VALUES[kind])
    assert raised.value.__suppress_context__ or raised.value.__context__ is None or raised.type is Own


class _Meta(type):
    __hash__ = None  # type: ignore[assignment]  # a class that is no key


class _Unhashable(metaclass=_Meta):
    DESCRIPTOR = KINDS.DESCRIPTOR


class _Impostor:
    DESCRIPTOR: Descriptor = KINDS.DESCRIPTOR


@pytest.mark.parametrize("impostor", [_Unhashable, _Impostor, Message, Mock(spec=type), Mock(spec=KINDS)])
def test_what_only_looks_like_a_message_is_refused(impostor: Any) -> None:
    """A descriptor makes no class of messages, and a mock is none."""
    with pytest.raises(InvalidType, match="from_rest takes a class of protobuf messages, got"):
        from_rest(impostor, {})
    with pytest.raises(InvalidType, match="to_rest takes a protobuf message, got"):
        to_rest(impostor() if isinstance(impostor, type) else impostor)


def test_a_value_that_breaks_is_not_taken_for_one_of_the_wrong_type() -> None:
    """The TypeError of a mapping's own code comes out as it is."""
    mistake = TypeError("own")
    with pytest.raises(TypeError) as raised:
        from_rest(KINDS, {"kindsList": [{"kinds": BrokenMapping(mistake)}]})
    assert raised.value is mistake


def test_a_message_that_lies_too_deep_ends_in_recursion_error() -> None:
    """A message that no server can send exhausts the stack, which ends neither the process nor the next conversion."""
    deep = Value()
    inner = deep
    for _ in range(5_000):
        inner = inner.list_value.values.add()
    with pytest.raises(RecursionError):
        to_rest(deep)
    assert to_rest(ListValue(values=[Value(number_value=1)])) == [1.0]


@each_value
def test_rest_calls_refuse_hostile_values(kind: str) -> None:
    """As method, path, query, parameter, body and part of it."""
    value = VALUES[kind]
    calls: list[Any] = [
        (value, SESSIONS, None, {}),
        ("POST", value, None, {}),
        ("GET", SESSIONS, value, None),
        ("GET", SESSIONS, {"pageSize": value}, None),
        ("GET", SESSIONS, {"filter": [value]}, None),
        ("POST", SESSIONS, None, value),
        ("POST", SESSIONS, None, {"session": {"labels": {"k": value}}}),
    ]
    for arguments in calls:
        _assert_refused_or_own(lambda arguments=arguments: route(*arguments))  # type: ignore[misc]  # a default binds them
    if _is_key(value):
        _assert_refused_or_own(lambda: route("GET", SESSIONS, {value: "1"}, None))


def test_a_path_that_is_equal_to_others_is_not_kept_for_them() -> None:
    """What a subclass of str says of equality counts for none but itself."""
    rpc, name, _ = route("POST", EqualStr(SESSIONS), None, {})
    assert (rpc.name, name) == ("CreateSession", SESSIONS.removeprefix("/v1/").removesuffix("/sessions"))

    class Same(EqualStr):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash(SESSIONS)

    route("DELETE", Same(f"{SESSIONS}/one"), None, None)
    assert isinstance(route("POST", SESSIONS, None, {})[2], spanner_pb2.CreateSessionRequest)
    with pytest.raises(UnknownPath):
        route("DELETE", SESSIONS, None, None)
