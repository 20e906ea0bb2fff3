"""What a pool has at a moment, and what can be read of it. Pure: no clock, no threads, no gRPC."""

from __future__ import annotations

from spanner_grpc_sessions.pool.core.creation import Creation
from spanner_grpc_sessions.pool.core.effects import Outbox
from spanner_grpc_sessions.pool.core.sessions import PoolSessions
from spanner_grpc_sessions.pool.core.wait_queue import Waiters
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.stats import PoolCounters, PoolStats

__all__ = ["PoolState"]


class PoolState:
    """The state that the events of `PoolCore` change.

    Args:
        options: of the pool.

    Attributes:
        idle: the sessions that are ready, the most recently used at the right; always the same deque.
        sessions: all sessions of the pool, also the leased ones, to read under the lock: by the `holder` of each it
            can be found out who keeps one for too long.
        contended: whether a session that comes back must not just lie there: somebody waits, or the pool closes.
    """

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._outbox = Outbox()
        self._sessions = PoolSessions(options, self._outbox)
        self._creation = Creation()
        self._counters = PoolCounters()
        self._waiters = Waiters(self._counters.wait_seconds)
        self.idle = self._sessions.idle
        self.sessions = self._sessions.all
        self.contended = False

    def __repr__(self) -> str:
        return (
            f"PoolCore(size={len(self.sessions)}, idle={len(self.idle)}, leased={self._sessions.leased}, "
            f"pinging={len(self._sessions.pinging)}, creating={self._creation.in_flight}, "
            f"deleting={len(self._sessions.deleting)}, waiting={len(self._waiters)}, closing={self.closing})"
        )

    @property
    def filled(self) -> bool:
        """Whether `min_size` sessions are there."""
        return self._sessions.spare >= 0

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._sessions.closing

    @property
    def closed(self) -> bool:
        """Whether the pool was closed and nothing of it is left: no session, no create and no delete in flight."""
        return self.closing and not (self.sessions or self._sessions.deleting or self._creation.in_flight)

    @property
    def last_error(self) -> Exception | None:
        """Why the newest create failed, None if it did not: the cause of a timeout, if there is one."""
        return self._creation.last_error

    def stats(self) -> PoolStats:
        """Return the numbers of this moment. They agree under the lock, and nearly so without it."""
        return self._counters.stats(
            size=len(self.sessions),
            idle=len(self.idle),
            leased=max(0, self._sessions.leased),
            waiting=len(self._waiters),
        )
