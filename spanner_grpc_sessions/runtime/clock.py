"""The clock of what goes on in the background: the time, and waiting for one. Tests have one that they move by hand."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["CLOCK", "Clock", "event_within"]


class Clock:
    """Seconds that go on while the machine sleeps, where the system counts such: the server's do.

    Attributes:
        now: returns them.
    """

    def __init__(self) -> None:
        boot_time = getattr(time, "CLOCK_BOOTTIME", None)
        self.now: Callable[[], float] = (
            time.monotonic if boot_time is None else functools.partial(time.clock_gettime, boot_time)
        )

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait until the condition, which the caller holds, is notified, or until that time."""
        condition.wait(min(max(until - self.now(), 0.0), threading.TIMEOUT_MAX))

    async def wait_async(self, event: asyncio.Event, until: float) -> None:
        """Wait in asyncio until the event is set, or until that time."""
        await event_within(event, until - self.now())

    def alarm(self, until: float, function: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        """Have the running event loop call a function at that time, unless the handle is cancelled before."""
        return asyncio.get_running_loop().call_later(max(until - self.now(), 0.0), function, *arguments)


async def event_within(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, or so many seconds; for the longest of times only a day, so look again."""
    # A loop's timers end somewhere, which for a loop of today's is after a day.
    seconds = min(max(seconds, 0.0), 86_400.0)
    # `asyncio.wait_for` of Python 3.11 drops a cancellation that comes together with the event.
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((waiting,), timeout=seconds)
    finally:
        waiting.cancel()


CLOCK: Final = Clock()
"""The real one."""
