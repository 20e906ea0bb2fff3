"""More callers than sessions: leases per second beside a queue of as many things, and how even they are; and upkeep."""

from __future__ import annotations

import asyncio
import queue
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from math import inf
from typing import Any, Final

from benchmarks.case import Block, Case, Target, Way
from benchmarks.cases.pools import ASYNC_QUEUE, QUEUE, open_async_pool, open_pool
from benchmarks.environment import Environment
from benchmarks.groups import OURS
from spanner_grpc_sessions.pool.core import Create, Effect, Ping, PoolCore, WakeAt
from spanner_grpc_sessions.pool.options import PoolOptions

__all__ = ["CASES"]

SESSIONS: Final = 8
THREADS: Final = 32
TASKS: Final = 64
HELD: Final = 0.0005
WINDOW: Final = 0.25
HOURS: Final = 2.0
BURST_AT: Final = 600.0
SMALL: Final = "100 sessions"
_UPKEEP: Final = {SMALL: 100, "1,000 sessions": 1000, "4,000 sessions": 4000}


def _block(turns: Sequence[int], seconds: float, cpu: float) -> Block:
    """Return the block of a window: the time of a lease is that of the window over all leases."""
    total = sum(turns)
    return Block([seconds / total], total, cpu / total, {"fewest/most": min(turns) / max(turns)})


def _in_threads(turn: Callable[[], None]) -> Block:
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
    return _block(counted, seconds, cpu)


def _in_tasks(turn: Callable[[], Coroutine[Any, Any, None]], environment: Environment) -> Block:
    turns = [0] * TASKS
    start, cpu = time.perf_counter(), time.process_time()
    numbers = iter(range(TASKS))

    async def work() -> None:
        number = next(numbers)
        while time.perf_counter() < start + WINDOW:
            await turn()
            turns[number] += 1

    environment.gather(work, TASKS)
    return _block(turns, time.perf_counter() - start, time.process_time() - cpu)


def _crowd_of_threads(environment: Environment) -> Sequence[Way]:
    pool = open_pool(environment, SESSIONS)
    things: queue.LifoQueue[int] = queue.LifoQueue()
    for thing in range(SESSIONS):
        things.put(thing)

    def lease() -> None:
        taken = pool.acquire()
        time.sleep(HELD)
        pool.release(taken)

    def queued() -> None:
        taken = things.get()
        time.sleep(HELD)
        things.put(taken)

    return [Way(QUEUE, lambda: _in_threads(queued)), Way(OURS, lambda: _in_threads(lease))]


def _crowd_of_tasks(environment: Environment) -> Sequence[Way]:
    pool = open_async_pool(environment, SESSIONS)
    things: asyncio.LifoQueue[int] = asyncio.LifoQueue()
    for thing in range(SESSIONS):
        things.put_nowait(thing)

    async def lease() -> None:
        taken = await pool.acquire()
        await asyncio.sleep(HELD)
        await pool.release(taken)

    async def queued() -> None:
        taken = await things.get()
        await asyncio.sleep(HELD)
        things.put_nowait(taken)

    return [
        Way(ASYNC_QUEUE, lambda: _in_tasks(queued, environment)),
        Way(OURS, lambda: _in_tasks(lease, environment)),
    ]


class _Pool:
    """A core, a server that answers at once, and a clock that jumps from tick to tick."""

    def __init__(self, size: int) -> None:
        self.core = PoolCore(PoolOptions(min_size=size, max_size=size))
        self.now = 0.0
        self.pings = 0
        self._wake = inf
        self._draws = random.Random(size)  # noqa: S311 - jitter, not a secret
        self._names = iter(range(sys.maxsize))
        self._tick()

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._wake <= until:
            self.now = max(self.now, self._wake)
            self._tick()
        self.now = until

    def use_all(self) -> None:
        """Lease every session once, all at the same time, by the fast path."""
        idle, records = self.core.idle, []
        while idle:
            records.append(idle.pop())
            records[-1].last_used_at = self.now
        idle.extend(records)

    def _tick(self) -> None:
        self._wake = inf
        todo: deque[Effect] = deque(self.core.tick(self.now))
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


def _two_hours(size: int) -> Block:
    pool = _Pool(size)
    pool.run(BURST_AT)
    pool.use_all()
    start = time.process_time()
    pool.run(HOURS * 3600)
    cpu = (time.process_time() - start) / pool.pings
    return Block([cpu], pool.pings, cpu)


def _upkeep(_: Environment) -> Sequence[Way]:
    return [Way(name, lambda size=size: _two_hours(size)) for name, size in _UPKEEP.items()]  # type: ignore[misc] # bound now


CASES: Final = (
    Case(
        "crowd-threads", "crowd", f"{THREADS} threads share {SESSIONS} sessions and hold each for 0.5 ms",
        "fewest/most: the leases of the caller that got the fewest over those of the one that got the most. A "
        "LifoQueue does not say who waited first, so that some of its callers get nothing.",
        _crowd_of_threads, QUEUE, seconds=6, unit="lease", targets=(
            Target(f"{THREADS} threads, {SESSIONS} sessions: leases a second over LifoQueue", QUEUE, OURS, least=0.9),
            Target(f"{THREADS} threads, {SESSIONS} sessions: fewest over most", OURS, None, "fewest/most", least=0.9),
        ),
    ),
    Case(
        "crowd-tasks", "crowd", f"{TASKS} tasks of asyncio share {SESSIONS} sessions and hold each for 0.5 ms",
        "As above.",
        _crowd_of_tasks, ASYNC_QUEUE, seconds=6, unit="lease", targets=(
            Target(f"{TASKS} tasks, {SESSIONS} sessions: leases a second over LifoQueue", ASYNC_QUEUE, OURS, least=0.9),
            Target(f"{TASKS} tasks, {SESSIONS} sessions: fewest over most", OURS, None, "fewest/most", least=0.9),
        ),
    ),
    Case(
        "upkeep", "crowd", "CPU per ping that keeps an idle session alive, by the size of the pool",
        "Two hours, simulated with the pure core after all sessions were used once: decisions alone, without calls.",
        _upkeep, SMALL, seconds=4, rounds=3, targets=(
            Target("CPU per ping, 4,000 sessions over 100", "4,000 sessions", SMALL, most=2),
        ),
    ),
)  # fmt: skip
