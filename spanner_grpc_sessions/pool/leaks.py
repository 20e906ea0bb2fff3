"""Leases that nobody gives back: who holds one for too long, and where it was acquired."""

from __future__ import annotations

import traceback
from math import inf
from pathlib import Path
from typing import Any, Final

from spanner_grpc_sessions.pool.core import SessionRecord

__all__ = ["Leaks"]

_HERE: Final = str(Path(__file__).parents[1])


class Leaks:
    """What is noted of each lease, until it was reported. Its users hold a lock, or are tasks of one loop.

    Args:
        after: seconds after which a lease that was not given back is reported.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._noted: dict[SessionRecord, tuple[Any, float, traceback.StackSummary]] = {}

    def note(self, record: SessionRecord, now: float) -> None:
        """Note the stack of an acquire. It takes the place of what was noted of the session before."""
        self._noted[record] = (record.holder, now, traceback.extract_stack())

    def due(self) -> float:
        """Return when to look next."""
        return min((since for _, since, _ in self._noted.values()), default=inf) + self._after

    def report(self, now: float) -> list[str]:
        """Return a warning for each lease that was held for too long, once; to be logged where no lock is held."""
        warnings = []
        for record, (holder, since, stack) in tuple(self._noted.items()):
            if record.holder is not holder:
                del self._noted[record]
            elif now >= since + self._after:
                del self._noted[record]
                frames = [frame for frame in stack if not frame.filename.startswith(_HERE)]
                warnings.append(
                    f"{record.name} has been leased for {now - since:.0f} s, and was acquired here:\n"
                    + "".join(traceback.format_list(frames))
                )
        return warnings
