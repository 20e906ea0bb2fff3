"""The warnings of a pool: each failure of its kind once, and then at most once a minute."""

from __future__ import annotations

from math import inf
from typing import Final

from spanner_grpc_sessions.errors.checks import counted
from spanner_grpc_sessions.runtime.log import log

_BETWEEN: Final = 60.0


class Warnings:
    """Tells the log of creates that fail: one line for many that fail in the same way."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._kind = ""
        self._next = -inf
        self._untold = 0

    def create_failed(self, count: int, error: Exception, now: float) -> None:
        """Warn that `count` sessions could not be created, unless that was just told."""
        kind = f"{type(error).__name__} {getattr(error, 'status', '')}"
        if kind == self._kind and now < self._next:
            self._untold += 1
            return
        more = f" ({counted(self._untold, 'more failure')} since the last warning)" if self._untold else ""
        self._kind, self._next, self._untold = kind, now + _BETWEEN, 0
        log.warning("%s of %s could not be created: %s%s", counted(count, "session"), self._database, error, more)
