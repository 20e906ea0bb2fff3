"""The session pool as a state machine: events in, effects out. Pure: no clock, no random, no threads, no gRPC.

A runner (one for threads, one for asyncio) holds a lock around each event and carries out its effects. Only the fast
path may run without the lock, and this is all of it:

    # acquire
    try:
        record = core.idle.pop()
    except IndexError:
        pass
    else:
        now = clock()
        if now < record.valid_until:
            record.last_used_at = now
            record.holder = lease
            return record
        core.idle.append(record)
    # ... and otherwise, under the lock: core.acquire(waiter, clock())

    # release
    if record.holder is not lease:
        raise PoolError  # a second release; the runner has to know that the lease is one of this pool
    if core.contended or record.discarded:
        # under the lock: core.give_back(record, clock())
    else:
        record.holder = None
        core.idle.append(record)
        if core.contended:
            # under the lock: core.serve_waiters(clock())

The clock is read once for both, because that is a fifth of their cost: a session counts as used when it is taken.

The fast path checks `contended` again after the append, and the core sets it before it checks `idle`. The second of the
two sees the first, so no waiter is forgotten and no session stays behind in a closed pool. Two threads that release one
lease at the same moment could both pass the check of the holder: the runner first takes something from the lease that
only one of them can get. An acquire between the append and the second check may overtake the waiters, as if it had come
before them.

A waiter is any hashable object, a new one for each acquire. It gets one answer, `Deliver` or `Fail`, unless it leaves
first. It acknowledges a delivery by `accepted`, which needs no lock in its own thread or task, since no other calls
`waiter_gone`. The waiter may be the lease itself; otherwise the runner makes the lease the `holder` before it accepts.

The clock should go on while the machine sleeps, as the server's does.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from math import inf
from typing import Any, Final

from spanner_grpc_sessions.errors import PoolClosed, PoolError, PoolOverloaded
from spanner_grpc_sessions.pool.core.creation import Creation, retry_delay
from spanner_grpc_sessions.pool.core.duplicates import Duplicates
from spanner_grpc_sessions.pool.core.effects import Create, Deliver, Effect, Fail, LogLine, Outbox
from spanner_grpc_sessions.pool.core.losses import Losses
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.core.sessions import PoolSessions
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.stats import PoolCounters, PoolStats
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, MAX_BATCH

# Multiples of the golden ratio, taken modulo 1, lie about as evenly as points can: one draw spreads a whole batch.
_GOLDEN: Final = 0.6180339887498949


class PoolCore:
    """The decisions of a session pool. The first event is a `tick`: it fills the pool to `min_size`.

    Every event takes `now`, in seconds of a monotonic clock, and returns the effects to carry out, in their order.
    Where a time is to be spread, `draw` is a random number from 0 to below 1.

    Attributes:
        idle: sessions that the fast path may take, the most recently used at the right; always the same deque.
        sessions: all sessions of the pool by name, also the leased ones, to read under the lock.
        contended: a released session needs the core: a caller waits, or the pool closes.
        closing: `close` was called.
        max_size: the number of sessions that it may have.
    """

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._outbox = Outbox()
        self._sessions = PoolSessions(options, self._outbox)
        self._creation = Creation()
        self._counters, self._losses = PoolCounters(), Losses()
        self._duplicates = Duplicates()
        # Since when each waits, first come, first served. A plain dict is slow to find a first key after removals.
        self._waiting: OrderedDict[Any, float] = OrderedDict()
        self._delivered = self._sessions.delivered
        self.max_size: int = options.max_size
        self.idle: deque[SessionRecord] = self._sessions.idle
        self.sessions: dict[str, SessionRecord] = self._sessions.all
        self.contended: bool = False
        self.closing: bool = False

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"PoolCore(size={stats.size}, idle={stats.idle}, leased={stats.leased}, "
            f"pinging={len(self._sessions.pinging)}, creating={self._creation.in_flight}, "
            f"deleting={len(self._sessions.deleting)}, waiting={stats.waiting}, closing={self.closing})"
        )

    @property
    def filled(self) -> bool:
        """Whether `min_size` sessions are there."""
        return self._sessions.surplus >= 0

    @property
    def closed(self) -> bool:
        """Whether the pool was closed and nothing of it is left: no session, no create and no delete in flight."""
        return self.closing and not (self.sessions or self._sessions.deleting or self._creation.in_flight)

    @property
    def settled(self) -> bool:
        """Whether the pool was closed and what is left of it is leased."""
        sessions = self._sessions
        in_flight = sessions.deleting or sessions.pinging or self._creation.in_flight
        return self.closing and not (in_flight or sessions.idle_count)

    @property
    def reclaim_at(self) -> float:
        """When a tick is to look for sessions that no caller can reach any more."""
        return self._sessions.reclaim_at

    @property
    def last_error(self) -> Exception | None:
        """Why the newest create failed, None if it did not: the cause of a timeout, if there is one."""
        return self._creation.last_error

    def stats(self) -> PoolStats:
        """Return the numbers of this moment. They agree under the lock, and nearly so without it."""
        return self._counters.stats(
            size=len(self.sessions),
            idle=self._sessions.idle_count,
            leased=max(0, self._sessions.leased),
            waiting=len(self._waiting),
        )

    def fill(self, now: float) -> tuple[Effect, ...]:
        """Ask for `min_size` sessions, at once even after a fatal failure."""
        self._creation.caller_came()
        return self.serve_waiters(now)

    def acquire(self, waiter: Any, now: float) -> tuple[Effect, ...]:
        """Ask for a session. The answer is a `Deliver` or a `Fail`, now or after a later event."""
        most = self._options.max_waiting
        if most is not None and len(self._waiting) >= most:
            error = PoolOverloaded(f"{most} acquires wait already, and max_waiting is {most}")
            self._outbox.effects.append(Fail(waiter, error))
        else:
            self._waiting[waiter] = now
            self.contended = True
            self._creation.caller_came()
            if self._sessions.exhausted and not (self.closing or self._sessions.reclaim(now, urgent=True)):
                self._outbox.wake_at(self._sessions.reclaim_at)
                return self._outbox.empty()
        return self.serve_waiters(now)

    def accepted(self, waiter: Any, now: float) -> None:
        """Note that a waiter uses its session from now on, and will give it back."""
        self._delivered.pop(waiter).last_used_at = now

    def waiter_gone(self, waiter: Any, now: float, *, timed_out: bool) -> tuple[Effect, ...]:
        """Forget a waiter that timed out or was cancelled; a session that was just delivered to it goes to the next."""
        self._counters.timeouts += timed_out
        since = self._waiting.pop(waiter, None)
        if since is not None:
            self._counters.wait_seconds.observe(now - since)
        record = self._delivered.pop(waiter, None)
        if record is not None:
            record.holder = None
            self._sessions.put_back(record, now)
        return self.serve_waiters(now)

    def give_back(self, record: SessionRecord, now: float) -> tuple[Effect, ...]:
        """Take a leased session back, its `holder` still set.

        Raises:
            PoolError: it is not leased, or belongs to another pool. Nothing was changed.
        """
        if record.holder is None or self.sessions.get(record.name) is not record:
            raise PoolError(f"{record.name} is not leased from this pool: it was released before, or is another's")
        record.holder = None
        record.last_used_at = now
        if self._waiting and not record.suspect and now < record.expires_at:
            delivery = self._deliver(record, now)
            self.contended = bool(self._waiting)
            return (delivery,)
        self._sessions.put_back(record, now)
        return self.serve_waiters(now)

    def lost(self, record: SessionRecord, now: float, *, proven: bool = True) -> tuple[Effect, ...]:
        """Note that the server has lost a session. It is not handed out again.

        A leased one is replaced when it is given back. All others are pinged before they are handed out, because a
        restart of the server, for one, loses them all. Without proof the session is also deleted: it may be alive.
        """
        if self.sessions.get(record.name) is record:
            self._discard(record, now, proven=proven)
        return self.serve_waiters(now)

    def lost_by_name(self, name: str, now: float) -> tuple[Effect, ...]:
        """Do what `lost` does for the session of this name, if there is one."""
        record = self.sessions.get(name)
        return () if record is None else self.lost(record, now)

    def database_lost(self, error: Exception, now: float) -> tuple[Effect, ...]:
        """Note that the database is gone: all who wait fail with the error, and no session is valid before a ping."""
        self._fail_waiters(error)
        self._sessions.suspect_all(now)
        return self.database_gone(error, now)

    def database_gone(self, error: Exception, now: float) -> tuple[Effect, ...]:
        """Have the log say so, once; for a call of the pool itself, whose failure is told by another event."""
        if self._counters.created:  # otherwise it may never have been there, and callers get the error
            self._outbox.effects += map(LogLine, self._losses.database_gone(error))
        return self.serve_waiters(now)

    def created(self, count: int, sessions: Sequence[tuple[str, Any]], now: float, draw: float) -> tuple[Effect, ...]:
        """Take the answer to a `Create` of `count`: names, and what the records keep as their `resource`."""
        if not sessions:
            return self.create_failed(count, PoolError(f"the server created none of {count} sessions"), now, draw)
        self._counters.created += len(sessions)
        created = {
            name: SessionRecord(name, resource, self._options, now, (draw + place * _GOLDEN) % 1)
            for place, (name, resource) in enumerate(sessions)
        }
        duplicates = self._duplicates.take(created, self.sessions, now)
        for old, _ in duplicates:
            self._discard(old, now, proven=True)
        fresh = list(created.values())
        self._sessions.add(fresh[:count], now)
        # There may be no room for more sessions than were asked for.
        for record in (*fresh[count:], *(new for _, new in duplicates)):
            self._sessions.delete(record)
        if not fresh:
            error = PoolError(f"the server returned {len(sessions)} names that it has given before")
            return self.create_failed(count, error, now, draw)
        self._creation.succeeded(count)
        self._losses.database_found()
        return self.serve_waiters(now)

    def create_failed(
        self, count: int, error: Exception, now: float, draw: float, *, fatal: bool = False
    ) -> tuple[Effect, ...]:
        """Note that a create failed. It is repeated after a backoff, if sessions are still missing.

        A failure is fatal if repeating it is unlikely to help, as without the database or the permission: all waiters
        fail with the error, and the next acquire tries again at once.
        """
        self._creation.failed(count, error, now, draw, fatal=fatal)
        if fatal:
            self._fail_waiters(error)
        return self.serve_waiters(now)

    def pinged(self, record: SessionRecord, now: float) -> tuple[Effect, ...]:
        """Note that a ping succeeded."""
        self._counters.pinged += 1
        self._losses.database_found()
        self._sessions.pinging.remove(record)
        self._sessions.lost_in_a_row = 0
        record.mark_pinged(now)
        self._sessions.put_back(record, now, used=False)
        self._sessions.ping_next(now)
        return self.serve_waiters(now)

    def ping_failed(self, record: SessionRecord, now: float, draw: float, *, lost: bool = False) -> tuple[Effect, ...]:
        """Note that a ping failed.

        A lost session is replaced; after many in a row, those that no ping has reached yet are replaced with it. After
        another failure it is pinged again before it is handed out; after an hour of silence it is replaced too, because
        the server may have dropped it.
        """
        self._sessions.pinging.remove(record)
        if lost:
            for gone in (record, *self._sessions.take_hopeless()):
                self._lose(gone, now, proven=True)
                self._sessions.delete(gone)
        elif now - record.alive_at() >= IDLE_LIMIT:
            self._sessions.delete(record)
        else:
            record.failures += 1
            record.mark_suspect(now + retry_delay(record.failures, draw))
            self._sessions.put_back(record, now, used=False)
        self._sessions.ping_next(now)
        return self.serve_waiters(now)

    def deleted(self, record: SessionRecord, now: float, *, ok: bool = True) -> tuple[Effect, ...]:
        """Note that a delete ended. If it failed it is repeated, twice, and the last time when the pool closes."""
        self._counters.deleted += ok
        self._sessions.deleted(record, now, ok=ok)
        return self.serve_waiters(now)

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Do what is due, and tell by a `WakeAt` when something is due next."""
        self._outbox.forget_alarm()
        self._sessions.reclaim(now)
        if not self.closing:
            self._sessions.set_unused_aside(now)
            self._sessions.shrink(now)
            self._sessions.delete_again(now)
            self._sessions.ping_next(now)
            self._sessions.suspect_all_if_due(now)
            self._outbox.wake_at(self._sessions.next_due(now))
        return self.serve_waiters(now)

    def clear(self, now: float) -> tuple[Effect, ...]:
        """Delete all sessions that are idle. Up to `min_size`, new ones are created."""
        self._sessions.delete_idle()
        return self.serve_waiters(now)

    def close(self, now: float) -> tuple[Effect, ...]:
        """Fail all waiters, and delete each session as soon as it is not leased; see `closed`."""
        self.contended = self.closing = self._sessions.closing = True
        self._outbox.forget_alarm()
        self._sessions.reclaim(now, urgent=True)
        return self.serve_waiters(now)

    def serve_waiters(self, now: float) -> tuple[Effect, ...]:
        """Hand out what the fast path released while the pool was contended."""
        if self.closing:
            self._fail_waiters(PoolClosed("the pool was closed"))
            self._sessions.delete_idle()
            self._sessions.delete_again(inf)
        else:
            while self._waiting and (record := self._sessions.take_valid(now)) is not None:
                self._outbox.effects.append(self._deliver(record, now))
            self._sessions.ping_stale(len(self._waiting), now)
            self._grow(now)
        self.contended = self.closing or bool(self._waiting)
        if self._losses.open:
            self._tell_losses(now)
        return self._outbox.empty()

    def _deliver(self, record: SessionRecord, now: float) -> Deliver:
        waiter, since = self._waiting.popitem(last=False)
        if now > since:  # or there was a session at once: where leaks are looked for, the fast path takes none
            self._counters.wait_seconds.observe(now - since)
        self._delivered[waiter] = record
        record.holder = waiter
        return Deliver(waiter, record)

    def _fail_waiters(self, error: Exception) -> None:
        self._outbox.effects += [Fail(waiter, error) for waiter in self._waiting]
        self._waiting.clear()

    def _grow(self, now: float) -> None:
        # A session that is being pinged serves a waiter as soon as a new one would.
        waiting = len(self._waiting) - len(self._sessions.pinging)
        missing = -self._sessions.surplus
        if self._sessions.losing and self._sessions.pinging:
            # Pings find the other lost ones within moments: one call creates a hundred.
            missing -= missing % MAX_BATCH
        missing = min(max(missing, waiting), self._sessions.capacity) - self._creation.in_flight
        if missing <= 0:
            return
        if now < self._creation.retry_at:
            self._outbox.wake_at(self._creation.retry_at)
        else:
            self._outbox.effects += map(Create, self._creation.begin(missing))

    def _discard(self, record: SessionRecord, now: float, *, proven: bool) -> None:
        self._lose(record, now, proven=proven)
        self._sessions.discard(record, now)

    def _lose(self, record: SessionRecord, now: float, *, proven: bool) -> None:
        if not record.discarded:
            self._counters.lost += 1
            self._sessions.discarded += 1
            self._losses.lost(now, self._counters.created)
            self._sessions.losing = True
        record.mark_discarded(lost=proven)
        self._sessions.suspect_all(now, record)

    def _tell_losses(self, now: float) -> None:
        losses, created = self._losses, self._counters.created
        checked = self.closing or self._sessions.checked
        filled = self.filled and not (self._waiting or self._creation.in_flight or self._sessions.discarded)
        at = inf if self.closing else now
        self._outbox.effects += map(LogLine, losses.lines(at, created, checked=checked, filled=filled))
        self._sessions.losing = losses.open
        if at < losses.due < inf:
            self._outbox.wake_at(losses.due)
