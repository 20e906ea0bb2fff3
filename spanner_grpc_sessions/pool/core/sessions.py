"""The sessions of a pool: where each one is, and what happens to it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Any, Final

from spanner_grpc_sessions.pool.core.effects import Delete, LogLine, Outbox, Ping
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_INTERVAL, RECLAIM_PAUSE, RECLAIM_QUIET, dropped, mislaid
from spanner_grpc_sessions.pool.core.record import PING_SPREAD, SessionRecord
from spanner_grpc_sessions.pool.core.schedule import MAX_LOOKS, Schedule
from spanner_grpc_sessions.pool.options import PoolOptions

# After a pause of the machine all sessions are due at once; those not pinged yet can still be handed out.
_MAX_PINGS: Final = 10
# After a loss callers wait for those that are alive, and what the others need is known only when all were asked.
_MAX_PINGS_AFTER_LOSS: Final = 40
# After so many pings in a row that each found a lost session, the server has lost all of them: to ask for each takes
# longer than to create new ones. If one is alive after all, the server drops it once it was idle for an hour.
_HOPELESS_AFTER: Final = 100
# A delete that failed is repeated after so many seconds, so often. By then the session is idle for an hour soon.
_DELETE_PAUSE: Final = 60.0
_MAX_DELETE_RETRIES: Final = 2
# An unused pool shrinks in steps, so that the end of one burst does not delete what the next one needs.
_SHRINK_STEP: Final = 10
_PAUSE: Final = 1.0
# A restart of the server loses all sessions at once. Where sessions are lost one by one, not all are pinged each time.
_SUSPECT_INTERVAL: Final = 2.0
# The fast path releases a lease without telling the core: a leased session that is due is looked for in steps of this
# part of the keep-alive time.
_LEASED_STEP: Final = 0.1


class PoolSessions:
    """The sessions of a pool. Each is idle, being pinged, or leased.

    The fast path takes from the right of `idle` and adds to it at any moment, so a session may be gone when it is taken
    from there. Idle sessions that are unused for long, or need a ping first, are set aside: the fast path does not see
    them, and each can be found at once.
    """

    def __init__(self, options: PoolOptions, outbox: Outbox) -> None:
        self.all: dict[str, SessionRecord] = {}
        self.idle: deque[SessionRecord] = deque()
        self.pinging: set[SessionRecord] = set()
        # Deliveries to waiters that were not acknowledged yet.
        self.delivered: dict[Any, SessionRecord] = {}
        # No longer sessions of the pool; their deletes are in flight.
        self.deleting: set[SessionRecord] = set()
        # What failed to be deleted, and when that is tried again.
        self._undeleted: dict[SessionRecord, float] = {}
        # The discarded ones that are still leased.
        self.discarded: int = 0
        self.closing = False
        # A loss is not dealt with: others may have been lost with it.
        self.losing = False
        # Pings that found a lost session, since one found a session alive.
        self.lost_in_a_row: int = 0
        # Set aside: ready; to be pinged first; to be pinged first, after a backoff.
        self._rested: dict[SessionRecord, None] = {}
        self._stale: dict[SessionRecord, None] = {}
        self._failed: dict[SessionRecord, None] = {}
        self._options = options
        self._outbox = outbox
        may_shrink = options.max_idle is not None and options.max_size > options.min_size
        max_idle = self._max_idle = (options.max_idle or inf) if may_shrink else inf
        self._rested_after = options.keep_alive_after * (1 - PING_SPREAD)
        self._upkeep = Schedule(SessionRecord.upkeep_due)
        self._unused = Schedule(lambda record: record.last_used_at + max_idle)
        self._leases_due = -inf
        # When to look for leases that were dropped; see `core.reclaim`.
        self.reclaim_at: float = -inf
        self._reclaimed_at = -inf
        self._suspected_at = -inf
        self._suspect_due = inf

    @property
    def idle_count(self) -> int:
        """The number of idle sessions."""
        return len(self.idle) + len(self._rested) + len(self._stale) + len(self._failed)

    @property
    def leased(self) -> int:
        """The number of leased sessions: the others are counted, because the fast path keeps no count."""
        return len(self.all) - self.idle_count - len(self.pinging)

    @property
    def surplus(self) -> int:
        """The number of sessions beyond `min_size`; negative while some are missing."""
        return len(self.all) - self._options.min_size

    @property
    def capacity(self) -> int:
        """The number of sessions that may be created: the server still has those whose deletes are in flight."""
        return self._options.max_size - len(self.all) - len(self.deleting)

    @property
    def checked(self) -> bool:
        """Whether no idle session waits for a ping, or for the answer to one, but for the end of a backoff."""
        return not (self.pinging or self._stale)

    @property
    def exhausted(self) -> bool:
        """Whether a new waiter can only wait: there is nothing to hand out, to ping or to create."""
        return not (self.idle or self._rested or self._stale) and self.capacity <= 0

    def add(self, records: list[SessionRecord], now: float) -> None:
        """Add new sessions."""
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
            # Sessions that only `min_size` kept may have been unused for too long already.
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
        # It may be planned for later, because it was not idle when something was due.
        self._outbox.wake_at(self._upkeep.add(record))
        unused_at = self._unused.add(record)
        if self.surplus > 0:
            self._outbox.wake_at(unused_at)

    def delete(self, record: SessionRecord) -> None:
        """Delete a session that is in none of the places any more."""
        if self.all.get(record.name) is record:
            del self.all[record.name]
            self.discarded -= record.discarded
        self._upkeep.remove(record)
        self._unused.remove(record)
        if not record.lost and (self._options.delete_on_close or not self.closing):
            record.failures = 0
            self._delete(record)

    def deleted(self, record: SessionRecord, now: float, *, ok: bool) -> None:
        """Note that a delete ended; one that failed is repeated later. In the end the server drops the session."""
        self.deleting.remove(record)
        if ok or self.closing or record.failures >= _MAX_DELETE_RETRIES:
            return
        record.failures += 1
        self._undeleted[record] = now + _DELETE_PAUSE
        self._outbox.wake_at(now + _DELETE_PAUSE)

    def delete_again(self, now: float) -> None:
        """Repeat the deletes that failed and are due."""
        if self.closing and not self._options.delete_on_close:
            self._undeleted.clear()
        for record in [record for record, when in self._undeleted.items() if when <= now]:
            del self._undeleted[record]
            self._delete(record)

    def discard(self, record: SessionRecord, now: float) -> None:
        """Delete a discarded session: at once, or when it is given back."""
        if self._take(record):
            self.delete(record)
        elif not self.closing:
            # The fast path may be about to release it, or to put it back.
            self._upkeep.add(record)
            self._outbox.wake_at(now)

    def delete_idle(self) -> None:
        """Delete all idle sessions."""
        for record in self._take_all():
            self.delete(record)

    def reclaim(self, now: float, *, urgent: bool = False) -> bool:
        """Take back, at times, the leased sessions that no caller can reach; return whether there were any.

        Before it comes to a caller a session can be handed out again. One whose lease was dropped is deleted: its
        caller may be using it by its name.
        """
        if now < (self._reclaimed_at + RECLAIM_PAUSE if urgent else self.reclaim_at):
            return False
        self._reclaimed_at, self.reclaim_at = now, now + RECLAIM_QUIET
        if self.leased <= 0:
            return False
        self.reclaim_at = now + RECLAIM_INTERVAL
        leases = 0
        lost = dropped(self.all.values(), self.delivered)
        for record in lost:
            holder, record.holder = record.holder, None
            if self.delivered.pop(holder, None) is None:
                leases += 1
                self.delete(record)
            else:
                self.put_back(record, now)
        if leases:
            self._outbox.effects.append(LogLine(_told(leases), warns=True))
        found = mislaid(self._nowhere(), (self._upkeep, self._unused))
        for record in found:
            self.put_back(record, now)
        return bool(lost or found)

    def take_valid(self, now: float) -> SessionRecord | None:
        """Take a session that may be handed out, if there is one; set aside or delete those on the way to it."""
        while (record := self._take_next()) is not None:
            if now >= record.expires_at:
                self.delete(record)
            elif record.is_valid(now):
                return record
            else:
                self._set_aside(record, now)
        return None

    def ping_stale(self, waiting: int, now: float) -> None:
        """Ping a session for each waiter, as long as there are sessions that a ping can make valid."""
        while self._stale and waiting > len(self.pinging):
            self._ping(self._stale.popitem()[0], now)

    def ping_next(self, now: float) -> None:
        """Ping the sessions that are due, up to the limit, and delete those past their lifetime."""
        due = self._take_due(self._upkeep, now)
        most = _MAX_PINGS_AFTER_LOSS if self.losing else _MAX_PINGS
        while len(self.pinging) < most and not self.closing and (record := next(due, None)) is not None:
            self._ping(record, now)

    def take_hopeless(self) -> list[SessionRecord]:
        """Note that a ping found a lost session; take those that are surely lost too, and are not being pinged."""
        self.lost_in_a_row += 1
        if self.lost_in_a_row < _HOPELESS_AFTER:
            return []
        hopeless = [record for record in self._stale if record.suspect]
        for record in hopeless:
            del self._stale[record]
        return hopeless

    def shrink(self, now: float) -> None:
        """Delete a few of the sessions that are unused for long, down to `min_size`."""
        for record in islice(self._take_due(self._unused, now), max(0, min(self.surplus, _SHRINK_STEP))):
            self.delete(record)

    def set_unused_aside(self, now: float) -> None:
        """Set the unused sessions aside that are due soon: they gather at the left."""
        try:
            for _ in range(MAX_LOOKS):
                if now < self.idle[0].last_used_at + self._rested_after:
                    return
                self._set_aside(self.idle.popleft(), now)
        except IndexError:
            pass  # the fast path has taken the last one

    def suspect_all(self, now: float, lost: SessionRecord | None = None) -> None:
        """Have all sessions pinged before they are handed out, unless the loss of this one says nothing new."""
        # It says nothing new if it was not alive after the last time.
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
        # Leased ones too: the fast path releases them without telling whether their calls failed.
        for record in self.all.values():
            # Sessions that were pinged at the same time as the lost one were alive just now. That one was created just
            # now says less: a server on this machine is back within a second.
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
        """Return when a session is due next, after the ones that are due now."""
        due = min(
            self._upkeep.next_due(),
            self._unused.next_due() if self.surplus > 0 else inf,
            min(self._undeleted.values(), default=inf),
        )
        # A session that is still due waits for its turn.
        return min(due if due > now else now + _PAUSE, self._suspect_due)

    def _delete(self, record: SessionRecord) -> None:
        self.deleting.add(record)
        self._outbox.effects.append(Delete(record))

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

    def _take_due(self, schedule: Schedule, now: float) -> Iterator[SessionRecord]:
        """Yield sessions that are due, taken from the idle ones."""
        for record in schedule.pop_due(now):
            if self._take(record):
                yield record
            else:
                schedule.add(record, self._look_again(record, now))

    def _take(self, record: SessionRecord) -> bool:
        """Take a session from the idle ones, and return whether it was there."""
        if record.holder is not None or record in self.pinging:
            return False
        for place in (self._rested, self._stale, self._failed):
            if record in place:
                del place[record]
                return True
        try:
            # A search, but a rare one: unused sessions are set aside before they are due.
            self.idle.remove(record)
        except (ValueError, IndexError):  # the fast path took this one, or another one during the search
            return False
        return True

    def _take_next(self) -> SessionRecord | None:
        try:
            return self.idle.pop()
        except IndexError:  # a check before would not help: the fast path may be quicker
            return self._rested.popitem()[0] if self._rested else None

    def _nowhere(self) -> list[SessionRecord]:
        """Return what is neither idle nor pinged nor leased: on its way in the fast path, or lost there."""
        free = [record for record in self.all.values() if record.holder is None]
        if len(free) <= self.idle_count + len(self.pinging):
            return []
        return list(set(free) - {*self.idle.copy(), *self._rested, *self._stale, *self._failed, *self.pinging})

    def _take_all(self) -> list[SessionRecord]:
        records = [*self._stale, *self._failed, *iter(self._take_next, None)]
        self._stale.clear()
        self._failed.clear()
        return records

    def _look_again(self, record: SessionRecord, now: float) -> float:
        """Return when to check a session again that is due and could not be taken."""
        if record.holder is None:
            return now + _PAUSE
        if self._leases_due <= now:
            # All at the same time: a pool in constant use wakes seldom.
            self._leases_due = now + max(_PAUSE, _LEASED_STEP * self._options.keep_alive_after)
        return self._leases_due


def _told(leases: int) -> str:
    if leases == 1:
        return "a lease was dropped without a release: its session is deleted"
    return f"{leases} leases were dropped without a release: their sessions are deleted"
