"""What google-cloud-spanner costs on our pool and channel, beside its own: a query, a transaction, a session.

The calls go over TLS, with tokens, to the server with a fixed answer; all ways are timed in short blocks whose order is
drawn for each round, in one process. Google's own way is a `Database` as it comes, on a channel that it opened itself,
with a multiplexed session; a second one has its BurstyPool, which asks the server about each session that it hands out.
A query is a snapshot with one `execute_sql`; a transaction is `run_in_transaction` with one, and its Commit. The
sessions of our pool, and those of the three pools that are timed alone, come from a LocalSpanner in a process of its
own. Built-in metrics of google-cloud-spanner are off, which is to its advantage.

    python benchmarks/google_cloud.py [--rounds N] [--check]
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import spanner
from google.cloud.spanner_v1.pool import BurstyPool, FixedSizePool
from google.cloud.spanner_v1.session import Session
from grpc.experimental import ChannelOptions
from spanner_grpc_sessions_pb import result_set_pb2, type_pb2

from benchmarks.call import Table, measure_calls, report
from benchmarks.pool import local_server
from benchmarks.targets import Target, run
from benchmarks.ways import Server, Way, fixed_server
from spanner_grpc_sessions import ClientOptions, MultiplexedSession, PoolOptions, SessionPool, SessionsClient
from spanner_grpc_sessions.google_cloud import MultiplexedSession as SharedSession, SessionPool as LeasedSessions, use

GOOGLE: Final = "google-cloud-spanner as it comes"
BURSTY: Final = "google-cloud-spanner with its BurstyPool"
SHARED: Final = "use(), our multiplexed session"
LEASED: Final = "use(), our pool"
AGAIN: Final = "use(), our pool, again (noise)"
THREADLESS: Final = "use(), our pool, SingleThreadedUnaryStream"
_OPTION: Final = ChannelOptions.SingleThreadedUnaryStream
SIZE: Final = 10
BLOCK: Final = 500
BURSTY_BLOCK: Final = 20


def answer() -> bytes:
    """Return one row and a new transaction, as bytes of a PartialResultSet; a CommitResponse passes over them."""
    rows = result_set_pb2.PartialResultSet(last=True)
    rows.metadata.row_type.fields.add(name="n").type.code = type_pb2.INT64
    rows.metadata.transaction.id = b"transaction"
    rows.values.add(string_value="1")
    return rows.SerializeToString()


def databases(server: Server, sessions: str, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Return a Database for each way of calling the fixed server; `sessions` is the server that creates ours."""
    # What Google's channel trusts, which takes no certificate from a program. gRPC reads it once.
    roots = Path(stack.enter_context(tempfile.TemporaryDirectory()), "root.pem")
    roots.write_bytes(server.root)
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(roots)
    google: Any = spanner.Client(
        project="p", credentials=server.credentials(), client_options={"api_endpoint": server.address}
    )
    instance = google.instance("i")
    client = stack.enter_context(SessionsClient(server.credentials(), options=server.options))
    threadless = dataclasses.replace(server.options, channel_options=((_OPTION, 1),))
    without_threads = stack.enter_context(SessionsClient(server.credentials(), options=threadless))
    creating = stack.enter_context(SessionsClient(options=ClientOptions(endpoint=sessions, plaintext=True)))
    name = f"{instance.name}/databases/d"
    pool = stack.enter_context(SessionPool(creating, name, options=PoolOptions(min_size=SIZE)))
    shared = stack.enter_context(MultiplexedSession(creating, name))
    return {
        GOOGLE: with_multiplexed_session(instance.database("d")),
        BURSTY: with_pool(instance.database("d", pool=BurstyPool())),
        SHARED: use(instance.database("d", pool=SharedSession(shared)), client),
        LEASED: use(instance.database("d", pool=LeasedSessions(pool)), client),
        AGAIN: use(instance.database("d", pool=LeasedSessions(pool)), client),
        THREADLESS: use(instance.database("d", pool=LeasedSessions(pool)), without_threads),
    }


def with_multiplexed_session(database: Any) -> Any:
    """Give a Database its multiplexed session: the fixed server cannot create it."""
    database.sessions_manager._multiplexed_session = session_of(database, is_multiplexed=True)  # noqa: SLF001
    return database


