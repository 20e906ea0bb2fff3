"""What time demands of the pool core: pings, ends of lifetimes, shrinking, and a tick for each."""

from __future__ import annotations

from typing import Any

import pytest

from spanner_grpc_sessions.pool.core.creation import retry_delay
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Ping
from tests.unit.pool.core.driver import HOUR, Pool, kinds


def test_a_session_past_its_lifetime_is_deleted_when_it_is_idle() -> None:
    """At the end of its lifetime it is deleted, and replaced for `min_size`."""
    pool = Pool(min_size=1, max_lifetime=10.0)
    (record,) = pool.core.idle
    assert pool.wake == record.expires_at == 10.0
    assert pool.tick(10.0) == [Delete(record), Create(1)]


def test_a_session_past_its_lifetime_is_deleted_when_it_is_given_back() -> None:
    """While it is leased it is not touched."""
    pool = Pool(min_size=1, max_lifetime=10.0)
    record = pool.lease("a")
    assert pool.tick(10.0) == []
    pool.now = 11.0
    assert pool.do("give_back", record) == [Delete(record), Create(1)]


def test_a_session_past_its_lifetime_that_came_back_without_a_word_is_found() -> None:
    """The fast path tells nothing, so whatever is overdue is looked for now and then."""
    pool = Pool(min_size=1, max_lifetime=10.0, keep_alive_after=100.0)
    record = pool.lease("a")
    pool.tick(10.0)
    assert pool.wake == 20.0
    record.holder = None
    pool.core.idle.append(record)
    assert pool.tick(pool.wake) == [Delete(record), Create(1)]


def test_an_acquire_that_meets_a_session_past_its_lifetime_gets_another() -> None:
    """Also before a late tick it is not handed out."""
    pool = Pool(min_size=2, max_lifetime=10.0)
    young, old = pool.lease("a"), pool.lease("b")
    pool.do("give_back", young)
    pool.do("give_back", old)
    old.expires_at = 5.0
    pool.now = 6.0
    assert pool.do("acquire", "c") == [Delete(old), Deliver("c", young), Create(1)]


def test_unused_sessions_are_deleted_down_to_min_size() -> None:
    """Those that were not used for `max_idle` go, the others stay."""
    pool = Pool(min_size=1, max_size=3, max_idle=10.0)
    leases = []
    for waiter in "abc":
        pool.do("acquire", waiter)
        pool.answer_creates()
        pool.accept(waiter)
    leases = [pool.core.sessions[name] for name in sorted(pool.core.sessions)]
    for record, when in zip(leases, (1.0, 2.0, 3.0), strict=True):
        pool.now = when
        pool.do("give_back", record)
    assert pool.tick(10.0) == []
    assert pool.wake == 11.0
    assert pool.tick(11.0) == [Delete(leases[0])]
    assert pool.tick(12.0) == [Delete(leases[1])]
    assert pool.tick(100.0) == []
    assert pool.wake > 1000


def test_the_pool_shrinks_in_steps() -> None:
    """Ten a tick, a tick a second."""
    pool = Pool(max_size=25, max_idle=10.0)
    for waiter in map(str, range(25)):
        pool.do("acquire", waiter)
        pool.answer_creates()
        pool.accept(waiter)
    for record in tuple(pool.core.sessions.values()):
        pool.do("give_back", record)
    steps = []
    while pool.core.sessions:
        steps.append((pool.wake, len(pool.tick(pool.wake))))
    assert steps == [(10.0, 10), (11.0, 10), (12.0, 5)]


def test_sessions_kept_for_min_size_alone_are_due_when_there_are_others() -> None:
    """A session unused for long was all there was; with a second one it may go."""
    pool = Pool(min_size=1, max_size=2, max_idle=10.0)
    (old,) = pool.core.idle
    pool.do("acquire", "a")
    pool.do("acquire", "b")
    creates = pool.effects
    pool.do("waiter_gone", "b", timed_out=False)
    pool.now = 20.0
    pool.do("waiter_gone", "a", timed_out=False)
    assert pool.tick() == []
    pool.effects = creates
    pool.answer_creates()
    assert pool.wake <= pool.now
    assert pool.tick() == [Delete(old)]


def test_nothing_shrinks_without_max_idle() -> None:
    """None keeps all sessions, however long they are unused."""
    pool = Pool(max_idle=None)
    pool.do("acquire", "a")
    (record,) = pool.answer_creates()
    pool.accept("a")
    pool.do("give_back", record)
    assert kinds(pool.tick(2 * HOUR)) == ["Ping"]


def test_idle_sessions_are_pinged() -> None:
    """After `keep_alive_after` without use, and again after as long without use or ping."""
    pool = Pool(min_size=1, keep_alive_after=10.0)
    (record,) = pool.core.idle
    assert pool.wake == 10.0
    assert pool.tick(10.0) == [Ping(record)]
    assert not pool.idle
    assert pool.core.stats().idle == 0
    pool.now = 11.0
    assert pool.do("pinged", record) == []
    assert (pool.wake, pool.idle) == (21.0, [record])
    assert pool.core.stats().pinged == 1


