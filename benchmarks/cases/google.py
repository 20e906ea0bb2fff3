"""What google-cloud-spanner costs on our pool and channel, beside its own: a query, a transaction, a session."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from spanner_grpc_sessions_pb import result_set_pb2, type_pb2

from benchmarks.case import Case, Target, Way, calls, repeated
from benchmarks.environment import Environment
from benchmarks.servers import Server
from spanner_grpc_sessions import ClientOptions, MultiplexedSession, PoolOptions, SessionPool, SessionsClient

__all__ = ["CASES"]

GOOGLE: Final = "google-cloud-spanner as it comes"
BURSTY: Final = "google-cloud-spanner, BurstyPool"
SHARED: Final = "on this library, multiplexed session"
LEASED: Final = "on this library, pool"
THREADLESS: Final = "on this library, pool, SingleThreadedUnaryStream"
FIXED_SIZE: Final = "FixedSizePool"
OURS: Final = "this library, by google_cloud.SessionPool"
SIZE: Final = 10


def _answer() -> bytes:
    """Return one row and a new transaction, as bytes of a PartialResultSet; a CommitResponse passes over them."""
    rows = result_set_pb2.PartialResultSet(last=True)
    rows.metadata.row_type.fields.add(name="n").type.code = type_pb2.INT64
    rows.metadata.transaction.id = b"transaction"
    rows.values.add(string_value="1")
    return rows.SerializeToString()


def _google_instance(server: Server, environment: Environment) -> Any:
    """Return an instance on a channel that Google's client opens itself."""
    from google.cloud import spanner

    os.environ["SPANNER_DISABLE_BUILTIN_METRICS"] = "true"
    # What Google's channel trusts, which takes no certificate from a program. gRPC reads it once.
    roots = Path(environment.enter_context(tempfile.TemporaryDirectory()), "root.pem")
    roots.write_bytes(server.root)
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(roots)
    google: Any = spanner.Client(
        project="p", credentials=server.credentials(), client_options={"api_endpoint": server.address}
    )
    return google.instance("i")


def _databases(environment: Environment) -> dict[str, Any]:
    """Return a Database for each way of calling a fixed server; a LocalSpanner creates our sessions."""
    from google.cloud.spanner_v1.pool import BurstyPool
    from grpc.experimental import ChannelOptions

    from spanner_grpc_sessions.google_cloud import MultiplexedSession as SharedSession, SessionPool as Leases, use

    server = environment.fixed(_answer())
    instance = _google_instance(server, environment)
    threadless = dataclasses.replace(server.options, channel_options=((ChannelOptions.SingleThreadedUnaryStream, 1),))
    client = environment.enter_context(SessionsClient(server.credentials(), options=server.options))
    without_threads = environment.enter_context(SessionsClient(server.credentials(), options=threadless))
    creating = environment.enter_context(
        SessionsClient(options=ClientOptions(endpoint=environment.local(), plaintext=True))
    )
    name = f"{instance.name}/databases/d"
    pool = environment.enter_context(SessionPool(creating, name, options=PoolOptions(min_size=SIZE)))
    shared = environment.enter_context(MultiplexedSession(creating, name))
    return {
        GOOGLE: _with_multiplexed_session(instance.database("d")),
        BURSTY: _with_pool(instance.database("d", pool=BurstyPool())),
        SHARED: use(instance.database("d", pool=SharedSession(shared)), client),
        LEASED: use(instance.database("d", pool=Leases(pool)), client),
        THREADLESS: use(instance.database("d", pool=Leases(pool)), without_threads),
    }


def _with_multiplexed_session(database: Any) -> Any:
    """Give a Database its multiplexed session: the fixed server cannot create it."""
    database.sessions_manager._multiplexed_session = _session_of(database, is_multiplexed=True)  # noqa: SLF001
    return database


def _with_pool(database: Any) -> Any:
    """Have a Database take a session of its pool, as the environment would for all."""
    database.sessions_manager._use_multiplexed = lambda *_, **__: False  # noqa: SLF001
    database._pool.put(_session_of(database))  # noqa: SLF001
    return database


