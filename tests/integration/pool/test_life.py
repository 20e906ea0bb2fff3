"""The life of a session pool, in both colours: how it opens, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientClosed,
    DatabaseNotFound,
    InvalidType,
    PermissionDenied,
    PoolClosed,
    PoolError,
    PoolOptions,
    PoolTimeout,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.observers import CallInfo
from spanner_grpc_sessions.runtime.clock import CLOCK
from tests.support.colours import Colour
from tests.support.pools import Rig, async_pool, blocking, multiplexed_of, pool_of, query, rig_of
from tests.support.processes import require_an_end
from tests.support.proxy import Proxy
from tests.support.scripted import Gate, scripted_server
from tests.support.servers import Server
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"


# ---- opening


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
    assert blocking(client, lease.stub).ExecuteSql(query(lease)).rows
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


def test_a_missing_database_fails_all_callers_at_once(client: SessionsClient, server: Server) -> None:
    """`open` and every acquire raise DatabaseNotFound instead of a timeout."""
    pool = pool_of(client, server.missing_database, min_size=1)
    with pytest.raises(DatabaseNotFound):
        pool.open()
    with ThreadPoolExecutor(4) as threads:
        for waiting in [threads.submit(pool.acquire, timeout=WAIT) for _ in range(4)]:
            assert isinstance(waiting.exception(WAIT), DatabaseNotFound)
    pool.close()


def test_a_pool_opened_by_many_at_once_opens_once(rig: Rig, plain: LocalSpanner) -> None:
    """One call creates its sessions for all who open it, and one thread or task keeps it."""
    plain.faults.add("BatchCreateSessions", delay=0.05)
    pool = rig.pool(min_size=5)
    for opened in [rig.start(use) for _ in range(15) for use in (pool.open, pool.wait)]:
        opened.result(WAIT)
    assert [request.session_count for request in rig.requests()] == [5]
    assert pool.stats().idle == 5
    assert len([name for name in rig.background() if "keep" in name]) == 1


@pytest.mark.parametrize("use", ["open", "wait", "acquire"])
def test_a_failed_first_create_is_tried_again_by_the_next_use(rig: Rig, plain: LocalSpanner, use: str) -> None:
    """Nothing of the failure is remembered: the cause may be mended, and no time has to pass for that."""
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", times=2)
    pool = rig.pool(min_size=1)
    for _ in range(2):
        with pytest.raises(PermissionDenied):
            getattr(pool, use)()
    getattr(pool, use)()
    assert pool.stats().size == 1


def test_a_failed_open_leaves_nothing_behind(rig: Rig, plain: LocalSpanner) -> None:
    """A `with` that failed to enter cannot close it; dropped, it warns and ends."""
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", times=None)
    pools = [rig.loose_pool(min_size=1)]
    with pytest.raises(PermissionDenied):
        pools[0].open()
    with pytest.warns(ResourceWarning, match="unclosed"):
        until(lambda: _dropped(rig, pools))


def test_a_pool_and_a_multiplexed_session_share_a_client(rig: Rig, plain: LocalSpanner) -> None:
    """The end of one, and the loss of its sessions, are nothing to the other."""
    pool = rig.pool(min_size=2)
    session = multiplexed_of(rig.client, rig.database, clock=rig.clock)
    pool.open()
    session.open()
    name, lease = session.name, pool.acquire()
    assert len(rig.names) == 3
    plain.forget(lease.name)
    with pytest.raises(SessionNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    pool.release(lease)
    assert session.name == name
    plain.forget(name)
    session.invalidate(name)
    assert (session.name != name, pool.stats().lost) == (True, 1)
    pool.close()
    assert rig.names == {session.name}
    assert session.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=session.name, sql="SELECT 1")).rows
    session.close()


def test_a_pool_shows_its_state_and_its_numbers(rig: Rig, plain: LocalSpanner) -> None:
    """With the address and the database, by which it is told from others."""
    pool = rig.pool(min_size=2, max_size=2)
    where = f"SessionPool {plain.endpoint} {rig.database}"
    assert f"{where} new size=0 idle=0 leased=0 waiting=0>" in repr(pool)
    pool.open()
    lease = pool.acquire()
    assert f"{where} open size=2 idle=1 leased=1 waiting=0>" in repr(pool)
    assert repr(lease).endswith(f"Lease {lease.name}>")
    pool.release(lease)
    assert repr(lease).endswith(f"Lease {lease.name} released>")
    pool.close()
    assert f"{where} closed size=0 idle=0 leased=0 waiting=0>" in repr(pool)


# ---- the close


def test_drain_wakes_waiting_callers_and_waits_for_leased_sessions(rig: Rig) -> None:
    """Acquires end at once; the drain itself goes on until the last lease came back, and nothing is left then."""
    pool = rig.pool(min_size=3, max_size=3)
    leases = [pool.acquire() for _ in range(3)]
    waiting = rig.wait_in_line(pool, 5, timeout=None)
    draining = rig.start(pool.drain, timeout=None)
    assert all(isinstance(each.exception(WAIT), PoolClosed) for each in waiting)
    for lease in leases:
        assert rig.on(lease).stub.ExecuteSql(query(lease)).rows
        assert not draining.done()
        pool.release(lease)
    assert draining.result(WAIT)
    assert (rig.names, rig.background()) == (set(), [])


def test_drain_says_that_a_lease_did_not_come_back(rig: Rig) -> None:
    """Its session is deleted when it does."""
    pool = rig.pool(min_size=2)
    lease = pool.acquire()
    assert not pool.drain(timeout=0.05)
    pool.release(lease)
    until(lambda: rig.names == set())
    assert pool.drain()


def test_close_leaves_leased_sessions_to_their_release(rig: Rig) -> None:
    """It deletes what is idle and returns, also from a block that ends in an exception; a release deletes the rest."""
    pool = rig.pool(min_size=3)
    pool.open()
    lease = pool.acquire()
    pool.close(timeout=None)
    assert rig.names == {lease.name}
    pool.release(lease)
    until(lambda: rig.names == set())


def test_a_close_does_not_cut_another_short(rig: Rig, plain: LocalSpanner) -> None:
    """The one with more time still deletes the sessions, though the other has given up waiting."""
    pool = rig.pool(min_size=1)
    lease = pool.acquire()
    longer = rig.start(pool.drain, timeout=None)
    until(lambda: repr(pool).count("closed"))
    pool.close(timeout=0)
    assert not longer.done()
    pool.release(lease)
    assert longer.result(WAIT)
    assert rig.names == set()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_block_that_cannot_be_entered_leaves_no_open_pool(rig: Rig, plain: LocalSpanner) -> None:
    """Nothing but the failed entry could close it."""
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED")
    pool = rig.loose_pool(min_size=1)
    enter = getattr(pool, "__aenter__", None) or pool.__enter__
    with pytest.raises(PermissionDenied):
        enter()
    assert "closed" in repr(pool)
    assert rig.background() == []
    del pool, enter
    gc.collect()


def test_open_ends_at_its_timeout(rig: Rig, plain: LocalSpanner) -> None:
    """A service that may start without its database opens the pool later, or by its first use."""
    plain.faults.add("BatchCreateSessions", status="UNAVAILABLE", times=None)
    pool = rig.pool(min_size=1, clock=CLOCK)
    with pytest.raises(PoolTimeout):
        pool.open(timeout=0.1)
    plain.faults.clear()
    pool.open()
    assert pool.stats().size == 1


@pytest.mark.parametrize("use", ["open", "wait"])
def test_close_wakes_callers_of_open(rig: Rig, plain: LocalSpanner, use: str) -> None:
    """Also while the server does not answer."""
    plain.faults.add("BatchCreateSessions", drop=True)
    pool = rig.pool(min_size=1)
    opening = rig.start(getattr(pool, use))
    until(lambda: len(rig.requests()) == 1)
    pool.close(timeout=0.05)
    assert isinstance(opening.exception(WAIT), PoolClosed)
    assert rig.background() == []


def test_sessions_that_come_after_the_close_are_deleted(colour: Colour) -> None:
    """A create in flight is waited for, and what it brings is not left on the server."""
    gate = Gate()
    with scripted_server(BatchCreateSessions=gate.batch_create, DeleteSession=gate.delete) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=4)
            opening = rig.start(pool.open)
            until(lambda: gate.arrived == 1)
            closing = rig.start(pool.close)
            assert isinstance(opening.exception(WAIT), PoolClosed)
            assert not closing.done()
            gate.open.set()
            closing.result(WAIT)
            assert (gate.sessions, gate.deleted, rig.background()) == (set(), 4, [])


@pytest.mark.parametrize(
    ("server", "doing"),
    [
        ("gone", "nothing"),
        ("stalled", "nothing"),
        ("slow", "nothing"),
        ("stalled", "creating"),
        ("slow", "creating"),
        ("stalled", "pinging"),
        ("slow", "pinging"),
    ],
)
def test_close_ends_by_its_timeout_with_a_silent_server(
    plain: LocalSpanner, colour: Colour, server: str, doing: str
) -> None:
    """At its timeout it gives up, and the calls in flight with it: no thread and no task is left."""
    with Proxy(plain.endpoint) as proxy:
        options = plain.client_options(endpoint=proxy.endpoint)
        with rig_of(colour, AnonymousCredentials(), options, plain) as rig:
            pool = rig.pool(min_size=20, max_size=30)
            pool.open()
            if server == "gone":
                proxy.refuse()
                proxy.cut()
            elif server == "stalled":
                proxy.stall()
            else:
                plain.faults.add(delay=60, times=None)
            if doing == "pinging":
                rig.clock.advance(1800)
                until(lambda: "pinging=10" in repr(pool._runner.core))
            waiting = []
            if doing == "creating":
                for _ in range(20):
                    pool.acquire()
                waiting = rig.wait_in_line(pool, 2, timeout=None)
            rig.start(pool.close, timeout=0.1).result(WAIT)
            assert rig.background() == []
            assert all(isinstance(each.exception(WAIT), PoolClosed) for each in waiting)


def test_a_close_without_time_leaves_nothing_running(rig: Rig) -> None:
    """The sessions are left to the server then."""
    pool = rig.pool(min_size=3)
    pool.open()
    pool.close(timeout=0)
    assert (pool.stats().size, rig.background()) == (0, [])


def test_sessions_can_be_left_to_the_server(rig: Rig) -> None:
    """Without `delete_on_close` nothing is deleted at the end, also not what comes back later; before it, as ever."""
    pool = rig.pool(min_size=3, delete_on_close=False)
    lease, wrong = pool.acquire(), pool.acquire()
    rig.on(wrong).invalidate()
    pool.release(wrong)
    until(lambda: wrong.name not in rig.names and pool.stats().size == 3)
    names = rig.names
    pool.close(timeout=0.05)
    pool.release(lease)
    pool.close()
    assert (rig.names, rig.background(), pool.stats().size) == (names, [], 0)
    assert len(names) == 3


def test_a_closed_pool_refuses_all_but_what_comes_back(rig: Rig) -> None:
    """Everything is PoolClosed; a lease that comes back is deleted; to close again is allowed."""
    pool = rig.pool(min_size=1)
    lease, other = pool.acquire(), pool.acquire()
    pool.close(timeout=0.05)
    pool.close(timeout=0.05)
    for refused in (pool.acquire, pool.open, pool.wait, lambda: pool.run(repr), lambda: pool.acquire(timeout=0)):
        with pytest.raises(PoolClosed, match="the pool was closed"):
            refused()
    assert rig.names >= {lease.name, other.name}
    pool.release(lease)
    until(lambda: rig.names == {other.name})
    with pytest.raises(PoolError, match="was released before"):
        pool.release(lease)
    pool.release(other)
    pool.close()
    assert (rig.names, rig.background(), pool.stats().size) == (set(), [], 0)


def test_a_pool_that_was_never_opened_is_closed_for_good(rig: Rig) -> None:
    """Without a call, a thread or a task."""
    pool = rig.pool(min_size=1)
    pool.close()
    with pytest.raises(PoolClosed):
        pool.open()
    assert (rig.requests(), rig.background()) == ([], [])


def test_many_callers_can_drain_at_once(rig: Rig) -> None:
    """All of them wait until nothing is left."""
    pool = rig.pool(min_size=3)
    lease = pool.acquire()

    def left_after_drain() -> int:
        assert pool.drain(timeout=None)
        left: int = pool.stats().size
        return left

    closing = [rig.start(left_after_drain) for _ in range(5)]
    until(lambda: " closed " in repr(pool) and pool.stats().size == 1)
    pool.release(lease)
    assert [each.result(WAIT) for each in closing] == [0] * 5
    assert (rig.names, rig.background()) == (set(), [])


# ---- pools that are not closed, and ends of programs


def _dropped(rig: Rig, pools: list[Any]) -> bool:
    pools.clear()
    gc.collect()
    return not rig.background()


def test_a_pool_that_is_dropped_open_warns_and_ends(rig: Rig) -> None:
    """Its threads or tasks do not keep it alive; they delete its sessions and end."""
    pools = [rig.loose_pool(min_size=3)]
    pools[0].open()
    assert rig.background()
    with pytest.warns(ResourceWarning, match=r"unclosed <(Async)?SessionPool .* open size=3"):
        until(lambda: _dropped(rig, pools))
    assert rig.names == set()


_LEFT_OPEN = """
import asyncio, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

