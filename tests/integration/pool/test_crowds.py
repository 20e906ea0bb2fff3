"""The session pool under many threads and tasks, failures and cancellations; its blocks, forks, leaks and end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spanner_grpc_sessions import (
    AsyncLease,
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientClosed,
    InvalidValue,
    Lease,
    PoolError,
    PoolOptions,
    PoolOverloaded,
    PoolTimeout,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.local.status import RpcStatus
from tests.support.clocks import HandMovedClock
from tests.support.pools import query, until
from tests.support.processes import needs_fork

_DATABASE = "projects/p/instances/i/databases/d"
_WAIT = 20.0


@contextlib.contextmanager
def _pool(local: LocalSpanner, clock: HandMovedClock | None = None, **options: Any) -> Any:
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        clocks = {} if clock is None else {"clock": clock}
        with SessionPool(client, _DATABASE, options=PoolOptions(**options), **clocks) as pool:
            yield pool


class _Trouble:
    """A server that creates in moods, and what callers do to sessions: the same in both colours.

    Attributes:
        most: the most sessions that the server has had at a time.
        draw: of everything; seeded.
    """

    def __init__(self, local: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        self.draw = random.Random(7)  # noqa: S311 - repeatable
        self._local = local
        self._gone: set[str] = set()
        self._create = local._store.batch_create
        monkeypatch.setattr(local._store, "batch_create", self._batch_create)
        local.stop()  # a server binds its functions when it starts
        local.start()

    def _batch_create(self, request: Any, now: float) -> Any:
        mood = self.draw.random()
        if mood < 0.1:
            raise RpcStatus(self.draw.choice(("UNAVAILABLE", "INTERNAL")), "the server is in a mood")
        count = request.session_count
        request.session_count = 0 if mood < 0.15 else self.draw.randint(1, count) if mood < 0.4 else count
        answer = self._create(request, now)
        # Nothing but this makes them more: no look between two of these could find more of them.
        self.most = max(self.most, len(self._local._store.alive(self._local.now)))
        return answer

    def strikes(self, lease: Lease | AsyncLease) -> bool:
        """Do something bad to a few of the sessions, and return whether a call is to find out what."""
        assert lease.name not in self._gone
        fate = self.draw.random()
        if fate >= 0.0012:
            return False
        if fate < 0.0004:
            if fate < 0.0002:
                self._forget(lease.name)
            lease.invalidate()
            self._gone.add(lease.name)
        elif fate < 0.0006:
            self._forget(lease.name)
        elif fate < 0.0008:
            # Somebody's, or an idle one, or one that is pinged or deleted right now.
            self._forget(self.draw.choice(self._local.sessions or [{"name": lease.name}])["name"])
        elif fate < 0.0011:
            raise ZeroDivisionError
        return True

    def _forget(self, name: str) -> None:
        with contextlib.suppress(InvalidValue):
            self._local.forget(name)


# Times in which a session is pinged, unused for too long or too old many times in a test.
_HASTE = PoolOptions(min_size=1, max_size=24, keep_alive_after=0.02, validate_after=0.1, max_idle=0.1, max_lifetime=0.5)
_FATES = (ZeroDivisionError, SessionNotFound)


def _names(local: LocalSpanner) -> set[str]:
    return {session["name"] for session in local.sessions}


def _is_at_rest(pool: SessionPool | AsyncSessionPool, local: LocalSpanner) -> bool:
    """Return whether it has shrunk, and the pings have found out what was forgotten while nobody called."""
    stats = pool.stats()
    known = set(pool._core.sessions)
    at_rest = (stats.size, stats.leased, stats.waiting) == (1, 0, 0)
    return at_rest and known == _names(local) and min(stats.lost, stats.pinged, stats.deleted) > 0


def test_threads_never_share_a_session(local: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 threads, moody creates, lost sessions, short lives, pings: never too many, never one twice, all usable."""
    trouble = _Trouble(local, monkeypatch)
    held: dict[str, Lease] = {}

    def turn(pool: SessionPool) -> None:
        try:
            with pool.session(timeout=_WAIT) as lease:
                assert held.setdefault(lease.name, lease) is lease
                try:
                    if trouble.strikes(lease):
                        lease.stub.ExecuteSql(query(lease))
                finally:
                    del held[lease.name]
        except _FATES:
            pass

    def work(pool: SessionPool) -> None:
        for _ in range(6250):
            turn(pool)

    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        with SessionPool(client, _DATABASE, options=_HASTE) as pool, ThreadPoolExecutor(32) as threads:
            for done in [threads.submit(work, pool) for _ in range(32)]:
                done.result(60)
            until(lambda: _is_at_rest(pool, local), _WAIT)
            leases = [pool.acquire(timeout=_WAIT) for _ in range(24)]
            assert all(lease.stub.ExecuteSql(query(lease)).rows for lease in leases)
            until(lambda: _names(local) == {lease.name for lease in leases}, _WAIT)
            for lease in leases:
                pool.release(lease)
            assert trouble.most == 24
        assert local.sessions == []


