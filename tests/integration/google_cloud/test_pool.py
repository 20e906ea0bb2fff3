"""Our pool as google-cloud-spanner's: what it is bound to, what comes and goes, and what becomes of lost sessions."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from spanner_grpc_sessions import (
    InvalidType,
    InvalidValue,
    MultiplexedOptions,
    MultiplexedSession,
    PoolClosed,
    PoolError,
    PoolOptions,
    PoolTimeout,
    SessionPool,
    SessionsClient,
    google_cloud,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.google_cloud import instance_of, rows_of
from tests.support.servers import arrived
from tests.support.waiting import WAIT, until

google_exceptions = pytest.importorskip(
    "google.api_core.exceptions", reason="google-cloud-spanner, which brings google-api-core, is not installed"
)

DATABASE = "projects/p/instances/i/databases/db"


@pytest.fixture
def client(plain: LocalSpanner) -> Iterator[SessionsClient]:
    """A client of the server."""
    with SessionsClient() as client:
        yield client


@pytest.fixture
def pool(client: SessionsClient) -> Iterator[SessionPool]:
    """A pool of one session."""
    with SessionPool(client, DATABASE, options=PoolOptions(max_size=1, labels={"team": "checkout"})) as pool:
        yield pool


@pytest.fixture
def adapter(pool: SessionPool) -> Any:
    """That pool, as google-cloud-spanner's."""
    return google_cloud.SessionPool(pool)


@pytest.fixture
def database(adapter: Any) -> Any:
    """A Database on it."""
    return instance_of(DATABASE).database("db", pool=adapter)


def select_1(database: Any) -> None:
    """Run a query in a snapshot."""
    assert rows_of(database, "SELECT 1") == [[1]]


# ---- what it is bound to


def test_it_is_a_session_pool_of_google_cloud_spanner(adapter: Any, database: Any) -> None:
    """With the labels and the role of the options."""
    from google.cloud.spanner_v1 import AbstractSessionPool

    assert isinstance(adapter, AbstractSessionPool)
    assert (adapter.labels, adapter.database_role) == ({"team": "checkout"}, None)
    session = adapter.get()
    assert (session.labels, session.is_multiplexed) == ({"team": "checkout"}, False)
    adapter.put(session)


def test_the_sessions_have_the_labels_and_the_role(client: SessionsClient, plain: LocalSpanner) -> None:
    """The server has them, and google-cloud-spanner is told of them."""
    options = PoolOptions(max_size=1, labels={"team": "checkout"}, creator_role="reader")
    with SessionPool(client, DATABASE, options=options) as pool:
        adapter: Any = google_cloud.SessionPool(pool)
        database = instance_of(DATABASE).database("db", pool=adapter, database_role="reader")
        session = adapter.get()
        (found,) = [found for found in plain.sessions if found["name"] == session.name]
        assert (found["labels"], found["creatorRole"]) == ({"team": "checkout"}, "reader")
        assert (adapter.database_role, session.database_role, database.database_role) == ("reader",) * 3
        adapter.put(session)


def test_it_refuses_a_database_that_is_not_its_own(client: SessionsClient, plain: LocalSpanner) -> None:
    """Another name, another role, or something else: before anything is sent."""
    before = len(plain.calls)
    pool: Any = google_cloud.SessionPool(SessionPool(client, DATABASE, options=PoolOptions(creator_role="reader")))
    with pytest.raises(InvalidValue, match=r"those of projects/p/instances/i/databases/db, and .*/other"):
        instance_of(DATABASE).database("other", pool=pool)
    with pytest.raises(InvalidValue, match=r"database_role 'writer', .* creator_role 'reader'"):
        instance_of(DATABASE).database("db", pool=pool, database_role="writer")
    with pytest.raises(InvalidType, match="database must be a Database, got str"):
        pool.bind(DATABASE)
    without_role: Any = google_cloud.SessionPool(SessionPool(client, DATABASE))
    with pytest.raises(InvalidValue, match=r"database_role 'reader', .* creator_role None"):
        instance_of(DATABASE).database("db", pool=without_role, database_role="reader")
    with pytest.raises(PoolError, match="not bound"):
        without_role.get()
    shared = MultiplexedSession(client, DATABASE, options=MultiplexedOptions(creator_role="reader"))
    with pytest.raises(InvalidValue, match="database_role 'writer'"):
        instance_of(DATABASE).database("db", pool=google_cloud.MultiplexedSession(shared), database_role="writer")
    assert len(plain.calls) == before


def test_it_takes_what_it_is_named_after(client: SessionsClient) -> None:
    """And nothing else."""
    with pytest.raises(InvalidType, match="pool must be a SessionPool, got MultiplexedSession"):
        google_cloud.SessionPool(MultiplexedSession(client, DATABASE))  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="session must be a MultiplexedSession, got SessionPool"):
        google_cloud.MultiplexedSession(SessionPool(client, DATABASE))  # type: ignore[arg-type]


