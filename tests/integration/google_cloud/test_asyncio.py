"""google-cloud-spanner's asyncio form on ours: the same transactions, and what differs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    InvalidType,
    InvalidValue,
    PoolError,
    PoolOptions,
    google_cloud,
)
from tests.support.google_cloud import instance_of
from tests.support.servers import arrived
from tests.support.waiting import until_async

if TYPE_CHECKING:
    from spanner_grpc_sessions.local import LocalSpanner
    from spanner_grpc_sessions.testing import Emulator

google_exceptions = pytest.importorskip(
    "google.api_core.exceptions", reason="google-cloud-spanner, which brings google-api-core, is not installed"
)
DATABASE = "projects/p/instances/i/databases/db"
_Test = Callable[[Any, Any, AsyncSessionPool], Awaitable[None]]


async def database_of(name: str, adapter: Any, **others: Any) -> Any:
    """Return a Database in google-cloud-spanner's asyncio form."""
    from google.cloud.spanner_v1 import AsyncClient

    _, project, _, instance, _, database = name.split("/")
    client: Any = AsyncClient(project=project, credentials=AnonymousCredentials())
    return await client.instance(instance).database(database, pool=adapter, **others)


def run(name: str, test: _Test, source: str = "pool", calls: str = "own channel") -> None:
    """Run a coroutine function with a Database, its adapter and the pool; at the end no session is leased."""

    async def main() -> None:
        async with AsyncSessionsClient() as client, contextlib.AsyncExitStack() as stack:
            options = PoolOptions(max_size=2, labels={"team": "checkout"})
            pool = await stack.enter_async_context(AsyncSessionPool(client, name, options=options))
            adapter: Any = google_cloud.AsyncSessionPool(pool)
            if source == "multiplexed":
                shared = await stack.enter_async_context(AsyncMultiplexedSession(client, name))
                adapter = google_cloud.AsyncMultiplexedSession(shared)
            database = await database_of(name, adapter)
            if calls == "our channel":
                google_cloud.use(database, client)
            await test(database, adapter, pool)
            await database.close()
            assert pool.stats().leased == 0

    asyncio.run(main())


async def rows_of(database: Any, sql: str) -> list[Any]:
    """Return the rows of a query on a snapshot."""
    async with database.snapshot() as snapshot:
        return [row async for row in await snapshot.execute_sql(sql)]


