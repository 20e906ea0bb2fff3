"""Runs cases: rounds of blocks in drawn order, and what follows from them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from benchmarks.case import Block, Case, Target, Unavailable, Way
from benchmarks.environment import Environment
from benchmarks.figures import GRID, Interval, median_interval, quantile
from benchmarks.results import CaseResult, IntervalResult, ServerResult, TargetResult, WayResult

__all__ = ["run_case"]

MAX_ROUNDS: Final = 500
_DIGITS: Final = 4

Rounds = Mapping[str, Sequence[Block]]


def run_case(case: Case, scale: float) -> CaseResult:
    """Measure a case.

    Args:
        case: it.
        scale: what its time is multiplied by; below 0.2 it makes as few rounds as it can.
    """
    result = CaseResult(
        name=case.name, group=case.group, title=case.title, shows=case.shows, unit=case.unit, baseline=case.baseline,
        plot=case.plot, at=case.at, seconds=0.0,
        rounds=0, ways=[], targets=[], missing={}, server=None,
    )  # fmt: skip
    started = time.perf_counter()
    with Environment() as environment:
        try:
            ways = case.setup(environment)
            rounds = _run_rounds(ways, environment, case.seconds * scale, case.rounds if scale >= 0.2 else 1)
        except Unavailable as error:
            result["missing"] = {"": str(error)}
            return result
        result["missing"] = environment.missing
        result["server"] = _server(rounds, environment)
    result["seconds"] = round(time.perf_counter() - started, 1)
    result["rounds"] = len(rounds[case.baseline])
    result["ways"] = [_way(way.name, rounds, case) for way in ways]
    result["targets"] = [_target(target, rounds) for target in case.targets if target.way in rounds]
    return result


def _run_rounds(ways: Sequence[Way], environment: Environment, seconds: float, least: int) -> Rounds:
    """Let the ways take turns for so many seconds, and so many rounds at least. The first round is not counted."""
    blocks: dict[str, list[Block]] = {way.name: [] for way in ways}
    _run_round(ways, environment)
    ends = time.perf_counter() + seconds
    for made in range(MAX_ROUNDS):
        if made >= least and time.perf_counter() > ends:
            break
        for name, block in _run_round(ways, environment):
            blocks[name].append(block)
    return blocks


def _run_round(ways: Sequence[Way], environment: Environment) -> Iterable[tuple[str, Block]]:
    done = []
    for way in random.sample(ways, len(ways)):
        before = environment.server_cpu()
        block = way.run()
        after = environment.server_cpu()
        figures = dict(block.figures)
        if before is not None and after is not None:
            figures["server"] = (after - before) / block.operations
        done.append((way.name, Block(block.seconds, block.operations, block.cpu, figures)))
    return done


def _figure(block: Block, name: str) -> float | None:
    """Return a figure of a block: its median time, its CPU, or another by name."""
    if name == "time":
        return statistics.median(block.seconds)
    return block.cpu if name == "cpu" else block.figures.get(name)


def _ratios(rounds: Rounds, way: str, over: str | None, figure: str) -> Interval | None:
    """Return the median of what a figure is in each round, divided by that of another way in the same round."""
    values = []
    for index, block in enumerate(rounds[way]):
        mine = _figure(block, figure)
        theirs = 1.0 if over is None else _figure(rounds[over][index], figure)
        if mine is None or not theirs:
            return None
        values.append(mine / theirs)
    return median_interval(values)


def _way(name: str, rounds: Rounds, case: Case) -> WayResult:
    blocks = rounds[name]
    ordered = sorted(seconds for block in blocks for seconds in block.seconds)
    over_baseline = partial(_ratios, rounds, name, case.baseline)
    figures = {figure for block in blocks for figure in block.figures}
    return WayResult(
        name=name,
        samples=len(ordered),
        median=_rounded(quantile(ordered, 0.5)),
        # Shares of a block say nothing of single operations.
        p99=_rounded(quantile(ordered, 0.99)) if len(ordered) > len(blocks) else None,
        p999=_rounded(quantile(ordered, 0.999)) if len(ordered) >= 2000 and len(ordered) > len(blocks) else None,
        cpu=_middle(blocks, "cpu"),
        ratio=_stored(over_baseline("time")),
        cpu_ratio=_stored(over_baseline("cpu")),
        figures={figure: value for figure in sorted(figures) if (value := _middle(blocks, figure)) is not None},
        quantiles=[_rounded(quantile(ordered, share)) for share in GRID] if case.distribution else [],
    )


def _target(target: Target, rounds: Rounds) -> TargetResult:
    found = _ratios(rounds, target.way, target.over, target.figure) if (target.over or target.way) in rounds else None
    met = found and (target.most is None or found.median <= target.most)
    met = met and (target.least is None or found is None or found.median >= target.least)
    return TargetResult(
        title=target.title,
        found=_stored(found),
        most=target.most,
        least=target.least,
        met=None if found is None else bool(met),
        goal=target.goal,
    )


def _server(rounds: Rounds, environment: Environment) -> ServerResult | None:
    """Return what the servers took of the CPU, of all that the ways took together."""
    if not any("server" in block.figures for blocks in rounds.values() for block in blocks):
        return None
    took = [block for blocks in rounds.values() for block in blocks]
    servers = sum(block.figures.get("server", 0.0) * block.operations for block in took)
    clients = sum((block.cpu or 0.0) * block.operations for block in took)
    return ServerResult(language=environment.language, share=_rounded(servers / ((servers + clients) or 1.0)))


def _middle(blocks: Sequence[Block], figure: str) -> float | None:
    values = [value for block in blocks if (value := _figure(block, figure)) is not None]
    return _rounded(statistics.median(values)) if values else None


def _stored(interval: Interval | None) -> IntervalResult | None:
    return interval and IntervalResult(
        median=_rounded(interval.median), low=_rounded(interval.low), high=_rounded(interval.high)
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
