"""Cancellations of a pool's coroutines and tasks at each of their suspensions: no session is lost, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import AsyncSessionPool, AsyncSessionsClient, PoolClosed, PoolError, PoolOptions
from spanner_grpc_sessions.pool import runner_async
from spanner_grpc_sessions.runtime.clock import start_background_task
from tests.support.cancelling import TASKS, CountingSpanner, How, Moment, each_suspension, nothing_left, run_in
from tests.support.pools import query
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_MOST = 3
# Seconds that a busy machine may add to what a control took; far less than any timeout of the library.
_SLACK = 3.0


@pytest.fixture(scope="module")
def shared() -> Iterator[CountingSpanner]:
    """A server for all tests of this file."""
    with CountingSpanner() as server:
        yield server


@pytest.fixture
def server(shared: CountingSpanner, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingSpanner]:
    """That server, without what the last test wanted of it; what failed is tried again soon."""
    monkeypatch.setattr("spanner_grpc_sessions.pool.core.creation._FIRST_DELAY", 0.002)
    yield shared
    shared.faults.clear()


class _Case:
    """A pool in the state that a use needs, on a client and a database of its own."""

    def __init__(self, server: CountingSpanner, moment: Moment) -> None:
        self.server = server
        self.moment = moment
        self.database = f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}"
        self.client = AsyncSessionsClient(AnonymousCredentials(), options=server.client_options())
        self.pool = AsyncSessionPool(self.client, self.database, options=PoolOptions(min_size=1, max_size=_MOST))

    async def cancel(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine, cancelled in the moment, and return its result."""
        outcome = await self.moment.run(coroutine)
        expected = asyncio.CancelledError if self.moment.place else object
        assert isinstance(outcome, expected), (self.moment, outcome)
        assert self.moment.place or not isinstance(outcome, BaseException), outcome
        return outcome

    async def lease_all(self) -> list[Any]:
        """Return as many leases as there may be."""
        leases = asyncio.gather(*(self.pool.acquire(WAIT) for _ in range(_MOST)))
        return await asyncio.wait_for(leases, WAIT)

    def release_soon(self, leases: list[Any]) -> None:
        """Release leases when there is somebody who waits, or will not."""

        async def release() -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            for lease in leases:
                await self.pool.release(lease)

        self.releasing = asyncio.get_running_loop().create_task(release())
        self.moment.spared.add(self.releasing)

    @property
    def names(self) -> list[str]:
        """The sessions that the server has."""
        return [name for session in self.server.sessions if (name := session["name"]).startswith(self.database)]


async def _open(case: _Case) -> None:
    await case.cancel(case.pool.open())


async def _wait(case: _Case) -> None:
    await case.cancel(case.pool.wait())


async def _acquire_first(case: _Case) -> None:
    lease = await case.cancel(case.pool.acquire())
    if case.moment.place is None:
        await case.pool.release(lease)


async def _acquire(case: _Case) -> None:
    case.release_soon(await case.lease_all())
    lease = await case.cancel(case.pool.acquire(None))
    if case.moment.place is None:
        await case.pool.release(lease)
    await case.releasing


async def _block(case: _Case) -> None:
    async def use() -> None:
        async with case.pool.session() as lease:
            await lease.stub.ExecuteSql(query(lease))

    await case.cancel(use())


async def _run(case: _Case) -> None:
    await case.cancel(case.pool.run(lambda lease: lease.stub.ExecuteSql(query(lease))))


async def _run_lost(case: _Case) -> None:
    await case.pool.open()
    for name in case.names:
        case.server.forget(name)
    await case.cancel(case.pool.run(lambda lease: lease.stub.ExecuteSql(query(lease))))


async def _drain(case: _Case) -> None:
    case.release_soon(await case.lease_all())
    await case.cancel(case.pool.drain())
    await case.releasing


async def _close(case: _Case) -> None:
    for lease in await case.lease_all():
        await case.pool.release(lease)
    await case.cancel(case.pool.close())


async def _close_early(case: _Case) -> None:
    opening = asyncio.ensure_future(case.pool.open())
    await asyncio.sleep(0)
    await case.cancel(case.pool.close())
    await asyncio.wait([opening], timeout=WAIT)
    assert opening.cancelled() or isinstance(opening.exception(), PoolClosed)


async def _close_beside(case: _Case) -> None:
    first, *others = await case.lease_all()
    await case.pool.release(first)
    await case.cancel(_both(case.client.close(), case.pool.close()))
    for lease in others:
        await case.pool.release(lease)


async def _both(*coroutines: Coroutine[Any, Any, Any]) -> None:
    await asyncio.gather(*coroutines)


async def _whole(case: _Case) -> None:
    async def use() -> None:
        async with case.pool, case.pool.session():
            pass

    await case.cancel(use())


_USES: dict[str, Callable[[_Case], Awaitable[None]]] = {
    "open": _open,
    "wait": _wait,
    "acquire, the first": _acquire_first,
    "acquire, of a crowd": _acquire,
    "session": _block,
    "run": _run,
    "run, on a lost session": _run_lost,
    "drain": _drain,
    "close": _close,
    "close, while it opens": _close_early,
    "close, beside its client's": _close_beside,
    "block": _whole,
}
# A pool that is not entered, or whose client closes, does not wait for its deletes.
_LEAVE_SESSIONS = ("block", "close, beside its client's")


