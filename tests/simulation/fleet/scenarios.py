"""What happens to a fleet, and the figures that come of it."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from typing import Any, Final
from unittest import mock

from spanner_grpc_sessions.auth import credentials
from spanner_grpc_sessions.multiplexed import rotation
from spanner_grpc_sessions.pool.core import record, sessions
from tests.simulation.fleet.model import Fleet, Process

PROCESSES: Final = 10_000
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
# Callers in a second, in each process.
_RATE: Final = 0.05
# The spreads of pings, of the first renewals of tokens and of multiplexed sessions.
_FORMER: Final[tuple[tuple[Any, str, float], ...]] = (
    (record, "PING_SPREAD", 0.2),
    (sessions, "PING_SPREAD", 0.2),
    (credentials, "_EARLIEST", 1.0),
    (rotation, "_SPREAD", 0.0),
)
# Bars of a plot.
_BINS: Final = 360


@dataclass(frozen=True)
class Measure:
    """How evenly the requests of a kind come, from one window of some seconds to the next.

    `limit` is the goal for peak over mean, None where there is none; `when` tells two measures of one kind apart.
    """

    kind: str
    since: float
    until: float
    limit: float | None = None
    window: int = 1
    when: str = ""

    def of(self, fleet: Fleet) -> dict[str, Any]:
        """Return the figures."""
        seconds = fleet.arrived[self.kind][int(self.since) : int(self.until)]
        counts = [sum(seconds[at : at + self.window]) for at in range(0, len(seconds) - self.window + 1, self.window)]
        mean = sum(counts) / len(counts)
        return {
            "kind": self.kind,
            "when": self.when,
            "since": self.since,
            "until": self.until,
            "window": self.window,
            "total": sum(counts),
            "mean": round(mean / self.window, 4),
            "peak": round(max(counts) / self.window, 3),
            "ratio": round(max(counts) / mean, 1) if mean else 0.0,
            "by_chance": round(_likely_peak(mean, len(counts)) / mean, 1) if mean else 0.0,
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Scenario:
    """A story, its length, and what is measured.

    Attributes:
        recovery: from when the time until all work is counted.
        spreads: the spreads of the library decide how it goes, so that it is also played without them.
    """

    name: str
    title: str
    seconds: float
    happen: Callable[[Fleet, int], None]
    measures: tuple[Measure, ...]
    recovery: float | None = None
    spreads: bool = True


def play(scenario: Scenario, processes: int = PROCESSES, seed: int = 1) -> dict[str, Any]:
    """Play a scenario; return its figures, ready for JSON."""
    told = {"name": scenario.name, "title": scenario.title, "about": (scenario.happen.__doc__ or "").strip()}
    return {**told, "seconds": scenario.seconds, "processes": processes, **_figures(scenario, processes, seed)}


def play_without_spreads(scenario: Scenario, processes: int = PROCESSES, seed: int = 1) -> dict[str, Any]:
    """Do the same by the decisions that this library had before the fleet was simulated."""
    with contextlib.ExitStack() as stack:
        for module, name, value in _FORMER:
            stack.enter_context(mock.patch.object(module, name, value))
        return _figures(scenario, processes, seed)


def _figures(scenario: Scenario, processes: int, seed: int) -> dict[str, Any]:
    fleet = Fleet(scenario.seconds, seed)
    scenario.happen(fleet, processes)
    work: list[float] = []
    if scenario.recovery is not None:
        fleet.at(scenario.recovery, _watch, fleet, work)
    fleet.at(0.0, fleet.sample, scenario.seconds / _BINS)
    fleet.run()
    return {
        "until_all_work": round(work[0] - (scenario.recovery or 0.0), 1) if work else None,
        "most_sessions": max(fleet.held),
        "measures": [measure.of(fleet) for measure in scenario.measures],
        "series": {kind: _bins(counts) for kind, counts in fleet.arrived.items() if any(counts)},
        "held": fleet.held,
    }


def _watch(fleet: Fleet, work: list[float]) -> None:
    if fleet.waiting():
        fleet.at(fleet.now + 1.0, _watch, fleet, work)
    else:
        work.append(fleet.now)


def _bins(counts: array[int]) -> list[float]:
    """Return the mean of each bar of a plot."""
    size = max(len(counts) // _BINS, 1)
    return [round(sum(counts[at : at + size]) / size, 4) for at in range(0, len(counts) - size + 1, size)]


def _likely_peak(mean: float, windows: int) -> int:
    """Return the largest count to expect in so many windows, if requests come wholly at random."""
    # The chance of more than `count` in one window, summed from the front: Poisson.
    term = left = exp(-mean) if mean < 700 else 0.0
    if not term:
        return round(mean + 4 * sqrt(mean))
    count = 0
    while 1 - left > 0.5 / windows and term:
        count += 1
        term *= mean / count
        left += term
    return count


def _start(fleet: Fleet, processes: int, since: float, until: float, rate: float = 0.0, *, pool: bool = True) -> None:
    for _ in range(processes):
        process = Process(fleet, rate=rate, pool=pool)
        fleet.at(fleet.random.uniform(since, until), process.start)


def _deployment(fleet: Fleet, processes: int) -> None:
    """All processes start within 10 s, and are not used yet."""
    _start(fleet, processes, 0.0, 10.0)


def _outage(fleet: Fleet, processes: int) -> None:
    """The server cannot be reached for a minute, while a tenth of the fleet starts."""
    _start(fleet, processes * 9 // 10, 0.0, 600.0, _RATE)
    _start(fleet, processes // 10, 900.0, 960.0, _RATE)
    fleet.at(900.0, fleet.set, "up", False)
    fleet.at(960.0, fleet.set, "up", True)


def _moved(fleet: Fleet, processes: int) -> None:
    """The database moves: it cannot be reached for 5 s, and all sessions are lost."""
    _start(fleet, processes, 0.0, 600.0, _RATE)
    fleet.at(900.0, fleet.set, "up", False)
    fleet.at(900.0, fleet.lose_all)
    fleet.at(905.0, fleet.set, "up", True)


def _night(fleet: Fleet, processes: int) -> None:
    """Callers come for half an hour, and then none for eight hours."""
    _start(fleet, processes, 0.0, 600.0, _RATE)
    fleet.at(1800.0, fleet.quiet)


def _wave(fleet: Fleet, processes: int) -> None:
    """Every process is replaced by another one, one after the other within ten minutes."""
    _start(fleet, processes, 0.0, 600.0, _RATE)
    for process in tuple(fleet.processes):
        fleet.at(fleet.random.uniform(900.0, 1500.0), _replace, fleet, process)


def _replace(fleet: Fleet, process: Process) -> None:
    process.stop()
    Process(fleet, rate=_RATE).start()


def _no_tokens(fleet: Fleet, processes: int) -> None:
    """The token endpoint cannot be reached for a quarter of an hour. No sessions here."""
    _start(fleet, processes, 0.0, _HOUR, pool=False)
    fleet.at(2 * _HOUR, fleet.set, "tokens_up", False)
    fleet.at(2.25 * _HOUR, fleet.set, "tokens_up", True)


def _weeks(fleet: Fleet, processes: int) -> None:
    """A month of multiplexed sessions that were created together. No pools and no tokens here."""
    _start(fleet, processes, 0.0, 10.0, pool=False)
    fleet.tokens_needed = False


SCENARIOS: Final = (
    Scenario(
        "deployment",
        "A deployment of all at once",
        3 * _HOUR,
        _deployment,
        (Measure("pings", 0.0, 3 * _HOUR, 3.0), Measure("tokens", _MINUTE, 3 * _HOUR, 3.0, 10)),
        recovery=10.0,
    ),
    Scenario(
        "outage",
        "A minute's outage",
        1800.0,
        _outage,
        (
            Measure("creates", 900.0, 1020.0, 10.0),
            Measure("retries", 900.0, 1020.0, 10.0),
            Measure("calls", 600.0, 1800.0),
        ),
        recovery=960.0,
        spreads=False,
    ),
    Scenario(
        "moved",
        "A database moved",
        1500.0,
        _moved,
        (
            Measure("creates", 900.0, 1020.0, 10.0),
            Measure("pings", 900.0, 1020.0),
            Measure("retries", 900.0, 915.0, 10.0),
        ),
        recovery=905.0,
        spreads=False,
    ),
    Scenario(
        "night",
        "A night without traffic",
        1800.0 + 8 * _HOUR,
        _night,
        (Measure("pings", 1800.0, 1800.0 + 8 * _HOUR, 3.0), Measure("tokens", 1800.0, 1800.0 + 8 * _HOUR, 3.0, 10)),
    ),
    Scenario(
        "wave",
        "A restart wave",
        3 * _HOUR,
        _wave,
        (
            Measure("creates", 900.0, 1500.0, 10.0),
            Measure("pings", 1500.0, 3 * _HOUR, 3.0),
            Measure("tokens", 1500.0, 3 * _HOUR, 3.0, 10),
        ),
        recovery=1500.0,
    ),
    Scenario(
        "no-tokens",
        "A token endpoint out for a quarter of an hour",
        6 * _HOUR,
        _no_tokens,
        (
            Measure("tokens", 2.25 * _HOUR + _MINUTE, 6 * _HOUR, 3.0, 10, when="afterwards"),
            Measure("tokens", 2 * _HOUR, 2.25 * _HOUR),
        ),
    ),
    Scenario(
        "month",
        "A month of multiplexed sessions",
        30 * _DAY,
        _weeks,
        (Measure("multiplexed", _HOUR, 30 * _DAY, 3.0, 3600),),
    ),
)
