"""Many runs, in several processes: what they saw in all, and which of them broke an invariant."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests.simulation.faults import put_in
from tests.simulation.run import Failure, Outcome, simulate

_TOLD: Final = 3


@dataclass
class Tally:
    """What came of many runs.

    Attributes:
        failures: the texts of those that broke an invariant, which begin with the command that repeats each.
        counts: the events of all others.
        seconds: that the runs took, added up.
    """

    days: float
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    wall: float = 0.0

    def add(self, outcome: Outcome | str) -> None:
        """Add a run, or the text of its failure."""
        self.runs += 1
        if isinstance(outcome, str):
            self.failures.append(outcome)
        else:
            self.counts += outcome.counts
            self.seconds += outcome.seconds

    def as_json(self) -> dict[str, Any]:
        """Return the numbers."""
        return {
            "runs": self.runs,
            "days": self.days,
            "broken": [text.splitlines()[:2] for text in self.failures],
            "seconds": round(self.wall, 1),
            "seconds_a_run": round(self.seconds / max(self.runs, 1), 2),
            "events": self.counts.total(),
            "counts": dict(sorted(self.counts.items())),
        }


def outcome_of(seed: int, *, days: float, fault: str = "") -> Outcome | str:
    """Return what came of a run, or the text of its failure."""
    try:
        with put_in(fault):
            return simulate(seed, days, fault)
    except Failure as failure:
        return str(failure)


def outcomes(seeds: range, days: float, processes: int) -> Iterator[Outcome | str]:
    """Yield the outcomes of seeds, in their order."""
    if processes == 1:
        yield from map(partial(outcome_of, days=days), seeds)
        return
    context = multiprocessing.get_context("spawn")
    # A run leaves hardly any cycles, and looking for them takes a tenth of its time.
    with ProcessPoolExecutor(processes, mp_context=context, initializer=gc.disable) as executor:
        yield from executor.map(partial(outcome_of, days=days), seeds, chunksize=4)


def tally(seeds: range, days: float, processes: int | None = None, tell: Callable[[str], None] = print) -> Tally:
    """Return what came of all seeds, and tell of the first failures as they come."""
    began, result = time.monotonic(), Tally(days)
    for outcome in outcomes(seeds, days, processes or os.cpu_count() or 1):
        result.add(outcome)
        if isinstance(outcome, str) and len(result.failures) <= _TOLD:
            tell(outcome)
    result.wall = time.monotonic() - began
    return result
