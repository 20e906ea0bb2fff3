"""Who waits for a session of a pool, and since when. Pure: no clock, no gRPC."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from spanner_grpc_sessions.pool.core.effects import Deliver, Fail
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.stats import WaitHistogram

__all__ = ["WaitQueue"]


class WaitQueue:
    """The queue of acquires, first come first served, and the hand-overs that nobody acknowledged yet.

    Args:
        wait_seconds: where the waits are counted that ended with a session or by giving up.
    """

    __slots__ = ("_handed", "_since", "_wait_seconds")

    def __init__(self, wait_seconds: WaitHistogram) -> None:
        # Ordered, for a plain dict looks at all that left its front before when it is asked for its first key.
        self._since: OrderedDict[Any, float] = OrderedDict()
        self._handed: dict[Any, SessionRecord] = {}
        self._wait_seconds = wait_seconds

    def __len__(self) -> int:
        return len(self._since)

    def join(self, waiter: Any, now: float) -> None:
        """Let a waiter queue."""
        self._since[waiter] = now

    def hand(self, record: SessionRecord, now: float) -> Deliver:
        """Give a session to the first in the queue."""
        waiter, since = self._since.popitem(last=False)
        self._wait_seconds.observe(now - since)
        self._handed[waiter] = record
        record.holder = waiter
        return Deliver(waiter, record)

    def fail(self, error: Exception) -> list[Fail]:
        """Send all of them away with an error."""
        fails = [Fail(waiter, error) for waiter in self._since]
        self._since.clear()
        return fails

    def accepted(self, waiter: Any) -> SessionRecord:
        """Note that a waiter has what it was handed, and return that."""
        return self._handed.pop(waiter)

    def leave(self, waiter: Any, now: float) -> SessionRecord | None:
        """Forget a waiter, and return the session that it was handed and did not acknowledge."""
        since = self._since.pop(waiter, None)
        if since is not None:
            self._wait_seconds.observe(now - since)
        record = self._handed.pop(waiter, None)
        if record is not None:
            record.holder = None
        return record
