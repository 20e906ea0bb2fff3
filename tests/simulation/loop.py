"""An event loop whose time jumps to the next timer: a month of waiting takes as long as the code that runs in it.

looptime fits Python 3.11 to 3.13 and has upkeep, but steps real and virtual time side by side for tests with sockets;
simloom needs Python 3.12 and is in alpha. What a simulation needs of either is below.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
# Passes of the loop without a step of time: more are no program that waits.
_MOST_PASSES: Final = 100_000


class Stuck(Exception):
    """The program waits for something that never comes, or does not let time pass."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time, which stands still while code runs. Begins at 1,000 s.

    Attributes:
        frozen: seconds so far in which the process got no CPU.
        settled: is called before each jump, when nothing is left to run at this moment.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frozen = 0.0
        self.settled: Callable[[], None] = lambda: None
        self._failure: BaseException | None = None
        self._passes = 0
        self._set(1000.0)
        # BaseEventLoop asks it for events of sockets, and so lets time pass.
        self._selector = self

    def time(self) -> float:
        """Return the seconds that it shows."""
        return self._now

    def fail(self, error: BaseException) -> None:
        """End the run by an error of a task that is not awaited."""
        self._failure = self._failure or error

    def watch(self, task: asyncio.Task[None]) -> None:
        """End the run if a task fails that is not awaited."""
        task.add_done_callback(lambda task: None if task.cancelled() else self._note(task.exception()))

    def _note(self, error: BaseException | None) -> None:
        if error is not None:
            self.fail(error)

    def end_quietly(self) -> None:
        """Check nothing any more, and take no failure: the first one is told."""
        self.settled, self._failure = lambda: None, None
        self.fail = lambda error: None  # type: ignore[method-assign]

    def freeze(self, seconds: float) -> None:
        """Let time pass in which nothing of this process runs."""
        self.frozen += seconds
        self._set(self._now + seconds)

    def select(self, timeout: float | None) -> tuple[()]:
        """Return no event, after the time until the next timer has passed."""
        if self._failure is not None:
            raise self._failure
        if timeout == 0:
            self._passes += 1
            if self._passes > _MOST_PASSES:
                raise Stuck(f"{_MOST_PASSES} passes of the loop at {self._now:.3f} s, and none waits")
            return ()
        self.settled()
        if timeout is None:
            raise Stuck(f"nothing is left to wait for at {self._now:.3f} s, and the run has not ended")
        self._passes = 0
        # Not the sum of now and the timeout: it may be a rounding error before the timer.
        self._set(max(self._scheduled[0].when(), self._now))  # type: ignore[attr-defined]  # of BaseEventLoop
        return ()

    def _set(self, now: float) -> None:
        self._now = now
        # BaseEventLoop rings timers that are due within it: before their time, a waiter would begin to wait again.
        self._clock_resolution = math.ulp(now)

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that are still to come."""
        return [timer for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]  # of BaseEventLoop

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there are none."""

    def _write_to_self(self) -> None:
        """Do nothing: no other thread waits for this one."""


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, _Result]]) -> _Result:
    """Return the result of a coroutine on a loop of its own; raise what it, or a check of `settled`, raises."""
    loop = VirtualLoop()
    loop.set_exception_handler(_fail)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.end_quietly()
        try:
            _end(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _fail(loop: Any, context: dict[str, Any]) -> None:
    error = context.get("exception") or Stuck("an error of asyncio")
    error.args = (f"{context['message']}: {error}",)
    loop.fail(error)


def _end(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
