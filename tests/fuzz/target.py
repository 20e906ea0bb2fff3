"""What makes a property of hypothesis a fuzz target: it takes bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["assert_short", "one_input"]

# Bytes: of a message of ours, however long what it refuses.
_LONGEST: Final = 3_000


def one_input(function: Any) -> Callable[[bytes], bytes | None]:
    """Return what feeds bytes to a property."""
    feed: Callable[[bytes], bytes | None] = function.hypothesis.fuzz_one_input
    return feed


def assert_short(error: BaseException) -> None:
    """Fail unless the message of an error is one that can be logged, whatever it is about."""
    text = str(error)
    assert text
    assert text.isprintable(), text
    assert len(text.encode(errors="backslashreplace")) < _LONGEST
