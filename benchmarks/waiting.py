"""More callers than sessions: the leases per second of a pool, beside a queue of as many things, and how even they are.

32 threads share 8 sessions, and 64 tasks of asyncio do; each holds one for half a millisecond. The standard library's
`LifoQueue` is the quickest pool of things that it has, but some of its callers get nothing: it does not say who waited
first. The ways take turns in one process; the ratios count, not the times. The server is a LocalSpanner in a process of
its own, which has nothing to do meanwhile.

    python benchmarks/waiting.py [--rounds N] [--check]
"""

from __future__ import annotations

import asyncio
import queue
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.pool import DATABASE, local_server
from benchmarks.targets import Target, run
from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientOptions,
    PoolOptions,
    SessionPool,
    SessionsClient,
)

SESSIONS: Final = 8
THREADS: Final = 32
TASKS: Final = 64
HELD: Final = 0.0005
WINDOW: Final = 0.25

Turns = list[int]


@dataclass
class Figures:
    """What one way gave, window by window."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    evenness: list[float] = field(default_factory=list)

    def note(self, turns: Turns, seconds: float, cpu: float) -> None:
        """Note a window."""
        self.rates.append(sum(turns) / seconds)
        self.cpu.append(cpu / sum(turns))
        self.evenness.append(min(turns) / max(turns))


def in_threads(turn: Callable[[], None], figures: Figures) -> None:
    """Have threads take turns for a while."""
    turns = [0] * THREADS
    begin, end = threading.Barrier(THREADS + 1), threading.Event()

    def work(number: int) -> None:
        begin.wait()
        while not end.is_set():
            turn()
            turns[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    begin.wait()
    start, cpu = time.perf_counter(), time.process_time()
    time.sleep(WINDOW)
    end.set()
    seconds, cpu, counted = time.perf_counter() - start, time.process_time() - cpu, turns.copy()
    for thread in threads:
        thread.join()
    figures.note(counted, seconds, cpu)


async def in_tasks(turn: Callable[[], Any], figures: Figures) -> None:
    """Have tasks take turns for a while."""
    turns = [0] * TASKS
    end = time.perf_counter() + WINDOW

    async def work(number: int) -> None:
        while time.perf_counter() < end:
            await turn()
            turns[number] += 1

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(work, range(TASKS)))
    figures.note(turns, time.perf_counter() - start, time.process_time() - cpu)


def measure_threads(endpoint: str, rounds: int) -> dict[str, Figures]:
    """Return the figures of pool and queue in threads."""
    things: queue.LifoQueue[int] = queue.LifoQueue()
    for thing in range(SESSIONS):
        things.put(thing)
    options = PoolOptions(min_size=SESSIONS, max_size=SESSIONS)
    with (
        SessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)) as client,
        SessionPool(client, DATABASE, options=options) as pool,
    ):

        def pool_turn() -> None:
            lease = pool.acquire()
            time.sleep(HELD)
            pool.release(lease)

        def queue_turn() -> None:
            thing = things.get()
            time.sleep(HELD)
            things.put(thing)

        found = {"pool": Figures(), "queue": Figures()}
        for _ in range(rounds):
            in_threads(pool_turn, found["pool"])
            in_threads(queue_turn, found["queue"])
    return found


async def measure_tasks(endpoint: str, rounds: int) -> dict[str, Figures]:
    """Return the figures of pool and queue in tasks."""
    things: asyncio.LifoQueue[int] = asyncio.LifoQueue()
    for thing in range(SESSIONS):
        things.put_nowait(thing)
    options = PoolOptions(min_size=SESSIONS, max_size=SESSIONS)
    async with (
        AsyncSessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)) as client,
        AsyncSessionPool(client, DATABASE, options=options) as pool,
    ):

        async def pool_turn() -> None:
            lease = await pool.acquire()
            await asyncio.sleep(HELD)
            await pool.release(lease)

        async def queue_turn() -> None:
            thing = await things.get()
            await asyncio.sleep(HELD)
            things.put_nowait(thing)

        found = {"pool": Figures(), "queue": Figures()}
        for _ in range(rounds):
            await in_tasks(pool_turn, found["pool"])
            await in_tasks(queue_turn, found["queue"])
    return found


def targets_of(what: str, found: dict[str, Figures]) -> list[Target]:
    """Print the figures, and return the ratios with what the project promises of them."""
    for name, figures in found.items():
        rate, cpu = statistics.median(figures.rates), statistics.median(figures.cpu)
        even = statistics.median(figures.evenness)
        print(f"{what:12}{name:8}{rate:9,.0f} leases/s {cpu * 1e6:7.1f} µs of CPU each, fewest/most {even:.2f}")
    pool, things = found["pool"], found["queue"]
    ratio = statistics.median(ours / theirs for ours, theirs in zip(pool.rates, things.rates, strict=True))
    return [
        Target(f"{what}: leases per second over LifoQueue", ratio, least=0.9),
        Target(f"{what}: fewest leases of a caller over the most", statistics.median(pool.evenness), least=0.9),
    ]


def measure(rounds: int) -> list[Target]:
    """Measure, print the times, and return the ratios with what the project promises of them."""
    with local_server() as endpoint:
        threads = targets_of(f"{THREADS} threads", measure_threads(endpoint, rounds))
        return threads + targets_of(f"{TASKS} tasks", asyncio.run(measure_tasks(endpoint, rounds)))


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, rounds=25, of="windows of 0.25 s for each way"))
