"""The control of deadlines: how late a plain timer of the same process is, so that a busy machine is not blamed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Final

__all__ = ["Control"]

# Seconds between two looks at the clock.
_STEP: Final = 0.02
# So many looks are remembered: far more than the longest call takes.
_KEPT: Final = 3_000


class Control:
    """Wakes up every 0.02 s, and notes by how much it was late. A thread notes for threads, a task for tasks.

    Attributes:
        worst: the longest time in seconds by which it was late.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self._late: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._since = time.monotonic()
        self._ended = threading.Event()

    def watch(self) -> None:
        """Note until the end, in a thread."""
        self._since = time.monotonic()
        while not self._ended.wait(_STEP):
            self._note()

    async def watch_loop(self) -> None:
        """Note until the end, in a task."""
        self._since = time.monotonic()
        while not self._ended.is_set():
            await asyncio.sleep(_STEP)
            self._note()

    def end(self) -> None:
        """Stop noting."""
        self._ended.set()

    def late(self, start: float, end: float) -> float:
        """Return by how many seconds a timer of this process was late, in all, between two times."""
        noted = sum(late for at, late in list(self._late) if start < at <= end + _STEP)
        # It may be late right now.
        return noted + max(0.0, time.monotonic() - self._since - _STEP)

    def _note(self) -> None:
        now = time.monotonic()
        late = now - self._since - _STEP
        if late > 0:
            self._late.append((now, late))
            self.worst = max(self.worst, late)
        self._since = now
