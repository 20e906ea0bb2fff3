"""Since when all is well: what may be late only because of trouble is judged by it."""

from __future__ import annotations

from math import inf

from tests.simulation.loop import VirtualLoop


class Calm:
    """Counts the troubles that go on.

    Attributes:
        since: when the last trouble ended; infinite while there is one.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.since = loop.time()
        self._troubles = 0

    def begin(self) -> None:
        """Note that a trouble begins."""
        self._troubles += 1
        self.since = inf

    def end(self) -> None:
        """Note that a trouble ends."""
        self._troubles -= 1
        self.trouble()

    def trouble(self) -> None:
        """Note a trouble that is over at once."""
        if not self._troubles:
            self.since = self.loop.time()

    def lasts(self, seconds: float) -> bool:
        """Return whether all is well for so long."""
        return self.loop.time() - self.since >= seconds
