"""The acquires that wait in an event loop: when each gives up, and how many are told of a failure in one turn."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from math import inf
from typing import Final

from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.runtime.clock import Clock

# Waiters with a timeout among which the answered ones are not looked for.
_MIN_SWEEP: Final = 100
# Waiters that fail in one turn of the loop: ten thousand exceptions at once would block it for a tenth of a second.
_MAX_FAILURES: Final = 200

# None says that its time is over.
Waiter = asyncio.Future[SessionRecord | Exception | None]


class Waiters:
    """When waiters give up, with one timer for all of them: a timer of its own would cost each a fifth of its wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Waiter]] = []
        self._serial = itertools.count()
        self._timer: asyncio.Handle | None = None
        self._rings_at = inf
        self._sweep_at = _MIN_SWEEP
        self._failing: deque[tuple[Waiter, Exception | None]] = deque()
        self._left = _MAX_FAILURES
        self._turns = False

    def add(self, waiter: Waiter, until: float) -> None:
        """Answer a waiter with None at that time, if it has no answer by then."""
        if until <= self._clock.now():
            waiter.set_result(None)
        elif until < inf:
            if len(self._heap) >= self._sweep_at:
                self._heap = [entry for entry in self._heap if not entry[2].done()]
                heapq.heapify(self._heap)
                self._sweep_at = 2 * len(self._heap) + _MIN_SWEEP
            heapq.heappush(self._heap, (until, next(self._serial), waiter))
            if until < self._rings_at:
                self._ring_at(until)

    def fail(self, waiter: Waiter, failure: Exception | None) -> None:
        """Answer a waiter with an exception, or with None: in this turn of the loop, or in one that follows soon."""
        self._failing.append((waiter, failure))
        if self._left > 0:
            self._fail_next()
        if not self._turns:
            self._turns = True
            waiter.get_loop().call_soon(self._turn, waiter.get_loop())

    def cancel(self) -> None:
        """Stop the timer; the pool has answered all waiters."""
        self._rings_at = inf
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on in the next turn of the loop."""
        self._left, self._turns = _MAX_FAILURES, bool(self._failing)
        while self._failing and self._left > 0:
            self._fail_next()
        if self._turns:
            loop.call_soon(self._turn, loop)

    def _fail_next(self) -> None:
        waiter, failure = self._failing.popleft()
        if not waiter.done():
            self._left -= 1
            waiter.set_result(failure)

    def _ring_at(self, until: float) -> None:
        self.cancel()
        self._rings_at = until
        self._timer = self._clock.alarm(until, self._ring)

    def _ring(self) -> None:
        self._rings_at, now = inf, self._clock.now()
        for _ in range(_MAX_FAILURES):
            if not (self._heap and (self._heap[0][0] <= now or self._heap[0][2].done())):
                break
            waiter = heapq.heappop(self._heap)[2]
            if not waiter.done():
                self.fail(waiter, None)
        if self._heap:
            self._ring_at(self._heap[0][0])
