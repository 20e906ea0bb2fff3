"""Where each session of a pool is, and when it needs attention. Pure: no clock, no threads, no gRPC."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from spanner_grpc_sessions.pool.core.effects import Delete, Outbox, Ping
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.core.wait_queue import WaitQueue
from spanner_grpc_sessions.pool.options import PoolOptions

__all__ = ["PoolSessions"]

# After a pause of the machine all sessions are due at once; the ones whose turn has not come can still be handed out.
_MAX_PINGS: Final = 10
# An unused pool shrinks in steps, so that the end of one burst does not delete what the next one needs.
_SHRINK_STEP: Final = 10
_PAUSE: Final = 1.0
# What took one session, a restart of the server say, may have taken all. Where sessions vanish one by one, not all are
# asked for each time.
_SUSPECT_INTERVAL: Final = 2.0
# A lease comes back without a word: while somebody has one that is overdue, it is looked for in steps of this part of
# its keep-alive time.
_LEASED_STEP: Final = 0.1


class PoolSessions:
    """The sessions of a pool. Each is idle, or being pinged, or else somebody leases it.

    The fast path of a shell takes from `idle` and adds to it at any moment. So nothing here trusts a look at it: what
    is wanted from it is taken, and may turn out to be gone.

    Args:
        options: of the pool.
        outbox: where pings, deletes and the next tick are asked for.

    Attributes:
        all: every session that is not being created or deleted.
        idle: those that are ready, the most recently used at the right.
        pinging: those that are being pinged.
        deleting: sessions of the pool no more, whose deletes are in flight.
        closing: whether what comes back is deleted.
    """

    __slots__ = (
        "_max_idle",
        "_options",
        "_outbox",
        "_ping_queue",
        "_suspect_due",
        "_suspected_at",
        "all",
        "closing",
        "deleting",
        "idle",
        "pinging",
    )

    def __init__(self, options: PoolOptions, outbox: Outbox) -> None:
        self.all: set[SessionRecord] = set()
        self.idle: deque[SessionRecord] = deque()
        self.pinging: set[SessionRecord] = set()
        self.deleting: set[SessionRecord] = set()
        self.closing = False
        self._ping_queue: deque[SessionRecord] = deque()
        self._suspected_at = -inf
        self._suspect_due = inf
        self._options = options
        self._max_idle = inf if options.max_idle is None else options.max_idle
        self._outbox = outbox

    def __len__(self) -> int:
        return len(self.all)

    @property
    def leased(self) -> int:
        """How many somebody holds: what is left, since the fast path keeps no count."""
        return len(self.all) - len(self.idle) - len(self.pinging)

    @property
    def surplus(self) -> int:
        """How many there are beyond `min_size`; negative while some are missing."""
        return len(self.all) - self._options.min_size

    @property
    def capacity(self) -> int:
        """How many more the server may be asked for: it still has those whose deletes are in flight."""
        return self._options.max_size - len(self.all) - len(self.deleting)

    def add(self, records: list[SessionRecord], now: float) -> None:
        """Take new sessions in."""
        had_surplus = self.surplus > 0
        self.all.update(records)
        for record in records:
            self.put_back(record, now)
        if self.surplus > 0 and not had_surplus:
            # Those that were kept for `min_size` alone may have been unused for too long already.
            for record in self.idle.copy():
                self._plan(record)

    def put_back(self, record: SessionRecord, now: float, *, used: bool = True) -> None:
        """Make a session idle, at the end of the unused ones if it was not in use; delete it past its lifetime."""
        if self.closing or now >= record.expires_at:
            self.delete(record)
            return
        if used:
            self.idle.append(record)
        else:
            self.idle.appendleft(record)
        self._plan(record)

    def ping(self, record: SessionRecord) -> None:
        """Have a session pinged that was taken from the idle ones."""
        self.pinging.add(record)
        self._outbox.effects.append(Ping(record))

    def delete(self, record: SessionRecord) -> None:
        """Part with a session that was taken from wherever it was."""
        self.all.discard(record)
        if not record.lost and (self._options.delete_on_close or not self.closing):
            self.deleting.add(record)
            self._outbox.effects.append(Delete(record))

    def take(self, record: SessionRecord) -> bool:
        """Take a session from the idle ones, and return whether it was there."""
        try:
            self.idle.remove(record)
        except (ValueError, IndexError):  # the fast path took this one, or another one during the search
            return False
        return True

    def hand_out(self, waiters: WaitQueue, now: float) -> None:
        """Give those who wait what is idle and good, and ping for the others what is idle only."""
        stale = []
        while waiters and (record := self._pop()) is not None:
            if now >= record.expires_at:
                self.delete(record)
            elif record.is_valid(now):
                self._outbox.effects.append(waiters.hand(record, now))
            else:
                stale.append(record)
        for record in stale:
            if now >= record.retry_at and len(waiters) > len(self.pinging):
                self.ping(record)
            else:
                # To the left, where the fast path meets it last.
                self.idle.appendleft(record)

    def delete_idle(self) -> None:
        """Delete all that nobody leases and that is not being pinged."""
        while (record := self._pop()) is not None:
            self.delete(record)

    def retire(self, now: float) -> None:
        """Delete the idle sessions past their lifetime, and a few that nobody used for long and nobody has to keep."""
        surplus = min(self.surplus, _SHRINK_STEP)
        for record in self.idle.copy():
            unused = surplus > 0 and now >= record.last_used_at + self._max_idle
            if (unused or now >= record.expires_at) and self.take(record):
                surplus -= 1
                self.delete(record)

    def keep_alive(self, now: float) -> None:
        """Ping the idle sessions that are due, as many as may be at the same time; the others follow."""
        # The most recently used first: they are the next that an acquire meets.
        self._ping_queue = deque(record for record in reversed(self.idle.copy()) if _is_due(record, now))
        self.ping_next(now)

    def ping_done(self, record: SessionRecord) -> None:
        """Note that a ping ended."""
        self.pinging.remove(record)

    def ping_next(self, now: float) -> None:
        """Ping what was held back while there were too many."""
        while self._ping_queue and len(self.pinging) < _MAX_PINGS and not self.closing:
            record = self._ping_queue.popleft()
            if _is_due(record, now) and self.take(record):
                self.ping(record)

    def suspect_all(self, now: float, lost: SessionRecord | None = None) -> None:
        """Have all sessions pinged before anybody gets them, soon if that was done just now.

        Args:
            now: seconds.
            lost: because of this one. If it was not alive after the last time, its loss is no news.
        """
        if self.closing or (lost is not None and lost.pinged_at <= self._suspected_at):
            return
        self._suspect_due = min(self._suspect_due, max(now, self._suspected_at + _SUSPECT_INTERVAL))
        if now < self._suspect_due:
            self._outbox.wake_at(self._suspect_due)
        self.suspect_all_if_due(now)

    def suspect_all_if_due(self, now: float) -> None:
        """Do what `suspect_all` put off."""
        if self.closing or now < self._suspect_due:
            return
        self._suspected_at, self._suspect_due = now, inf
        # Also those that somebody leases: they come back by the fast path, without a word of what their calls met.
        for record in self.all - self.pinging:
            # The one that was lost may have been pinged side by side with others, which were alive just now. That one
            # was created just now says less: a server on this machine is back within a second.
            if record.pinged_at == record.created_at or now - record.pinged_at >= _PAUSE:
                record.mark_suspect(now)
        self.keep_alive(now)
        if self._ping_queue or self.leased:
            self._outbox.wake_at(now + _PAUSE)

    def next_due(self, now: float) -> float:
        """Return when the first of all sessions needs attention, after what is due now was attended to."""
        due = min((self._next_due(record, now) for record in self.all - self.pinging), default=inf)
        return min(due, self._suspect_due)

    def _next_due(self, record: SessionRecord, now: float) -> float:
        due = self._due(record)
        if due > now:
            return due
        # It waits for its turn, or the fast path has just taken it, or somebody has it for long.
        return now + (_PAUSE if record.holder is None else max(_PAUSE, _LEASED_STEP * record.keep_alive_after))

    def _due(self, record: SessionRecord) -> float:
        due = min(record.ping_due(), record.expires_at)
        return min(due, record.last_used_at + self._max_idle) if self.surplus > 0 else due

    def _plan(self, record: SessionRecord) -> None:
        self._outbox.wake_at(self._due(record))

    def _pop(self) -> SessionRecord | None:
        try:
            return self.idle.pop()
        except IndexError:  # to look first would not help: the fast path is quicker
            return None


def _is_due(record: SessionRecord, now: float) -> bool:
    return record.ping_due() <= now < record.expires_at
