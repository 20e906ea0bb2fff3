"""How the pool core fills and grows, and what it does when creates fail."""

from __future__ import annotations

import itertools
from math import inf

import pytest

from spanner_grpc_sessions.errors import PoolError
from spanner_grpc_sessions.pool.core.creation import retry_delay
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Fail
from spanner_grpc_sessions.service.limits import MAX_BATCH
from tests.unit.pool.core.driver import Pool, kinds

DENIED = PermissionError("no")


def test_the_first_tick_fills_the_pool_in_batches_side_by_side() -> None:
    """All of `min_size` is asked for at once, at most a hundred a call."""
    pool = Pool(min_size=250, max_size=300, fill=False)
    assert pool.effects == [Create(100), Create(100), Create(50)]
    assert not pool.core.filled
    pool.answer_creates()
    assert pool.core.filled
    assert len(pool.core.idle) == 250


def test_an_empty_pool_asks_for_nothing() -> None:
    """With a `min_size` of 0 nothing happens before the first acquire, no tick either."""
    pool = Pool(min_size=0, fill=False)
    assert (pool.effects, pool.wake) == ([], inf)
    assert pool.core.filled


def test_what_a_short_answer_lacks_is_asked_for_again() -> None:
    """The server may give fewer than asked for: the rest is asked for at once."""
    pool = Pool(min_size=10, max_size=10, fill=False)
    assert pool.do("created", 10, [("a", None), ("b", None), ("c", None)]) == [Create(7)]


def test_an_empty_answer_is_a_failure() -> None:
    """An answer without a session is not asked for again at once, only after a backoff."""
    pool = Pool(min_size=10, max_size=10, fill=False)
    assert pool.do("created", 10, []) == []
    assert isinstance(pool.core.last_error, PoolError)
    assert pool.wake == retry_delay(1, 0.0)
    assert pool.tick(pool.wake) == [Create(10)]


def test_more_than_was_asked_for_is_deleted() -> None:
    """A session beyond the count of the create might be one above `max_size`."""
    pool = Pool(min_size=1, max_size=1, fill=False)
    (delete,) = pool.do("created", 1, [("a", None), ("b", None)])
    assert isinstance(delete, Delete)
    assert delete.record.name == "b"
    assert [record.name for record in pool.core.idle] == ["a"]
    assert pool.core.stats().created == 2


def test_the_pool_grows_by_what_waits_and_is_not_covered() -> None:
    """Each acquire asks for one session more, up to `max_size`."""
    pool = Pool(max_size=3)
    assert [pool.do("acquire", waiter) for waiter in "abcd"] == [[Create(1)], [Create(1)], [Create(1)], []]
    assert pool.core.stats().waiting == 4


def test_creates_in_flight_cover_callers_that_come_meanwhile() -> None:
    """While the pool fills, acquires ask for nothing more than is on its way."""
    pool = Pool(min_size=2, max_size=3, fill=False)
    assert [pool.do("acquire", waiter) for waiter in "abc"] == [[], [], [Create(1)]]


def test_waiters_go_on_waiting_while_a_create_is_repeated() -> None:
    """After a passing failure the create is repeated when the backoff is over, and not before."""
    pool = Pool()
    pool.do("acquire", "a")
    assert pool.do("create_failed", 1, OSError()) == []
    assert pool.wake == retry_delay(1, 0.0)
    pool.now = pool.wake / 2
    assert pool.do("acquire", "b") == []
    assert pool.tick(pool.wake) == [Create(2)]
    deliveries = [effect for effect in pool.do("created", 2, [("x", None), ("y", None)]) if isinstance(effect, Deliver)]
    assert [(delivery.waiter, delivery.record.name) for delivery in deliveries] == [("a", "y"), ("b", "x")]
    assert pool.core.last_error is None


def test_backoff_doubles_up_to_four_seconds() -> None:
    """The longest wait starts at a quarter of a second, and at least half of it is waited."""
    delays = [retry_delay(failures, 1.0) for failures in (1, 2, 3, 6, 7, 8, 10**6)]
    assert delays == [0.25, 0.5, 1.0, 4.0, 4.0, 4.0, 4.0]
    assert [retry_delay(failures, 0.0) for failures in (1, 7)] == [0.125, 2.0]


