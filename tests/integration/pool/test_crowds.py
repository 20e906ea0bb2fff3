"""A session pool under many threads and tasks, failures and cancellations."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spanner_grpc_sessions import (
    AsyncLease,
    AsyncSessionPool,
    AsyncSessionsClient,
    InvalidValue,
    Lease,
    PoolOptions,
    PoolOverloaded,
    PoolTimeout,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.local.status import RpcStatus
from tests.support.pools import query
from tests.support.thorough import often
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"


@pytest.fixture
def client(local: LocalSpanner) -> Iterator[SessionsClient]:
    """A client of threads."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        yield client


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
    """Return whether it has shrunk, and the pings have found what was forgotten while there were no calls."""
    stats = pool.stats()
    known = set(pool._core.sessions)
    at_rest = (stats.size, stats.leased, stats.waiting) == (1, 0, 0)
    return at_rest and known == _names(local) and min(stats.lost, stats.pinged, stats.deleted) > 0


def test_threads_never_share_a_session(
    client: SessionsClient, local: LocalSpanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 threads, moody creates, lost sessions, short lives, pings: never too many, never one twice, all usable."""
    trouble = _Trouble(local, monkeypatch)
    held: dict[str, Lease] = {}

    def turn(pool: SessionPool) -> None:
        try:
            with pool.session(timeout=WAIT) as lease:
                assert held.setdefault(lease.name, lease) is lease
                try:
                    if trouble.strikes(lease):
                        lease.stub.ExecuteSql(query(lease))
                finally:
                    del held[lease.name]
        except _FATES:
            pass

    def work(pool: SessionPool) -> None:
        for _ in range(often(6250)):
            turn(pool)

    with SessionPool(client, _DATABASE, options=_HASTE) as pool, ThreadPoolExecutor(32) as threads:
        for done in [threads.submit(work, pool) for _ in range(32)]:
            done.result(4 * WAIT)
        until(lambda: _is_at_rest(pool, local))
        leases = [pool.acquire(timeout=WAIT) for _ in range(24)]
        assert all(lease.stub.ExecuteSql(query(lease)).rows for lease in leases)
        until(lambda: _names(local) == {lease.name for lease in leases})
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
                async with pool.session(timeout=WAIT) as lease:
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
                await until_async(lambda: _is_at_rest(pool, local))
                leases = [await pool.acquire(timeout=WAIT) for _ in range(24)]
                assert all([(await lease.stub.ExecuteSql(query(lease))).rows for lease in leases])
                for lease in leases:
                    await pool.release(lease)
                assert trouble.most == 24
            assert local.sessions == []

    asyncio.run(main())


@pytest.mark.parametrize("by", ["acquire", "close"])
def test_a_release_is_overtaken(
    client: SessionsClient, local: LocalSpanner, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Somebody begins to wait, or closes the pool, right before the session lies there again: it sees to that."""
    options = PoolOptions(min_size=1, max_size=1)
    with SessionPool(client, _DATABASE, options=options) as pool, ThreadPoolExecutor() as threads:
        lease, put = pool.acquire(), pool._put
        waiting = []

        def put_late(record: Any) -> None:
            if by == "close":
                pool.close(timeout=0)
            else:
                waiting.append(threads.submit(pool.acquire, timeout=WAIT))
                until(lambda: pool.stats().waiting == 1)
            put(record)

        monkeypatch.setattr(pool, "_put", put_late)
        pool.release(lease)
        monkeypatch.undo()
        if by == "close":
            until(lambda: not local.sessions)
        else:
            pool.release(waiting[0].result(WAIT))


def test_threads_with_short_timeouts_or_none(client: SessionsClient) -> None:
    """Of 16 on two sessions, three may wait, and not for long: each gets one, or one of two errors."""
    seen: Counter[str] = Counter()
    waiting = 0

    def work(pool: SessionPool, seed: int) -> None:
        nonlocal waiting
        draw = random.Random(seed)  # noqa: S311 - repeatable
        for _ in range(100):
            try:
                with pool.session(timeout=draw.choice((0, 0.001, 0.01, None))) as lease:
                    lease.stub.ExecuteSql(query(lease))
                seen["served"] += 1
            except (PoolTimeout, PoolOverloaded) as error:
                seen[type(error).__name__] += 1
            waiting = max(waiting, pool.stats().waiting)

    options = PoolOptions(min_size=1, max_size=2, max_waiting=3)
    with SessionPool(client, _DATABASE, options=options) as pool, ThreadPoolExecutor(16) as threads:
        for done in [threads.submit(work, pool, seed) for seed in range(16)]:
            done.result(WAIT)
        stats = pool.stats()
        assert sum(seen.values()) == 1600
        assert min(seen.values()) > 0
        assert waiting == 3
        assert stats.timeouts == seen["PoolTimeout"]
        assert (stats.leased, stats.waiting, stats.idle, stats.size) == (0, 0, 2, 2)


def test_tasks_with_short_timeouts_or_none(local: LocalSpanner) -> None:
    """The same in asyncio."""
    seen: Counter[str] = Counter()
    waiting = 0

    async def work(pool: AsyncSessionPool, seed: int) -> None:
        nonlocal waiting
        draw = random.Random(seed)  # noqa: S311 - repeatable
        for _ in range(100):
            try:
                async with pool.session(timeout=draw.choice((0, 0.001, 0.01, None))) as lease:
                    await lease.stub.ExecuteSql(query(lease))
                seen["served"] += 1
            except (PoolTimeout, PoolOverloaded) as error:
                seen[type(error).__name__] += 1
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
