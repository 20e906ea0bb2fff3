"""A pool core in the hands of a test: events one by one, and a clock that stands still until it is moved."""

from __future__ import annotations

from math import inf
from typing import Any

from spanner_grpc_sessions.pool.core import PoolCore
from spanner_grpc_sessions.pool.core.effects import Create, Deliver, Effect, LogLine, WakeAt
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.options import PoolOptions

__all__ = ["HOUR", "Pool", "idle_sessions", "kinds"]

HOUR = 3600.0


class Pool:
    """A core with a clock that stands still until it is moved, and what it wants done.

    Attributes:
        core: the core.
        now: what the clock shows.
        wake: when the next tick is due.
        effects: those of the last event but the `WakeAt` and the lines for the log.
        lines: the lines for the log so far.
    """

    def __init__(self, *, fill: bool = True, **options: Any) -> None:
        self.core = PoolCore(PoolOptions(**{"min_size": 0, "max_size": 4, **options}))
        self.now = 0.0
        self.wake = inf
        self.effects: list[Effect] = []
        self.lines: list[str] = []
        self.tick()
        if fill:
            self.answer_creates()

    def do(self, event: str, *values: Any, **options: Any) -> list[Effect]:
        """Tell the core of an event, now, with 0 for a draw; return the effects as `effects` has them."""
        draws = (0.0,) if event in {"created", "create_failed", "ping_failed"} else ()
        effects = getattr(self.core, event)(*values, self.now, *draws, **options)
        for effect in effects:
            if isinstance(effect, WakeAt):
                self.wake = effect.when
        self.lines += [effect.text for effect in effects if isinstance(effect, LogLine)]
        self.effects = [effect for effect in effects if not isinstance(effect, WakeAt | LogLine)]
        return self.effects

    def tick(self, now: float | None = None) -> list[Effect]:
        """Tick now, or at a later time."""
        self.now = self.now if now is None else now
        self.wake = inf
        return self.do("tick")

    def answer_creates(self, draw: float = 0.0) -> list[SessionRecord]:
        """Answer the creates of the last event; return the new records."""
        before = set(self.core.sessions.values())
        for effect in self.effects:
            if isinstance(effect, Create):
                names = [(f"s{len(self.core.sessions) + place}", None) for place in range(effect.count)]
                effects = self.core.created(effect.count, names, self.now, draw)
                self.wake = next((e.when for e in effects if isinstance(e, WakeAt)), self.wake)
                self.lines += [e.text for e in effects if isinstance(e, LogLine)]
        return sorted(set(self.core.sessions.values()) - before, key=lambda record: int(record.name[1:]))

    @property
    def idle(self) -> list[SessionRecord]:
        """All idle sessions, also those that are set aside."""
        return idle_sessions(self.core)

    def lease(self, waiter: str) -> SessionRecord:
        """Acquire a session that is there."""
        (delivery,) = self.do("acquire", waiter)
        assert isinstance(delivery, Deliver)
        self.accept(waiter)
        return delivery.record

    def accept(self, waiter: str) -> None:
        """Take what was handed over."""
        self.core.accepted(waiter, self.now)


def idle_sessions(core: PoolCore) -> list[SessionRecord]:
    """Return all idle sessions of a core: those that the fast path may take, then those that are set aside."""
    sessions = core._sessions
    return [*core.idle, *sessions._rested, *sessions._stale, *sessions._failed]


def kinds(effects: list[Effect]) -> list[str]:
    """Return the names of the effects."""
    return [type(effect).__name__ for effect in effects]