def _session_of(database: Any, **options: Any) -> Any:
    """Return a session of a Database that was created elsewhere."""
    from google.cloud.spanner_v1.session import Session

    session: Any = Session(database, **options)
    session._session_id = "s"  # noqa: SLF001
    return session


def _query(database: Any) -> Callable[[], object]:
    """Return a snapshot with one query."""

    def run() -> None:
        with database.snapshot() as snapshot:
            list(snapshot.execute_sql("SELECT 1"))

    return run


def _transaction(database: Any) -> Callable[[], object]:
    """Return a transaction with one query."""
    return lambda: database.run_in_transaction(lambda begun: list(begun.execute_sql("SELECT 1")))


def _calls(of: Callable[[Any], Callable[[], object]], environment: Environment) -> Sequence[Way]:
    return [Way(name, calls(of(database))) for name, database in _databases(environment).items()]


def google_pool(endpoint: str, pool: Any) -> Any:
    """Return a pool of Google's client, with sessions of a server in plaintext."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import spanner

    os.environ["SPANNER_DISABLE_BUILTIN_METRICS"] = "true"
    os.environ["SPANNER_EMULATOR_HOST"] = endpoint
    client: Any = spanner.Client(project="p", credentials=AnonymousCredentials())
    client.instance("i").database("d", pool=pool)
    del os.environ["SPANNER_EMULATOR_HOST"]
    return pool


def _pools(environment: Environment) -> Sequence[Way]:
    from google.cloud.spanner_v1.pool import BurstyPool, FixedSizePool

    from spanner_grpc_sessions.google_cloud import SessionPool as Leases

    endpoint = environment.local()
    client = environment.enter_context(SessionsClient(options=ClientOptions(endpoint=endpoint, plaintext=True)))
    name = "projects/p/instances/i/databases/d"
    ours = environment.enter_context(SessionPool(client, name, options=PoolOptions(min_size=SIZE)))
    ways = []
    for title, pool, block in (
        (FIXED_SIZE, FixedSizePool(), 500),
        ("BurstyPool", BurstyPool(), 20),
        (OURS, Leases(ours), 500),
    ):
        made = google_pool(endpoint, pool)
        ways.append(Way(title, repeated(lambda made=made: made.put(made.get()), block)))  # type: ignore[misc] # bound now
    return ways


def _targets(what: str) -> Sequence[Target]:
    return (
        Target(f"{what}: times as fast as google-cloud-spanner's own", GOOGLE, THREADLESS, least=1.3),
        Target(f"{what}: google-cloud-spanner's own CPU over that", GOOGLE, THREADLESS, "cpu", least=1.2),
    )


CASES: Final = (
    Case(
        "google-query", "google", "execute_sql in a snapshot, with google-cloud-spanner",
        "Over TLS, with tokens, against a fixed answer of one row; built-in metrics are off, to Google's advantage. "
        "A query that takes the server milliseconds gains as many microseconds, and a smaller share.",
        partial(_calls, _query), GOOGLE, seconds=10, targets=_targets("execute_sql"),
    ),
    Case(
        "google-transaction", "google", "run_in_transaction with one query and a Commit, with google-cloud-spanner",
        "As above, with a second call.",
        partial(_calls, _transaction), GOOGLE, seconds=10, targets=_targets("run_in_transaction"),
    ),
    Case(
        "google-pools", "google", "get and put of google-cloud-spanner's pools, and of ours in their place",
        "BurstyPool asks the server about each session that it hands out; the others do not.",
        _pools, FIXED_SIZE, seconds=5, unit="lease", targets=(
            Target("get and put: times as fast as BurstyPool", "BurstyPool", OURS, least=50),
            Target("get and put: times as fast as FixedSizePool", FIXED_SIZE, OURS, least=1),
        ),
    ),
)  # fmt: skip
