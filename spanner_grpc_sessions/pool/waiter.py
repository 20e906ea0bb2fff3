"""An acquire that waits in its thread for an answer."""

from __future__ import annotations

import threading

from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.runtime.clock import Clock

__all__ = ["Waiter"]


class Waiter:
    """An acquire that waits, and its answer."""

    def __init__(self) -> None:
        self.answer: SessionRecord | Exception | None = None
        # Reentrant, for the answer may come out of a garbage collection in the midst of `wait`.
        self._answered = threading.Condition(threading.RLock())

    def give(self, answer: SessionRecord | Exception) -> None:
        """Answer it."""
        with self._answered:
            self.answer = answer
            self._answered.notify_all()

    def wait(self, clock: Clock, until: float) -> None:
        """Wait for the answer, or until that time."""
        with self._answered:
            while self.answer is None and clock.now() < until:
                clock.wait(self._answered, until)
