"""The limits of a session pool, in both colours: its size, its queue, timeouts, and leases that are kept too long."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from spanner_grpc_sessions import (
    AsyncSessionPool,
    Internal,
    PoolOverloaded,
    PoolTimeout,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.pool import lease as pool_lease
from spanner_grpc_sessions.runtime.clock import Clock
from tests.support.clocks import HandMovedClock
from tests.support.colours import SYNC, Colour
from tests.support.pools import Rig, async_pool, until_answered
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"


# ---- waiting


def test_a_nested_acquire_ends_by_its_default_timeout(rig: Rig) -> None:
    """A function that asks for a second session of a pool of one gets an error, not a service that stands still."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    outer = rig.start(pool.run, rig.function(lambda lease: pool.acquire()))
    until(lambda: pool.stats().waiting == 1)
    rig.clock.advance(29.9)
    assert (outer.done(), pool.stats().waiting) == (False, 1)
    rig.clock.advance(0.1)
    assert isinstance(outer.exception(WAIT), PoolTimeout)
    assert (pool.stats().idle, pool.stats().waiting, pool.stats().timeouts) == (1, 0, 1)


def test_a_full_queue_refuses_at_once_and_has_room_again(rig: Rig) -> None:
    """With `max_waiting` in line a further one is refused; after their timeouts there is room."""
    pool = rig.pool(min_size=1, max_size=1, max_waiting=3)
    lease = pool.acquire()
    waiting = rig.wait_in_line(pool, 3, timeout=10)
    for _ in range(2):
        with pytest.raises(PoolOverloaded, match="max_waiting is 3"):
            pool.acquire()
    with pytest.raises(PoolOverloaded):
        pool.acquire(timeout=0)
    rig.clock.advance(10)
    assert all(isinstance(each.exception(WAIT), PoolTimeout) for each in waiting)
    (patient,) = rig.wait_in_line(pool)
    pool.release(lease)
    assert patient.result(WAIT).name == lease.name
    assert pool.stats().timeouts == 3


def test_an_acquire_with_timeout_zero_never_waits(rig: Rig, plain: LocalSpanner) -> None:
    """It gets what is idle, and no more; what was begun for it serves the next."""
    plain.faults.add("BatchCreateSessions", delay=0.5)
    pool = rig.pool(min_size=0, max_size=1)
    with pytest.raises(PoolTimeout, match="within 0 s"):
        pool.acquire(timeout=0)
    until(lambda: pool.stats().idle == 1)
    pool.release(pool.acquire(timeout=0))
    assert (pool.stats().timeouts, pool.stats().waiting, pool.stats().created) == (1, 0, 1)


def test_a_timeout_has_the_failure_of_the_create_as_its_cause(rig: Rig, plain: LocalSpanner) -> None:
    """A server that is in trouble is named."""
    plain.faults.add("BatchCreateSessions", status="INTERNAL", times=None)
    pool = rig.pool(min_size=0)
    (waiting,) = rig.wait_in_line(pool, timeout=0.2)
    until_answered(pool, lambda: rig.requests("BatchCreateSessions"), 1)
    rig.clock.advance(0.2)
    error = waiting.exception(WAIT)
    assert isinstance(error, PoolTimeout)
    assert isinstance(error.__cause__, Internal)


def test_wait_ends_by_its_timeout(rig: Rig, plain: LocalSpanner) -> None:
    """The cause is why no session could be created."""
    plain.faults.add("BatchCreateSessions", status="UNAVAILABLE", times=None)
    pool = rig.pool(min_size=1)
    waiting = rig.start(pool.wait, timeout=5)
    until_answered(pool, lambda: rig.requests("BatchCreateSessions"), 1)
    rig.clock.advance(4.9)
    assert not waiting.done()
    rig.clock.advance(0.1)
    error = waiting.exception(WAIT)
    assert isinstance(error, PoolTimeout)
    assert isinstance(error.__cause__, Unavailable)
    with pytest.raises(PoolTimeout):
        pool.wait(timeout=0)
    plain.faults.clear()
    waiting = rig.start(pool.wait, timeout=None)

    def filled_in_time() -> bool:
        rig.clock.advance(4)
        return waiting.done()

    until(filled_in_time)
    waiting.result()
    pool.wait(timeout=0)


def test_wait_is_more_patient_than_open(rig: Rig, plain: LocalSpanner) -> None:
    """A failure that the client would not repeat ends `open`, while `wait` waits for better times."""
    plain.faults.add("BatchCreateSessions", status="INTERNAL", times=2)
    pool = rig.pool(min_size=1)
    with pytest.raises(Internal):
        pool.open()
    waiting = rig.start(pool.wait)
    for calls, longest in ((1, 0.25), (2, 0.5)):
        until_answered(pool, lambda: rig.requests("BatchCreateSessions"), calls)
        assert not waiting.done()
        rig.clock.advance(longest)
    waiting.result(WAIT)


# ---- numbers


