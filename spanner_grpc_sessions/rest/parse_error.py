"""Why JSON is refused, and where: an exception that collects its path on the way up. Pure: no I/O.

A path costs nothing until something is refused. Then each level of the input catches the error of the level below,
adds the key or index it lies under, and raises it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short, shorten

# How many messages may lie within each other, the outermost counted: the default of `json_format.ParseDict`.
MAX_DEPTH: Final = 100

_MAX_PATH: Final = 200
_PLAIN: Final = re.compile(r"[\w@-]+")


def is_a(value: object, *types: type) -> bool:
    """Return whether a value is of one of these types by its own type: `__class__` says anything, as that of a mock."""
    return issubclass(type(value), types)


class ParseError(Exception):
    """A part of the input is refused; never leaves this package."""

    def __init__(self, error_class: type[InvalidValue | InvalidType], reason: str) -> None:
        super().__init__(reason)
        self._error_class = error_class
        self._steps: list[str] = []

    def at_key(self, key: Any) -> ParseError:
        """Add the key of an object that it lies under, the innermost first, and return it."""
        is_plain = is_a(key, str) and _PLAIN.fullmatch(key)
        self._steps.append("".join((".", key)) if is_plain else f"[{short(key)}]")  # not by the key's own `__format__`
        return self

    def at_index(self, index: int) -> ParseError:
        """Add the index in an array that it lies under, and return it."""
        self._steps.append(f"[{index}]")
        return self

    def to_raise(self, title: str) -> InvalidValue | InvalidType:
        """Return the exception for the caller; `title` is the path to the input as a whole."""
        path = "".join(reversed(self._steps)).removeprefix(".") or title
        return self._error_class(f"{shorten(path, _MAX_PATH)}: {self}")


# What a decoder raises: this error, or what protobuf's setters and Python raise for a value that does not fit.
PARSE_ERRORS: Final = (ParseError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The JSON that a field takes: its noun, the Python types that stand for it, and the rule for values of them."""

    noun: str
    types: tuple[type, ...]  # bool is not int here
    rule: str | None = None

    def error(self, value: object, cause: Exception | None = None) -> ParseError:
        """Return the error for a value: the cause if it names a part of the value, else that the value does not fit.

        A TypeError about a value of the right type is raised: it tells of a mistake in code, ours or the value's own.
        """
        if isinstance(cause, ParseError):
            return cause
        if not is_a(value, *self.types) or (bool not in self.types and isinstance(value, bool)):
            return ParseError(InvalidType, f"expected {self.noun}, got {short(value)}")
        if isinstance(cause, TypeError):
            raise cause
        return ParseError(InvalidValue, f"expected {self.rule or self.noun}, got {short(value)}")


def too_deep(value: object) -> ParseError:
    """Return the error for a value that lies too deep: without a limit, a request could exhaust the stack."""
    return ParseError(InvalidValue, f"expected at most {MAX_DEPTH} levels of nesting, got {short(value)} below them")


def unknown_field(title: str) -> ParseError:
    """Return the error for a key that is no field of the message `title`."""
    return ParseError(InvalidValue, f"unknown field of {title}")
