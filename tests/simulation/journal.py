"""What happened in a run, for the report of a failure, and as one number by which two runs are compared."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

_KEPT: Final = 60


class BrokenInvariant(AssertionError):
    """The library did what it must never do."""


class Journal:
    """The events of a run.

    Attributes:
        counts: how many of each kind there were.
        digest: of all events with their times. Two runs that differ in anything differ in it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self.digest = 0
        self._now = now
        self._last: deque[tuple[float, str, str]] = deque(maxlen=_KEPT)

    def note(self, kind: str, what: str = "") -> None:
        """Note an event."""
        now = self._now()
        self.counts[kind] += 1
        self.digest = zlib.crc32(f"{now!r}{kind}{what}".encode(), self.digest)
        self._last.append((now, kind, what))

    def say(self, text: str) -> None:
        """Keep a line of the library's log. It may have a random number in it, so the digest has not."""
        self._last.append((self._now(), "log", text))

    def require(self, holds: bool, rule: str, told: str = "") -> None:
        """Raise `BrokenInvariant` unless a rule holds."""
        if not holds:
            raise BrokenInvariant(f"{rule}: {told}\nthe last events:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last events, one to a line."""
        return "\n".join(f"{when:14.3f} {kind:12} {what}" for when, kind, what in self._last)
