"""A local server that shares a clock with the pools of its test."""

from __future__ import annotations

from typing import Any

from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing.clock import MovableClock


class ClockedSpanner(LocalSpanner):
    """A `LocalSpanner` with a clock for pools and multiplexed sessions, which grow old together with its sessions.

    Attributes:
        pool_clock: for their `clock=`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pool_clock: MovableClock = MovableClock()

    def advance(self, seconds: float) -> None:
        """Let time pass, for the sessions and for what waits by `pool_clock`.

        Raises:
            InvalidValue: `seconds` is negative or not finite.
        """
        super().advance(seconds)
        self.pool_clock.advance(seconds)