def test_the_numbers_say_how_long_acquires_waited(rig: Rig) -> None:
    """Waits that ended by a session or a timeout are in the histogram; an acquire that found one idle is not."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    before = pool.stats().wait_seconds
    lease = pool.acquire()
    (short,) = rig.wait_in_line(pool, timeout=None)
    rig.clock.advance(0.3)
    pool.release(lease)
    lease = short.result(WAIT)
    (vain,) = rig.wait_in_line(pool, timeout=7)
    rig.clock.advance(7)
    assert isinstance(vain.exception(WAIT), PoolTimeout)
    until(lambda: pool.stats().timeouts == 1)
    waits = pool.stats().wait_seconds
    more = {
        bound: count - old
        for bound, count, old in zip(waits.bounds, waits.counts[:-1], before.counts[:-1], strict=True)
        if count > old
    }
    assert more == {0.5: 1, 10.0: 1}
    assert waits.sum - before.sum == pytest.approx(7.3)
    assert before.counts == (0,) * 15


def test_to_look_for_leaks_changes_no_number(rig: Rig) -> None:
    """An acquire that finds a session waits for none, also where its stack is taken."""
    pool, looking = rig.pool(min_size=2), rig.pool(min_size=2, leak_after=60.0)
    for each in (pool, looking):
        each.open()
        each.release(each.acquire())
        lease = each.acquire()
        rig.clock.advance(1)
        each.release(lease)
    assert pool.stats() == looking.stats()


def test_the_numbers_go_into_json(rig: Rig) -> None:
    """As a dict, with the histogram as one of its own."""
    pool = rig.pool(min_size=2, max_size=3)
    lease = pool.acquire()
    stats = pool.stats()
    numbers = json.loads(json.dumps(stats._asdict()))
    histogram = numbers.pop("wait_seconds")
    until(lambda: pool.stats().created == 2)
    assert {key: numbers[key] for key in ("leased", "waiting", "deleted", "pinged", "lost", "timeouts")} == {
        "leased": 1, "waiting": 0, "deleted": 0, "pinged": 0, "lost": 0, "timeouts": 0,
    }  # fmt: skip
    assert (numbers["size"], numbers["idle"]) == (stats.size, stats.idle)
    assert (len(histogram["bounds"]), len(histogram["counts"]), histogram["sum"]) == (14, 15, 0.0)
    pool.release(lease)


# ---- leaks


def test_an_async_leak_is_reported_with_its_stack(plain: LocalSpanner, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each lease that is kept for too long, with the coroutine that acquired it; none that came back."""
    clock = HandMovedClock()

    async def forgetful(pool: AsyncSessionPool) -> Any:
        return await pool.acquire()

    async def main() -> tuple[str, str]:
        async with async_pool(plain, _DATABASE, clock=clock, min_size=3, max_size=3, leak_after=60.0) as pool:
            first, careful, brief = await forgetful(pool), await pool.acquire(), await pool.acquire()
            late = asyncio.create_task(forgetful(pool))
            await until_async(lambda: pool.stats().waiting == 1)
            clock.advance(40)
            await pool.release(careful)
            second = await late
            await pool.release(brief)
            for seconds, reports in ((20, 1), (30, 1), (10, 2), (100, 2)):
                clock.advance(seconds)
                await asyncio.to_thread(_until_reported, caplog, reports)
            for lease in (first, second):
                await pool.release(lease)
            return first.name, second.name

    with caplog.at_level(logging.WARNING, "spanner_grpc_sessions"):
        leaked = asyncio.run(main())
    reports = _reports(caplog)
    assert len(reports) == 2
    for name, report in zip(leaked, reports, strict=True):
        assert f"{name} has been leased for 60 s" in report
        assert "in forgetful" in report
        assert "spanner_grpc_sessions/pool" not in report


def test_a_leak_is_noticed_when_nothing_else_happens(
    rig: Rig, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool is woken for it each time, though it is asleep until the next ping."""
    pool = rig.pool(clock=Clock(), min_size=1, leak_after=0.02)
    with caplog.at_level(logging.WARNING, "spanner_grpc_sessions"):
        for reports in (1, 2):
            lease = pool.acquire()
            _until_reported(caplog, reports)
            pool.release(lease)
            assert lease.name in _reports(caplog)[-1]
            if colour is SYNC:
                assert "in test_a_leak_is_noticed_when_nothing_else_happens" in _reports(caplog)[-1]


def _reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "has been leased" in record.getMessage()]


def _until_reported(caplog: pytest.LogCaptureFixture, count: int) -> None:
    until(lambda: len(_reports(caplog)) == count)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_the_stack_of_a_lease_is_taken_and_shown_without_the_lock(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others use the pool while the lines of source are read, from a slow disk perhaps."""
    pool, free = rig.pool(leak_after=60.0), []

    def look(function: Callable[..., Any]) -> Callable[..., Any]:
        def looking(*args: Any) -> Any:
            free.append(rig.start(_is_free, pool._runner._lock).result(WAIT))
            return function(*args)

        return looking

    stacks = SimpleNamespace(walk_stack=look(traceback.walk_stack), format_list=look(traceback.format_list))
    monkeypatch.setattr(pool_lease, "traceback", stacks)
    lease = pool.acquire()
    rig.clock.advance(61)
    _until_reported(caplog, 1)
    assert free == [True, True]
    pool.release(lease)


def _is_free(lock: Any) -> bool:
    free = bool(lock.acquire(blocking=False))
    if free:
        lock.release()
    return free


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_a_log_handler_can_use_the_pool(rig: Rig) -> None:
    """The pool holds no lock while it says that a lease is kept for too long."""
    pool, used = rig.pool(min_size=2, leak_after=60.0), threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pool.release(rig.start(pool.acquire).result(WAIT))
            used.set()

    log, handler = logging.getLogger("spanner_grpc_sessions"), Handler(logging.WARNING)
    lease = pool.acquire()
    log.addHandler(handler)
    try:
        rig.clock.advance(61)
        assert used.wait(WAIT)
    finally:
        log.removeHandler(handler)
    pool.release(lease)