colour, state, endpoint, database = sys.argv[1:]
options = ClientOptions(endpoint=endpoint, plaintext=True)
settings = PoolOptions(min_size=1, max_size=3)

async def use():
    global pool
    pool = await AsyncSessionPool(AsyncSessionsClient(AnonymousCredentials(), options=options), database,
                                  options=settings).open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await pool.acquire()
    await pool.acquire(0 if state == "creating" else 10)

if colour == "async":
    asyncio.run(use())
else:
    pool = SessionPool(SessionsClient(AnonymousCredentials(), options=options), database, options=settings).open()
    print("open", flush=True)
    sys.stdin.readline()
    pool.acquire()
    pool.acquire(0 if state == "creating" else 10)
"""


@pytest.mark.parametrize(
    ("state", "said"), [("leased", ""), ("creating", "PoolTimeout"), ("failed", "PermissionDenied")]
)
def test_a_process_ends_when_its_pool_was_not_closed(colour: Colour, state: str, said: str) -> None:
    """Also while a create hangs, and after one that failed."""
    require_an_end(colour)
    gate = Gate()

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        if state == "failed" and gate.sessions:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no more")
        return gate.batch_create(request, context)

    gate.open.set()
    with scripted_server(BatchCreateSessions=create, DeleteSession=gate.delete) as options:
        with subprocess.Popen(
            [sys.executable, "-c", _LEFT_OPEN, colour.name, state, str(options.endpoint), _DATABASE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stdout.readline() == "open\n"
            if state == "creating":
                gate.open.clear()
            try:
                _, errors = process.communicate("\n", timeout=WAIT)
            finally:
                process.kill()
                gate.open.set()
    assert not said or f"\nspanner_grpc_sessions.{said}" in errors
    assert process.returncode == bool(said)


def test_a_pool_can_be_closed_when_the_interpreter_ends() -> None:
    """Python starts no threads then, from 3.12 on: the one that closes makes the calls itself."""
    program = f"""
