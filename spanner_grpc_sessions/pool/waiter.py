"""An acquire that waits in its thread for a session. A lock of its own: a Condition runs Python code with its lock."""

from __future__ import annotations

import threading

from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.runtime.clock import Clock


class Waiter:
    """An acquire that waits in its thread, and its answer."""

    __slots__ = ("_answered", "answer")

    def __init__(self) -> None:
        self.answer: SessionRecord | Exception | None = None
        self._answered = threading.Lock()
        self._answered.acquire()

    def set_result(self, answer: SessionRecord | Exception) -> None:
        """Answer it."""
        self.answer = answer
        if self._answered.locked():
            self._answered.release()

    def wait(self, clock: Clock, until: float) -> None:
        """Wait for the answer, or until that time."""
        while self.answer is None and clock.wait_for(self._answered, until):
            pass
