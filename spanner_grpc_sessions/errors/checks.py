"""The checks of arguments, one for each kind of value, and how error messages show values. Pure.

Each check returns the value, or raises `InvalidType` or `InvalidValue` with its name, the rule and what was given.
"""

from __future__ import annotations

import functools
import inspect
import re
import reprlib
from collections.abc import Awaitable, Iterable
from math import inf
from types import CoroutineType, FunctionType
from typing import Any, Final, TypeVar

from spanner_grpc_sessions.errors import InvalidType, InvalidValue

T = TypeVar("T")
# A call of such a function runs none of its body.
_RUNS_LATER: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def number(name: str, value: object, low: float, high: float, *, below: bool = False) -> float:
    """Require a number from `low` to `high`, or below `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or _is_mock(value):
        raise InvalidType(f"{name} must be a number, got {short(value)}")
    # A subclass may compare as it likes.
    value = int.__int__(value) if isinstance(value, int) else float.__float__(value)
    if not (low <= value < high if below else low <= value <= high):
        raise InvalidValue(f"{name} must be {_range(low, high, below)}, got {short(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidValue(f"{name} must be a number that a float can hold, got {short(value)}") from error


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """Require an int from `low` to `high`; None for no upper limit."""
    if isinstance(value, bool) or not isinstance(value, int) or _is_mock(value):
        raise InvalidType(f"{name} must be an int, got {short(value)}")
    value = int.__int__(value)
    if value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"from {low} to {high:,}"
        raise InvalidValue(f"{name} must be {limits}, got {short(value)}")
    return value


def boolean(name: str, value: object) -> bool:
    """Require True or False."""
    if not isinstance(value, bool):
        raise InvalidType(f"{name} must be a bool, got {short(value)}")
    return value


def text(name: str, value: object) -> str:
    """Require a str that UTF-8 can encode."""
    if not isinstance(value, str) or _is_mock(value):
        raise InvalidType(f"{name} must be a str, got {short(value)}")
    value = str.__str__(value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{name} must be text that UTF-8 can encode, got {value!r}") from error
    return value


def header_text(name: str, value: object) -> str:
    """Require text that can be the value of a header: printable ASCII, not empty."""
    checked = text(name, value)
    if not (checked and is_header_text(checked)):
        raise InvalidValue(f"{name} must be non-empty printable ASCII, got {checked!r}")
    return checked


def texts(name: str, values: object) -> tuple[str, ...]:
    """Require an iterable of str, which a str itself is not meant to be."""
    if isinstance(values, str | bytes):
        raise InvalidType(f"{name} must be an iterable of str, got {short(values)}")
    return tuple(text(f"each of {name}", value) for value in iterable(name, values, "str"))


def iterable(name: str, values: object, of: str) -> Iterable[Any]:
    """Require something to iterate over."""
    if not isinstance(values, Iterable):
        raise InvalidType(f"{name} must be an iterable of {of}, got {short(values)}")
    return values


def is_header_key(key: str) -> bool:
    """Return whether gRPC can send a header of this name, which is in lower case. It keeps grpc- for itself."""
    return re.fullmatch(r"[0-9a-z_.\-]+", key) is not None and not key.startswith("grpc-")


def is_header_text(value: str) -> bool:
    """Return whether a header can carry a text without beginning another one."""
    return str.isascii(value) and str.isprintable(value)


def instance(name: str, value: object, expected: type[T]) -> T:
    """Require an instance of a class. The message has the value's type alone, for the value may be secret."""
    if not isinstance(value, expected):
        raise InvalidType(f"{name} must be {_article(expected.__name__)}, got {type(value).__name__}")
    return value


def optional(name: str, value: Any, expected: type[T]) -> T | None:
    """Require an instance of a class, or None."""
    if not isinstance(value, expected | None):
        raise InvalidType(f"{name} must be {expected.__name__} or None, got {type(value).__name__}")
    return value


def function(name: str, value: object) -> None:
    """Require something to call that has done its work when the call returns, unlike a coroutine function."""
    if type(value) is FunctionType and not value.__code__.co_flags & _RUNS_LATER:
        return
    function_async(name, value)
    inner = value
    while isinstance(inner, functools.partial):
        inner = inner.func
    called = inner if hasattr(inner, "__code__") else type(inner).__call__
    if getattr(getattr(called, "__code__", None), "co_flags", 0) & _RUNS_LATER:
        raise InvalidType(f"{name} must not be a coroutine function or a generator function, got {short(value)}")


def function_async(name: str, value: object) -> None:
    """Require something to call. What it returns shows at the call alone: a lambda may return an awaitable."""
    if not callable(value):
        raise InvalidType(f"{name} must be callable, got {short(value)}")


def awaitable(name: str, value: Awaitable[T]) -> Awaitable[T]:
    """Require something to await."""
    if type(value) is not CoroutineType and not inspect.isawaitable(value):
        raise InvalidType(f"{name} must be awaitable, got {type(value).__name__}")
    return value


def _is_mock(value: object) -> bool:
    """Return whether a value only claims its class."""
    return not issubclass(type(value), value.__class__)


def _range(low: float, high: float, below: bool) -> str:
    if high == inf:
        return f"a finite number >= {low:g}"
    return f"at least {low:g} and below {high:g}" if below else f"from {low:g} to {high:g}"


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


class _ShortRepr(reprlib.Repr):
    """`repr` with a bound on time and length: a value may be as long and as deep as its sender likes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write long integers in decimal.
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"an integer of {x.bit_length()} bits"


def short(value: object) -> str:
    """Return the `repr` of a value on one line and at most 80 characters long, for an error message."""
    try:
        shown = _repr(value)
    except Exception:  # noqa: BLE001 - the `__repr__` of the value may raise anything
        shown = f"<{type(value).__name__}>"
    return one_line(shown.replace("\n", " "), 80)


def one_line(value: str, longest: int) -> str:
    """Return a text of a server or a caller for a line of the log: cut, and with control characters escaped."""
    text = shorten(value, longest)
    return text if text.isprintable() else shorten("".join(map(_printable, text)), longest)


def shorten(value: str, longest: int) -> str:
    """Return a text without its middle if it is longer than `longest` characters."""
    half = (longest - 1) // 2
    return value if len(value) <= longest else f"{value[:half]}…{value[-half:]}"


def _printable(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


_repr: Final = _ShortRepr().repr


def uncopyable(instead: str) -> Any:
    """Return the `__reduce_ex__` of a class whose objects cannot be copied or pickled; `instead` says what to do."""

    def __reduce_ex__(self: object, protocol: object) -> Any:  # noqa: N807, ARG001 - becomes one
        raise InvalidType(f"{type(self).__name__} cannot be copied or pickled: {instead}")

    return __reduce_ex__


def counted(number: int, noun: str) -> str:
    """Return a number of things in words, like "1 session" and "2 sessions"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
