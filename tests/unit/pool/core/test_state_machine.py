"""The pool core under long random sequences of events, the fast path of its runner among them.

The machine plays the runner, the callers and the server. It keeps its own books, in the plainest way, and compares.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spanner_grpc_sessions.errors import PoolClosed, PoolError, PoolOverloaded
from spanner_grpc_sessions.pool.core import PoolCore
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Effect, Fail, Ping, WakeAt
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.options import PoolOptions
from tests.unit.pool.core.driver import idle_sessions

DRAWS = st.sampled_from([0.0, 0.5, 0.999])
PICKS = st.integers(0, 50)
STEPS = st.sampled_from([0.01, 0.3, 0.6, 1.0, 3.0, 6.0, 11.0, 16.0, 40.0, 3600.0])
TOLERANCE = 1e-6


@dataclass(eq=False)
class Caller:
    """Someone who asks for a session; as a waiter it is its own lease."""

    number: int
    since: float


@dataclass(eq=False)
class Session:
    """What the machine knows of a session, from what it saw."""

    alive_at: float
    used_at: float
    proved_at: float
    back_at: float = -inf
    suspect: bool = False
    discarded: bool = False
    lost: bool = False


@dataclass
class Books:
    """Who has what."""

    creates: list[int] = field(default_factory=list)
    pings: list[SessionRecord] = field(default_factory=list)
    deletes: list[SessionRecord] = field(default_factory=list)
    surplus: set[SessionRecord] = field(default_factory=set)
    undeleted: set[SessionRecord] = field(default_factory=set)
    queue: list[Caller] = field(default_factory=list)
    handed: list[tuple[Caller, SessionRecord]] = field(default_factory=list)
    leases: list[tuple[Caller, SessionRecord]] = field(default_factory=list)
    popped: list[SessionRecord] = field(default_factory=list)
    appended: int = 0
    sessions: dict[SessionRecord, Session] = field(default_factory=dict)
    on_server: set[str] = field(default_factory=set)
    created: int = 0
    deleted: int = 0
    lost: int = 0
    timeouts: int = 0
    waits: int = 0


class PoolMachine(RuleBasedStateMachine):
    """A pool, its runner in the middle of fast paths, and a server that answers at random."""

    @initialize(
        min_size=st.sampled_from([0, 1, 2, 4, 25]),
        room=st.sampled_from([0, 1, 4, 25]),
        max_waiting=st.sampled_from([None, None, 1, 3]),
        keep_alive_after=st.sampled_from([1.0, 10.0]),
        validate_after=st.sampled_from([0.5, 5.0, 15.0]),
        max_idle=st.sampled_from([None, 1.0, 12.0]),
        max_lifetime=st.sampled_from([4.0, 30.0, 1e5, 1e5, 1e5]),
        delete_on_close=st.sampled_from([True, True, False]),
        now=st.sampled_from([-50.0, 0.0, 1e6]),
    )
    def open(
        self,
        min_size: int,
        room: int,
        max_waiting: int | None,
        keep_alive_after: float,
        validate_after: float,
        max_idle: float | None,
        max_lifetime: float,
        delete_on_close: bool,
        now: float,
    ) -> None:
        """Make the pool and open it by its first tick."""
        self.options = PoolOptions(
            min_size=min_size,
            max_size=max(1, min_size + room),
            max_waiting=max_waiting,
            keep_alive_after=keep_alive_after,
            validate_after=validate_after,
            max_idle=max_idle,
            max_lifetime=max_lifetime,
            delete_on_close=delete_on_close,
        )
        self.core = PoolCore(self.options)
        self.books = Books()
        self.now = now
        self.wake = inf
        self.closing = False
        self.suspected_at, self.suspect_due = -inf, inf
        self.fatal: Exception | None = None
        self.numbers = itertools.count(1)
        self.tick()

    @property
    def records(self) -> set[SessionRecord]:
        """The sessions that the core has."""
        return set(self.core.sessions.values())

    @property
    def idle(self) -> list[SessionRecord]:
        """Those of them that are idle."""
        return idle_sessions(self.core)

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        """Note what the runner has to do now, and check that it may be asked for."""
        for effect in effects:
            match effect:
                case Create(count):
                    assert not self.closing
                    assert 1 <= count <= 100
                    self.books.creates.append(count)
                case Ping(record):
                    assert not self.closing
                    self.check_free(record)
                    self.check_ping(record)
                    self.books.pings.append(record)
                case Delete(record):
                    self.check_delete(record)
                    self.books.deletes.append(record)
                case Deliver(waiter, record):
                    assert waiter is self.books.queue.pop(0), "not first come first served, or answered twice"
                    assert record.holder is waiter
                    self.check_good(record)
                    self.books.handed.append((waiter, record))
                    self.books.waits += self.now > waiter.since
                case Fail(waiter, error):
                    self.books.queue.remove(waiter)
                    expected = error is self.fatal or isinstance(error, PoolClosed if self.closing else PoolOverloaded)
                    assert expected, error
                case WakeAt(when):
                    assert not self.closing
                    assert when < self.wake, "announced though an earlier tick is to come"
                    self.wake = when
        self.fatal = None
        for record in self.books.sessions.keys() - self.records:
            self.check_free(record)
            session = self.books.sessions.pop(record)
            assert session.lost or (self.closing and not self.options.delete_on_close)

    def check_free(self, record: SessionRecord) -> None:
        """Check that a session is in the hands of the core alone."""
        others = [*self.books.pings, *self.books.deletes, *self.books.popped]
        others += [held for _, held in (*self.books.leases, *self.books.handed)]
        assert record in self.books.sessions
        assert all(record is not other for other in others)
        assert record not in self.idle

    def found_at(self, record: SessionRecord) -> float:
        """Return when a session is looked for at the latest that came back without a word."""
        return self.books.sessions[record].back_at + max(1, record.keep_alive_after / 10) + TOLERANCE

    def check_good(self, record: SessionRecord) -> None:
        """Check that a session may be handed out without a question to the server."""
        self.check_free(record)
        assert self.now < min(self.valid_until(record) + TOLERANCE, record.expires_at)

    def valid_until(self, record: SessionRecord) -> float:
        """Return until when a session is good, by the machine's books."""
        session = self.books.sessions[record]
        good_for = min(self.options.validate_after, self.options.keep_alive_after)
        return -inf if session.suspect or session.discarded else session.alive_at + good_for

    def check_ping(self, record: SessionRecord) -> None:
        """Check that a session is pinged for a reason, and after a failed ping not without a pause."""
        session = self.books.sessions[record]
        assert self.now < record.expires_at
        silent = self.now - session.alive_at >= record.keep_alive_after - TOLERANCE
        stale = self.now - session.alive_at >= self.options.validate_after - TOLERANCE
        assert silent or session.suspect or (stale and self.books.queue)
        if session.suspect:
            assert self.now >= record.retry_at

    def check_delete(self, record: SessionRecord) -> None:
        """Check that a session is deleted for a reason, or once more after a delete that failed."""
        if record in self.books.undeleted:
            assert not self.closing or self.options.delete_on_close
            self.books.undeleted.remove(record)
            self.books.surplus.add(record)
            return
        self.check_free(record)
        session = self.books.sessions.pop(record)
        assert not session.lost
        assert not self.closing or self.options.delete_on_close
        unused = self.now - session.used_at >= (self.options.max_idle or inf) - TOLERANCE
        assert (
            self.closing
            or session.discarded
            or self.now >= record.expires_at
            or (unused and len(self.books.sessions) >= self.options.min_size)
            or (session.suspect and self.now - session.alive_at >= 3600 - TOLERANCE)
        )

    @rule(seconds=STEPS, answered=st.booleans())
    def advance(self, seconds: float, answered: bool) -> None:
        """Let time pass, in which the server may answer; a tick may thereby be late."""
        self.now += seconds
        if answered:
            self.everything_is_answered()

    @rule(seconds=STEPS)
    def rest(self, seconds: float) -> None:
        """Let callers and server come to an end with all that they have begun, and then nothing happen for a while."""
        self.answer_everything()
        self.now += seconds

    @rule()
    def tick(self) -> None:
        """Tick whether or not it is time."""
        self.wake = inf
        self.note_due_suspicion()
        effects = self.core.tick(self.now)
        self.carry_out(effects)
        if not self.closing:
            self.check_nothing_is_overdue(few_deletes=sum(isinstance(effect, Delete) for effect in effects) < 10)

    def check_nothing_is_overdue(self, *, few_deletes: bool) -> None:
        """Check that a tick left nothing undone but what exceeds its limits, or came back without a word just now."""
        few_pings = len(self.books.pings) < 10
        for record in self.idle:
            session = self.books.sessions[record]
            if self.now < self.found_at(record):
                continue
            assert self.now < record.expires_at or not few_pings
            if few_pings and not session.suspect:
                assert self.now < session.alive_at + record.keep_alive_after + TOLERANCE
            if few_deletes and self.options.max_idle and len(self.core.sessions) > self.options.min_size:
                assert self.now < session.used_at + self.options.max_idle + TOLERANCE

    @precondition(lambda self: self.wake < inf)
    @rule(times=st.integers(1, 3))
    def tick_on_time(self, times: int) -> None:
        """Wait until the announced time, and tick."""
        for _ in range(times):
            if self.wake < inf:
                self.now = max(self.now, self.wake)
                self.tick()

    @rule(callers=st.integers(1, 3))
    def acquire(self, callers: int) -> None:
        """Ask for sessions on the slow path."""
        for _ in range(callers):
            caller = Caller(next(self.numbers), self.now)
            self.books.queue.append(caller)
            self.carry_out(self.core.acquire(caller, self.now))

    @precondition(lambda self: self.core.idle)
    @rule()
    def fast_acquire_begins(self) -> None:
        """Take the rightmost idle session without the lock."""
        self.books.popped.append(self.core.idle.pop())

    @precondition(lambda self: self.books.popped)
    @rule(pick=PICKS)
    def fast_acquire_ends(self, pick: int) -> None:
        """Keep it if it is good; otherwise put it back and ask on the slow path."""
        record = self.books.popped.pop(pick % len(self.books.popped))
        if self.now < record.valid_until:
            self.check_good(record)
            record.last_used_at = self.now
            self.note_use(record)
            record.holder = Caller(next(self.numbers), self.now)
            self.books.leases.append((record.holder, record))
        else:
            self.books.sessions[record].back_at = self.now
            self.core.idle.append(record)
            self.acquire(callers=1)

    @precondition(lambda self: self.books.handed)
    @rule(pick=PICKS)
    def accept(self, pick: int) -> None:
        """Take what was handed over."""
        caller, record = self.books.handed.pop(pick % len(self.books.handed))
        self.core.accepted(caller, self.now)
        self.note_use(record)
        self.books.leases.append((caller, record))

    @precondition(lambda self: self.books.queue or self.books.handed)
    @rule(pick=PICKS, timed_out=st.booleans())
    def go(self, pick: int, timed_out: bool) -> None:
        """Give up, perhaps just after a session was handed over."""
        waiters = self.books.queue + [caller for caller, _ in self.books.handed]
        caller = waiters[pick % len(waiters)]
        self.books.waits += caller in self.books.queue
        self.books.timeouts += timed_out
        self.books.queue = [other for other in self.books.queue if other is not caller]
        self.books.handed = [(other, record) for other, record in self.books.handed if other is not caller]
        self.carry_out(self.core.waiter_gone(caller, self.now, timed_out=timed_out))

    @precondition(lambda self: self.books.leases)
    @rule(pick=PICKS)
    def fast_release_begins(self, pick: int) -> None:
        """Give a session back without the lock, where that is allowed."""
        caller, record = self.books.leases.pop(pick % len(self.books.leases))
        assert record.holder is caller
        if self.core.contended or record.discarded:
            self.note_use(record)
            self.carry_out(self.core.give_back(record, self.now))
        else:
            self.books.sessions[record].back_at = self.now
            record.holder = None
            self.core.idle.append(record)
            self.books.appended += 1

    @precondition(lambda self: self.books.appended)
    @rule()
    def fast_release_ends(self) -> None:
        """Check after the append whether callers wait."""
        self.books.appended -= 1
        if self.core.contended:
            self.carry_out(self.core.serve_waiters(self.now))

    @precondition(lambda self: self.books.leases)
    @rule(pick=PICKS)
    def give_back(self, pick: int) -> None:
        """Give a session back on the slow path."""
        _, record = self.books.leases.pop(pick % len(self.books.leases))
        self.note_use(record)
        self.carry_out(self.core.give_back(record, self.now))
        assert record not in self.idle or self.now < record.expires_at

    @precondition(lambda self: self.books.sessions)
    @rule(pick=PICKS, proven=st.booleans())
    def lose(self, pick: int, proven: bool) -> None:
        """Find a session lost, wherever it is: the server said so, or only its holder."""
        records = sorted(self.books.sessions, key=lambda record: record.name)
        record = records[pick % len(records)]
        self.note_loss(record, proven=proven)
        self.carry_out(self.core.lost(record, self.now, proven=proven))
        assert record not in self.idle

    @rule()
    def lose_the_database(self) -> None:
        """Find the database gone: all waiters fail with that error."""
        self.fatal = RuntimeError("no such database")
        self.note_suspicion()
        self.carry_out(self.core.database_lost(self.fatal, self.now))
        assert not self.books.queue

    @rule()
    def fill(self) -> None:
        """Ask for `min_size` sessions."""
        self.carry_out(self.core.fill(self.now))

    @precondition(lambda self: self.idle or self.books.pings)
    @rule(pick=PICKS)
    def give_back_again(self, pick: int) -> None:
        """Give back what is not leased: it is refused and changes nothing."""
        records = [*self.idle, *self.books.pings]
        before = repr(self.core), self.idle
        with pytest.raises(PoolError):
            self.core.give_back(records[pick % len(records)], self.now)
        assert (repr(self.core), self.idle) == before

    @precondition(lambda self: self.books.creates)
    @rule(pick=PICKS, surplus=st.sampled_from([-1000, -1, 0, 1]), draw=DRAWS)
    def create_answers(self, pick: int, surplus: int, draw: float) -> None:
        """Create as many as asked, or fewer, or one more."""
        count = self.books.creates.pop(pick % len(self.books.creates))
        names = [f"session-{next(self.numbers)}" for _ in range(max(1, count + surplus))]
        self.books.on_server.update(names)
        self.books.created += len(names)
        effects = self.core.created(count, [(name, name) for name in names], self.now, draw)
        # Their records appear only now, some of them to be deleted at once.
        touched = {effect.record for effect in effects if isinstance(effect, Delete)}
        for record in self.records | touched - self.books.sessions.keys():
            if record.name in names:
                assert record.resource == record.name
                discarded = record.name in names[count:]
                self.books.sessions[record] = Session(self.now, self.now, self.now, discarded=discarded)
                self.books.surplus |= {record} if discarded else set()
        self.carry_out(effects)

    @precondition(lambda self: self.books.creates or self.books.pings)
    @rule()
    def everything_is_answered(self) -> None:
        """Answer all calls as one would wish."""
        for _ in range(len(self.books.creates)):
            self.create_answers(0, 0, 0.5)
        for _ in range(len(self.books.pings)):
            self.ping_answers(0)

    @precondition(lambda self: self.books.creates)
    @rule(pick=PICKS, fatal=st.booleans(), empty=st.booleans(), draw=DRAWS)
    def create_fails(self, pick: int, fatal: bool, empty: bool, draw: float) -> None:
        """Create nothing: by an error or by an empty answer."""
        count = self.books.creates.pop(pick % len(self.books.creates))
        if empty:
            self.carry_out(self.core.created(count, [], self.now, draw))
            assert isinstance(self.core.last_error, PoolError)
            return
        error = RuntimeError("refused")
        waiting = len(self.books.queue)
        self.fatal = error if fatal else None
        effects = self.core.create_failed(count, error, self.now, draw, fatal=fatal)
        self.carry_out(effects)
        assert self.core.last_error is error
        assert sum(isinstance(effect, Fail) for effect in effects) == (waiting if fatal else 0)

    @precondition(lambda self: self.books.pings)
    @rule(pick=PICKS)
    def ping_answers(self, pick: int) -> None:
        """Answer a ping."""
        record = self.books.pings.pop(pick % len(self.books.pings))
        session = self.books.sessions[record]
        session.alive_at = session.proved_at = self.now
        session.suspect = False
        self.carry_out(self.core.pinged(record, self.now))

    @precondition(lambda self: self.books.pings)
    @rule(pick=PICKS, pings=st.integers(1, 5), lost=st.booleans(), draw=DRAWS)
    def pings_fail(self, pick: int, pings: int, lost: bool, draw: float) -> None:
        """Do not know sessions any more, or fail in another way."""
        for _ in range(min(pings, len(self.books.pings))):
            record = self.books.pings.pop(pick % len(self.books.pings))
            if lost:
                self.note_loss(record, proven=True)
            else:
                self.books.sessions[record].suspect = True
            self.carry_out(self.core.ping_failed(record, self.now, draw, lost=lost))

    @precondition(lambda self: self.books.deletes)
    @rule(pick=PICKS, ok=st.booleans())
    def delete_ends(self, pick: int, ok: bool) -> None:
        """Delete a session, or fail to; then the server will forget it by itself."""
        record = self.books.deletes.pop(pick % len(self.books.deletes))
        self.books.on_server.discard(record.name)
        self.books.deleted += ok
        if not (ok or self.closing):
            self.books.undeleted.add(record)
        self.carry_out(self.core.deleted(record, self.now, ok=ok))

    # Seldom, so that much happens before.
    @rule(sure=st.sampled_from([False] * 49 + [True]))
    def close(self, sure: bool) -> None:
        """Close the pool."""
        if sure:
            self.closing = True
            self.wake = inf
            self.carry_out(self.core.close(self.now))

    def note_use(self, record: SessionRecord) -> None:
        """Note that a session served until now."""
        self.books.sessions[record].alive_at = self.books.sessions[record].used_at = self.now

    def note_loss(self, record: SessionRecord, *, proven: bool) -> None:
        """Note that the server has lost a session, or that a caller says so."""
        session = self.books.sessions[record]
        self.books.lost += not session.discarded
        session.discarded = True
        if proven:
            session.lost = True
            self.books.on_server.discard(record.name)
        self.note_suspicion(session)

    def note_suspicion(self, lost: Session | None = None) -> None:
        """Note that after a loss no session is good, at once or soon, unless the loss is no news."""
        if not self.closing and (lost is None or lost.proved_at > self.suspected_at):
            self.suspect_due = min(self.suspect_due, max(self.now, self.suspected_at + 2))
            self.note_due_suspicion()

    def note_due_suspicion(self) -> None:
        """Note that it is time for the suspicion that was put off."""
        if not self.closing and self.now >= self.suspect_due:
            self.suspected_at, self.suspect_due = self.now, inf
            for record in self.records - set(self.books.pings):
                session = self.books.sessions[record]
                just_pinged = session.proved_at > record.created_at and self.now - session.proved_at < 1
                session.suspect = session.suspect or not just_pinged

    @invariant()
    def limits_are_kept(self) -> None:
        """Sessions that are there or on their way never exceed `max_size`, nor those who wait `max_waiting`."""
        there = len(self.core.sessions) + sum(self.books.creates) + len(set(self.books.deletes) - self.books.surplus)
        assert there <= self.options.max_size
        assert len(self.books.queue) <= (self.options.max_waiting or inf)

    @invariant()
    def each_session_is_in_one_place(self) -> None:
        """No session is idle and leased, or in any two places, and none is nowhere."""
        books = self.books
        places = [*self.idle, *books.pings, *books.popped]
        places += [record for _, record in (*books.leases, *books.handed)]
        assert len(set(places)) == len(places)
        assert set(places) == self.records == books.sessions.keys()
        assert not self.records & set(books.deletes)
        assert all(record.valid_until <= record.expires_at for record in self.idle)

    @invariant()
    def statistics_agree(self) -> None:
        """The core counts what the machine counts."""
        books, stats = self.books, self.core.stats()
        assert stats.size == len(books.sessions)
        assert stats.leased == len(books.leases) + len(books.handed) + len(books.popped)
        assert stats.waiting == len(books.queue)
        assert (stats.created, stats.deleted, stats.lost) == (books.created, books.deleted, books.lost)
        assert (stats.timeouts, sum(stats.wait_seconds.counts)) == (books.timeouts, books.waits)
        assert len(self.core._delivered) == len(books.handed)
        assert self.core.filled is (stats.size >= self.options.min_size)

    @invariant()
    def waiters_are_never_forgotten(self) -> None:
        """A waiter waits for something that is under way, and the fast path is told."""
        books = self.books
        assert self.core.contended is (self.closing or bool(books.queue))
        if books.queue:
            calls = books.creates or books.pings or books.deletes
            held = books.leases or books.handed or books.popped or books.appended
            assert calls or held or self.wake < inf
            if not books.appended:
                assert all(self.now >= min(self.valid_until(record), record.expires_at) for record in self.idle)

    @invariant()
    def what_is_missing_is_asked_for(self) -> None:
        """Unless creates fail, there are `min_size` sessions or creates, and something for each waiter if it fits."""
        if self.closing or self.core.last_error is not None:
            return
        there = len(self.core.sessions) + sum(self.books.creates) + len(self.books.deletes)
        covered = len(self.books.pings) + sum(self.books.creates)
        if not self.books.appended:
            assert covered >= len(self.books.queue) or there >= self.options.max_size
        # After a loss, those that are pinged are asked first, and then all that are missing are created together.
        assert there >= self.options.min_size or self.books.pings

    @invariant()
    def stale_sessions_are_asked_for(self) -> None:
        """No session lies idle only because it is stale, while a waiter could have it after a ping."""
        if len(self.books.queue) > len(self.books.pings) and not self.books.appended:
            assert all(self.books.sessions[record].suspect for record in self.idle)

    @invariant()
    def no_due_time_is_missed(self) -> None:
        """A tick is announced for whatever idle session needs attention first."""
        if self.closing:
            return
        assert self.wake <= self.suspect_due
        for record in self.idle:
            session = self.books.sessions[record]
            due = min(record.expires_at, session.alive_at + record.keep_alive_after)
            if session.suspect:
                due = min(record.expires_at, record.retry_at)
            if self.options.max_idle and len(self.core.sessions) > self.options.min_size:
                due = min(due, session.used_at + self.options.max_idle)
            # What is overdue waits for its turn, at most a second; what came back late is looked for now and then.
            assert self.wake <= max(due, self.found_at(record), self.now + 1) + TOLERANCE

    @invariant()
    def a_closed_pool_lets_go(self) -> None:
        """After `close` no caller waits, nothing is idle, and it ends when nothing is left."""
        books = self.books
        if self.closing:
            assert not books.queue
            assert len(self.core.idle) <= books.appended
        left = books.sessions or books.deletes or books.creates
        assert self.core.closed is (self.closing and not left)

    def teardown(self) -> None:
        """Let everything come to its end: those who wait get sessions, then all is deleted."""
        if not hasattr(self, "core"):
            return
        for _ in range(100):
            self.answer_everything()
            if not self.books.queue:
                break
            if not (self.books.creates or self.books.pings or self.books.handed or self.books.leases):
                self.tick_on_time(times=1)
        assert not self.books.queue, "a waiter was forgotten"
        self.close(sure=True)
        self.answer_everything()
        assert self.core.closed
        assert not self.options.delete_on_close or not self.books.on_server

    def answer_everything(self) -> None:
        """Answer what is open, and have callers take and return what they get."""
        books = self.books
        # As many rounds as there were things: each answer may bring up the next one, and so on.
        for _ in range(10):
            while books.popped:
                self.fast_acquire_ends(0)
            while books.appended:
                self.fast_release_ends()
            for _ in range(len(books.handed)):
                self.accept(0)
            for _ in range(len(books.leases)):
                self.fast_release_begins(0)
            for _ in range(len(books.creates)):
                self.create_answers(0, 0, 0.5)
            for _ in range(len(books.pings)):
                self.ping_answers(0)
            for _ in range(len(books.deletes)):
                self.delete_ends(0, ok=True)


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=250, stateful_step_count=100, deadline=None)
