"""When an operation must be over."""

from __future__ import annotations

import time
from math import inf


class Deadline:
    """A moment so many seconds from now, or from another moment of `time.monotonic`; None is never."""

    __slots__ = ("__weakref__", "_at")

    def __init__(self, seconds: float | None, since: float | None = None) -> None:
        self._at = inf if seconds is None else (time.monotonic() if since is None else since) + seconds

    def left(self) -> float | None:
        """Return the seconds until then, at least 0; None for never."""
        return None if self._at == inf else max(self._at - time.monotonic(), 0.0)

    def has_passed(self, after: float = 0.0) -> bool:
        """Return whether it has passed, or will have in so many seconds."""
        return time.monotonic() + after >= self._at
