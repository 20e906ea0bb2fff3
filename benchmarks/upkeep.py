"""What it costs a pool to keep its idle sessions alive, by its size: two hours, simulated with the pure core.

The server answers at once and the clock jumps from tick to tick, so that only the decisions cost time. In the second
case all sessions were leased once, ten minutes after the start.

    python benchmarks/upkeep.py [--check]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import deque
from math import inf
from typing import Final

from benchmarks.targets import Target
from spanner_grpc_sessions.pool.core import Create, Effect, Ping, PoolCore, WakeAt
from spanner_grpc_sessions.pool.options import PoolOptions

HOURS: Final = 2.0
BURST_AT: Final = 600.0
SMALL: Final = 100
LARGE: Final = 4000


class Pool:
    """A core, a server that answers at once, and a clock."""

    def __init__(self, size: int) -> None:
        self.core = PoolCore(PoolOptions(min_size=size, max_size=size))
        self.now = 0.0
        self.pings = 0
        self._wake = inf
        self._draws = random.Random(size)  # noqa: S311 - jitter, not a secret
        self._names = iter(range(sys.maxsize))
        self.tick()

    def tick(self) -> None:
        """Do what is due now."""
        self._wake = inf
        self._carry_out(self.core.tick(self.now))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._wake <= until:
            self.now = max(self.now, self._wake)
            self.tick()
        self.now = until

    def use_all(self) -> None:
        """Lease every session once, all at the same time, by the fast path."""
        idle, records = self.core.idle, []
        while idle:
            records.append(idle.pop())
            records[-1].last_used_at = self.now
        idle.extend(records)

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        todo = deque(effects)
        while todo:
            match todo.popleft():
                case Create(count):
                    sessions = [(f"session-{next(self._names)}", None) for _ in range(count)]
                    todo += self.core.created(count, sessions, self.now, self._draws.random())
                case Ping(record):
                    self.pings += 1
                    todo += self.core.pinged(record, self.now)
                case WakeAt(when):
                    self._wake = when


def cpu_per_ping(size: int, *, used: bool) -> float:
    """Return the seconds of CPU that a ping costs in a pool of a size."""
    pool = Pool(size)
    pool.run(BURST_AT)
    if used:
        pool.use_all()
    start = time.process_time()
    pool.run(HOURS * 3600)
    return (time.process_time() - start) / pool.pings


def measure() -> list[Target]:
    """Measure, print the times, and return the ratios with what the project promises of them."""
    targets = []
    for used in (False, True):
        case = "after a burst" if used else "never used"
        # The small pool is done within milliseconds: the median of several runs.
        small = statistics.median(cpu_per_ping(SMALL, used=used) for _ in range(15))
        large = statistics.median(cpu_per_ping(LARGE, used=used) for _ in range(3))
        print(f"{case:14} {SMALL} sessions {small * 1e6:6.1f} µs a ping, {LARGE} sessions {large * 1e6:6.1f} µs")
        targets.append(Target(f"CPU per ping, {LARGE} sessions over {SMALL}, {case}", large / small, most=2))
    return targets


def main() -> int:
    """Measure and report; with `--check`, fail when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 if one of the targets is missed")
    arguments = parser.parse_args()
    found = measure()
    print("\nTargets", *found, sep="\n")
    return int(arguments.check and not all(target.met for target in found))


if __name__ == "__main__":
    sys.exit(main())
