"""Interruptions of a session pool at any moment: signals, cancellations, the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from spanner_grpc_sessions import (
    PoolTimeout,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import SYNC
from tests.support.pools import Rig, async_pool
from tests.support.servers import arrived
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"


def _interrupt_when(true: Callable[[], bool]) -> None:
    until(true)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_acquire_leaves_no_trace(rig: Rig) -> None:
    """Ctrl-C in the main thread: it waits no longer, what it waited for goes to the next, and no slot is lost."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    sender = rig.start(_interrupt_when, lambda: pool.stats().waiting == 1)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire(timeout=None)
    sender.result(WAIT)
    assert pool.stats().waiting == 0
    (waiting,) = rig.wait_in_line(pool, timeout=None)
    pool.release(lease)
    pool.release(waiting.result(WAIT))
    assert (pool.stats().idle, pool.stats().leased, pool.stats().timeouts) == (1, 0, 0)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_drain_is_taken_up_by_the_next(rig: Rig) -> None:
    """The pool is closed, and a second drain waits for what is left."""
    pool = rig.pool(min_size=2)
    lease = pool.acquire()
    sender = rig.start(_interrupt_when, lambda: " closed " in repr(pool) and pool.stats().size == 1)
    with pytest.raises(KeyboardInterrupt):
        pool.drain(timeout=None)
    sender.result(WAIT)
    pool.release(lease)
    assert pool.drain()
    assert (rig.names, rig.background()) == (set(), [])


@pytest.mark.parametrize("handed_first", [True, False])
@pytest.mark.parametrize("others", [0, 1])
def test_a_cancellation_in_the_moment_of_the_hand_over_loses_nothing(
    plain: LocalSpanner, handed_first: bool, others: int
) -> None:
    """Whether the session or the cancellation comes first: the next in line gets it, or it is idle."""

    async def main() -> None:
        async with async_pool(plain, _DATABASE, min_size=1, max_size=1) as pool:
            lease = await pool.acquire()
            cancelled, *next_ones = [asyncio.create_task(pool.acquire(timeout=None)) for _ in range(1 + others)]
            await until_async(lambda: pool.stats().waiting == 1 + others)
            if handed_first:
                await pool.release(lease)
                cancelled.cancel()
            else:
                cancelled.cancel()
                await pool.release(lease)
            await asyncio.wait([cancelled], timeout=WAIT)
            assert cancelled.cancelled()
            for each in next_ones:
                await pool.release(await asyncio.wait_for(each, WAIT))
            stats = pool.stats()
            assert (stats.idle, stats.leased, stats.waiting, stats.timeouts) == (1, 0, 0, 0)

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(6))
def test_what_runs_in_the_background_takes_a_cancellation_at_any_moment(plain: LocalSpanner, steps: int) -> None:
    """Also where something happens at the same time: else `asyncio.run` would never end."""

    async def main() -> None:
        async with async_pool(plain, _DATABASE, min_size=1) as pool:
            pool._runner._wake()
            for _ in range(steps):
                await asyncio.sleep(0)
            keeper = pool._runner._keeper
            assert keeper is not None
            keeper.cancel()
            await asyncio.wait([keeper], timeout=1)
            assert keeper.cancelled()

    asyncio.run(main())


def test_an_opening_that_is_cancelled_is_no_failure_of_the_server(
    plain: LocalSpanner, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has no warning of it."""

    async def main() -> None:
        plain.faults.add("BatchCreateSessions", drop=True)
        opening = asyncio.ensure_future(_opened(plain))
        await until_async(lambda: arrived(plain, "BatchCreateSessions") > 0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def _opened(plain: LocalSpanner) -> None:
    async with async_pool(plain, _DATABASE, min_size=1):
        pass


def test_a_cancelled_close_is_taken_up_by_the_next(plain: LocalSpanner) -> None:
    """As in threads."""

    async def main() -> None:
        async with async_pool(plain, _DATABASE, min_size=2) as pool:
            lease = await pool.acquire()
            closing = asyncio.create_task(pool.drain(timeout=None))
            await until_async(lambda: pool.stats().size == 1)
            closing.cancel()
            await asyncio.wait([closing])
            assert closing.cancelled()
            await pool.release(lease)
            await pool.close()
            assert (pool.stats().size, len(pool._runner._tasks)) == (0, 0)

    asyncio.run(main())


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_the_garbage_collector_can_release_a_lease_at_any_moment(rig: Rig) -> None:
    """A collected generator releases its lease while the pool works: the pool does not wait for itself."""
    pool = rig.pool(min_size=4, max_size=4)
    pool.open()

    class Rows:
        def __init__(self) -> None:
            self.rows = self.read()  # a cycle

        def read(self) -> Iterator[str]:
            with pool.session() as lease:
                yield lease.name

    def take_all_and_one_more(allocations: int) -> None:
        gc.collect()
        gc.disable()
        for _ in range(4):
            next(Rows().rows)
        gc.set_threshold(gc.get_count()[0] + allocations)
        gc.enable()
        with contextlib.suppress(PoolTimeout):
            pool.release(pool.acquire(timeout=0))

    thresholds = gc.get_threshold()
    # What was there before is none of the collector's business: it would take its time each time.
    gc.freeze()
    try:
        for allocations in range(1, 40):
            rig.start(take_all_and_one_more, allocations).result(WAIT)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        gc.enable()
        gc.collect()
    assert (pool.stats().leased, pool.stats().waiting) == (0, 0)
