"""Where slow calls wait, so that the end of a call, or of the server, ends the wait at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Gate"]


class Gate:
    """Holds calls back while it is closed; open, it lets everything pass at once. It starts open."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed = False

    def close(self) -> None:
        """Hold calls back from now on: the server runs."""
        with self._condition:
            self._closed = True

    def open(self) -> None:
        """End every wait, now and in future: the server stops."""
        with self._condition:
            self._closed = False
            self._condition.notify_all()

    def wait(self, seconds: float | None, over: Callable[[], bool] = lambda: False) -> bool:
        """Wait until `seconds` have passed (None: no limit), `over` says so after a `wake`, or the gate opens.

        Returns:
            False if the gate is open: the server stops.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._closed or over(), seconds)
            return self._closed

    def wake(self) -> None:
        """Let every waiting call look again whether it is over."""
        with self._condition:
            self._condition.notify_all()
