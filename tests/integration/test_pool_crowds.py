"""The session pool under many threads and tasks, failures and cancellations; its blocks, forks, leaks and end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spanner_grpc_sessions import (
    AsyncLease,
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientClosed,
    Lease,
    PoolError,
    PoolOptions,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.stubs import spanner_pb2
from tests.clocks import HandMovedClock

_DATABASE = "projects/p/instances/i/databases/d"
_WAIT = 20.0


def _query(lease: Lease | AsyncLease) -> spanner_pb2.ExecuteSqlRequest:
    return spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT 1")


@contextlib.contextmanager
def _pool(local: LocalSpanner, clock: HandMovedClock | None = None, **options: Any) -> Any:
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        clocks = {} if clock is None else {"clock": clock}
        with SessionPool(client, _DATABASE, options=PoolOptions(**options), **clocks) as pool:
            yield pool


def test_threads_never_share_a_session(local: LocalSpanner) -> None:
    """32 threads, failing creates, sessions that the server drops: never too many, never one twice, all usable."""
    for _ in range(3):
        local.faults.add("BatchCreateSessions", status="UNAVAILABLE")
    held: dict[str, Lease] = {}
    most = 0

    def work(pool: SessionPool, seed: int) -> None:
        nonlocal most
        draw = random.Random(seed)  # noqa: S311 - repeatable
        for turn in range(6250):
            lease = pool.acquire(timeout=_WAIT)
            assert held.setdefault(lease.name, lease) is lease
            if draw.random() < 0.0005:
                local.forget(lease.name)
                lease.invalidate()
            if turn % 100 == 0:
                most = max(most, len(local.sessions))
            del held[lease.name]
            pool.release(lease)

    with _pool(local, min_size=1, max_size=8) as pool, ThreadPoolExecutor(32) as threads:
        for done in [threads.submit(work, pool, seed) for seed in range(32)]:
            done.result(60)
        stats = pool.stats()
        assert most <= 8
        assert (stats.leased, stats.waiting, stats.idle) == (0, 0, stats.size)
        leases = [pool.acquire(timeout=_WAIT) for _ in range(8)]
        assert all(lease.stub.ExecuteSql(_query(lease)).rows for lease in leases)
        for lease in leases:
            pool.release(lease)


def test_tasks_never_share_a_session_nor_lose_one_by_cancellation(local: LocalSpanner) -> None:
    """Cancelled while they wait or hold: every slot comes back."""
    held: dict[str, AsyncLease] = {}

    async def work(pool: AsyncSessionPool) -> None:
        for _ in range(200):
            with contextlib.suppress(asyncio.CancelledError):
                async with pool.session(timeout=_WAIT) as lease:
                    assert held.setdefault(lease.name, lease) is lease
                    try:
                        await asyncio.sleep(0)
                    finally:
                        del held[lease.name]

    async def crowd() -> None:
        draw = random.Random(7)  # noqa: S311 - repeatable
        options = PoolOptions(min_size=1, max_size=8)
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            async with AsyncSessionPool(client, _DATABASE, options=options) as pool:
                tasks = [asyncio.ensure_future(work(pool)) for _ in range(250)]
                while not all(task.done() for task in tasks):
                    await asyncio.sleep(0)
                    draw.choice(tasks).cancel() if draw.random() < 0.5 else None
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                # One that was cancelled before it began, or between two acquires, ends by that.
                assert not [o for o in outcomes if not isinstance(o, asyncio.CancelledError | None)]
                assert sum(o is None for o in outcomes) > 200
                stats = pool.stats()
                assert (stats.leased, stats.waiting, stats.idle) == (0, 0, stats.size)
                assert stats.size <= 8
            assert local.sessions == []

    asyncio.run(crowd())


def test_a_block_that_ends_in_the_loss_of_its_session_has_it_replaced(local: LocalSpanner) -> None:
    """Also where the error did not come through the lease's stub; any other error keeps the session."""
    with _pool(local, min_size=1, max_size=1) as pool:
        with pytest.raises(ZeroDivisionError), pool.session() as lease:
            _ = 1 / 0
        with pytest.raises(SessionNotFound), pool.session() as again:
            assert again.name == lease.name
            local.forget(again.name)
            pool._client.ping_session(again.name)
        with pool.session() as fresh:
            assert fresh.name != lease.name
        assert pool.stats().lost == 1


def test_run_repeats_once_on_another_session(local: LocalSpanner) -> None:
    """A session that was lost is replaced within the call, in both colours."""
    seen: list[str] = []

    def function(lease: Lease, answer: int) -> int:
        seen.append(lease.name)
        if len(seen) == 1:
            local.forget(lease.name)
        lease.stub.ExecuteSql(_query(lease))
        return answer

    async def coroutine(lease: AsyncLease, answer: int) -> int:
        seen.append(lease.name)
        if len(seen) == 1:
            local.forget(lease.name)
        await lease.stub.ExecuteSql(_query(lease))
        return answer

    async def run() -> int:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            async with AsyncSessionPool(client, _DATABASE) as pool:
                return await pool.run(coroutine, 6)

    with _pool(local, min_size=1) as pool:
        assert pool.run(function, 5) == 5
    assert len(set(seen)) == 2
    seen.clear()
    assert asyncio.run(run()) == 6
    assert len(set(seen)) == 2


def test_a_leak_is_reported_once_with_its_stack(local: LocalSpanner, caplog: pytest.LogCaptureFixture) -> None:
    """A warning names the session and the function that acquired it."""
    clock = HandMovedClock()
    told = threading.Event()

    class Tell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    handler = Tell(logging.WARNING)
    logging.getLogger("spanner_grpc_sessions").addHandler(handler)
    try:
        with _pool(local, clock, min_size=1, leak_after=60.0) as pool:
            lease = pool.acquire()
            clock.advance(61)
            assert told.wait(_WAIT)
            pool.release(lease)
    finally:
        logging.getLogger("spanner_grpc_sessions").removeHandler(handler)
    (record,) = (record for record in caplog.records if "has been leased" in record.getMessage())
    assert lease.name in record.getMessage()
    assert "test_a_leak_is_reported_once_with_its_stack" in record.getMessage()


def test_a_pool_that_is_dropped_open_warns_and_ends(local: LocalSpanner) -> None:
    """Its threads do not keep it alive, and end."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        pools = [SessionPool(client, _DATABASE).open()]
        keeper = pools[0]._shell._keeper
        assert keeper is not None
        with pytest.warns(ResourceWarning, match="unclosed <SessionPool"):
            pools.clear()
        keeper.join(_WAIT)
        assert not keeper.is_alive()


def test_an_async_pool_belongs_to_its_loop(local: LocalSpanner) -> None:
    """Another loop is told so."""

    async def use(pool: AsyncSessionPool) -> None:
        with pytest.raises(ClientClosed, match="another event loop"):
            await pool.acquire()

    async def main() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            async with AsyncSessionPool(client, _DATABASE) as pool:
                await asyncio.to_thread(asyncio.run, use(pool))

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_a_fork_leaves_of_a_pool(local: LocalSpanner) -> None:
    """The hook of the child, called here: it is empty and new, and old leases are refused."""
    with _pool(local, min_size=2) as pool:
        lease, parent = pool.acquire(), pool._shell
        pool.after_fork()
        assert (pool.stats().size, " new " in repr(pool)) == (0, True)
        with pytest.raises(PoolError, match="forked"):
            pool.release(lease)
        with pool.session() as own:
            assert own.name != lease.name
        pool.close()
        parent.tell(lambda now: parent.core.give_back(lease._record, now))
        parent.close(5)
        assert local.sessions == []
