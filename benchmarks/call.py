"""What a call costs over the bare stub: time and CPU, sync and asyncio, against a server with a fixed answer.

All ways of calling run in one process, in short blocks whose order is drawn for each round, so that a machine that
speeds up or slows down does so for all. Absolute times mean little; the ratios do. The bare stub stands twice: how far
the second is from the first is the noise.

    python benchmarks/call.py [--rounds N] [--check] [--most RATIO]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.targets import Target
from benchmarks.ways import BARE, FLOOR, GOOGLE, OURS, STUB, WATCHED, Server, Way, async_ways, fixed_server, sync_ways

BLOCK: Final = 20
COLD: Final = 5
"""Calls before each block, not counted: they find caches full of what ran before."""
IN_FLIGHT: Final = (1, 8, 64, 256)
CALLS: Final = 256
"""Calls of a block in asyncio, shared by those in flight."""
THREADS: Final = 8


@dataclass(frozen=True)
class Table:
    """The ways of calling under one load."""

    title: str
    ways: list[Way]

    def __getitem__(self, name: str) -> Way:
        return next(way for way in self.ways if way.name == name)

    @property
    def time(self) -> float:
        """What this library takes, in times of the bare stub."""
        return self[OURS].median / self[BARE].median

    @property
    def cpu(self) -> float:
        """The CPU that this library takes, in times of the bare stub's."""
        return self[OURS].median_cpu / self[BARE].median_cpu

    def ratio(self, way: str, over: str = BARE) -> float:
        """What one way takes, in times of another."""
        return self[way].median / self[over].median

    @property
    def over_google(self) -> float:
        """How many times as fast as Google's client this library is."""
        return self[GOOGLE].median / self[OURS].median


def targets(one: Table, many: dict[int, Table]) -> list[Target]:
    """Return what the project promises of a call from a thread, and of many at a time in asyncio."""
    return [
        Target("sync: time over the bare stub", one.time, most=1.08),
        Target("sync: CPU over the bare stub", one.cpu, most=1.20),
        Target("sync: times as fast as google-cloud-spanner", one.over_google, least=2),
        Target("sync: time over the bare stub with our headers", one.ratio(OURS, FLOOR), most=1.05),
        Target("sync: a stub on our channel, over the bare stub", one.ratio(STUB), most=1.05),
        Target("sync: the same with an observer, over that", one.ratio(WATCHED, STUB), most=1.05),
        *(
            Target(f"asyncio, {in_flight} in flight: time over the bare stub", table.time, most=1.15, aim="(aim 1.00)")
            for in_flight, table in many.items()
        ),
        *(
            Target(f"asyncio, {in_flight} in flight: the same with our headers", table.ratio(OURS, FLOOR), most=1.05)
            for in_flight, table in many.items()
        ),
        Target("asyncio, 64 in flight: a stub, over one with our headers", many[64].ratio(STUB, FLOOR), most=1.05),
        Target("asyncio, 64 in flight: a stub on our channel, over the bare", many[64].ratio(STUB), most=1.10),
        Target("asyncio, 64 in flight: the same with an observer", many[64].ratio(WATCHED, STUB), most=1.05),
        Target("asyncio, 64 in flight: calls/s over google's", many[64].over_google, least=6, aim="(aim 8.00)"),
    ]


def measure_calls(ways: list[Way], rounds: int) -> None:
    """Time single calls, one after the other."""
    for round_ in range(rounds + 1):
        for way in random.sample(ways, len(ways)):
            for _ in range(COLD):
                way.call()
            seconds = []
            cpu = time.process_time()
            for _ in range(BLOCK):
                start = time.perf_counter()
                way.call()
                seconds.append(time.perf_counter() - start)
            if round_:
                way.seconds += seconds
                way.cpu.append((time.process_time() - cpu) / BLOCK)


def measure_threads(ways: list[Way], rounds: int) -> None:
    """Time blocks of calls from several threads at once; a call's time is its share of the block."""

    def block(call: Callable[[], Any]) -> None:
        for _ in range(BLOCK):
            call()

    with ThreadPoolExecutor(THREADS) as pool:
        for round_ in range(rounds + 1):
            for way in random.sample(ways, len(ways)):
                cpu, start = time.process_time(), time.perf_counter()
                list(pool.map(block, [way.call] * THREADS))
                if round_:
                    _share(way, cpu, start, BLOCK * THREADS)


async def measure_in_flight(server: Server, in_flight: int, rounds: int) -> list[Way]:
    """Time blocks of calls, so many of them in flight; a call's time is its share of the block."""

    async def worker(call: Callable[[], Awaitable[Any]]) -> None:
        for _ in range(CALLS // in_flight):
            await call()

    async with contextlib.AsyncExitStack() as stack:
        ways = await async_ways(server, stack)
        for round_ in range(rounds + 1):
            for way in random.sample(ways, len(ways)):
                cpu, start = time.process_time(), time.perf_counter()
                await asyncio.gather(*(worker(way.call) for _ in range(in_flight)))
                if round_:
                    _share(way, cpu, start, CALLS)
    return ways


def _share(way: Way, cpu: float, start: float, calls: int) -> None:
    way.seconds.append((time.perf_counter() - start) / calls)
    way.cpu.append((time.process_time() - cpu) / calls)


def report(table: Table, over: str = BARE) -> None:
    """Print a row per way of calling, in times of one of them."""
    print(f"\n{table.title}\n{'':47}{'median µs':>10}{'ratio':>8}{'CPU':>8}{'p99':>8}")
    base = table[over]
    for way in table.ways:
        ratios = (way.median / base.median, way.median_cpu / base.median_cpu, way.p99 / base.p99)
        print(f"{way.name:47}{way.median * 1e6:10.0f}" + "".join(f"{ratio:8.2f}" for ratio in ratios))


def measure(rounds: int) -> tuple[Table, dict[int, Table]]:
    """Measure and print all tables; return that of single calls and those of asyncio."""
    with fixed_server() as server:
        with contextlib.ExitStack() as stack:
            one = Table("CreateSession, one call after the other", sync_ways(server, stack))
            measure_calls(one.ways, rounds)
            report(one)
            shared = [Way(name, one[name].call) for name in (BARE, OURS)]
            measure_threads(shared, max(rounds // 3, 5))
            report(Table(f"CreateSession, {THREADS} threads, a call's share", shared))
        many = {}
        for in_flight in IN_FLIGHT:
            ways = asyncio.run(measure_in_flight(server, in_flight, max(rounds // 4, 5)))
            many[in_flight] = Table(f"CreateSession, asyncio, {in_flight} in flight, a call's share", ways)
            report(many[in_flight])
    return one, many


def main() -> int:
    """Measure and report; with `--check` or `--most`, fail when this library costs more than it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150, help="blocks of 20 calls for each way (default: 150)")
    parser.add_argument("--most", type=float, help="exit with 1 if the sync ratio of this library is above it")
    parser.add_argument("--check", action="store_true", help="exit with 1 if one of the targets is missed")
    arguments = parser.parse_args()
    one, many = measure(arguments.rounds)
    found = targets(one, many)
    print("\nTargets", *found, sep="\n")
    too_slow = arguments.most is not None and one.time > arguments.most
    return int(too_slow or (arguments.check and not all(target.met for target in found)))


if __name__ == "__main__":
    sys.exit(main())
