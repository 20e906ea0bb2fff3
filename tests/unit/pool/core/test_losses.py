"""What the pool core makes of a session that the server no longer knows."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from spanner_grpc_sessions.pool.core.creation import retry_delay
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Effect, Fail, Ping
from spanner_grpc_sessions.pool.core.record import SessionRecord
from tests.unit.pool.core.driver import Pool, kinds

GONE = LookupError("no such database")


def test_after_a_loss_no_idle_session_is_handed_out_before_a_ping() -> None:
    """What took one session, a restart of the server say, may have taken all."""
    pool = Pool(min_size=3, max_size=3)
    pool.now = 1.0
    lost = pool.lease("a")
    first, second = pool.core.idle
    assert pool.do("lost", lost) == [Ping(first), Ping(second)]
    assert pool.do("give_back", lost) == []
    assert pool.do("acquire", "b") == []
    assert pool.do("ping_failed", first, lost=True) == []
    assert pool.do("pinged", second) == [Deliver("b", second), Create(2)]


def test_all_that_were_lost_are_created_by_batches() -> None:
    """Pings find them one after the other; a caller that no ping can serve does not wait for the last one."""
    pool = Pool(min_size=250, max_size=260)
    pool.now = 1.0
    pings = [effect for effect in pool.do("database_lost", GONE) if isinstance(effect, Ping)]
    assert len(pings) == 10, "nothing says yet that sessions are lost"
    created: list[int] = []
    while pings:
        for effect in pool.do("ping_failed", pings.pop().record, lost=True):
            if isinstance(effect, Ping):
                pings.append(effect)
            elif isinstance(effect, Create):
                created.append(effect.count)
    assert created == [100, 100, 50]


def test_after_many_lost_in_a_row_no_other_is_asked() -> None:
    """Ten thousand pings take longer than a hundred creates; one that is alive shows that others may be."""
    pool = Pool(min_size=1000, max_size=1000)
    pool.now = 1.0
    pings = _pinged(pool.do("database_lost", GONE))
    for _ in range(99):
        pings += _pinged(pool.do("ping_failed", pings.pop(), lost=True))
    alive = pings.pop()
    pings += _pinged(pool.do("pinged", alive))
    for _ in range(99):
        pings += _pinged(pool.do("ping_failed", pings.pop(), lost=True))
    assert len(pings) == 40
    effects = pool.do("ping_failed", pings.pop(), lost=True)
    assert kinds(effects) == ["Create"] * 8, "a hundred were asked for before, and sixty wait for the last pings"
    assert not _pinged(effects), "there is nothing left to ask for"
    assert set(pool.core.sessions.values()) == {alive, *pings}
    assert pool.core.stats().lost == 960


def test_after_a_loss_a_caller_beyond_the_pings_has_a_session_created() -> None:
    """It does not wait for a batch."""
    pool = Pool(min_size=1, max_size=2)
    lost = pool.lease("a")
    pool.do("lost", lost)
    assert pool.do("acquire", "b") == [Create(1)]


def test_suspect_sessions_are_pinged_ten_at_a_time() -> None:
    """The others follow, and none of them is good meanwhile."""
    pool = Pool(min_size=25, max_size=25)
    pool.now = 1.0
    pool.wake = inf
    effects = pool.do("database_lost", GONE)
    assert kinds(effects) == ["Ping"] * 10
    assert pool.wake == pool.now + 1
    assert pool.tick() == []
    assert pool.wake == pool.now + 1
    assert all(record.valid_until < pool.now for record in pool.idle)
    (ping,) = effects[:1]
    assert isinstance(ping, Ping)
    assert kinds(pool.do("pinged", ping.record)) == ["Ping"]


def test_sessions_that_vanish_one_by_one_do_not_bring_pings_of_all_each_time() -> None:
    """Once in two seconds the others are asked for; a loss in between is not forgotten."""
    pool = Pool(min_size=4, max_size=4)
    leases = [pool.lease("a"), pool.lease("b"), pool.lease("c")]
    (idle,) = pool.core.idle
    pool.now = 1.0
    assert pool.do("lost", leases[0]) == [Ping(idle)]
    pool.do("pinged", idle)
    leases[1].mark_pinged(2.0)
    pool.now = 2.5
    assert pool.do("lost", leases[1]) == []
    pool.tick()
    assert pool.wake == 3.0
    assert pool.tick(3.0) == [Ping(idle)]


def test_a_loss_that_is_no_news_makes_no_session_suspect() -> None:
    """Of many that a restart took, the holders notice one after the other; the others were asked for at the first."""
    pool = Pool(min_size=3, max_size=3)
    leases = [pool.lease("a"), pool.lease("b")]
    (idle,) = pool.core.idle
    pool.now = 1.0
    pool.do("lost", leases[0])
    pool.do("pinged", idle)
    pool.now = 60.0
    assert pool.do("lost", leases[1]) == []
    assert pool.do("acquire", "c") == [Deliver("c", idle)]


def test_a_session_that_was_leased_at_a_loss_is_suspect_too() -> None:
    """It comes back without a word of what its calls met."""
    pool = Pool(min_size=2, max_size=2)
    record, lost = pool.lease("a"), pool.lease("b")
    pool.now = 1.0
    pool.do("lost", lost)
    assert pool.do("give_back", record) == []
    assert pool.do("acquire", "c") == [Ping(record)]


def test_a_session_whose_name_is_given_again_is_not_handed_out() -> None:
    """An emulator counts from zero after its restart: with the new session the old one's holder would work."""
    pool = Pool(min_size=1, max_size=2)
    record = pool.lease("a")
    pool.do("acquire", "b")
    (delete,) = pool.do("created", 1, [(record.name, None)])
    assert isinstance(delete, Delete)
    assert (delete.record.name, delete.record is record) == (record.name, False)
    assert record.discarded
    assert pool.do("deleted", delete.record) == []
    assert pool.tick(pool.now + retry_delay(1, 0.0)) == [Create(1)]


