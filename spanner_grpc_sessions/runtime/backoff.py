"""How long to wait after a number of failures in a row. Pure."""

from __future__ import annotations

from typing import Final

# Seconds that background work waits after it has failed: what fails each time does not keep a core busy.
AFTER_FAILURE: Final = 0.1


def backoff(failures: int, first: float, last: float, multiplier: float = 2.0) -> float:
    """Return the longest wait in seconds: `first` after one failure, then `multiplier` times more, up to `last`."""
    try:
        return min(first * multiplier ** (failures - 1), last)
    except OverflowError:
        return last if first else 0.0
