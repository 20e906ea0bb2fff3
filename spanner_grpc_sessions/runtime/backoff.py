"""How long to wait after a number of failures in a row. Pure."""

from __future__ import annotations


def backoff(failures: int, first: float, last: float, multiplier: float = 2.0) -> float:
    """Return the longest wait in seconds: `first` after one failure, then `multiplier` times more, up to `last`."""
    try:
        return min(first * multiplier ** (failures - 1), last)
    except OverflowError:
        return last if first else 0.0
