"""The decisions of the pool core, one by one; the machine beside this file tries their sequences."""

from __future__ import annotations

from collections import deque
from math import inf

import pytest

from spanner_grpc_sessions.errors import PoolClosed, PoolError, PoolOverloaded, PoolTimeout
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Fail
from spanner_grpc_sessions.pool.core.record import SessionRecord
from tests.unit.pool.core.driver import Pool, kinds

DENIED = PermissionError("no")


def test_the_most_recently_used_session_is_handed_out_first() -> None:
    """Reuse is last in, first out, so that the others grow idle."""
    pool = Pool(min_size=3)
    first, second = pool.lease("a"), pool.lease("b")
    pool.do("give_back", first)
    pool.do("give_back", second)
    assert pool.lease("c") is second
    assert pool.lease("d") is first


def test_who_waits_is_served_first_come_first_served() -> None:
    """Sessions that come back go to the first in the queue."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    for waiter in "bcd":
        assert pool.do("acquire", waiter) == []
    assert pool.do("give_back", record) == [Deliver("b", record)]
    assert pool.do("give_back", record) == [Deliver("c", record)]
    assert record.holder == "c"


def test_a_full_queue_refuses_at_once() -> None:
    """`max_waiting` bounds the queue, and a refused caller leaves no trace in it."""
    pool = Pool(max_size=1, max_waiting=1)
    assert pool.do("acquire", "a") == [Create(1)]
    (fail,) = pool.do("acquire", "b")
    assert isinstance(fail, Fail)
    assert fail.waiter == "b"
    assert isinstance(fail.error, PoolOverloaded)
    assert "max_waiting is 1" in str(fail.error)
    assert pool.core.stats().waiting == 1


def test_a_waiter_that_goes_is_forgotten() -> None:
    """What comes back afterwards goes to the next one."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("acquire", "b")
    pool.do("acquire", "c")
    assert pool.do("waiter_gone", "b", timed_out=True) == []
    assert pool.do("give_back", record) == [Deliver("c", record)]


def test_a_session_handed_to_a_waiter_that_goes_is_not_lost() -> None:
    """Unless it was accepted, it goes to the next waiter, and from the last one to the idle sessions."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("acquire", "b")
    pool.do("acquire", "c")
    pool.do("give_back", record)
    assert pool.do("waiter_gone", "b", timed_out=False) == [Deliver("c", record)]
    assert pool.do("waiter_gone", "c", timed_out=True) == []
    assert list(pool.core.idle) == [record]
    assert record.holder is None


def test_a_waiter_that_failed_already_can_leave() -> None:
    """A timeout that comes together with the failure changes nothing but the count."""
    pool = Pool()
    pool.do("acquire", "a")
    pool.do("create_failed", 1, DENIED, fatal=True)
    assert pool.do("waiter_gone", "a", timed_out=True) == []
    assert pool.core.stats().timeouts == 1


def test_waits_and_timeouts_are_counted() -> None:
    """Waits count when they end with a session or by giving up; only the latter in time are timeouts."""
    pool = Pool(max_size=1)
    for waiter in "abc":
        pool.do("acquire", waiter)
    pool.now = 0.2
    pool.do("waiter_gone", "b", timed_out=False)
    pool.now = 2.0
    pool.do("created", 1, [("x", None)])
    pool.now = 40.0
    pool.do("waiter_gone", "c", timed_out=True)
    stats = pool.core.stats()
    assert stats.timeouts == 1
    assert stats.wait_seconds.sum == pytest.approx(0.2 + 2.0 + 40.0)
    waits = dict(zip((*stats.wait_seconds.bounds, inf), stats.wait_seconds.counts, strict=True))
    assert {bound for bound, count in waits.items() if count} == {0.25, 2.5, inf}


def test_a_lost_session_is_replaced_where_it_is_missing() -> None:
    """A lost session is not deleted, and replaced for `min_size` when it is given back."""
    pool = Pool(min_size=1, max_size=2)
    kept, spare = pool.lease("a"), None
    pool.do("acquire", "b")
    (spare,) = pool.answer_creates()
    pool.accept("b")
    for record in (spare, kept):
        assert pool.do("lost", record) == []
    assert pool.do("give_back", spare) == []
    assert pool.do("give_back", kept) == [Create(1)]
    assert pool.core.stats().lost == 2


def test_a_lost_session_is_replaced_for_a_waiter() -> None:
    """With room again, the waiter gets a new one."""
    pool = Pool(max_size=1)
    pool.do("acquire", "a")
    (record,) = pool.answer_creates()
    pool.accept("a")
    assert pool.do("acquire", "b") == []
    pool.do("lost", record)
    assert pool.do("give_back", record) == [Create(1)]


@pytest.mark.parametrize("lost", [True, False])
def test_a_second_release_is_refused_and_changes_nothing(lost: bool) -> None:
    """Whether the session was kept or lost, giving it back twice is an error of the caller."""
    pool = Pool(min_size=2)
    record = pool.lease("a")
    if lost:
        pool.do("lost", record)
    pool.do("give_back", record)
    before = repr(pool.core)
    with pytest.raises(PoolError, match=record.name):
        pool.do("give_back", record)
    assert repr(pool.core) == before


def test_a_lease_of_another_pool_is_refused() -> None:
    """A session of another pool stays leased there."""
    pool, other = Pool(min_size=1), Pool(min_size=1)
    record = other.lease("a")
    with pytest.raises(PoolError):
        pool.do("give_back", record)
    assert record.holder == "a"
    assert pool.idle != [record]


def test_a_session_that_the_fast_path_released_goes_to_a_waiter_that_came_between() -> None:
    """An append while callers wait is followed by `serve_waiters`."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    assert not pool.core.contended
    pool.do("acquire", "b")
    assert pool.core.contended
    record.holder = None
    pool.core.idle.append(record)
    assert pool.do("serve_waiters") == [Deliver("b", record)]
    assert not pool.core.contended