def test_failures_in_a_row_lengthen_the_backoff_and_a_success_ends_it() -> None:
    """Each failed attempt waits longer than the one before; after a success it starts again."""
    pool = Pool(min_size=1, fill=False)
    waits = []
    for _ in range(3):
        pool.do("create_failed", 1, OSError())
        waits.append(pool.wake - pool.now)
        assert pool.tick(pool.wake) == [Create(1)]
    assert waits == pytest.approx([retry_delay(1, 0), retry_delay(2, 0), retry_delay(3, 0)])
    pool.answer_creates()
    record = pool.lease("a")
    pool.do("lost", record)
    assert pool.do("give_back", record) == [Create(1)]
    pool.wake = inf
    pool.do("create_failed", 1, OSError())
    pool.tick()
    assert pool.wake - pool.now == pytest.approx(retry_delay(1, 0))


def test_calls_that_fail_side_by_side_are_one_failure() -> None:
    """Four batches that fail together do not wait as after four failures in a row."""
    pool = Pool(min_size=400, max_size=400, fill=False)
    for _ in range(4):
        pool.do("create_failed", MAX_BATCH, OSError())
    assert pool.wake == retry_delay(1, 0.0)


def test_after_a_failure_one_call_probes() -> None:
    """One batch is asked for, and its success brings the others."""
    pool = Pool(min_size=400, max_size=400, fill=False)
    for _ in range(4):
        pool.do("create_failed", MAX_BATCH, OSError())
    assert pool.tick(pool.wake) == [Create(MAX_BATCH)]
    assert pool.do("acquire", "a") == []
    assert (
        kinds(pool.do("created", MAX_BATCH, [(str(number), None) for number in range(MAX_BATCH)]))
        == ["Deliver"] + ["Create"] * 3
    )


def test_a_fatal_failure_fails_all_waiters() -> None:
    """Without the database no caller waits for a timeout, and no tick is due for those who are gone."""
    pool = Pool()
    pool.do("acquire", "a")
    pool.do("acquire", "b")
    assert pool.do("create_failed", 1, DENIED, fatal=True) == [Fail("a", DENIED), Fail("b", DENIED)]
    assert pool.wake == inf
    assert pool.core.last_error is DENIED
    assert not pool.core.contended


def test_after_a_fatal_failure_the_next_acquire_tries_at_once() -> None:
    """The cause may be mended: one call finds out, however many come."""
    pool = Pool()
    pool.do("acquire", "a")
    pool.do("create_failed", 1, DENIED, fatal=True)
    assert pool.do("acquire", "b") == [Create(1)]
    assert pool.do("acquire", "c") == []
    assert pool.do("create_failed", 1, DENIED, fatal=True) == [Fail("b", DENIED), Fail("c", DENIED)]


def test_after_a_fatal_failure_the_pool_fills_itself_after_backoff() -> None:
    """What `min_size` demands is tried again also when no caller comes."""
    pool = Pool(min_size=2, fill=False)
    assert pool.do("create_failed", 2, DENIED, fatal=True) == []
    assert pool.tick(pool.wake) == [Create(2)]


def test_sessions_of_one_batch_are_spread_evenly() -> None:
    """Keep-alive times are shortened by up to half, lifetimes by a fifth; no two sessions of a batch share one."""
    pool = Pool(min_size=100, max_size=100, keep_alive_after=100.0, max_lifetime=1000.0, fill=False)
    records = pool.answer_creates(draw=0.7)
    lifetimes = sorted(record.expires_at for record in records)
    gaps = [later - sooner for sooner, later in itertools.pairwise(lifetimes)]
    assert 800 < lifetimes[0] < 810
    assert 990 < lifetimes[-1] <= 1000
    assert 0 < min(gaps) < max(gaps) < 4 * 200 / 100
    for record in records:
        assert 1 - record.keep_alive_after / 100 == pytest.approx(2.5 * (1 - record.expires_at / 1000))
