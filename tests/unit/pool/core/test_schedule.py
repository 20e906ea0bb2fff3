"""What is due next among sessions: in order, by times that may move on without a word, and without a look at all."""

from __future__ import annotations

from math import inf

import pytest

from spanner_grpc_sessions.pool.core.effects import Ping
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.core.schedule import MAX_LOOKS, Schedule
from spanner_grpc_sessions.pool.options import PoolOptions
from tests.unit.pool.core.driver import Pool


def records(count: int) -> list[SessionRecord]:
    """Return sessions that were last used one second after the other."""
    made = [SessionRecord(f"s{number}", None, PoolOptions(), 0.0, 0.0) for number in range(count)]
    for number, record in enumerate(made):
        record.last_used_at = float(number)
    return made


def schedule_of(planned: list[SessionRecord]) -> Schedule:
    """Return a schedule in which sessions are due when they were last used."""
    schedule = Schedule(lambda record: record.last_used_at)
    for record in planned:
        schedule.add(record)
    return schedule


def test_sessions_are_due_in_the_order_of_their_times() -> None:
    """Each is given once; the others stay planned."""
    made = records(5)
    schedule = schedule_of(made[::-1])
    assert list(schedule.pop_due(2.0)) == made[:3]
    assert list(schedule.pop_due(2.0)) == []
    assert schedule.next_due() == 3.0


def test_a_time_that_moved_on_is_found_out_when_it_has_come() -> None:
    """The session is not due, and is planned for its new time."""
    made = records(2)
    schedule = schedule_of(made)
    made[0].last_used_at = 7.0
    assert schedule.next_due() == 0.0
    assert list(schedule.pop_due(1.0)) == [made[1]]
    assert schedule.next_due() == 7.0


def test_the_earliest_plan_counts() -> None:
    """What is planned for later changes nothing, and a session is given once."""
    (record,) = records(1)
    schedule = schedule_of([])
    assert schedule.add(record, 5.0) == 5.0
    assert schedule.add(record, 6.0) == inf
    assert schedule.add(record, 4.0) == 4.0
    assert list(schedule.pop_due(9.0)) == [record]
    assert schedule.next_due() == inf


def test_a_removed_session_is_not_due() -> None:
    """Nothing is to be looked at because of it."""
    made = records(3)
    schedule = schedule_of(made)
    schedule.remove(made[0])
    assert schedule.next_due() == 1.0
    assert list(schedule.pop_due(9.0)) == made[1:]


def test_removed_sessions_take_no_room() -> None:
    """A pool whose sessions come and go for weeks does not keep those that went."""
    kept = records(10)
    schedule = schedule_of(kept)
    for record in records(5000):
        schedule.add(record, 1e9)
        schedule.remove(record)
    assert len(schedule._heap) < 200
    assert list(schedule.pop_due(9.0)) == kept


def test_times_that_became_earlier_are_found_by_a_rebuild() -> None:
    """After a loss all sessions are due."""
    made = records(3)
    schedule = schedule_of(made)
    made[2].last_used_at = -1.0
    schedule.rebuild()
    assert schedule.next_due() == -1.0
    assert list(schedule.pop_due(0.0)) == [made[2], made[0]]


def test_one_event_looks_at_some_of_many() -> None:
    """The lock is held no longer because more sessions are due; the others are given by the next events."""
    made = records(2 * MAX_LOOKS + 1)
    schedule = schedule_of(made)
    assert [len(list(schedule.pop_due(1e9))) for _ in range(4)] == [MAX_LOOKS, MAX_LOOKS, 1, 0]


def test_a_ping_looks_at_few_sessions_of_a_large_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """To keep 2,000 sessions alive costs about as many looks as there are pings."""
    pool = Pool(min_size=2000, max_size=2000, fill=False)
    pool.answer_creates(draw=0.5)
    looks: list[SessionRecord] = []
    due = SessionRecord.upkeep_due

    def counted(record: SessionRecord) -> float:
        looks.append(record)
        return due(record)

    monkeypatch.setattr(SessionRecord, "upkeep_due", counted)
    pool.core._sessions._upkeep._due = SessionRecord.upkeep_due
    pings = 0
    while pings < 3000:
        effects = pool.tick(pool.wake)
        while effects:
            ping = effects.pop()
            assert isinstance(ping, Ping)
            pings += 1
            effects += pool.do("pinged", ping.record)
    assert len(looks) <= 2 * pings
