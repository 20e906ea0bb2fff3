"""Time, and waiting for it: the clock of background work, which tests move by hand, and what asyncio lacks."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
# Seconds: the timers of an event loop have a limit, and a day is below it.
_MAX_TIMER: Final = 86_400.0


class TimedEvent(asyncio.Event):
    """An event that can be waited for until a time, without the task that asyncio needs for that."""

    def __init__(self) -> None:
        super().__init__()
        self._until_a_time: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Wake all that wait, and let none wait until it is cleared."""
        super().set()
        self.wake()

    def wake(self) -> None:
        """Wake all that now wait until a time, and stay as it is."""
        for waiter in self._until_a_time:
            _wake(waiter)

    async def wait_within(self, seconds: float) -> None:
        """Wait until it is set, or so many seconds, at most a day: the caller looks again."""
        if self.is_set():
            # A caller that looks again and again must not hold up the task that makes true what it looks for.
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = loop.call_later(min(max(seconds, 0.0), _MAX_TIMER), _wake, waiter)
        self._until_a_time.add(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._until_a_time.discard(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Clock:
    """Seconds that go on while the machine sleeps, where the system counts them: the server's go on too.

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

    def wait_for(self, lock: threading.Lock, until: float) -> bool:
        """Wait until a lock is released, and take it, or until that time; return False if that had come before."""
        left = until - self.now()
        if left <= 0:
            return False
        lock.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        return True

    async def wait_async(self, event: TimedEvent, until: float) -> None:
        """Wait in asyncio until the event is set, or until that time."""
        await event.wait_within(until - self.now())

    def alarm(self, until: float, function: Callable[..., None], *arguments: Any) -> asyncio.Handle:
        """Have the running event loop call a function at that time, unless the handle is cancelled before."""
        return asyncio.get_running_loop().call_later(max(until - self.now(), 0.0), function, *arguments)


# The real one.
CLOCK: Final = Clock()


def start_background_task(coroutine: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
    """Start a task in a context of its own, so that it is not part of the trace of the caller that started it.

    It begins after this returns, also where the loop has an eager task factory: its end would come before its caller
    knows the task, and what it does in between the caller's steps.
    """
    return Context().run(asyncio.Task, coroutine, loop=asyncio.get_running_loop())


async def let_scope_cancel() -> None:
    """Let a cancel scope of anyio, which cancels a task again until it ends, cancel this one once more.

    gRPC takes a cancellation and raises one of its own, without the text by which a scope tells its own from others.
    """
    await asyncio.sleep(0)


def task_is_cancelled() -> bool:
    """Return whether the current task is being cancelled, so that a CancelledError in it is its own."""
    task = asyncio.current_task()
    # Python 3.10 cannot tell: there, a closed client is the likelier cause.
    return bool(task is not None and hasattr(task, "cancelling") and task.cancelling())
