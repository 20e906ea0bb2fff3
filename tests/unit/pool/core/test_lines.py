"""What the pool core has the log say of losses: a line per event, and not one per session."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Container

from spanner_grpc_sessions.pool.core.effects import Create, Delete, Ping
from spanner_grpc_sessions.pool.core.record import SessionRecord
from tests.unit.pool.core.driver import Pool

GONE = LookupError("no such database")
_NUMBERS = itertools.count()


def answer(pool: Pool, dead: Container[SessionRecord] = ()) -> None:
    """Answer what the last event wants done, and what follows from it; pings of dead sessions find them lost."""
    todo = deque(pool.effects)
    while todo:
        match todo.popleft():
            case Ping(record) if record in dead:
                todo += pool.do("ping_failed", record, lost=True)
            case Ping(record):
                todo += pool.do("pinged", record)
            case Create(count):
                todo += pool.do("created", count, [(f"new{next(_NUMBERS)}", None) for _ in range(count)])
            case Delete(record):
                todo += pool.do("deleted", record)


def live(pool: Pool, until: float) -> None:
    """Tick whenever the core wants it, up to that time, and answer what it wants done."""
    while pool.wake <= until:
        pool.tick(max(pool.wake, pool.now))
        answer(pool)
    pool.now = until


def test_ten_thousand_lost_sessions_are_one_line() -> None:
    """And one more when they are replaced."""
    pool = Pool(min_size=10_000, max_size=10_000)
    record, dead = pool.lease("a"), set(pool.core.sessions.values())
    pool.now = 1.0
    pool.do("lost", record)
    answer(pool, dead)
    pool.do("give_back", record)
    answer(pool)
    live(pool, 2.9)
    assert pool.lines == []
    live(pool, 3.0)
    assert pool.lines == ["10000 sessions were lost", "10000 lost sessions were replaced by 10000"]
    live(pool, 60.0)
    assert len(pool.lines) == 2


def test_idle_sessions_are_checked_before_they_are_counted() -> None:
    """The line comes after the last ping, however long that takes."""
    pool = Pool(min_size=3, max_size=3)
    record = pool.lease("a")
    pool.now = 1.0
    first, second = pool.do("lost", record)
    assert isinstance(first, Ping)
    assert isinstance(second, Ping)
    pool.tick(9.0)
    pool.do("ping_failed", first.record, lost=True)
    assert pool.lines == []
    pool.do("pinged", second.record)
    assert pool.lines == ["2 sessions were lost"]


def test_a_lost_session_that_is_leased_is_not_replaced_yet() -> None:
    """It takes its place until it comes back; the second line waits for the answer of the create."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    pool.do("lost", record)
    pool.tick(2.0)
    assert pool.lines == ["1 session was lost"]
    pool.do("give_back", record)
    assert pool.lines == ["1 session was lost"]
    pool.answer_creates()
    assert pool.lines == ["1 session was lost", "1 lost session was replaced by 1"]


def test_what_is_not_needed_is_not_replaced() -> None:
    """A pool that has enough without them says so."""
    pool = Pool(max_size=3)
    pool.do("acquire", "a")
    (lease,) = pool.answer_creates()
    pool.accept("a")
    pool.do("lost", lease)
    pool.do("give_back", lease)
    live(pool, 2.0)
    assert pool.lines == ["1 session was lost", "1 lost session was not replaced, as the pool needs no more"]


def test_losses_within_two_seconds_are_one_event() -> None:
    """Later ones are another, with lines of their own."""
    pool = Pool(min_size=3, max_size=3)
    leases = [pool.lease("a"), pool.lease("b"), pool.lease("c")]
    for now, lease in zip((0.0, 1.9, 5.0), leases, strict=True):
        live(pool, now)
        pool.do("lost", lease)
        answer(pool)
        pool.do("give_back", lease)
        answer(pool)
    live(pool, 7.0)
    assert pool.lines == [
        "2 sessions were lost",
        "2 lost sessions were replaced by 2",
        "1 session was lost",
        "1 lost session was replaced by 1",
    ]


def test_a_loss_before_the_second_line_is_part_of_it() -> None:
    """It has a first line of its own."""
    pool = Pool(min_size=2, max_size=2)
    leases = [pool.lease("a"), pool.lease("b")]
    for now, lease in enumerate(leases):
        live(pool, 2.0 * now)
        pool.do("lost", lease)
    for lease in leases:
        pool.do("give_back", lease)
        answer(pool)
    assert pool.lines == ["1 session was lost"]
    live(pool, 4.0)
    assert pool.lines[1:] == ["1 session was lost", "2 lost sessions were replaced by 2"]


def test_one_session_is_counted_once() -> None:
    """However many of its calls fail."""
    pool = Pool(min_size=1, max_size=1)
    record = pool.lease("a")
    for _ in range(3):
        pool.do("lost", record)
    pool.tick(2.0)
    assert pool.lines == ["1 session was lost"]


def test_closing_says_what_was_lost() -> None:
    """Nothing more comes after it."""
    pool = Pool(min_size=2, max_size=2)
    pool.do("lost", pool.lease("a"))
    pool.do("close")
    assert pool.lines == ["1 session was lost"]


def test_a_database_that_is_gone_is_one_line() -> None:
    """Calls, pings and creates find it out many times. When it was found again, the next time is another event."""
    pool = Pool(min_size=2, max_size=2)
    line = "the database is gone: no such database"
    for _ in range(2):
        pool.do("database_lost", GONE)
    pool.do("database_gone", GONE)
    assert pool.lines == [line]
    record, _ = pool.core._sessions.pinging
    pool.do("pinged", record)
    pool.do("database_lost", GONE)
    assert pool.lines == [line, line]
    pool.do("created", 0, [("new", None)])
    pool.do("database_lost", GONE)
    assert pool.lines == [line, line, line]


def test_a_database_that_never_was_is_not_gone() -> None:
    """The callers get the error."""
    pool = Pool(min_size=1, fill=False)
    pool.do("database_gone", GONE)
    assert pool.lines == []
