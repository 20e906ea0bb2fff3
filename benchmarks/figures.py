"""Statistics of samples: quantiles, and intervals of medians. Pure."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import comb
from typing import Final, NamedTuple

__all__ = ["GRID", "Interval", "median_interval", "quantile"]

GRID: Final = (0.001, 0.005, *(step / 40 for step in range(1, 39)), 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999)
"""The quantiles that are stored of a distribution."""
_CONFIDENCE: Final = 0.95


class Interval(NamedTuple):
    """A median and the bounds of its 95% interval."""

    median: float
    low: float
    high: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of the ordered values does not exceed, between two values by proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median with its percentile bootstrap interval, for at most a thousand values.

    Of a median, what resampling tends to is known, so nothing is drawn: a resample of n values has its median at or
    below the k-th smallest value if at least half of its values are, and each of them is with probability k/n.
    """
    ordered, tail = sorted(values), (1 - _CONFIDENCE) / 2
    size = len(ordered)
    # The lower and the upper median differ for an even number; the interval holds both.
    low = bisect_right(range(1, size), tail, key=lambda rank: _at_least((size + 1) // 2, size, rank / size))
    high = bisect_left(range(1, size), 1 - tail, key=lambda rank: _at_least(size // 2 + 1, size, rank / size))
    return Interval(statistics.median(ordered), ordered[low], ordered[high])


def _at_least(successes: int, trials: int, probability: float) -> float:
    """Return the probability of so many successes or more."""
    return sum(
        comb(trials, number) * probability**number * (1 - probability) ** (trials - number)
        for number in range(successes, trials + 1)
    )