def test_a_session_in_use_needs_no_ping() -> None:
    """Use is a sign of life, and leased sessions are not pinged."""
    pool = Pool(min_size=1, keep_alive_after=10.0)
    record = pool.lease("a")
    assert pool.tick(10.0) == []
    pool.now = 19.0
    pool.do("give_back", record)
    assert pool.tick(20.0) == []
    assert pool.wake == 29.0


def test_a_lost_session_is_replaced_after_its_ping() -> None:
    """What the server dropped does not stay in the pool."""
    pool = Pool(min_size=1, keep_alive_after=10.0)
    (record,) = pool.core.idle
    pool.tick(10.0)
    assert pool.do("ping_failed", record, lost=True) == [Create(1)]
    assert record.name not in pool.core.sessions
    assert pool.core.stats().lost == 1


def test_a_suspect_session_is_not_handed_out_before_a_ping_succeeds() -> None:
    """After a ping that failed it is idle again, pinged after a backoff, and not handed out meanwhile."""
    pool = Pool(min_size=1, max_size=1, keep_alive_after=10.0)
    (record,) = pool.core.idle
    pool.tick(10.0)
    assert pool.do("ping_failed", record) == []
    assert pool.idle == [record]
    assert pool.do("acquire", "a") == []
    assert pool.wake == 10.0 + retry_delay(1, 0.0)
    assert pool.tick(pool.wake) == [Ping(record)]
    assert pool.do("ping_failed", record) == []
    assert pool.wake == pool.now + retry_delay(2, 0.0)
    pool.tick(pool.wake)
    assert pool.do("pinged", record) == [Deliver("a", record)]


def test_a_session_that_was_silent_for_an_hour_is_replaced() -> None:
    """If all its pings fail for an hour, the server has dropped it, as likely as not."""
    pool = Pool(min_size=1, max_size=1, keep_alive_after=10.0)
    (record,) = pool.core.idle
    pool.tick(10.0)
    pool.now = HOUR - 1
    pool.do("ping_failed", record)
    pool.tick(pool.wake)
    pool.now = HOUR
    assert pool.do("ping_failed", record) == [Delete(record)]
    assert pool.do("deleted", record) == [Create(1)]


def test_pings_are_few_side_by_side_and_the_others_follow() -> None:
    """When all are due at once, ten are pinged, each answer starts the next, and each can be had at once."""
    pool = Pool(min_size=25, max_size=25, keep_alive_after=10.0)
    effects = pool.tick(11.0)
    assert kinds(effects) == ["Ping"] * 10
    pinged = []
    while effects:
        effect = effects.pop(0)
        assert isinstance(effect, Ping)
        pinged.append(effect.record)
        effects += pool.do("pinged", effect.record)
        if len(pinged) == 1:
            lease = pool.lease("a")
            assert lease is effect.record
            pool.do("give_back", lease)
    assert len(set(pinged)) == len(pinged) == 25
    assert pool.tick() == []


def test_a_session_that_was_silent_too_long_is_asked_first() -> None:
    """Past its keep-alive time, however late the ping and whatever `validate_after` says."""
    pool = Pool(min_size=1, max_size=1, keep_alive_after=60.0, validate_after=3000.0)
    (record,) = pool.core.idle
    pool.now = record.keep_alive_after - 1
    pool.do("give_back", pool.lease("a"))
    pool.now += record.keep_alive_after
    assert pool.do("acquire", "b") == [Ping(record)]
    assert pool.do("pinged", record) == [Deliver("b", record)]


def test_a_delete_that_failed_is_repeated() -> None:
    """Twice, a minute apart; the closing pool tries once more, and leaves the rest to the server."""
    pool = Pool(min_size=2, max_size=2, max_lifetime=100.0)
    first = pool.lease("a")
    pool.now = 200.0
    assert Delete(first) in pool.do("give_back", first)
    for _ in range(2):
        pool.do("deleted", first, ok=False)
        assert Delete(first) not in pool.tick(pool.now + 59)
        assert Delete(first) in pool.tick(pool.now + 1)
    pool.do("deleted", first, ok=False)
    assert Delete(first) not in pool.tick(pool.now + 1000)


def test_a_delete_that_failed_is_repeated_by_close() -> None:
    """At once, and for the last time."""
    pool = Pool(min_size=1, max_size=1, max_lifetime=100.0)
    record = pool.lease("a")
    pool.now = 200.0
    pool.do("give_back", record)
    pool.do("deleted", record, ok=False)
    assert Delete(record) in pool.do("close")
    pool.do("deleted", record, ok=False)
    assert pool.core.closed or pool.core._creation.in_flight


def test_the_sessions_that_are_due_first_are_pinged_first() -> None:
    """Where not all can be pinged at once, those that are overdue for longest come first."""
    pool = Pool(min_size=12, max_size=12, keep_alive_after=10.0)
    by_due = sorted(pool.core.idle, key=lambda record: record.keep_alive_after)
    assert pool.tick(10.0) == [Ping(record) for record in by_due[:10]]


