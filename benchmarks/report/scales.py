"""Axes: where a value lies between two ends, and which values are written beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from benchmarks.table import time_text

__all__ = ["MAX_TICKS", "LogScale", "number_text", "number_ticks", "share_place", "time_ticks"]

_STEPS: Final = (1, 2, 5)
_NARROW: Final = 5
_FINE: Final = tuple(step * 10.0**decade for decade in range(-12, 9) for step in _STEPS)
MAX_TICKS: Final = 7
_NINES: Final = 3.0


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis between two values."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float], *, least: float = 1.5, margin: float = 0.04) -> LogScale:
        """Return one that holds all values, and spans a factor of `least` at least."""
        found = [value for value in values if value > 0]
        low, high = min(found), max(found)
        widen = max((least / (high / low)) ** 0.5, 1.0) * max(high / low, least) ** margin
        return cls(low / widen, high * widen)

    def place(self, value: float) -> float:
        """Return where a value lies, in percent from the low end; one beyond an end lies at it."""
        value = min(max(value, self.low), self.high)
        return 100 * (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))

    def ticks(self) -> Sequence[float]:
        """Return round values between the ends, not too many."""
        if self.high < _NARROW * self.low:
            step = next(step for step in _FINE if (self.high - self.low) / step <= MAX_TICKS - 1)
            return [step * number for number in range(ceil(self.low / step), floor(self.high / step) + 1)]
        decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for steps in (_STEPS, (1, 3), (1,)):
            found = [step * 10.0**decade for decade in decades for step in steps]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) <= MAX_TICKS:
                return found
        return found[:: ceil(len(found) / MAX_TICKS)]


def share_place(share: float) -> float:
    """Return where a share of all calls lies, in percent from the low end: each further nine takes as much room."""
    return 100 * min(-log10(max(1 - share, 1e-9)), _NINES) / _NINES


def time_ticks(scale: LogScale) -> Sequence[tuple[float, str]]:
    """Return the places and texts of times."""
    return [(scale.place(value), _short(time_text(value * 1.0000001))) for value in scale.ticks()]


def number_ticks(scale: LogScale) -> Sequence[tuple[float, str]]:
    """Return the places and texts of numbers."""
    return [(scale.place(value), number_text(value)) for value in scale.ticks()]


def number_text(value: float) -> str:
    """Return a number without needless digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _short(text: str) -> str:
    number, unit = text.split()
    return f"{float(number):g} {unit}"