def test_nothing_is_sent_before_the_first_transaction(client: SessionsClient, plain: LocalSpanner) -> None:
    """Neither by making a Database nor by binding it."""
    before, threads = len(plain.calls), threading.active_count()
    pool = SessionPool(client, DATABASE, options=PoolOptions(min_size=3))
    database = instance_of(DATABASE).database("db", pool=google_cloud.SessionPool(pool))
    google_cloud.use(database, client)
    assert (len(plain.calls), threading.active_count()) == (before, threads)


def test_two_databases_may_share_one_pool(adapter: Any, database: Any, client: SessionsClient) -> None:
    """Each makes its own calls: a DB-API connection makes a Database of its own."""
    other = instance_of(DATABASE).database("db", pool=adapter)
    for each in (database, other, database):
        session = each.sessions_manager.get_session(None)
        assert session._database is each
        each.sessions_manager.put_session(session)


# ---- what comes and goes


def test_all_transactions_run_on_its_sessions(pool: SessionPool, database: Any, plain: LocalSpanner) -> None:
    """No multiplexed session of google-cloud-spanner's own is created beside them."""
    created = arrived(plain, "CreateSession")
    for _ in range(3):
        select_1(database)
    assert arrived(plain, "CreateSession") == created
    assert (pool.stats().size, pool.stats().leased) == (1, 0)


def test_get_waits_as_long_as_it_is_told(adapter: Any, database: Any) -> None:
    """And ends with an exception of ours, a TimeoutError."""
    session = adapter.get()
    with pytest.raises(PoolTimeout):
        adapter.get(timeout=0)
    adapter.put(session)
    assert adapter.get(timeout=0).name == session.name


def test_a_session_is_put_back_once(adapter: Any, pool: SessionPool, database: Any) -> None:
    """The second time may take it away from another caller: it raises, and changes nothing."""
    from google.cloud.spanner_v1.session import Session

    session = adapter.get()
    adapter.put(session)
    again = adapter.get()
    with pytest.raises(PoolError, match="released before"):
        adapter.put(session)
    with pytest.raises(PoolError, match="not a session of this pool"):
        adapter.put(Session(database))
    assert pool.stats().leased == 1
    adapter.put(again)


def test_session_is_a_context_manager(adapter: Any, pool: SessionPool, database: Any) -> None:
    """Deprecated by google-cloud-spanner, and there all the same."""
    with pytest.warns(DeprecationWarning, match="checked out"):
        checkout = adapter.session(timeout=1)
    with checkout as session:
        session.ping()
        assert pool.stats().leased == 1
    assert pool.stats().leased == 0


def test_clear_deletes_idle_sessions_and_leaves_the_pool_open(
    adapter: Any, pool: SessionPool, database: Any, plain: LocalSpanner
) -> None:
    """As BurstyPool does."""
    select_1(database)
    (name,) = pool._runner.core.sessions
    adapter.clear()
    until(lambda: name not in {session["name"] for session in plain.sessions})
    select_1(database)


def test_clear_opens_no_pool(client: SessionsClient, plain: LocalSpanner) -> None:
    """One that has not been used yet has no session to delete."""
    created = arrived(plain, "BatchCreateSessions")
    with SessionPool(client, DATABASE, options=PoolOptions(min_size=1)) as unused:
        unopened = SessionPool(client, DATABASE, options=PoolOptions(min_size=1))
        google_cloud.SessionPool(unopened).clear()
        until(lambda: unused.stats().size)
        assert not unopened._runner.started
    unopened.close()
    assert arrived(plain, "BatchCreateSessions") == created + 1


def test_a_closed_pool_says_so(pool: SessionPool, adapter: Any, database: Any) -> None:
    """It is the user's: closing the Database leaves it open."""
    database.close()
    select_1(database)
    pool.close()
    with pytest.raises(PoolClosed):
        select_1(database)


def test_a_refused_creation_is_googles_exception(client: SessionsClient, plain: LocalSpanner) -> None:
    """Callers of google-cloud-spanner catch those."""
    pool = SessionPool(client, DATABASE)
    database = instance_of(DATABASE).database("db", pool=google_cloud.SessionPool(pool))
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", message="not you", times=1)
    with pytest.raises(google_exceptions.PermissionDenied, match="not you"):
        select_1(database)
    select_1(database)
    pool.close()


# ---- what becomes of lost sessions


def test_a_session_that_a_snapshot_finds_lost_is_replaced(
    pool: SessionPool, database: Any, plain: LocalSpanner
) -> None:
    """At once, though the pool has room for one alone: the lost one has left it."""
    select_1(database)
    forget_all(pool, plain)
    with pytest.raises(google_exceptions.NotFound, match="Session not found"):
        select_1(database)
    select_1(database)
    assert (pool.stats().lost, pool.stats().size, pool.stats().leased) == (1, 1, 0)


def test_a_session_that_a_transaction_finds_lost_is_replaced(
    pool: SessionPool, database: Any, plain: LocalSpanner
) -> None:
    """google-cloud-spanner puts it back while the exception leaves; its own pools would hand it out again."""
    select_1(database)
    forget_all(pool, plain)
    with pytest.raises(google_exceptions.NotFound):
        database.run_in_transaction(lambda transaction: list(transaction.execute_sql("SELECT 1")))
    select_1(database)
    assert (pool.stats().lost, pool.stats().leased) == (1, 0)