@pytest.mark.parametrize("event", [("acquire", "b"), ("close",)])
def test_the_fast_path_is_told_before_idle_sessions_are_looked_at(event: tuple[str, ...]) -> None:
    """A session appended just after the look is handed out by the thread that appended it, and not forgotten."""
    pool = Pool()
    told: list[bool] = []

    class Watched(deque[SessionRecord]):
        def pop(self) -> SessionRecord:  # type: ignore[override]  # the core gives no index
            told.append(pool.core.contended)
            return super().pop()

        def __len__(self) -> int:
            told.append(pool.core.contended)
            return super().__len__()

    pool.core._sessions.idle = Watched()
    pool.do(*event)
    assert told
    assert all(told)


def test_closing_fails_waiters_and_deletes_idle_sessions() -> None:
    """No lease is given any more, and no tick is due."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("acquire", "b")
    (fail,) = pool.do("close")
    assert isinstance(fail, Fail)
    assert fail.waiter == "b"
    assert isinstance(fail.error, PoolClosed)
    (fail,) = pool.do("acquire", "c")
    assert isinstance(fail, Fail)
    assert isinstance(fail.error, PoolClosed)
    assert pool.do("give_back", record) == [Delete(record)]
    assert not pool.core.closed
    pool.do("deleted", record)
    assert pool.core.closed
    assert pool.core.stats().deleted == 1


def test_what_arrives_after_closing_is_deleted() -> None:
    """Creates and pings that were in flight bring sessions that no caller will use."""
    pool = Pool(min_size=1, max_size=2, keep_alive_after=10.0)
    (record,) = pool.core.idle
    pool.tick(10.0)
    pool.do("acquire", "a")
    pool.do("acquire", "b")
    assert kinds(pool.do("close")) == ["Fail", "Fail"]
    assert pool.do("pinged", record) == [Delete(record)]
    (delete,) = pool.do("created", 1, [("late", None)])
    assert isinstance(delete, Delete)
    assert delete.record.name == "late"
    for gone in (record, delete.record):
        assert not pool.core.closed
        pool.do("deleted", gone, ok=False)
    assert pool.core.closed
    assert pool.core.stats().deleted == 0


def test_a_closed_pool_creates_nothing_any_more() -> None:
    """A create that fails after closing is not repeated; neither does a late tick do anything."""
    pool = Pool(min_size=2, fill=False)
    assert pool.do("close") == []
    assert pool.do("create_failed", 2, OSError()) == []
    assert (pool.tick(100.0), pool.wake) == ([], inf)
    assert pool.core.closed


def test_closing_twice_is_closing_once() -> None:
    """The second time nothing is left to do."""
    pool = Pool(min_size=2)
    assert kinds(pool.do("close")) == ["Delete", "Delete"]
    assert pool.do("close") == []


def test_sessions_can_be_left_to_the_server() -> None:
    """Without `delete_on_close` the pool forgets its sessions, before and after closing, and is closed at once."""
    pool = Pool(min_size=2, delete_on_close=False, fill=False)
    pool.answer_creates()
    record = pool.lease("a")
    assert pool.do("close") == []
    assert not pool.core.closed
    assert pool.do("give_back", record) == []
    assert pool.core.closed


def test_a_pool_that_keeps_sessions_at_close_deletes_old_ones_before() -> None:
    """`delete_on_close` is about closing only."""
    pool = Pool(min_size=1, delete_on_close=False, max_lifetime=10.0)
    assert kinds(pool.tick(10.0)) == ["Delete", "Create"]


def test_repr_tells_how_the_pool_is() -> None:
    """The numbers that matter are in its `repr`, no names and no resources."""
    pool = Pool(min_size=1, max_size=2)
    pool.lease("a")
    pool.do("acquire", "b")
    assert repr(pool.core) == (
        "PoolCore(size=1, idle=0, leased=1, pinging=0, creating=1, deleting=0, waiting=1, closing=False)"
    )
    assert repr(next(iter(pool.core.sessions.values()))) == "SessionRecord('s0')"


def test_errors_are_what_callers_catch() -> None:
    """A timeout is a `TimeoutError` too, and all of them are the pool's."""
    assert issubclass(PoolTimeout, TimeoutError)
    for error in (PoolTimeout, PoolClosed, PoolOverloaded):
        assert issubclass(error, PoolError)
        assert error.__module__ == "spanner_grpc_sessions"