import atexit
from spanner_grpc_sessions import PoolOptions, SessionPool, SessionsClient

client = SessionsClient()
pool = SessionPool(client, {_DATABASE!r}, options=PoolOptions(min_size=3)).open()

@atexit.register
def end():
    pool.close()
    print(pool.stats().deleted)
    client.close()
"""
    with LocalSpanner(tls=False) as local:
        environment = {**os.environ, **local.environment()}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=WAIT, check=False
        )
        assert (run.stdout, run.stderr) == ("3\n", "")
        assert local.sessions == []


# ---- callers that are in the wrong


def test_every_method_refuses_another_loop(plain: LocalSpanner) -> None:
    """To acquire, to release, to open, to wait and to close: each belongs to the loop that came first."""

    async def other(pool: AsyncSessionPool, lease: Any) -> None:
        for use in (pool.acquire, pool.open, pool.wait, pool.close, lambda: pool.release(lease)):
            with pytest.raises(ClientClosed, match="another event loop; create one per loop, with a client of its own"):
                await use()

    async def main() -> None:
        async with async_pool(plain, _DATABASE, min_size=1) as pool:
            lease = await pool.acquire()
            await asyncio.to_thread(asyncio.run, other(pool, lease))
            await pool.release(lease)

    asyncio.run(main())


def test_an_async_pool_has_another_keeper_when_it_needs_one(plain: LocalSpanner) -> None:
    """Somebody cancelled all tasks of a loop that goes on: a create that fails is repeated all the same."""

    async def main() -> None:
        async with async_pool(plain, _DATABASE, min_size=0) as pool:
            await pool.open()
            keeper = pool._runner._keeper
            assert keeper is not None
            keeper.cancel()
            await asyncio.wait([keeper])
            plain.faults.add("BatchCreateSessions", status="UNAVAILABLE")
            await pool.release(await pool.acquire(timeout=WAIT))
            assert pool._runner._keeper is not keeper

    asyncio.run(main())


@pytest.mark.parametrize("order", ["together", "client first"])
def test_an_async_pool_can_be_closed_beside_its_client(plain: LocalSpanner, order: str) -> None:
    """Deletes that fail without a wait do not keep the event loop from all else."""

    async def live() -> None:
        client = AsyncSessionsClient(AnonymousCredentials(), options=plain.client_options())
        pool = AsyncSessionPool(client, "projects/p/instances/i/databases/d", options=PoolOptions(min_size=4))
        await pool.open()
        await asyncio.sleep(0)
        if order == "together":
            await asyncio.gather(pool.close(), client.close())
        else:
            await client.close()
            await pool.close()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_a_pool_can_be_closed_by_an_observer_on_its_own_thread(plain: LocalSpanner) -> None:
    """The close returns at once; the thread that called it does the rest."""
    closed: list[str] = []

    class Closing:
        def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
            return (), None

        def end(self, call: CallInfo, mark: Any) -> None:
            if call.method == "BatchCreateSessions" and not closed:
                closed.append(threading.current_thread().name)
                pool.close(2 * WAIT)
                closed.append("returned")

    options = dataclasses.replace(plain.client_options(), observer=Closing())
    with SessionsClient(AnonymousCredentials(), options=options) as client:
        pool = SessionPool(client, "projects/p/instances/i/databases/d", options=PoolOptions(min_size=1))
        with pytest.raises(PoolClosed):
            pool.open()
        until(lambda: len(closed) == 2 and pool.stats().size == 0)


def test_an_async_pool_can_be_closed_after_its_loop(plain: LocalSpanner) -> None:
    """Its tasks have ended with the loop: nothing is left to wait for, and nothing warns."""

    async def main() -> tuple[AsyncSessionsClient, AsyncSessionPool]:
        client = AsyncSessionsClient(AnonymousCredentials(), options=plain.client_options())
        return client, await AsyncSessionPool(client, _DATABASE, options=PoolOptions(min_size=1)).open()

    async def close(client: AsyncSessionsClient, pool: AsyncSessionPool) -> None:
        await pool.close()
        assert " closed " in repr(pool)
        await client.close()

    asyncio.run(close(*asyncio.run(main())))


def test_a_lease_is_given_back_once_and_to_its_pool(rig: Rig) -> None:
    """A second release, and that of a lease of another pool, are refused and change nothing."""
    pool, other = rig.pool(min_size=1), rig.pool(min_size=1)
    lease, foreign = pool.acquire(), other.acquire()
    pool.release(lease)
    for wrong in (lease, foreign):
        with pytest.raises(PoolError):
            pool.release(wrong)
    assert (pool.stats().idle, pool.stats().size, other.stats().leased) == (1, 1, 1)
    with pytest.raises(PoolError, match="released"):
        lease.stub  # noqa: B018 - it raises
    other.release(foreign)


def test_something_that_is_no_lease_is_left_alone(rig: Rig) -> None:
    """Even a pool: it is told that it is no lease, and stays whole."""
    pool = rig.pool(min_size=1)
    pool.open()
    whole = pool._target if hasattr(pool, "_target") else pool
    for wrong in (None, 7, whole, rig.client):
        with pytest.raises(InvalidType, match=r"lease must be an? (Async)?Lease"):
            pool.release(wrong)
    pool.release(pool.acquire())
