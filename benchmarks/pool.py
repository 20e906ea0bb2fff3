"""What a session costs that a pool has ready, beside google-cloud-spanner's FixedSizePool; and what filling one takes.

The pools are used in blocks whose order is drawn for each round, in one process; the ratios count, not the times. The
server is a LocalSpanner in a process of its own. A pool of 1,000 sessions is opened in turn with ten calls of
BatchCreateSessions for 100 each, one after the other, through the bare stub. Beside them: the name of the multiplexed
session, which is read before each request.

    python benchmarks/pool.py [--rounds N] [--check]
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from benchmarks.targets import Target, run
from spanner_grpc_sessions import ClientOptions, MultiplexedSession, PoolOptions, SessionPool, SessionsClient

BLOCK: Final = 2000
DATABASE: Final = "projects/p/instances/i/databases/d"
SIZE: Final = 10
MANY: Final = 1000
THREADS: Final = 8
PROCESSES: Final = 10
_SERVER: Final = """
import sys
from spanner_grpc_sessions.local import LocalSpanner
with LocalSpanner(tls=False) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""

_OPEN: Final = "import sys; from benchmarks.pool import print_opening; print_opening(sys.argv[1])"

Block = Callable[[], object]


@contextlib.contextmanager
def local_server() -> Iterator[str]:
    """Start the server; give its address."""
    program = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        yield process.stdout.readline().strip()


def google_pool(endpoint: str) -> Any:
    """Return a FixedSizePool with sessions of the server."""
    from google.cloud import spanner
    from google.cloud.spanner_v1.pool import FixedSizePool

    os.environ["SPANNER_EMULATOR_HOST"] = endpoint
    os.environ["SPANNER_DISABLE_BUILTIN_METRICS"] = "true"
    pool = FixedSizePool(size=SIZE)
    client: Any = spanner.Client(project="p", credentials=AnonymousCredentials())
    client.instance("i").database("d", pool=pool)
    return pool


def blocks(
    pool: SessionPool, multiplexed: MultiplexedSession, google: Any, threads: ThreadPoolExecutor
) -> dict[str, Block]:
    """Return what is timed: so many times a session is taken and given back, or a name is read."""

    def release_acquire() -> None:
        for _ in range(BLOCK):
            pool.release(pool.acquire())

    def with_block() -> None:
        for _ in range(BLOCK):
            with pool.session():
                pass

    def get_put() -> None:
        for _ in range(BLOCK):
            google.put(google.get())

    def read_name() -> None:
        for _ in range(BLOCK):
            _ = multiplexed.name

    def in_threads(block: Block) -> Block:
        return lambda: [thread.result() for thread in [threads.submit(block) for _ in range(THREADS)]]

    return {
        "acquire": release_acquire,
        "with": with_block,
        "name": read_name,
        "google": get_put,
        "acquire, 8 threads": in_threads(release_acquire),
        "google, 8 threads": in_threads(get_put),
    }


def measure_use(ways: dict[str, Block], rounds: int) -> dict[str, float]:
    """Return the median seconds of one use, by way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            start = time.perf_counter()
            ways[name]()
            seconds[name].append((time.perf_counter() - start) / (BLOCK * (THREADS if "threads" in name else 1)))
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure_opening(client: SessionsClient, stub: Any, rounds: int) -> tuple[float, float]:
    """Return the median seconds of opening a pool of 1,000, and of ten raw calls for as many."""
    request = spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_count=100)
    opening, raw = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(MANY // 100):
            stub.BatchCreateSessions(request)
        raw.append(time.perf_counter() - start)
        options = PoolOptions(min_size=MANY, max_size=MANY, delete_on_close=False)
        pool = SessionPool(client, DATABASE, options=options)
        start = time.perf_counter()
        pool.open()
        opening.append(time.perf_counter() - start)
        pool.close()
    return statistics.median(opening), statistics.median(raw)


def print_opening(endpoint: str) -> None:
    """Print what opening a pool takes in this process, in times of raw calls."""
    options = ClientOptions(endpoint=endpoint, plaintext=True)
    with SessionsClient(options=options) as client, grpc.insecure_channel(endpoint) as channel:
        opening, raw = measure_opening(client, spanner_pb2_grpc.SpannerStub(channel), 5)
    print(opening / raw)


def openings(endpoint: str) -> list[float]:
    """Return what opening a pool takes in each of several fresh processes, in times of raw calls."""
    program = [sys.executable, "-c", _OPEN, endpoint]
    return [
        float(subprocess.run(program, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(PROCESSES)
    ]


def measure(rounds: int) -> list[Target]:
    """Measure, print the times, and return the ratios with what the project promises of them."""
    with contextlib.ExitStack() as stack:
        endpoint = stack.enter_context(local_server())
        client = stack.enter_context(SessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)))
        channel = stack.enter_context(grpc.insecure_channel(endpoint))
        # First, for Google's client starts threads that disturb all others.
        opening, raw = measure_opening(client, spanner_pb2_grpc.SpannerStub(channel), max(rounds // 5, 5))
        in_processes = openings(endpoint)
        pool = stack.enter_context(SessionPool(client, DATABASE, options=PoolOptions(min_size=SIZE)))
        multiplexed = stack.enter_context(MultiplexedSession(client, DATABASE))
        threads = stack.enter_context(ThreadPoolExecutor(THREADS))
        used = measure_use(blocks(pool, multiplexed, google_pool(endpoint), threads), rounds)
    for name, seconds in used.items():
        print(f"{name:20}{seconds * 1e6:8.2f} µs")
    print(f"{MANY} sessions: pool {opening * 1e3:.1f} ms, ten raw calls {raw * 1e3:.1f} ms")
    print("in fresh processes:", *(f"{ratio:.2f}" for ratio in in_processes))
    threaded = used["google, 8 threads"] / used["acquire, 8 threads"]
    return [
        Target("acquire and release: times as fast as FixedSizePool", used["google"] / used["acquire"], least=10),
        Target("the same in 8 threads", threaded, least=10),
        Target("with session(): times as fast as FixedSizePool", used["google"] / used["with"], least=4),
        Target("reading the multiplexed session's name, µs", used["name"] * 1e6, most=0.2),
        Target("opening a pool of 1,000 over ten raw batches", opening / raw, most=1.5),
        Target("the same in the slowest of ten processes", max(in_processes), most=1.5, aim="(aim 1.20)"),
    ]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, rounds=100, of="blocks of 2,000 uses for each way"))
