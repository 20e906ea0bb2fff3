"""When a multiplexed session is to be replaced, and when a replacement that failed is tried again. Pure: no clock."""

from __future__ import annotations

from math import inf
from typing import Final

from spanner_grpc_sessions.pool.core import backoff
from spanner_grpc_sessions.pool.options import MultiplexedOptions

__all__ = ["MultiplexedAge"]

_AT_ONCE: Final = -inf
_SHORTEST_RETRY: Final = 0.05


class MultiplexedAge:
    """The age of one session after the other. Times are seconds of a clock that each event is told.

    Args:
        options: how old one may become, how often to look, and how long to wait after a failure at most.

    Attributes:
        due: when to replace the current one; infinite before there is one.
    """

    def __init__(self, options: MultiplexedOptions) -> None:
        self.due = inf
        self._options = options
        self._failures = 0

    def created(self, now: float) -> None:
        """Note that there is a new one."""
        self._failures = 0
        self.due = now + self._options.replace_after

    def lost(self) -> None:
        """Note that the server no longer knows it: it is to be replaced at once, or when the next attempt is due."""
        if not self._failures:
            self.due = _AT_ONCE

    def failed(self, now: float, draw: float) -> None:
        """Note that a replacement failed; the next is tried after a backoff.

        Args:
            now: seconds.
            draw: a number from 0 to below 1.
        """
        self._failures += 1
        if self.due != inf:
            self.due = now + max(min(backoff(self._failures, draw), self._options.retry_after), _SHORTEST_RETRY)

    def next_look(self, now: float) -> float:
        """Return when to look at it again, at the latest."""
        return min(self.due, now + self._options.check_interval)
