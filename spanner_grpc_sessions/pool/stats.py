"""What a pool has done so far and how long it made callers wait, in numbers. Pure: no clock, no gRPC."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from typing import Any, Final

# Seconds: from below one round trip in a region to the default timeout of an acquire.
WAIT_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fell where.

    Attributes:
        bounds: upper bounds of the buckets, rising; a value equal to a bound lies below it, as Prometheus counts.
        counts: values per bucket, not cumulated: one count per bound, and a last one for what lies above them all.
        sum: of all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment.

    Attributes:
        size: sessions that the pool has, those being created or deleted not among them.
        idle: of these, the ones that are ready for an acquire.
        leased: of these, the ones that callers hold. What is neither idle nor leased is being pinged.
        waiting: acquires that wait for a session.
        created: sessions that the server created for the pool so far.
        deleted: sessions that the pool deleted so far.
        pinged: keep-alive queries that succeeded so far.
        lost: sessions so far that the server no longer knew, as it or a caller said.
        timeouts: acquires so far that gave up, because no session came in time.
        wait_seconds: how long acquires waited that found no idle session at once, until they got one or gave up. The
            ones that were refused, or failed together with the creation of sessions, are not counted.
    """

    size: int
    idle: int
    leased: int
    waiting: int
    created: int
    deleted: int
    pinged: int
    lost: int
    timeouts: int
    wait_seconds: Histogram

    def _asdict(self) -> dict[str, Any]:
        """Return the numbers as a dict, with the histogram as one of its own; as `_asdict` of named tuples."""
        return asdict(self)


class WaitHistogram:
    """A recorder of seconds: one search among a few bounds per value, and no allocation."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(WAIT_BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self._counts[bisect_left(WAIT_BOUNDS, seconds)] += 1
        self._sum += seconds

    def snapshot(self) -> Histogram:
        """Return what was counted so far."""
        return Histogram(WAIT_BOUNDS, tuple(self._counts), self._sum)


@dataclass
class PoolCounters:
    """The counters that only grow; the names are those of `PoolStats`."""

    created: int = 0
    deleted: int = 0
    pinged: int = 0
    lost: int = 0
    timeouts: int = 0
    wait_seconds: WaitHistogram = field(default_factory=WaitHistogram)

    def stats(self, **moment: int) -> PoolStats:
        """Return the counters beside the numbers of this moment."""
        numbers: dict[str, Any] = {**vars(self), **moment, "wait_seconds": self.wait_seconds.snapshot()}
        return PoolStats(**numbers)
