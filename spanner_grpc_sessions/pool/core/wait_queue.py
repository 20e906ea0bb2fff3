"""Who waits for a session of a pool, and since when. Pure: no clock, no gRPC."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from spanner_grpc_sessions.pool.core.effects import Deliver, Fail
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.stats import WaitHistogram


class WaitQueue:
    """The acquires that wait, first come first served, and the deliveries that were not acknowledged yet."""

    __slots__ = ("_delivered", "_wait_seconds", "since")

    def __init__(self, wait_seconds: WaitHistogram) -> None:
        # Since when each waiter waits. Ordered, for a plain dict looks at all that left its front before when it is
        # asked for its first key.
        self.since: OrderedDict[Any, float] = OrderedDict()
        self._delivered: dict[Any, SessionRecord] = {}
        self._wait_seconds = wait_seconds

    def deliver(self, record: SessionRecord, now: float) -> Deliver:
        """Give a session to the first in the queue."""
        waiter, since = self.since.popitem(last=False)
        self._wait_seconds.observe(now - since)
        self._delivered[waiter] = record
        record.holder = waiter
        return Deliver(waiter, record)

    def fail(self, error: Exception) -> list[Fail]:
        """Send all of them away with an error."""
        fails = [Fail(waiter, error) for waiter in self.since]
        self.since.clear()
        return fails

    def accepted(self, waiter: Any) -> SessionRecord:
        """Note that a waiter has what it was delivered, and return that."""
        return self._delivered.pop(waiter)

    def leave(self, waiter: Any, now: float) -> SessionRecord | None:
        """Forget a waiter, and return the session that was delivered to it and not acknowledged."""
        since = self.since.pop(waiter, None)
        if since is not None:
            self._wait_seconds.observe(now - since)
        record = self._delivered.pop(waiter, None)
        if record is not None:
            record.holder = None
        return record
