"""The clock by which sessions grow old: wall time, which a test can push forward."""

from __future__ import annotations

import math
from collections.abc import Callable

from spanner_grpc_sessions.errors import InvalidValue

__all__ = ["Clock"]


class Clock:
    """A clock that runs at the pace of another one and can be set forward.

    Args:
        source: gives seconds since the epoch, such as `time.time`. A constant function makes a clock that moves only
            by `advance`.
    """

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Set the clock forward.

        Raises:
            InvalidValue: `seconds` is negative or not finite: sessions do not grow younger.
        """
        if not 0 <= seconds < math.inf:
            raise InvalidValue(f"a clock can be advanced by a finite number of seconds >= 0, got {seconds!r}")
        self._ahead += seconds