def test_tasks_never_share_a_session_nor_lose_one_by_cancellation(
    local: LocalSpanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with 250 tasks, which are cancelled while they wait, hold or call."""
    trouble = _Trouble(local, monkeypatch)
    held: dict[str, AsyncLease] = {}

    async def work(pool: AsyncSessionPool) -> None:
        for _ in range(200):
            with contextlib.suppress(asyncio.CancelledError, *_FATES):
                async with pool.session(timeout=_WAIT) as lease:
                    assert held.setdefault(lease.name, lease) is lease
                    try:
                        await asyncio.sleep(0)
                        if trouble.strikes(lease):
                            await lease.stub.ExecuteSql(query(lease))
                    finally:
                        del held[lease.name]

    async def crowd(pool: AsyncSessionPool) -> None:
        tasks = [asyncio.ensure_future(work(pool)) for _ in range(250)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            trouble.draw.choice(tasks).cancel() if trouble.draw.random() < 0.5 else None
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        # One that was cancelled before it began, or between two acquires, ends by that.
        assert not [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError | None)]
        assert sum(outcome is None for outcome in outcomes) > 200

    async def main() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            async with AsyncSessionPool(client, _DATABASE, options=_HASTE) as pool:
                await crowd(pool)
                await asyncio.to_thread(until, lambda: _is_at_rest(pool, local), _WAIT)
                leases = [await pool.acquire(timeout=_WAIT) for _ in range(24)]
                assert all([(await lease.stub.ExecuteSql(query(lease))).rows for lease in leases])
                for lease in leases:
                    await pool.release(lease)
                assert trouble.most == 24
            assert local.sessions == []

    asyncio.run(main())


@pytest.mark.parametrize("by", ["acquire", "close"])
def test_a_release_is_overtaken(local: LocalSpanner, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Somebody begins to wait, or closes the pool, right before the session lies there again: it sees to that."""
    with _pool(local, min_size=1, max_size=1) as pool, ThreadPoolExecutor() as threads:
        lease, put = pool.acquire(), pool._put
        waiting = []

        def put_late(record: Any) -> None:
            if by == "close":
                pool.close(timeout=0)
            else:
                waiting.append(threads.submit(pool.acquire, timeout=2))
                until(lambda: pool.stats().waiting == 1, _WAIT)
            put(record)

        monkeypatch.setattr(pool, "_put", put_late)
        pool.release(lease)
        monkeypatch.undo()
        if by == "close":
            until(lambda: not local.sessions, _WAIT)
        else:
            pool.release(waiting[0].result(_WAIT))


def test_threads_that_may_not_wait_long_or_at_all(local: LocalSpanner) -> None:
    """Of 16 on two sessions, three may wait, and not for long: each gets one, or one of two errors in time."""
    seen: Counter[str] = Counter()
    waiting = 0

    def work(pool: SessionPool, seed: int) -> None:
        nonlocal waiting
        draw = random.Random(seed)  # noqa: S311 - repeatable
        for _ in range(100):
            timeout, started = draw.choice((0, 0.001, 0.01, None)), time.monotonic()
            try:
                with pool.session(timeout=timeout) as lease:
                    lease.stub.ExecuteSql(query(lease))
                seen["served"] += 1
            except (PoolTimeout, PoolOverloaded) as error:
                seen[type(error).__name__] += 1
                assert time.monotonic() - started < 5
            waiting = max(waiting, pool.stats().waiting)

    with _pool(local, min_size=1, max_size=2, max_waiting=3) as pool, ThreadPoolExecutor(16) as threads:
        for done in [threads.submit(work, pool, seed) for seed in range(16)]:
            done.result(_WAIT)
        stats = pool.stats()
        assert sum(seen.values()) == 1600
        assert min(seen.values()) > 0
        assert waiting == 3
        assert stats.timeouts == seen["PoolTimeout"]
        assert (stats.leased, stats.waiting, stats.idle, stats.size) == (0, 0, 2, 2)


def test_tasks_that_may_not_wait_long_or_at_all(local: LocalSpanner) -> None:
    """The same in asyncio."""
    seen: Counter[str] = Counter()
    waiting = 0

    async def work(pool: AsyncSessionPool, seed: int) -> None:
        nonlocal waiting
        draw = random.Random(seed)  # noqa: S311 - repeatable
        for _ in range(100):
            timeout, started = draw.choice((0, 0.001, 0.01, None)), time.monotonic()
            try:
                async with pool.session(timeout=timeout) as lease:
                    await lease.stub.ExecuteSql(query(lease))
                seen["served"] += 1
            except (PoolTimeout, PoolOverloaded) as error:
                seen[type(error).__name__] += 1
                assert time.monotonic() - started < 5
                await asyncio.sleep(0)
            waiting = max(waiting, pool.stats().waiting)

    async def main() -> None:
        options = PoolOptions(min_size=1, max_size=2, max_waiting=3)
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            async with AsyncSessionPool(client, _DATABASE, options=options) as pool:
                await asyncio.gather(*(work(pool, seed) for seed in range(16)))
                stats = pool.stats()
                assert sum(seen.values()) == 1600
                assert min(seen.values()) > 0
                assert waiting == 3
                assert stats.timeouts == seen["PoolTimeout"]
                assert (stats.leased, stats.waiting, stats.idle, stats.size) == (0, 0, 2, 2)

    asyncio.run(main())


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
        lease.stub.ExecuteSql(query(lease))
        return answer

    async def coroutine(lease: AsyncLease, answer: int) -> int:
        seen.append(lease.name)
        if len(seen) == 1:
            local.forget(lease.name)
        await lease.stub.ExecuteSql(query(lease))
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
        keeper = pools[0]._runner._keeper
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


@needs_fork
def test_what_a_fork_leaves_of_a_pool(local: LocalSpanner) -> None:
    """The hook of the child, called here: it is empty and new, and old leases are refused."""
    with _pool(local, min_size=2) as pool:
        lease, parent = pool.acquire(), pool._runner
        pool.after_fork()
        assert (pool.stats().size, " new " in repr(pool)) == (0, True)
        with pytest.raises(PoolError, match="forked"):
            pool.release(lease)
        with pool.session() as own:
            assert own.name != lease.name
        pool.close()
        parent.dispatch(lambda now: parent.core.give_back(lease._record, now))
        parent.close(5)
        assert local.sessions == []
