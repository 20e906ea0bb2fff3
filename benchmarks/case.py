"""A benchmark as a row: the ways of doing one thing, what they are compared with, and the figure that is promised."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from benchmarks.environment import Environment

__all__ = ["Block", "Case", "Target", "Unavailable", "Way", "calls", "clocked", "in_tasks", "in_threads", "repeated"]

BLOCK: Final = 20
COLD: Final = 5
"""Calls before each block, not counted: they find caches full of what ran before."""


class Unavailable(Exception):
    """A case or a way that this machine cannot run; the text says what is missing."""


@dataclass(frozen=True)
class Block:
    """What a way took in one round.

    Attributes:
        seconds: of each operation that was timed, or one figure for all: each one's share of the block.
        operations: how many there were.
        cpu: seconds of CPU that this process spent on one, in all its threads.
        figures: whatever else was measured, by name.
    """

    seconds: Sequence[float]
    operations: int
    cpu: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """One way of doing what a case is about; `run` does it for one block."""

    name: str
    run: Callable[[], Block]


@dataclass(frozen=True)
class Target:
    """A figure that this library should reach.

    Attributes:
        title: what is promised.
        way: whose figure it is.
        over: the way that it is divided by; None if the figure itself is promised.
        figure: "time", "cpu", or the name of another one of the blocks.
        most: what it is at most.
        least: what it is at least.
        goal: whether it is one of the few that the project is known by.
    """

    title: str
    way: str
    over: str | None = None
    figure: str = "time"
    most: float | None = None
    least: float | None = None
    goal: bool = False


@dataclass(frozen=True)
class Case:
    """A row of the benchmarks.

    Attributes:
        name: for `BENCH=`, and in the stored results.
        group: the cases that are run in one process, and shown under one heading.
        title: what is measured.
        shows: what a reader may conclude from it, and what not.
        setup: makes the ways.
        baseline: the name of the way that the others are divided by.
        seconds: how long the rounds last in all.
        rounds: how many there are at least.
        unit: what the times are of.
        targets: what the project promises.
        plot: the name of the plot that it is a point of.
        at: where it lies on that plot's axis.
        distribution: whether the quantiles are stored, for a plot of them.
    """

    name: str
    group: str
    title: str
    shows: str
    setup: Callable[[Environment], Sequence[Way]]
    baseline: str
    seconds: float = 6.0
    rounds: int = 5
    unit: Literal["call", "session", "lease", "conversion", "process", "start"] = "call"
    targets: Sequence[Target] = ()
    plot: str | None = None
    at: float = 0.0
    distribution: bool = False


def calls(call: Callable[[], Any], number: int = BLOCK, cold: int = COLD) -> Callable[[], Block]:
    """Return a block of single calls, one after the other, each of them timed."""

    def run() -> Block:
        for _ in range(cold):
            call()
        seconds = []
        cpu = time.process_time()
        for _ in range(number):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return Block(seconds, number, (time.process_time() - cpu) / number)

    return run


def clocked(run: Callable[[], object], number: int) -> Block:
    """Return the block of something that does a number of operations; each has its share of the time."""
    cpu, start = time.process_time(), time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    return Block([seconds / number], number, (time.process_time() - cpu) / number)


def repeated(operation: Callable[[], object], number: int) -> Callable[[], Block]:
    """Return a block of operations that are too short to be timed one by one."""

    def run() -> None:
        for _ in range(number):
            operation()

    return partial(clocked, run, number)


def in_threads(
    operation: Callable[[], object], number: int, threads: int, executor: ThreadPoolExecutor
) -> Callable[[], Block]:
    """Return a block of operations that so many threads do, each of them its share."""
    each = max(number // threads, 1)

    def work() -> None:
        for _ in range(each):
            operation()

    def run() -> None:
        for thread in [executor.submit(work) for _ in range(threads)]:
            thread.result()

    return partial(clocked, run, each * threads)


def in_tasks(
    operation: Callable[[], Awaitable[object]], number: int, tasks: int, environment: Environment
) -> Callable[[], Block]:
    """Return a block of operations that so many tasks of asyncio do, each of them its share."""
    each = max(number // tasks, 1)

    async def work() -> None:
        for _ in range(each):
            await operation()

    return partial(clocked, lambda: environment.gather(work, tasks), each * tasks)