def test_who_comes_during_a_ping_gets_another_session() -> None:
    """Pings make no caller wait while other sessions are idle."""
    pool = Pool(min_size=2, keep_alive_after=10.0)
    first, second = pool.lease("a"), pool.lease("b")
    pool.do("give_back", first)
    pool.now = 5.0
    pool.do("give_back", second)
    assert pool.tick(10.0) == [Ping(first)]
    assert pool.do("acquire", "c") == [Deliver("c", second)]


def test_a_ping_in_flight_covers_a_waiter() -> None:
    """The pinged session will be there as soon as a new one: none is created."""
    pool = Pool(min_size=1, max_size=2, keep_alive_after=10.0)
    (record,) = pool.core.idle
    pool.tick(10.0)
    assert pool.do("acquire", "a") == []
    assert pool.do("acquire", "b") == [Create(1)]
    assert pool.do("pinged", record) == [Deliver("a", record)]


def test_a_stale_session_is_validated_by_a_ping() -> None:
    """On a host without time for pings, an acquire waits for one rather than get a session that may be dead."""
    pool = Pool(min_size=1, max_size=2, validate_after=50.0)
    (record,) = pool.core.idle
    pool.now = 49.0
    pool.do("give_back", pool.lease("a"))
    pool.now = 99.0
    assert pool.do("acquire", "b") == [Ping(record)]
    assert pool.do("pinged", record) == [Deliver("b", record)]


def test_a_fresher_session_is_taken_before_a_stale_one_is_pinged() -> None:
    """The most recently used one may be stale while another was pinged since."""
    pool = Pool(min_size=2, validate_after=50.0, keep_alive_after=40.0)
    stale, fresh = pool.lease("a"), pool.lease("b")
    pool.do("give_back", fresh)
    pool.do("give_back", stale)
    fresh.mark_pinged(45.0)
    pool.now = 60.0
    assert pool.do("acquire", "c") == [Deliver("c", fresh)]
    assert pool.idle == [stale]


def test_a_stale_session_is_set_aside_where_the_fast_path_does_not_meet_it() -> None:
    """Otherwise each acquire would have to decide again that it takes another."""
    pool = Pool(min_size=3, validate_after=50.0, keep_alive_after=40.0)
    leases = [pool.lease(waiter) for waiter in "abc"]
    for record in leases:
        pool.do("give_back", record)
    first, second, stale = leases
    for record in (first, second):
        record.mark_pinged(45.0)
    pool.now = 60.0
    assert pool.do("acquire", "d") == [Deliver("d", second)]
    assert (list(pool.core.idle), pool.idle) == ([first], [first, stale])


def test_each_waiter_has_one_stale_session_pinged() -> None:
    """As many are validated as wait, and the ones that are not needed stay idle."""
    pool = Pool(min_size=3, validate_after=50.0)
    pool.now = 60.0
    assert kinds(pool.do("acquire", "a")) == ["Ping"]
    assert kinds(pool.do("acquire", "b")) == ["Ping"]
    assert len(pool.idle) == 1


def test_a_tick_that_the_fast_path_overtakes_leaves_its_sessions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was taken between the look and the grasp is not deleted, and is looked at again."""
    pool = Pool(min_size=1, max_lifetime=10.0)
    (record,) = pool.core.idle
    looks = []

    class Overtaken(type(pool.core.idle)):  # type: ignore[misc]  # a deque that another thread takes from
        def remove(self, value: Any) -> None:
            looks.append(self.pop())
            super().remove(value)

    monkeypatch.setattr(pool.core._sessions, "idle", Overtaken(pool.core.idle))
    assert pool.tick(10.0) == []
    assert looks == [record]
    assert pool.wake == 11.0


def test_an_undisturbed_pool_wakes_only_to_work() -> None:
    """For a day, each tick finds something to do at the time that was announced, and every session stays alive."""
    pool = Pool(min_size=20, max_size=20, fill=False)
    pool.answer_creates(draw=0.3)
    ticks = 0
    while pool.wake < 24 * HOUR:
        effects = pool.tick(pool.wake)
        ticks += 1
        assert effects
        for effect in effects:
            assert isinstance(effect, Ping)
            assert effect.record.pinged_at >= pool.now - 1800
            pool.do("pinged", effect.record)
    assert 20 * 47 <= ticks <= 20 * 72


def test_a_pool_in_constant_use_wakes_seldom() -> None:
    """Leased sessions may come back without a word at any time: ten looks per keep-alive time are enough for that."""
    pool = Pool(min_size=4, max_size=4, max_idle=None, fill=False)
    pool.answer_creates(draw=0.9)
    holders = [str(waiter) for waiter in range(4)]
    for holder in holders:
        pool.lease(holder)
    ticks = 0
    while pool.wake < 24 * HOUR:
        assert pool.tick(pool.wake) == []
        ticks += 1
    assert ticks <= 24 * HOUR / (0.8 * 180)