def with_pool(database: Any) -> Any:
    """Have a Database take a session of its pool, as the environment would for all."""
    database.sessions_manager._use_multiplexed = lambda *_, **__: False  # noqa: SLF001
    database._pool.put(session_of(database))  # noqa: SLF001
    return database


def session_of(database: Any, **options: Any) -> Any:
    """Return a session of a Database that was created elsewhere."""
    session: Any = Session(database, **options)
    session._session_id = "s"  # noqa: SLF001
    return session


def query(database: Any) -> Callable[[], object]:
    """Return a snapshot with one query."""

    def run() -> None:
        with database.snapshot() as snapshot:
            list(snapshot.execute_sql("SELECT 1"))

    return run


def transaction(database: Any) -> Callable[[], object]:
    """Return a transaction with one query."""
    return lambda: database.run_in_transaction(lambda begun: list(begun.execute_sql("SELECT 1")))


def measure_ways(made: dict[str, Any], rounds: int, title: str, call: Callable[[Any], Callable[[], object]]) -> Any:
    """Time a kind of call on each Database, and print it; return the ways by name."""
    ways = {name: Way(name, call(database)) for name, database in made.items()}
    measure_calls(list(ways.values()), rounds)
    report(Table(title, list(ways.values())), GOOGLE)
    return ways


def measure_pools(endpoint: str, stack: contextlib.ExitStack, rounds: int) -> dict[str, float]:
    """Return the median seconds of `get` and `put`, by pool."""
    os.environ["SPANNER_EMULATOR_HOST"] = endpoint
    instance: Any = spanner.Client(project="p", credentials=AnonymousCredentials()).instance("i")
    del os.environ["SPANNER_EMULATOR_HOST"]
    client = stack.enter_context(SessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)))
    ours = stack.enter_context(SessionPool(client, f"{instance.name}/databases/d", options=PoolOptions(min_size=SIZE)))
    pools: dict[str, Any] = {"BurstyPool": BurstyPool(), "FixedSizePool": FixedSizePool(), "ours": LeasedSessions(ours)}
    for pool in pools.values():
        instance.database("d", pool=pool)
        pool.put(pool.get())
    seconds: dict[str, list[float]] = {name: [] for name in pools}
    for _ in range(rounds):
        for name in random.sample(list(pools), len(pools)):
            pool, block = pools[name], BURSTY_BLOCK if name == "BurstyPool" else BLOCK
            start = time.perf_counter()
            for _ in range(block):
                pool.put(pool.get())
            seconds[name].append((time.perf_counter() - start) / block)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure(rounds: int) -> list[Target]:
    """Measure, print the times, and return the ratios with what the project promises of them."""
    os.environ["SPANNER_DISABLE_BUILTIN_METRICS"] = "true"
    with contextlib.ExitStack() as stack:
        sessions = stack.enter_context(local_server())
        server = stack.enter_context(fixed_server(answer()))
        made = databases(server, sessions, stack)
        queries = measure_ways(made, rounds, "execute_sql in a snapshot", query)
        transactions = measure_ways(made, rounds, "run_in_transaction: a query and a Commit", transaction)
        pools = measure_pools(sessions, stack, rounds)
    print("\nget and put")
    for name, seconds in pools.items():
        print(f"{name:20}{seconds * 1e6:10.2f} µs")
    return [
        Target("execute_sql: times as fast as Google's own", faster(queries), least=1.3),
        Target("execute_sql: Google's own CPU over ours", less_cpu(queries), least=1.2),
        Target("run_in_transaction: times as fast as Google's own", faster(transactions), least=1.3),
        Target("run_in_transaction: Google's own CPU over ours", less_cpu(transactions), least=1.2),
        Target("get and put: times as fast as BurstyPool", pools["BurstyPool"] / pools["ours"], least=50),
        Target("get and put: times as fast as FixedSizePool", pools["FixedSizePool"] / pools["ours"], least=1),
    ]


def faster(ways: dict[str, Way]) -> float:
    """Return how many times as fast as Google's own ours is, as docs/google-cloud-spanner.md has it."""
    return ways[GOOGLE].median / ways[THREADLESS].median


def less_cpu(ways: dict[str, Way]) -> float:
    """Return how many times as much CPU Google's own takes."""
    return ways[GOOGLE].median_cpu / ways[THREADLESS].median_cpu


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, rounds=100, of="blocks of 20 calls for each way"))
