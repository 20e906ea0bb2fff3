"""One to ten thousand sessions created: batch by batch on the bare stub, and by opening a pool."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import grpc
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from benchmarks.case import Block, Case, Target, Way, clocked
from benchmarks.environment import Environment
from benchmarks.servers import DATABASE
from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientOptions,
    PoolOptions,
    SessionPool,
    SessionsClient,
)

__all__ = ["CASES"]

BARE: Final = "bare stub, batches one by one"
OURS: Final = "this library, opening a pool"
OURS_ASYNC: Final = "this library, opening a pool in asyncio"
FIXED_SIZE: Final = "google-cloud-spanner, FixedSizePool"
BATCH: Final = 100
_FRESH: Final = "import sys; from benchmarks.cases.sessions import print_fresh; print_fresh(*sys.argv[1:])"
_COUNTS: Final = (1, 10, 100, 1000, 10_000)


def _bare(endpoint: str, count: int, environment: Environment) -> Callable[[], Block]:
    stub = spanner_pb2_grpc.SpannerStub(environment.enter_context(grpc.insecure_channel(endpoint)))
    sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
    requests = [spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_count=size) for size in sizes]

    def create() -> None:
        for request in requests:
            stub.BatchCreateSessions(request)

    return partial(clocked, create, 1)


def _our_pool(endpoint: str, count: int, environment: Environment) -> Callable[[], Block]:
    client = environment.enter_context(SessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)))

    def run() -> Block:
        pool = SessionPool(client, DATABASE, options=_options(count))
        block = clocked(pool.open, 1)
        pool.close()
        return block

    return run


def _our_async_pool(endpoint: str, count: int, environment: Environment) -> Callable[[], Block]:
    client = environment.enter_async(AsyncSessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)))

    def run() -> Block:
        pool = AsyncSessionPool(client, DATABASE, options=_options(count))
        block = clocked(lambda: environment.wait_for(pool.open()), 1)
        environment.wait_for(pool.close())
        return block

    return run


def _fixed_size_pool(endpoint: str, count: int) -> Callable[[], Block]:
    from google.cloud.spanner_v1.pool import FixedSizePool

    from benchmarks.cases.google import google_pool

    database = google_pool(endpoint, FixedSizePool(size=1))._database  # noqa: SLF001 - there is no other way to it
    return lambda: clocked(lambda: FixedSizePool(size=count).bind(database), 1)


def _options(count: int) -> PoolOptions:
    return PoolOptions(min_size=count, max_size=count, delete_on_close=False)


def _ways(count: int, environment: Environment) -> Sequence[Way]:
    endpoint = environment.local()
    return [
        Way(BARE, _bare(endpoint, count, environment)),
        Way(OURS, _our_pool(endpoint, count, environment)),
        Way(OURS_ASYNC, _our_async_pool(endpoint, count, environment)),
        Way(FIXED_SIZE, _fixed_size_pool(endpoint, count)),
    ]


def _case(count: int) -> Case:
    targets = (
        Target("1,000 sessions: opening a pool over ten bare batches", OURS, BARE, most=1.3, goal=True),
        Target("1,000 sessions: opening a pool in asyncio over ten bare batches", OURS_ASYNC, BARE, most=1.3),
    )
    return Case(
        f"sessions-{count}", "sessions", f"sessions created: {count:,}",
        "The server is a LocalSpanner in Python on the same machine: it takes most of the time, and batches side by "
        "side gain nothing. Spanner itself takes milliseconds for a batch.",
        partial(_ways, count), BARE, seconds=3 if count < 10_000 else 6, unit="start",
        targets=targets * (count == 1000), plot="sessions", at=count,
    )  # fmt: skip


def _fresh_ways(environment: Environment) -> Sequence[Way]:
    """Return both ways in processes that have just started: what the first use of a pool meets."""
    endpoint = environment.local()

    def way(name: str) -> Way:
        command = [sys.executable, "-c", _FRESH, endpoint, name]

        def run() -> Block:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds, cpu = map(float, done.stdout.split())
            return Block([seconds], 1, cpu)

        return Way(name, run)

    return [way(BARE), way(OURS)]


def print_fresh(endpoint: str, name: str) -> None:
    """Print what one way of creating 1,000 sessions takes in this process, after a first session."""
    with Environment() as environment:
        make = _bare if name == BARE else _our_pool
        make(endpoint, 1, environment)()
        block = make(endpoint, 1000, environment)()
    print(block.seconds[0], block.cpu)


CASES: Final = (
    *map(_case, _COUNTS),
    Case(
        "sessions-fresh", "sessions", "1,000 sessions created by a process that has just started",
        "Each block is a process of its own, which has created one session before. What a process pays for its "
        "start is not in it.",
        _fresh_ways, BARE, seconds=8, rounds=6, unit="start", targets=(
            Target("1,000 sessions in a fresh process: a pool over ten bare batches", OURS, BARE, most=1.5),
        ),
    ),
)  # fmt: skip
