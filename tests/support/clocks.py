"""Clocks that a test moves, for what goes on in the background."""

from __future__ import annotations

import time

import pytest

from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.testing import MovableClock

__all__ = ["HandMovedClock", "WallClock"]


class HandMovedClock(MovableClock):
    """A clock whose time is what the test says."""

    def __init__(self) -> None:
        super().__init__(running=False)


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
