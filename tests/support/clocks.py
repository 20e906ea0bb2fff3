"""Clocks that a test moves, for what goes on in the background."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.runtime.clock import Clock, event_within

__all__ = ["HandMovedClock", "WallClock"]

# Far above what any test takes: a forgotten waiter wakes up, and its test fails.
_HANG_TIMEOUT = 60.0


class _Alarm(asyncio.TimerHandle):
    """What is to be called, by its loop, unless it is cancelled before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[..., None], arguments: Any) -> None:
        self._target = loop
        super().__init__(0.0, function, arguments, loop)

    def ring(self) -> None:
        if not self._target.is_closed():
            self._target.call_soon_threadsafe(lambda: None if self.cancelled() else self._run())


class HandMovedClock(Clock):
    """A clock whose time is what the test says; moving it wakes those who wait."""

    def __init__(self) -> None:
        self._seconds = 1000.0
        self._conditions: set[threading.Condition] = set()
        self._locks: set[threading.Lock] = set()
        self._events: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._alarms: list[tuple[float, _Alarm]] = []
        self.now = lambda: self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds
        for condition in tuple(self._conditions):
            with condition:
                condition.notify_all()
        for lock in tuple(self._locks):
            # Who waits for it looks at the time, and goes on waiting.
            with contextlib.suppress(RuntimeError):
                lock.release()
        for loop, event in tuple(self._events):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            due = [alarm for until, alarm in self._alarms if until <= self._seconds]
            self._alarms = [(until, alarm) for until, alarm in self._alarms if until > self._seconds]
        for alarm in due:
            alarm.ring()

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait until the condition is notified or the clock is moved, if it is not that time yet."""
        self._conditions.add(condition)
        if self._seconds < until:
            condition.wait(_HANG_TIMEOUT)

    def wait_for(self, lock: threading.Lock, until: float) -> bool:
        """Wait until the lock is released or the clock is moved, if it is not that time yet."""
        self._locks.add(lock)
        waits = self._seconds < until
        if waits:
            lock.acquire(timeout=_HANG_TIMEOUT)
        self._locks.discard(lock)
        return waits

    def alarm(self, until: float, function: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        """Call a function when the clock is moved to that time."""
        alarm = _Alarm(asyncio.get_running_loop(), function, arguments)
        with self._lock:
            self._alarms.append((until, alarm))
        self._ring()
        return alarm

    async def wait_async(self, event: asyncio.Event, until: float) -> None:
        """Do the same in asyncio."""
        self._events.add((asyncio.get_running_loop(), event))
        if self._seconds < until:
            await event_within(event, _HANG_TIMEOUT)


class WallClock:
    """The clock by which clients renew their tokens: the real one, and what the test adds to it.

    Args:
        patch: undoes the change at the end of the test.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        for owner in (TokenFetcher, TokenSource):
            patch.setitem(owner.__init__.__kwdefaults__, "clock", self)  # type: ignore[arg-type]  # the default of a parameter is a clock

    def __call__(self) -> float:
        """Return the time it shows."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass. A client notices at its next call."""
        self._ahead += seconds
