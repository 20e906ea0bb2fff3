"""Faults that are put into the library on purpose, while it runs: a simulation has to find them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from unittest import mock

from spanner_grpc_sessions import AsyncMultiplexedSession
from spanner_grpc_sessions.auth import credentials
from spanner_grpc_sessions.multiplexed.rotation import Rotation
from spanner_grpc_sessions.pool.core import Deliver, PoolCore, SessionRecord
from spanner_grpc_sessions.pool.core.sessions import PoolSessions
from spanner_grpc_sessions.pool.waiters_async import Waiters

_Fault = Callable[[], AbstractContextManager[Any]]


def _waiter_forgotten() -> AbstractContextManager[Any]:
    """A release puts the session back, and does not look who waits."""

    def give_back(self: PoolCore, record: SessionRecord, now: float) -> tuple[()]:
        record.holder, record.last_used_at = None, now
        self._sessions.put_back(record, now)
        return ()

    return mock.patch.object(PoolCore, "give_back", give_back)


def _ping_dropped() -> AbstractContextManager[Any]:
    """The answer to a ping does not reach the core."""
    return mock.patch.object(PoolCore, "pinged", return_value=())


def _one_too_many() -> AbstractContextManager[Any]:
    """The pool may have one session more than `max_size`."""
    capacity: Any = PoolSessions.capacity
    return mock.patch.object(PoolSessions, "capacity", property(lambda self: capacity.fget(self) + 1))


def _token_late() -> AbstractContextManager[Any]:
    """A token is renewed when it expires, and not before."""
    return mock.patch.object(credentials, "_RENEW_BEFORE", 0.0)


def _lost_put_back() -> AbstractContextManager[Any]:
    """A session that a ping found lost is taken for alive."""

    def ping_failed(self: PoolCore, record: SessionRecord, now: float, draw: float, *, lost: bool = False) -> Any:
        return self.pinged(record, now) if lost else real(self, record, now, draw)

    real = PoolCore.ping_failed
    return mock.patch.object(PoolCore, "ping_failed", ping_failed)


def _not_suspected() -> AbstractContextManager[Any]:
    """A loss says nothing about the other sessions."""
    return mock.patch.object(PoolSessions, "suspect_all")


def _leased_twice() -> AbstractContextManager[Any]:
    """A session that is handed to a waiter stays among the idle ones."""

    def deliver(self: PoolCore, record: SessionRecord, now: float) -> Deliver:
        self.idle.append(record)
        return real(self, record, now)

    real = PoolCore._deliver
    return mock.patch.object(PoolCore, "_deliver", deliver)


def _answered_late() -> AbstractContextManager[Any]:
    """Callers without a session are told a moment after their deadline."""
    real = Waiters._ring_at
    return mock.patch.object(Waiters, "_ring_at", lambda self, until: real(self, until + 0.01))


def _not_ended() -> AbstractContextManager[Any]:
    """A multiplexed session that was closed leaves its task running."""

    async def close(self: AsyncMultiplexedSession) -> None:
        self._end()

    return mock.patch.object(AsyncMultiplexedSession, "close", close)


def _not_deleted() -> AbstractContextManager[Any]:
    """A pool that is closed does not delete its idle sessions."""

    def delete_idle(self: PoolSessions) -> None:
        for record in self._take_all():
            del self.all[record.name]

    return mock.patch.object(PoolSessions, "delete_idle", delete_idle)


def _not_replaced() -> AbstractContextManager[Any]:
    """A lost multiplexed session is not replaced."""
    return mock.patch.object(Rotation, "lost", return_value="")


FAULTS: Final[dict[str, _Fault]] = {
    "waiter-forgotten": _waiter_forgotten,
    "ping-dropped": _ping_dropped,
    "one-too-many": _one_too_many,
    "token-late": _token_late,
    "lost-put-back": _lost_put_back,
    "not-suspected": _not_suspected,
    "leased-twice": _leased_twice,
    "answered-late": _answered_late,
    "not-ended": _not_ended,
    "not-deleted": _not_deleted,
    "not-replaced": _not_replaced,
}


def put_in(name: str) -> AbstractContextManager[Any]:
    """Put a fault into the library, until the context ends; none by the empty name."""
    return FAULTS[name]() if name else nullcontext()
