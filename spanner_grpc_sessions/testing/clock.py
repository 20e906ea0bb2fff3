"""A clock that tests move, for what pools and multiplexed sessions do in the background."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from math import inf
from typing import Any, Final

from spanner_grpc_sessions.errors import checks
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock, TimedEvent

# Seconds that a clock which stands still is waited for: a forgotten waiter wakes up in the end, and its test fails.
_HANG_TIMEOUT: Final = 60.0


class MovableClock(Clock):
    """A clock for pools and multiplexed sessions that `advance` moves, and what waits by it looks at the time again.

    Args:
        running: it goes on by itself too; otherwise it stands still between two moves.
    """

    def __init__(self, *, running: bool = True) -> None:
        self._running = checks.boolean("running", running)
        self._ahead = 0.0
        self._conditions: set[threading.Condition] = set()
        self._locks: set[threading.Lock] = set()
        # An entry for each waiter: some share an event.
        self._events: list[tuple[asyncio.AbstractEventLoop, TimedEvent]] = []
        self._alarms: list[tuple[float, _Alarm]] = []
        self._lock = threading.Lock()
        real = CLOCK.now
        self.now: Callable[[], float] = (lambda: real() + self._ahead) if running else (lambda: 1000.0 + self._ahead)

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            InvalidValue: `seconds` is negative or not finite.
        """
        seconds = checks.number("seconds", seconds, 0, inf, below=True)
        with self._lock:
            self._ahead += seconds
        for condition in tuple(self._conditions):
            with condition:
                condition.notify_all()
        for lock in tuple(self._locks):
            # Its waiter looks at the time, and goes on waiting.
            with contextlib.suppress(RuntimeError):
                lock.release()
        for loop, event in tuple(self._events):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.wake)
        self._ring()

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait until the condition is notified or the clock is moved, or until that time."""
        self._conditions.add(condition)
        left = self._left(until)
        if left > 0:
            condition.wait(left)

    def wait_for(self, lock: threading.Lock, until: float) -> bool:
        """Wait until a lock is released or the clock is moved, or until that time."""
        self._locks.add(lock)
        left = self._left(until)
        if left > 0:
            lock.acquire(timeout=left)
        self._locks.discard(lock)
        return left > 0

    async def wait_async(self, event: TimedEvent, until: float) -> None:
        """Wait in asyncio until the event is set or the clock is moved, or until that time."""
        entry = (asyncio.get_running_loop(), event)
        self._events.append(entry)
        try:
            await event.wait_within(self._left(until))
        finally:
            self._events.remove(entry)

    def alarm(self, until: float, function: Callable[..., None], *arguments: Any) -> asyncio.Handle:
        """Have the running event loop call a function at that time, unless the handle is cancelled before."""
        loop = asyncio.get_running_loop()
        alarm = _Alarm(loop, function, arguments)
        with self._lock:
            self._alarms.append((until, alarm))
        if self._running and until < inf:
            loop.call_later(max(until - self.now(), 0.0), self._ring)
        self._ring()
        return alarm

    def _left(self, until: float) -> float:
        left = until - self.now()
        return min(left, threading.TIMEOUT_MAX) if left <= 0 or self._running else _HANG_TIMEOUT

    def _ring(self) -> None:
        with self._lock:
            now = self.now()
            due = [alarm for until, alarm in self._alarms if until <= now]
            self._alarms = [(until, alarm) for until, alarm in self._alarms if until > now and not alarm.cancelled()]
        for alarm in due:
            alarm.ring()


class _Alarm(asyncio.Handle):
    """What its loop is to call, unless it is cancelled before. No `TimerHandle`, which uvloop cannot cancel."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[..., None], arguments: Any) -> None:
        self._target = loop
        super().__init__(function, arguments, loop)

    def ring(self) -> None:
        if not self._target.is_closed():
            self._target.call_soon_threadsafe(lambda: None if self.cancelled() else self._run())