def test_another_exception_says_nothing_of_the_session(
    pool: SessionPool, adapter: Any, database: Any, plain: LocalSpanner
) -> None:
    """One that is being handled may be of another session, or of none."""
    select_1(database)
    (name,) = pool._runner.core.sessions
    session = adapter.get()
    plain.faults.add("Commit", status="UNIMPLEMENTED")
    try:
        session.batch().commit()
    except google_exceptions.MethodNotImplemented:
        adapter.put(session)
    session = adapter.get()
    plain.faults.add("GetSession", status="NOT_FOUND", message="Database not found", times=1)
    with contextlib.suppress(google_exceptions.NotFound):
        try:
            database.spanner_api.get_session(name=session.name)
        finally:
            adapter.put(session)
    select_1(database)
    assert list(pool._runner.core.sessions) == [name]


def test_a_loss_that_is_swallowed_is_known_from_the_call(
    pool: SessionPool, database: Any, client: SessionsClient, plain: LocalSpanner
) -> None:
    """On our channel each call tells the pool."""
    google_cloud.use(database, client)
    select_1(database)
    forget_all(pool, plain)
    with database.snapshot() as snapshot, pytest.raises(google_exceptions.NotFound):
        list(snapshot.execute_sql("SELECT 1"))
    assert pool.stats().lost == 1
    select_1(database)


def test_a_session_that_is_found_missing_leaves_the_pool(adapter: Any, database: Any, pool: SessionPool) -> None:
    """`exists` asks the server; putting such a session back is not an error."""
    session = adapter.get()
    assert session.exists()
    pool._client.delete_session(session.name)
    assert not session.exists()
    adapter.put(session)
    replacement = adapter._new_session()
    replacement.create()
    assert replacement.name != session.name
    with pytest.raises(ValueError, match="already set"):
        replacement.create()
    adapter.put(replacement)
    assert (pool.stats().size, pool.stats().leased) == (1, 0)


def test_a_deleted_session_leaves_the_pool(adapter: Any, database: Any, pool: SessionPool, plain: LocalSpanner) -> None:
    """It is deleted on the server, once, and another one takes its place."""
    session = adapter.get()
    session.delete()
    session.delete()
    until(lambda: session.name not in {found["name"] for found in plain.sessions})
    assert adapter.get(timeout=WAIT).name != session.name
    with pytest.raises(ValueError, match="not set"):
        adapter._new_session().delete()


def test_a_session_that_is_dropped_costs_no_slot(
    adapter: Any, database: Any, pool: SessionPool, plain: LocalSpanner
) -> None:
    """The pool replaces it, but does not delete it: a BatchSnapshot may have told others its name."""
    deleted = arrived(plain, "DeleteSession")
    session = adapter.get()
    name = session.name
    del session
    gc.collect()
    fresh = adapter.get(timeout=WAIT)
    assert (pool.stats().leased, pool.stats().lost) == (1, 0)
    assert name != fresh.name
    assert name in {found["name"] for found in plain.sessions}
    assert arrived(plain, "DeleteSession") == deleted
    adapter.put(fresh)


# ---- the multiplexed session


def test_the_multiplexed_session_is_shared_and_replaced(client: SessionsClient, plain: LocalSpanner) -> None:
    """Every transaction has the one session; a loss that leaves a transaction has it replaced."""
    with MultiplexedSession(client, DATABASE) as shared:
        adapter: Any = google_cloud.MultiplexedSession(shared)
        database = instance_of(DATABASE).database("db", pool=adapter)
        first, second = adapter.get(), adapter.get()
        assert first.name == second.name == shared.name
        assert first.is_multiplexed
        adapter.put(first)
        adapter.clear()
        first.delete()
        select_1(database)
        plain.forget(first.name)
        with pytest.raises(google_exceptions.NotFound):
            database.run_in_transaction(lambda transaction: list(transaction.execute_sql("SELECT 1")))
        until(lambda: shared.name != first.name)
        select_1(database)
        assert not first.exists()
        assert adapter.get().exists()


def test_a_multiplexed_session_that_cannot_be_created_is_googles_exception(
    client: SessionsClient, plain: LocalSpanner
) -> None:
    """Callers of google-cloud-spanner catch those; a closed one says so."""
    shared = MultiplexedSession(client, DATABASE)
    adapter: Any = google_cloud.MultiplexedSession(shared)
    database = instance_of(DATABASE).database("db", pool=adapter)
    plain.faults.add("CreateSession", status="PERMISSION_DENIED", message="not you", times=1)
    with pytest.raises(google_exceptions.PermissionDenied, match="not you"):
        select_1(database)
    select_1(database)
    shared.close()
    with pytest.raises(PoolClosed):
        select_1(database)


def forget_all(pool: SessionPool, plain: LocalSpanner) -> None:
    """Have the server drop the sessions of the pool."""
    for name in list(pool._runner.core.sessions):
        plain.forget(name)
