"""The session pool in both colours, on both servers: its life, its limits, lost sessions, and its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spanner_grpc_sessions import (
    DatabaseNotFound,
    InvalidType,
    PermissionDenied,
    PoolClosed,
    PoolError,
    PoolOverloaded,
    PoolTimeout,
    SessionNotFound,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.clocks import HandMovedClock
from tests.support.colours import Blocking, Colour
from tests.support.pools import pool_of, query, until
from tests.support.servers import Server

_DATABASE = "projects/p/instances/i/databases/d"
_WAIT = 20.0

Make = Callable[..., Any]


@pytest.fixture
def local_client(local: LocalSpanner, colour: Colour) -> Iterator[SessionsClient]:
    """A client of each colour on a LocalSpanner."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        yield client


@pytest.fixture
def make(local_client: SessionsClient) -> Iterator[Make]:
    """Make pools on a LocalSpanner, and close them."""
    with contextlib.ExitStack() as stack:

        def make_pool(**options: Any) -> Any:
            pool = pool_of(local_client, _DATABASE, **options)
            stack.callback(lambda: pool.close(timeout=2))
            return pool

        yield make_pool


def names(local: LocalSpanner) -> set[str]:
    """Return the names of the sessions that the server has."""
    return {session["name"] for session in local.sessions}


def test_a_pool_lives_and_leaves_nothing(client: SessionsClient, server: Server) -> None:
    """It fills, hands out a session that works, is at rest again, and deletes everything."""
    database = server.new_database()
    pool = pool_of(client, database, min_size=3, max_size=5)
    assert " new " in repr(pool)
    pool.open()
    pool.open()
    pool.wait(timeout=5)
    lease = pool.acquire()
    assert lease.resource["name"] == lease.name
    stub = Blocking(lease.stub, client._thread) if isinstance(client, Blocking) else lease.stub
    assert stub.ExecuteSql(query(lease)).rows
    assert (pool.stats().leased, pool.stats().idle) == (1, 2)
    pool.release(lease)
    stats = pool.stats()
    assert (stats.size, stats.idle, stats.leased, stats.created) == (3, 3, 0, 3)
    assert len(client.list_sessions(database)["sessions"]) == 3
    pool.close()
    pool.close()
    assert client.list_sessions(database) == {}
    assert " closed size=0 " in repr(pool)
    for refused in (pool.acquire, pool.open, pool.wait):
        with pytest.raises(PoolClosed):
            refused()


def test_it_fills_by_short_answers_with_labels_and_role(make: Make, local: LocalSpanner) -> None:
    """250 sessions take three calls of at most 100; each has the labels and the role."""
    make(min_size=250, max_size=250, labels={"team": "a"}, creator_role="reader").open()
    assert len(local.sessions) == 250
    assert all(session["labels"] == {"team": "a"} for session in local.sessions)
    assert all(session["creatorRole"] == "reader" for session in local.sessions)
    assert sum(call.method == "BatchCreateSessions" for call in local.calls) == 3


def test_it_grows_to_its_limit_and_then_waits(make: Make) -> None:
    """A third lease of two waits in vain, or gets the one that comes back; who tries once gets a timeout at once."""
    pool = make(min_size=0, max_size=2, max_waiting=1)
    first, second = pool.acquire(), pool.acquire()
    assert first.name != second.name
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)
    with pytest.raises(TimeoutError):
        pool.acquire(timeout=0.05)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(pool.acquire, timeout=_WAIT)
        while pool.stats().waiting == 0:
            assert not waiting.done()
        with pytest.raises(PoolOverloaded):
            pool.acquire()
        pool.release(first)
        third = waiting.result(_WAIT)
    assert third.name == first.name
    pool.release(second)
    pool.release(third)
    assert (pool.stats().timeouts, pool.stats().idle, pool.stats().size) == (2, 2, 2)


def test_a_lease_is_given_back_once_and_to_its_pool(make: Make) -> None:
    """A second release, a foreign lease and something else are refused, and change nothing."""
    pool, other = make(min_size=1), make(min_size=1)
    lease, foreign = pool.acquire(), other.acquire()
    pool.release(lease)
    for error_class, wrong in ((PoolError, lease), (PoolError, foreign), (InvalidType, "lease")):
        with pytest.raises(error_class):
            pool.release(wrong)
    assert (pool.stats().idle, pool.stats().size, other.stats().leased) == (1, 1, 1)
    with pytest.raises(PoolError, match="released"):
        lease.stub  # noqa: B018 - it raises
    other.release(foreign)


