"""Measures of time that a busy machine does not spoil."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.waiting import WAIT

__all__ = ["least", "takes"]

_TRIES: Final = 30


def least(measure: Callable[[], float], enough: float) -> float:
    """Return the least of several measurements: the first that is small enough, for none is smaller than it can be."""
    measured: list[float] = []
    while len(measured) < _TRIES and (not measured or measured[-1] > enough):
        measured.append(measure())
    return min(measured)


@contextmanager
def takes(seconds: float = 0.0) -> Iterator[None]:
    """Fail unless the block takes that long at least, and at most so long that no call ends by a default of 30 s."""
    started = time.monotonic()
    yield
    assert seconds <= time.monotonic() - started < seconds + WAIT / 2
