"""Sessions that no caller can reach any more, and those that a caller can."""

from __future__ import annotations

from math import inf

from spanner_grpc_sessions.pool.core import Delete
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_INTERVAL, RECLAIM_PAUSE, RECLAIM_QUIET
from tests.unit.pool.core.driver import Pool, idle_sessions


class _Holder:
    """What acquires."""


def _pool(size: int = 2) -> Pool:
    pool = Pool(min_size=size, max_size=size, fill=False)
    pool.answer_creates()
    return pool


def test_a_session_that_the_fast_path_lost_is_idle_again() -> None:
    """Nothing but the pool refers to it."""
    pool = _pool()
    pool.core.idle.pop()
    assert len(pool.idle) == 1
    assert pool.tick(pool.now + RECLAIM_QUIET) == []
    assert len(idle_sessions(pool.core)) == 2


def test_a_session_on_its_way_in_the_fast_path_is_left_to_it() -> None:
    """Its caller refers to it, for however long."""
    pool = _pool()
    record = pool.core.idle.pop()
    for seconds in (RECLAIM_QUIET, RECLAIM_INTERVAL, RECLAIM_INTERVAL):
        assert pool.tick(pool.now + seconds) == []
    assert record not in idle_sessions(pool.core)
    pool.core.idle.append(record)
    assert len(pool.idle) == 2


def test_a_session_is_deleted_with_its_lease() -> None:
    """As soon as nothing but its record refers to the lease, and not before."""
    pool = _pool()
    record, holder = pool.core.idle.pop(), _Holder()
    record.holder = holder
    assert pool.tick(pool.now + RECLAIM_QUIET) == []
    del holder
    assert pool.tick(pool.now + RECLAIM_QUIET) == [Delete(record)]
    assert pool.lines == ["a lease was dropped without a release: its session is deleted"]


def test_leases_that_are_dropped_at_once_share_a_line() -> None:
    """With their number."""
    pool = _pool()
    for record in (pool.core.idle.pop(), pool.core.idle.pop()):
        record.holder = _Holder()
    assert len(pool.tick(pool.now + RECLAIM_QUIET)) == 2
    assert pool.lines == ["2 leases were dropped without a release: their sessions are deleted"]


def test_a_session_that_was_delivered_to_nobody_goes_to_the_next() -> None:
    """The caller was interrupted twice: it came neither to its session nor to its end."""
    pool = _pool(1)
    pool.do("acquire", _Holder())
    waiter = _Holder()
    assert pool.do("acquire", waiter) == []
    (delivery,) = pool.tick(pool.now + RECLAIM_QUIET)
    assert getattr(delivery, "waiter", None) is waiter


def test_the_pool_looks_no_more_often_than_once_a_second() -> None:
    """Else callers that wait would have it look at all its sessions again and again."""
    pool = _pool(1)
    pool.tick(pool.now + RECLAIM_QUIET)
    pool.core.idle.pop().holder = _Holder()
    first, second = _Holder(), _Holder()
    assert pool.do("acquire", first) == []
    pool.now += RECLAIM_PAUSE
    assert [type(effect) for effect in pool.do("acquire", second)] == [Delete]


def test_the_pool_looks_sooner_where_a_session_was_leased() -> None:
    """A pool that is hardly used need not wake for that."""
    pool = _pool()
    pool.tick(pool.now + RECLAIM_QUIET)
    assert pool.core.reclaim_at == pool.now + RECLAIM_QUIET
    record, holder = pool.core.idle.pop(), _Holder()
    record.holder = holder
    pool.tick(pool.now + RECLAIM_QUIET)
    assert pool.core.reclaim_at == pool.now + RECLAIM_INTERVAL


def test_a_caller_that_waits_has_the_pool_look_again() -> None:
    """What it waits for may be lost after it came."""
    pool = _pool(1)
    pool.tick(pool.now + RECLAIM_QUIET)
    pool.now += RECLAIM_PAUSE
    pool.wake = inf
    holder = pool.core.idle.pop().holder = _Holder()
    assert pool.do("acquire", "a") == []
    assert pool.wake == pool.now + RECLAIM_INTERVAL
    del holder
    assert [type(effect) for effect in pool.tick(pool.wake)] == [Delete]