@pytest.mark.parametrize("how", ["unary", "stream", "invalidate"])
def test_a_lost_session_is_replaced(make: Make, local: LocalSpanner, local_client: Any, how: str) -> None:
    """What a call or a stream of the lease found out, or its holder said, counts though the error was swallowed."""
    pool = make(min_size=1, max_size=1)
    lease = pool.acquire()
    local.forget(lease.name)
    stub = Blocking(lease.stub, local_client._thread) if isinstance(local_client, Blocking) else lease.stub
    if how == "invalidate":
        lease.invalidate()
    else:
        with pytest.raises(SessionNotFound):
            list(stub.ExecuteStreamingSql(query(lease))) if how == "stream" else stub.ExecuteSql(query(lease))
    pool.release(lease)
    again = pool.acquire()
    assert again.name != lease.name
    assert again.name in names(local)
    assert pool.stats().lost == 1
    pool.release(again)


def test_a_missing_database_fails_everybody_at_once(client: SessionsClient, server: Server) -> None:
    """`open` and every acquire raise DatabaseNotFound instead of a timeout."""
    pool = pool_of(client, server.missing_database, min_size=1)
    with pytest.raises(DatabaseNotFound):
        pool.open()
    with ThreadPoolExecutor(4) as threads:
        for waiting in [threads.submit(pool.acquire, timeout=_WAIT) for _ in range(4)]:
            assert isinstance(waiting.exception(_WAIT), DatabaseNotFound)
    pool.close()


def test_a_failed_open_is_tried_again(make: Make, local: LocalSpanner) -> None:
    """The error is the creation's; the next one finds it mended."""
    local.faults.add("BatchCreateSessions", status="PERMISSION_DENIED")
    pool = make(min_size=2)
    with pytest.raises(PermissionDenied):
        pool.open()
    pool.open()
    assert pool.stats().idle == 2


def test_a_timeout_has_the_failure_of_the_create_as_its_cause(make: Make, local: LocalSpanner) -> None:
    """A server that is in trouble is named."""
    local.faults.add("BatchCreateSessions", status="INTERNAL", times=None)
    with pytest.raises(PoolTimeout) as caught:
        make(min_size=0).acquire(timeout=0.5)
    assert "INTERNAL" in str(caught.value.__cause__)


def test_idle_sessions_are_kept_alive(make: Make, local: LocalSpanner) -> None:
    """When the time has come they are pinged, by ExecuteSql alone; a lost one is replaced."""
    clock = HandMovedClock()
    pool = make(min_size=3, max_size=3, clock=clock)
    pool.open()
    gone = min(names(local))
    local.forget(gone)
    clock.advance(1800)
    until(lambda: pool.stats().pinged == 2 and pool.stats().idle == 3, _WAIT)
    assert pool.stats().lost == 1
    assert {call.method for call in local.calls} == {"BatchCreateSessions", "ExecuteSql"}


def test_close_wakes_who_waits_and_deletes_what_comes_back_later(make: Make, local: LocalSpanner) -> None:
    """It gives up at its timeout; the lease that comes back afterwards is deleted all the same."""
    pool = make(min_size=1, max_size=1)
    lease = pool.acquire()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(pool.acquire, timeout=_WAIT)
        while pool.stats().waiting == 0:
            assert not waiting.done()
        pool.close(timeout=0.05)
        assert isinstance(waiting.exception(_WAIT), PoolClosed)
    assert len(local.sessions) == 1
    pool.release(lease)
    until(lambda: not local.sessions, _WAIT)


def test_close_is_quick_when_the_server_is_gone(make: Make, local: LocalSpanner) -> None:
    """Nothing is left of it: no thread, and by the fixture of the loop no task."""
    pool = make(min_size=20, max_size=20)
    pool.open()
    local.stop()
    pool.close(timeout=5)
    assert not [thread for thread in threading.enumerate() if "sessions-pool" in thread.name]
    assert not [thread for thread in threading.enumerate() if "sessions-keeper" in thread.name]
    assert pool.stats().size == 0


def test_a_pool_can_be_closed_when_the_interpreter_ends() -> None:
    """Python starts no threads then, from 3.12 on: the one that closes makes the calls itself."""
    program = f"""
import atexit
from spanner_grpc_sessions import PoolOptions, SessionPool, SessionsClient

client = SessionsClient()
pool = SessionPool(client, {_DATABASE!r}, options=PoolOptions(min_size=3)).open()
pool._runner._keeper and pool._runner._keeper.join(5)

@atexit.register
def end():
    pool.close()
    print(pool.stats().deleted)
    client.close()
"""
    with LocalSpanner(tls=False) as local:
        environment = {**os.environ, **local.environment()}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=_WAIT, check=False
        )
        assert (run.stdout, run.stderr) == ("3\n", "")
        assert local.sessions == []
