"""Sessions taken from a pool and given back: by threads, by tasks, from small pools and large ones."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from benchmarks.case import Case, Target, Way, in_tasks, in_threads, repeated
from benchmarks.environment import Environment
from benchmarks.groups import OURS
from benchmarks.servers import DATABASE
from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientOptions,
    MultiplexedSession,
    PoolOptions,
    SessionPool,
    SessionsClient,
)

__all__ = ["CASES", "open_async_pool", "open_pool"]

WITH: Final = "this library, with pool.session()"
NAME: Final = "multiplexed.name"
GOOGLE: Final = "FixedSizePool"
QUEUE: Final = "queue.LifoQueue"
ASYNC_QUEUE: Final = "asyncio.LifoQueue"
BLOCK: Final = 2000
ASYNC_BLOCK: Final = 4000
THREADS: Final = (1, 8, 64)
TASKS: Final = (1, 8, 64, 1000)
SIZES: Final = (1, 10, 100, 1000, 10_000)
SIZE: Final = 10


def open_pool(environment: Environment, size: int) -> SessionPool:
    """Return a pool with so many sessions."""
    options = ClientOptions(endpoint=environment.local(), plaintext=True)
    client = environment.enter_context(SessionsClient(options=options))
    return environment.enter_context(SessionPool(client, DATABASE, options=_options(size)))


def open_async_pool(environment: Environment, size: int) -> AsyncSessionPool:
    """Return a pool with so many sessions, on the environment's loop."""
    options = ClientOptions(endpoint=environment.local(), plaintext=True)
    client = environment.enter_async(AsyncSessionsClient(options=options))
    return environment.enter_async(AsyncSessionPool(client, DATABASE, options=_options(size)))


def _options(size: int) -> PoolOptions:
    return PoolOptions(min_size=size, max_size=size, delete_on_close=False)


def _uses(environment: Environment, size: int) -> dict[str, Callable[[], object]]:
    """Return the ways of using a session once."""
    from google.cloud.spanner_v1.pool import FixedSizePool

    from benchmarks.cases.google import google_pool

    pool, google = open_pool(environment, size), google_pool(environment.local(), FixedSizePool(size=size))
    things: queue.LifoQueue[int] = queue.LifoQueue()
    for thing in range(size):
        things.put(thing)
    return {
        GOOGLE: lambda: google.put(google.get()),
        OURS: lambda: pool.release(pool.acquire()),
        QUEUE: lambda: things.put(things.get()),
    }


def _threads(number: int, environment: Environment) -> Sequence[Way]:
    # As many sessions as threads, so that none waits for another.
    uses, executor = _uses(environment, max(number, SIZE)), environment.threads(number)
    return [Way(name, in_threads(use, BLOCK * min(number, 8), number, executor)) for name, use in uses.items()]


def _sizes(size: int, environment: Environment) -> Sequence[Way]:
    return [Way(name, repeated(use, BLOCK)) for name, use in _uses(environment, size).items()]


def _forms(environment: Environment) -> Sequence[Way]:
    uses = _uses(environment, SIZE)
    pool = open_pool(environment, SIZE)
    client = environment.enter_context(
        SessionsClient(options=ClientOptions(endpoint=environment.local(), plaintext=True))
    )
    multiplexed = environment.enter_context(MultiplexedSession(client, DATABASE))

    def with_block() -> None:
        with pool.session():
            pass

    uses |= {WITH: with_block, NAME: lambda: multiplexed.name}
    return [Way(name, repeated(use, BLOCK)) for name, use in uses.items()]


def _tasks(number: int, environment: Environment) -> Sequence[Way]:
    pool = open_async_pool(environment, number)
    things: Any = environment.wait_for(_filled(number))

    async def lease() -> None:
        await pool.release(await pool.acquire())

    async def queued() -> None:
        things.put_nowait(await things.get())

    ways: dict[str, Callable[[], Awaitable[object]]] = {ASYNC_QUEUE: queued, OURS: lease}
    return [Way(name, in_tasks(use, ASYNC_BLOCK, number, environment)) for name, use in ways.items()]


async def _filled(number: int) -> Any:
    things: asyncio.LifoQueue[int] = asyncio.LifoQueue()
    for thing in range(number):
        things.put_nowait(thing)
    return things


def _case(name: str, title: str, setup: Callable[[Environment], Sequence[Way]], plot: str, at: int) -> Case:
    shows = (
        "Nothing is done with the session. A LifoQueue is the standard library's pool: it checks no age, and a thing "
        "may be put back twice."
    )
    baseline = ASYNC_QUEUE if plot == "pool-tasks" else GOOGLE
    targets = (Target(f"{title}: times as fast as FixedSizePool", GOOGLE, OURS, least=10, goal=True),)
    return Case(
        name, "pool", title, shows, setup, baseline, seconds=2.5, rounds=10, unit="lease", plot=plot, at=at,
        targets=targets * (plot == "pool-threads" and at in {1, 8}),
    )  # fmt: skip


CASES: Final = (
    *(
        _case(f"pool-threads-{n}", f"acquire and release, threads: {n}", partial(_threads, n), "pool-threads", n)
        for n in THREADS
    ),
    *(
        _case(f"pool-tasks-{n}", f"acquire and release in asyncio, tasks: {n}", partial(_tasks, n), "pool-tasks", n)
        for n in TASKS
    ),
    *(
        _case(f"pool-size-{n}", f"acquire and release, sessions in the pool: {n:,}", partial(_sizes, n), "pool-size", n)
        for n in SIZES
    ),
    Case(
        "pool-forms", "pool", "The forms of use, one thread",
        "The name of a multiplexed session is read before each request of its users.",
        _forms, GOOGLE, seconds=4, unit="lease", targets=(
            Target("with pool.session(): times as fast as FixedSizePool", GOOGLE, WITH, least=4),
            Target("reading the multiplexed session's name: times as fast as FixedSizePool", GOOGLE, NAME, least=15),
        ),
    ),
)  # fmt: skip