def test_transactions_work(
    emulator: Emulator, singers: str, source: str, calls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read-write ones, snapshots, batches and partitioned DML; failures are Google's."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)

    async def insert(transaction: Any) -> Any:
        return await transaction.execute_update("INSERT INTO Singers (SingerId, Name) VALUES (1, 'Ada')")

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        assert await database.run_in_transaction(insert) == 1
        async with database.batch() as batch:
            batch.insert("Singers", ("SingerId", "Name"), [[2, "Bob"]])
        with pytest.raises(google_exceptions.AlreadyExists):
            await database.run_in_transaction(insert)
        assert await rows_of(database, "SELECT Name FROM Singers ORDER BY SingerId") == [["Ada"], ["Bob"]]
        with pytest.raises(google_exceptions.InvalidArgument):
            await rows_of(database, "SELECT nonsense")
        assert await database.execute_partitioned_dml("DELETE FROM Singers WHERE true") == 2

    run(singers, test, source, calls)


def test_a_lost_session_is_replaced(plain: LocalSpanner, calls: str) -> None:
    """Whether a snapshot finds it, or a transaction while the exception leaves it."""

    async def work(transaction: Any) -> Any:
        return [row async for row in await transaction.execute_sql("SELECT 1")]

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        for meet in (lambda: rows_of(database, "SELECT 1"), lambda: database.run_in_transaction(work)):
            assert await rows_of(database, "SELECT 1") == [[1]]
            for name in list(pool._runner.core.sessions):
                plain.forget(name)
            with pytest.raises(google_exceptions.NotFound, match="Session not found"):
                await meet()
            assert await rows_of(database, "SELECT 1") == [[1]]

    run(DATABASE, test, calls=calls)


def test_the_multiplexed_session_is_replaced(plain: LocalSpanner, calls: str) -> None:
    """A loss that leaves a transaction has another one created."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        session = await adapter.get()
        assert session.is_multiplexed
        plain.forget(session.name)
        with pytest.raises(google_exceptions.NotFound):
            await rows_of(database, "SELECT 1")
        await until_async(lambda: adapter._session.name != session.name)
        assert await rows_of(database, "SELECT 1") == [[1]]

    run(DATABASE, test, "multiplexed", calls)


def test_sessions_come_and_go(plain: LocalSpanner) -> None:
    """One that is dropped costs no slot; one that is put back twice, or is another's, is refused."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        first, second = await adapter.get(), await adapter.get()
        dropped = first.name
        del first
        gc.collect()
        third = await adapter.get()
        assert third.name not in {dropped, second.name}
        assert third.labels == {"team": "checkout"}
        await adapter.put(third)
        with pytest.raises(PoolError, match="released before"):
            await adapter.put(third)
        with pytest.raises(PoolError, match="not a session of this pool"):
            await adapter.put(object())
        await second.delete()
        await until_async(lambda: second.name not in {found["name"] for found in plain.sessions})
        await adapter.put(second)
        await adapter.clear()
        assert await rows_of(database, "SELECT 1") == [[1]]

    run(DATABASE, test)


def test_a_session_is_asked_for_on_the_server(plain: LocalSpanner) -> None:
    """One that is found missing leaves the pool; another takes its place; what was never created has none to delete."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        session = await adapter.get()
        assert await session.exists()
        plain.forget(session.name)
        assert not await session.exists()
        assert not await session.exists()
        await session.delete()
        await adapter.put(session)
        replacement = adapter._new_session()
        with pytest.raises(ValueError, match="not set"):
            await replacement.delete()
        await replacement.create()
        assert replacement.name != session.name
        with pytest.raises(ValueError, match="already set"):
            await replacement.create()
        await adapter.put(replacement)
        assert pool.stats().lost == 1

    run(DATABASE, test)


def test_the_multiplexed_session_is_asked_for_on_the_server(plain: LocalSpanner) -> None:
    """If it is missing, it is replaced; what pools of sessions are told to do, is done without a call."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        session = await adapter.get()
        await session.create()
        await adapter.put(session)
        await adapter.clear()
        created = arrived(plain, "CreateSession")
        assert await session.exists()
        assert await rows_of(database, "SELECT 1") == [[1]]
        assert arrived(plain, "CreateSession") == created
        plain.forget(session.name)
        assert not await session.exists()
        await until_async(lambda: adapter._session.name != session.name)
        assert await adapter._new_session().exists()

    run(DATABASE, test, "multiplexed")


def test_a_pool_without_a_database_says_so(plain: LocalSpanner) -> None:
    """`Database(…)` alone does not bind it; a pool without sessions has none to clear."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        other = google_cloud.AsyncSessionPool(pool)
        with pytest.raises(PoolError, match="not bound to a Database"):
            await other.get()
        await other.clear()
        assert repr(other) == f"<AsyncSessionPool {pool!r}>"
        plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", message="not you")
        with pytest.raises(google_exceptions.PermissionDenied, match="not you"):
            await adapter.get()

    run(DATABASE, test)


def test_it_refuses_what_is_not_its_own(plain: LocalSpanner) -> None:
    """Another database, another role, and what is of the sync form."""

    async def test(database: Any, adapter: Any, pool: AsyncSessionPool) -> None:
        with pytest.raises(InvalidValue, match=r"those of .*/db, and .*/other"):
            await database_of("projects/p/instances/i/databases/other", adapter)
        with pytest.raises(InvalidValue, match=r"database_role 'reader', .* creator_role None"):
            await database_of(DATABASE, adapter, database_role="reader")
        with pytest.raises(InvalidType, match="database must be a Database"):
            instance_of(DATABASE).database("db", pool=adapter)
        with pytest.raises(InvalidType, match="pool must be a SessionPool, got AsyncSessionPool"):
            google_cloud.SessionPool(pool)  # type: ignore[arg-type]

    run(DATABASE, test)