def test_a_name_that_was_given_again_a_moment_ago_is_not_used() -> None:
    """The server would give it to the next create as well; once ten seconds are over it is a name like any other."""
    pool = Pool(min_size=0, max_size=4)
    pool.do("acquire", "a")
    (record,) = pool.answer_creates()
    pool.accept("a")
    pool.do("acquire", "b")
    pool.do("created", 1, [(record.name, None)])
    pool.do("give_back", record)
    pool.now = 10.0
    assert not any(isinstance(effect, Deliver) for effect in pool.do("created", 1, [(record.name, None)]))
    assert record.name not in pool.core.sessions
    pool.now = 10.1
    delivery = next(effect for effect in pool.do("created", 1, [(record.name, None)]) if isinstance(effect, Deliver))
    assert (delivery.record.name, delivery.waiter) == (record.name, "b")


def test_a_loss_found_by_a_ping_makes_the_others_suspect_as_well() -> None:
    """The server restarted while no caller asked for a session."""
    pool = Pool(min_size=2, max_size=2, keep_alive_after=10.0)
    first, second = list(pool.core.idle)[::-1]
    second.mark_pinged(5.0)
    assert pool.tick(10.0) == [Ping(first)]
    assert pool.do("ping_failed", first, lost=True) == [Ping(second)]
    assert pool.do("ping_failed", second, lost=True) == [Create(2)]


def test_sessions_that_were_pinged_just_now_are_not_suspect() -> None:
    """Of pings that go out side by side, one finds a loss: the others have answered or will."""
    pool = Pool(min_size=3, max_size=3, keep_alive_after=10.0)
    first, second, third = list(pool.core.idle)
    pool.tick(10.0)
    pool.do("pinged", first)
    assert pool.do("ping_failed", second, lost=True) == []
    assert pool.do("pinged", third) == [Create(1)]
    assert pool.do("acquire", "a") == [Deliver("a", third)]


def test_a_session_lost_while_it_is_leased_is_replaced_when_it_comes_back() -> None:
    """Its holder may still find out more; it is not handed out again, and not deleted."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    assert pool.do("lost", record) == []
    assert pool.do("acquire", "b") == []
    assert pool.do("give_back", record) == [Create(1)]
    assert pool.core.stats().lost == 1


def test_an_idle_session_that_is_lost_leaves_at_once() -> None:
    """A stream of an earlier lease met the loss."""
    pool = Pool(min_size=1, max_size=1)
    (record,) = pool.core.idle
    assert pool.do("lost", record) == [Create(1)]
    assert pool.do("lost", record) == [], "it is the pool's no more"


def test_a_session_without_proof_of_its_loss_is_deleted() -> None:
    """A caller said that it is gone; if it is alive, the server would have more than the pool may have."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    assert pool.do("lost", record, proven=False) == []
    assert pool.do("give_back", record) == [Delete(record)]
    assert pool.do("deleted", record) == [Create(1)]


def test_proof_may_follow() -> None:
    """The server said later what the holder said first: that counts once, and nothing is left to delete."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("lost", record, proven=False)
    pool.do("lost", record)
    assert pool.do("give_back", record) == [Create(1)]
    assert pool.core.stats().lost == 1


def test_a_lost_session_that_came_back_without_a_word_is_found_by_the_next_tick() -> None:
    """The fast path looked before the loss was noted, and appended after it."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("lost", record)
    assert pool.wake == pool.now
    record.holder = None
    pool.core.idle.append(record)
    assert pool.tick() == [Create(1)]
    assert record.name not in pool.core.sessions


def test_a_lost_database_fails_all_waiters_at_once() -> None:
    """No caller waits for a timeout, and the idle sessions are no longer trusted."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("acquire", "b")
    pool.do("acquire", "c")
    assert pool.do("database_lost", GONE) == [Fail("b", GONE), Fail("c", GONE)]
    assert not pool.core.contended
    pool.do("give_back", record)
    pool.now = 20.0
    assert pool.do("database_lost", GONE) == [Ping(record)]


def test_a_delete_in_flight_takes_room() -> None:
    """The server has that session still: a new one in its place would be one more than the pool may have."""
    pool = Pool(min_size=1, max_size=2, max_lifetime=10.0)
    record = pool.lease("a")
    pool.do("acquire", "b")
    (other,) = pool.answer_creates()
    pool.accept("b")
    pool.now = 11.0
    assert pool.do("give_back", record) == [Delete(record)]
    assert pool.do("acquire", "c") == []
    assert pool.do("give_back", other) == [Delete(other)]
    assert pool.do("deleted", record, ok=False) == [Create(1)]


def test_one_name_twice_in_an_answer_is_one_session() -> None:
    """Whatever the server means by it: two holders would meet in it."""
    pool = Pool(min_size=2, max_size=2, fill=False)
    assert pool.do("created", 2, [("a", None), ("a", None)]) == [Create(1)]
    assert len(pool.core.idle) == 1


def _pinged(effects: Iterable[Effect]) -> list[SessionRecord]:
    return [effect.record for effect in effects if isinstance(effect, Ping)]
