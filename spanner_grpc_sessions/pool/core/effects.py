"""What a pool wants done: the effects that `PoolCore` returns, for its runner to carry out. Pure: no gRPC.

They are not frozen: that would make them three times as slow to create.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from spanner_grpc_sessions.pool.core.record import SessionRecord


@dataclass(slots=True, unsafe_hash=True)
class Create:
    """Create `count` sessions, at most 100, with one call; answer with `created` or `create_failed`, and this count."""

    count: int


@dataclass(slots=True, unsafe_hash=True)
class Ping:
    """Run `SELECT 1` on a session; answer with `pinged` or `ping_failed`."""

    record: SessionRecord


@dataclass(slots=True, unsafe_hash=True)
class Delete:
    """Delete a session; answer with `deleted`."""

    record: SessionRecord


@dataclass(slots=True, unsafe_hash=True)
class Deliver:
    """Give a session to a waiter, who answers with `accepted`, or with `waiter_gone` if it no longer wants it.

    The waiter is the session's `holder` already.
    """

    waiter: Any
    record: SessionRecord


@dataclass(slots=True, unsafe_hash=True)
class Fail:
    """Raise an error in a waiter, who waits no longer; several may get the same one, so raise a copy."""

    waiter: Any
    error: Exception


@dataclass(slots=True, unsafe_hash=True)
class WakeAt:
    """Call `tick` at this time. The newest one counts; it never is later than one that is still to come."""

    when: float


@dataclass(slots=True, unsafe_hash=True)
class LogLine:
    """Tell the operator, in one line that also names the database, at INFO or WARNING."""

    text: str
    warns: bool = False


Effect = Create | Ping | Delete | Deliver | Fail | WakeAt | LogLine


class Outbox:
    """The effects of one event while it lasts, and the alarm: when the next tick is due, and what was said of that."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self._wake_at = self._announced = inf

    def wake_at(self, when: float) -> None:
        """Have a tick at this time, or before."""
        self._wake_at = min(self._wake_at, when)

    def forget_alarm(self) -> None:
        """Note that the tick that was announced has come, or that none is to come."""
        self._wake_at = self._announced = inf

    def empty(self) -> tuple[Effect, ...]:
        """Return what is in it, a `WakeAt` included if a tick is due before the one that was announced."""
        if self._wake_at < self._announced:
            self._announced = self._wake_at
            self.effects.append(WakeAt(self._wake_at))
        if not self.effects:
            return ()
        effects, self.effects = tuple(self.effects), []
        return effects
