"""A pool that is observed: what its observer sees of it, and the fast path, which tells of every use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from spanner_grpc_sessions.observers import PoolCounts, PoolInfo, PoolWatch
from spanner_grpc_sessions.pool.core import PoolCore, SessionRecord
from spanner_grpc_sessions.pool.options import PoolOptions

if TYPE_CHECKING:
    from spanner_grpc_sessions.calls.call import Caller
    from spanner_grpc_sessions.calls.call_async import AsyncCaller


def watch_core(core: PoolCore, caller: Caller | AsyncCaller, database: str, options: PoolOptions) -> PoolWatch:
    """Return what tells the observer of a client of a new pool."""

    def counts() -> PoolCounts:
        stats = core.stats()
        return PoolCounts(stats.size - stats.leased, stats.leased, stats.waiting)

    address, least, most = caller.connection.address, options.min_size, options.max_size
    pool = PoolInfo(database, address, multiplexed=False, min_size=least, max_size=most, counts=counts)
    return PoolWatch(caller.observer, pool)


class WatchedIdle:
    """The idle sessions of a pool, in the place of `core.idle` where the fast path takes and adds one."""

    def __init__(self, idle: deque[SessionRecord], watch: PoolWatch, now: Callable[[], float]) -> None:
        self._idle = idle
        self._watch = watch
        self._now = now

    def pop(self) -> SessionRecord:
        """Take a session that may be handed out; raise IndexError if there is none, or it has to be pinged first."""
        record = self._idle.pop()
        if self._now() >= record.valid_until:
            self._idle.append(record)
            raise IndexError
        try:
            self._watch.tell("session_acquired", 0.0)
        except BaseException:
            # An interruption: the session would be neither idle nor leased.
            self._idle.append(record)
            raise
        return record

    def append(self, record: SessionRecord) -> None:
        """Add a session that was released."""
        used = self._now() - record.last_used_at
        self._idle.append(record)
        self._watch.tell("session_released", used)
