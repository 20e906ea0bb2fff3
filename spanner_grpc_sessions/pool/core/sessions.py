"""Where each session of a pool is, and what becomes of it. Pure: no clock, no threads, no gRPC."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from spanner_grpc_sessions.pool.core.effects import Delete, Outbox, Ping
from spanner_grpc_sessions.pool.core.record import MAX_SPREAD, SessionRecord
from spanner_grpc_sessions.pool.core.schedule import MAX_LOOKS, Schedule
from spanner_grpc_sessions.pool.core.wait_queue import WaitQueue
from spanner_grpc_sessions.pool.options import PoolOptions

# After a pause of the machine all sessions are due at once; the ones whose turn has not come can still be handed out.
_MAX_PINGS: Final = 10
# An unused pool shrinks in steps, so that the end of one burst does not delete what the next one needs.
_SHRINK_STEP: Final = 10
_PAUSE: Final = 1.0
# What took one session, a restart of the server say, may have taken all. Where sessions vanish one by one, not all are
# asked for each time.
_SUSPECT_INTERVAL: Final = 2.0
# A lease comes back without a word: while somebody has one that is overdue, it is looked for in steps of this part of
# the keep-alive time.
_LEASED_STEP: Final = 0.1


class PoolSessions:
    """The sessions of a pool. Each is idle, or being pinged, or else somebody leases it.

    The fast path takes from the right of `idle` and adds to it at any moment. So nothing here trusts a look at it: what
    is wanted from it is taken, and may turn out to be gone. Idle sessions that nobody has used for long, or nobody may
    get without a ping, are set aside, where the fast path does not see them and each can be found at once.
    """

    def __init__(self, options: PoolOptions, outbox: Outbox) -> None:
        self.all: dict[str, SessionRecord] = {}
        self.idle: deque[SessionRecord] = deque()
        self.pinging: set[SessionRecord] = set()
        # Sessions of the pool no more, whose deletes are in flight.
        self.deleting: set[SessionRecord] = set()
        self.closing = False
        # Set aside: ready for whoever comes; to be pinged before; the same, but not before the end of a backoff.
        self._rested: dict[SessionRecord, None] = {}
        self._stale: dict[SessionRecord, None] = {}
        self._failed: dict[SessionRecord, None] = {}
        self._options = options
        self._outbox = outbox
        max_idle = self._max_idle = inf if options.max_idle is None else options.max_idle
        self._rested_after = options.keep_alive_after * (1 - MAX_SPREAD)
        self._upkeep = Schedule(SessionRecord.upkeep_due)
        self._unused = Schedule(lambda record: record.last_used_at + max_idle)
        self._leases_due = -inf
        self._suspected_at = -inf
        self._suspect_due = inf

    @property
    def idle_count(self) -> int:
        """How many are idle."""
        return len(self.idle) + len(self._rested) + len(self._stale) + len(self._failed)

    @property
    def leased(self) -> int:
        """How many somebody holds: what is left, since the fast path keeps no count."""
        return len(self.all) - self.idle_count - len(self.pinging)

    @property
    def surplus(self) -> int:
        """How many there are beyond `min_size`; negative while some are missing."""
        return len(self.all) - self._options.min_size

    @property
    def capacity(self) -> int:
        """How many more the server may be asked for: it still has those whose deletes are in flight."""
        return self._options.max_size - len(self.all) - len(self.deleting)

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to hand out, to ping or to ask for: a new waiter can only wait."""
        return not (self.idle or self._rested or self._stale) and self.capacity <= 0

    def add(self, records: list[SessionRecord], now: float) -> None:
        """Take new sessions in."""
        had_surplus = self.surplus > 0
        if self.closing:
            for record in records:
                self.delete(record)
            return
        for record in records:
            self.all[record.name] = record
            self._unused.add(record)
        self.idle.extend(records)
        self._outbox.wake_at(min(map(self._upkeep.add, records), default=inf))
        if self.surplus > 0:
            # Those that were kept for `min_size` alone may have been unused for too long already.
            self._outbox.wake_at(now + self._max_idle if had_surplus else self._unused.next_due())

    def put_back(self, record: SessionRecord, now: float, *, used: bool = True) -> None:
        """Make a session idle again; delete it past its lifetime."""
        if self.closing or now >= record.expires_at:
            self.delete(record)
            return
        if used and record.is_valid(now):
            self.idle.append(record)
        else:
            self._set_aside(record, now)
        # It may be planned for later, for it was not there when something was due.
        self._outbox.wake_at(self._upkeep.add(record))
        unused_at = self._unused.add(record)
        if self.surplus > 0:
            self._outbox.wake_at(unused_at)

    def delete(self, record: SessionRecord) -> None:
        """Part with a session that was taken from wherever it was."""
        if self.all.get(record.name) is record:
            del self.all[record.name]
        self._upkeep.remove(record)
        self._unused.remove(record)
        if not record.lost and (self._options.delete_on_close or not self.closing):
            self.deleting.add(record)
            self._outbox.effects.append(Delete(record))

    def discard(self, record: SessionRecord, now: float) -> None:
        """Part with a session that nobody is to get any more: at once, or when it comes back."""
        if self._take(record):
            self.delete(record)
        elif not self.closing:
            # The fast path may be about to give it back, or to put it back.
            self._upkeep.add(record)
            self._outbox.wake_at(now)

    def delete_idle(self) -> None:
        """Delete all that nobody leases and that is not being pinged."""
        for record in self._take_all():
            self.delete(record)

    def hand_out(self, waiters: WaitQueue, now: float) -> None:
        """Give those who wait what is idle and valid, and ping for the others what is idle only."""
        while waiters.since and (record := self._take_next()) is not None:
            if now >= record.expires_at:
                self.delete(record)
            elif record.is_valid(now):
                self._outbox.effects.append(waiters.deliver(record, now))
            else:
                self._set_aside(record, now)
        while self._stale and len(waiters.since) > len(self.pinging):
            self._ping(self._stale.popitem()[0], now)

    def ping_next(self, now: float) -> None:
        """Ping the sessions that are due, as many as may be at the same time, and delete those past their lifetime."""
        due = self._upkeep.pop_due(now)
        while len(self.pinging) < _MAX_PINGS and not self.closing and (record := next(due, None)) is not None:
            if self._take(record):
                self._ping(record, now)
            else:
                self._upkeep.add(record, self._look_again(record, now))

    def shrink(self, now: float) -> None:
        """Delete a few of the sessions that nobody used for long and nobody has to keep."""
        steps = min(self.surplus, _SHRINK_STEP)
        due = self._unused.pop_due(now)
        while steps > 0 and (record := next(due, None)) is not None:
            if self._take(record):
                self.delete(record)
                steps -= 1
            else:
                self._unused.add(record, self._look_again(record, now))

    def set_unused_aside(self, now: float) -> None:
        """Set the sessions aside that are about to be due because nobody uses them: they gather at the left."""
        try:
            for _ in range(MAX_LOOKS):
                if now < self.idle[0].last_used_at + self._rested_after:
                    return
                self._set_aside(self.idle.popleft(), now)
        except IndexError:
            pass  # the fast path has taken the last one

    def suspect_all(self, now: float, lost: SessionRecord | None = None) -> None:
        """Have all sessions pinged before anybody gets them, unless the loss of this one says nothing new."""
        # It says nothing new if that one was not alive after the last time.
        if self.closing or (lost is not None and lost.pinged_at <= self._suspected_at):
            return
        self._suspect_due = min(self._suspect_due, max(now, self._suspected_at + _SUSPECT_INTERVAL))
        self.suspect_all_if_due(now)
        self._outbox.wake_at(self._suspect_due)

    def suspect_all_if_due(self, now: float) -> None:
        """Do what `suspect_all` put off."""
        if self.closing or now < self._suspect_due:
            return
        self._suspected_at, self._suspect_due = now, inf
        # Also those that somebody leases: they come back by the fast path, without a word of what their calls met.
        for record in self.all.values():
            # The one that was lost may have been pinged side by side with others, which were alive just now. That one
            # was created just now says less: a server on this machine is back within a second.
            just_pinged = record.pinged_at != record.created_at and now - record.pinged_at < _PAUSE
            if not just_pinged and record not in self.pinging:
                record.mark_suspect(now)
        for record in self._take_all():
            self._set_aside(record, now)
        self._upkeep.rebuild()
        self._leases_due = now + _PAUSE
        self.ping_next(now)
        self._outbox.wake_at(self.next_due(now))

    def next_due(self, now: float) -> float:
        """Return when a session needs attention, after what is due now was attended to."""
        due = min(self._upkeep.next_due(), self._unused.next_due() if self.surplus > 0 else inf)
        # What is due still waits for its turn.
        return min(due if due > now else now + _PAUSE, self._suspect_due)

    def _ping(self, record: SessionRecord, now: float) -> None:
        if now >= record.expires_at:
            self.delete(record)
            return
        self._upkeep.remove(record)
        self.pinging.add(record)
        self._outbox.effects.append(Ping(record))

    def _set_aside(self, record: SessionRecord, now: float) -> None:
        if record.is_valid(now):
            self._rested[record] = None
        elif now < record.retry_at:
            self._failed[record] = None
        else:
            self._stale[record] = None

    def _take(self, record: SessionRecord) -> bool:
        """Take a session from the idle ones, and return whether it was there."""
        if record.holder is not None or record in self.pinging:
            return False
        for place in (self._rested, self._stale, self._failed):
            if record in place:
                del place[record]
                return True
        try:
            # A search, but a rare one: sessions that nobody uses are set aside before they are due.
            self.idle.remove(record)
        except (ValueError, IndexError):  # the fast path took this one, or another one during the search
            return False
        return True

    def _take_next(self) -> SessionRecord | None:
        try:
            return self.idle.pop()
        except IndexError:  # to look first would not help: the fast path is quicker
            return self._rested.popitem()[0] if self._rested else None

    def _take_all(self) -> list[SessionRecord]:
        records = [*self._rested, *self._stale, *self._failed]
        for place in (self._rested, self._stale, self._failed):
            place.clear()
        try:
            while True:
                records.append(self.idle.pop())
        except IndexError:
            return records

    def _look_again(self, record: SessionRecord, now: float) -> float:
        """Return when to look again at a session that is due and could not be taken."""
        if record.holder is None:
            return now + _PAUSE
        if self._leases_due <= now:
            # All at the same time: a pool in constant use wakes seldom.
            self._leases_due = now + max(_PAUSE, _LEASED_STEP * self._options.keep_alive_after)
        return self._leases_due
