"""What an operator must know of lost sessions: a line per event, however many sessions it takes. Pure: no clock."""

from __future__ import annotations

from math import inf
from typing import Final

# Seconds: a restart of the server loses all sessions at once, and calls and pings find them one after the other.
_ONE_EVENT: Final = 2.0


class Losses:
    """The lines for the log, and when each is due.

    The first one counts the sessions that were lost within a while, once the idle ones were pinged. The second one
    follows when the pool has all the sessions that it needs.

    Attributes:
        open: a line is still to come.
        due: when the first line may come at the earliest; infinite without a new loss.
    """

    def __init__(self) -> None:
        self.open: bool = False
        self.due: float = inf
        # Lost sessions that no line has told yet, and those that no second line has.
        self._new = self._lost = 0
        self._created_before = 0
        self._database_is_gone = False

    def lost(self, now: float, created: int) -> None:
        """Note a lost session, beside the number of sessions that were created so far."""
        if not self.open:
            self.open, self._created_before = True, created
        if not self._new:
            self.due = now + _ONE_EVENT
        self._new += 1

    def database_gone(self, error: BaseException) -> list[str]:
        """Return the line that says so, the first time."""
        if self._database_is_gone:
            return []
        self._database_is_gone = True
        return [f"the database is gone: {error}"]

    def database_found(self) -> None:
        """Note that a call found the database: the next time that it is gone is another event."""
        self._database_is_gone = False

    def lines(self, now: float, created: int, *, checked: bool, filled: bool) -> list[str]:
        """Return the lines that are due, when the idle sessions are checked, and when the pool needs no more."""
        lines = []
        if self._new and checked and now >= self.due:
            lines.append(f"{self._new} {_were(self._new)} lost")
            self._lost += self._new
            self._new, self.due = 0, inf
        if self._lost and not self._new and filled:
            lines.append(f"{self._lost} lost {_were(self._lost)} {self._outcome(created - self._created_before)}")
            self._lost, self.open = 0, False
        return lines

    def _outcome(self, created: int) -> str:
        # Others may have been created because more callers came.
        return f"replaced by {min(created, self._lost)}" if created else "not replaced, as the pool needs no more"


def _were(number: int) -> str:
    return "session was" if number == 1 else "sessions were"