async def _check(case: _Case) -> None:
    """Require that a pool gives all its sessions, or is closed and says so; close it: nothing is left."""
    pool, moment = case.pool, case.moment
    if " closed " in repr(pool):
        with pytest.raises(PoolClosed):
            await pool.acquire()
    else:
        for lease in await case.lease_all():
            await pool.release(lease)
        stats = pool.stats()
        assert (stats.size, stats.idle, stats.leased, stats.waiting) == (_MOST, _MOST, 0, 0), moment
    await asyncio.wait_for(pool.close(WAIT), WAIT / 2)
    assert pool.stats().size == 0, moment
    await case.client.close()
    await nothing_left(case.server, moment)


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("use", _USES)
def test_a_cancelled_use_loses_no_session(server: CountingSpanner, use: str, tasks: str) -> None:
    """The pool gives as many as it may have, or is closed; nor does one stay on the server."""

    async def main() -> None:
        for moment in each_suspension():
            case = _Case(server, moment)
            await _USES[use](case)
            await _check(case)
            # What is created or deleted at the moment is not waited for where its task is cancelled too.
            if moment.how is not How.ALL and use not in _LEAVE_SESSIONS:
                assert case.names == [], moment

    run_in(tasks, main())


@pytest.mark.parametrize("tasks", TASKS)
def test_a_close_after_a_cancelled_one_ends_in_its_time(server: CountingSpanner, tasks: str) -> None:
    """Deletes hang, and one session is not released: neither takes longer than after a close that was not cancelled."""

    async def main() -> None:
        server.faults.add("DeleteSession", drop=True, times=None)
        took: list[float] = []
        for moment in each_suspension():
            case = _Case(server, moment)
            leases = await case.lease_all()
            for lease in leases[1:]:
                await case.pool.release(lease)
            await case.cancel(case.pool.close(0.05))
            started = time.monotonic()
            await asyncio.wait_for(case.pool.close(0.05), WAIT / 2)
            took.append(time.monotonic() - started)
            assert case.pool.stats().size == 1
            await case.pool.release(leases[0])
            await asyncio.wait_for(case.pool.close(0.05), WAIT / 2)
            assert case.pool.stats().size == 0
            await case.client.close()
            await nothing_left(server, moment)
        control = took[-1]
        assert max(took) < control + 0.05 + _SLACK

    run_in(tasks, main())


async def _creating(case: _Case) -> None:
    with contextlib.suppress(PoolError):
        await case.pool.open()


async def _pinging(case: _Case) -> None:
    leases = await case.lease_all()
    # The others may be lost with it.
    leases[0].invalidate()
    for lease in leases:
        await case.pool.release(lease)


async def _closing(case: _Case) -> None:
    await case.pool.open()
    await asyncio.wait_for(case.pool.close(WAIT), WAIT / 2)


_JOBS: dict[str, Callable[[_Case], Awaitable[None]]] = {
    "_create": _creating,
    "_keep_on": _creating,
    "_ping": _pinging,
    "_delete": _pinging,
    "_delete, at the end": _closing,
}


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("job", _JOBS)
def test_a_cancelled_task_of_a_pool_loses_no_session(
    server: CountingSpanner, monkeypatch: pytest.MonkeyPatch, job: str, tasks: str
) -> None:
    """Nor does the pool wait for what it was to do, as when `asyncio.run` cancels all tasks."""

    async def main() -> None:
        for moment in each_suspension(How.BEFORE, How.TOGETHER, first=0):
            case = _Case(server, moment)
            started: list[str] = []

            def start(coroutine: Any, moment: Moment = moment, started: list[str] = started) -> asyncio.Task[Any]:
                started.append(coroutine.__name__)
                if coroutine.__name__ == job.partition(",")[0] and started.count(coroutine.__name__) == 1:
                    return moment.start(start_background_task, coroutine)
                return start_background_task(coroutine)

            monkeypatch.setattr(runner_async, "start_background_task", start)
            await _JOBS[job](case)
            await _check(case)

    run_in(tasks, main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("tasks", TASKS)
def test_a_loop_that_ends_leaves_no_task_of_an_open_pool(server: CountingSpanner, tasks: str) -> None:
    """`asyncio.run` cancels all tasks: what they leave undone begins no others, which would never end."""

    async def main(turns: int) -> asyncio.AbstractEventLoop:
        client = AsyncSessionsClient(AnonymousCredentials(), options=server.client_options())
        pool = AsyncSessionPool(client, _DATABASE, options=PoolOptions(min_size=60, max_size=60))
        await pool.open()
        # More sessions are to be pinged than are pinged at the same time.
        (await pool.acquire()).invalidate()
        for _ in range(turns):
            await asyncio.sleep(0)
        return asyncio.get_running_loop()

    for turns in range(8):
        assert asyncio.all_tasks(run_in(tasks, main(turns))) == set(), turns
