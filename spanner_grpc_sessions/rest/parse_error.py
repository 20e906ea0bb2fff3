"""Why JSON was refused and where: an exception that collects its path on the way up. Pure: no I/O.

A path costs nothing until something is refused. Then each level of the input catches the refusal of the level below,
adds the key or the index under which it lies, and lets it go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short, shorten

__all__ = ["DEEPEST", "REFUSED", "Expectation", "Refusal", "too_deep", "unknown_field"]

DEEPEST: Final = 100
"""How many messages may lie within each other, the outermost counted: the default of `json_format.ParseDict`."""

REFUSED: Final = (TypeError, ValueError, OverflowError)
"""What protobuf's setters and Python's conversions raise for a value that does not fit."""

_LONGEST_PATH: Final = 200
_PLAIN: Final = re.compile(r"[\w@-]+")


class Refusal(Exception):
    """A part of the input is refused; within this package only."""

    def __init__(self, error_class: type[InvalidValue | InvalidType], reason: str) -> None:
        super().__init__(reason)
        self._error_class = error_class
        self._reason = reason
        self._steps: list[str] = []

    def at_key(self, key: Any) -> Refusal:
        """Say under which key of an object it lies, the innermost first; return itself."""
        self._steps.append(f".{key}" if isinstance(key, str) and _PLAIN.fullmatch(key) else f"[{short(key)}]")
        return self

    def at_index(self, index: int) -> Refusal:
        """Say at which index of an array it lies; return itself."""
        self._steps.append(f"[{index}]")
        return self

    def error(self, title: str) -> InvalidValue | InvalidType:
        """Return the exception for the caller; `title` names the whole input where that is what is refused."""
        path = "".join(reversed(self._steps)).removeprefix(".") or title
        return self._error_class(f"{shorten(path, _LONGEST_PATH)}: {self._reason}")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a field takes.

    Attributes:
        noun: the JSON type, for a value that is of another one.
        types: the Python types that stand for it; bool is not int here.
        rule: what more is asked of a value of the right type; None if the noun says it.
    """

    noun: str
    types: tuple[type, ...]
    rule: str | None = None

    def refusal(self, value: object) -> Refusal:
        """Return the refusal of a value: of its type, or if that is right of the value itself."""
        if isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool)):
            return Refusal(InvalidValue, f"expected {self.rule or self.noun}, got {short(value)}")
        return Refusal(InvalidType, f"expected {self.noun}, got {short(value)}")


def too_deep(value: object) -> Refusal:
    """Return the refusal of what lies too deep; without a limit, a request could exhaust the stack."""
    return Refusal(InvalidValue, f"expected at most {DEEPEST} levels of nesting, got {short(value)} below them")


def unknown_field(title: str) -> Refusal:
    """Return the refusal of a key that is no field of the message `title`."""
    return Refusal(InvalidValue, f"unknown field of {title}")
