"""When a pool creates sessions, and when it tries again after a failure. Pure: no clock, no random, no gRPC."""

from __future__ import annotations

from math import inf
from typing import Final

from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.service.limits import MAX_BATCH

_FIRST_DELAY: Final = 0.25
# One call in that time is no load, and callers that wait have a session soon after the server is back.
_MAX_DELAY: Final = 4.0


def retry_delay(failures: int, draw: float) -> float:
    """Return the seconds to wait after a number of failures in a row, by a random number from 0 to below 1."""
    # At least half of it is waited, so that a server in trouble has time.
    return backoff(failures, _FIRST_DELAY, _MAX_DELAY) * (0.5 + 0.5 * draw)


class Creation:
    """The creates of a pool: what is in flight, and whether they fail.

    While they succeed, all that is missing is asked for side by side. After a failure one call at a time probes, and
    only when the backoff is over; the first success ends that. A fatal failure says that trying by itself is of
    little use, but the next caller is worth a try at once: the cause may be gone.
    """

    def __init__(self) -> None:
        # Sessions that were asked for and are not answered yet.
        self.in_flight: int = 0
        self.retry_at: float = -inf
        self.last_error: Exception | None = None
        self._failures = 0
        self._fatal = False

    def begin(self, missing: int) -> list[int]:
        """Return how many sessions to ask for, call by call, where so many are missing beside those in flight."""
        if self._failures and self.in_flight:
            return []
        counts = [MAX_BATCH] * (missing // MAX_BATCH) + [missing % MAX_BATCH] * bool(missing % MAX_BATCH)
        if self._failures:
            del counts[1:]
        self.in_flight += sum(counts)
        return counts

    def succeeded(self, count: int) -> None:
        """Note that a call for `count` sessions gave some."""
        self.in_flight -= count
        self.retry_at = -inf
        self.last_error = None
        self._failures = 0

    def failed(self, count: int, error: Exception, now: float, draw: float, *, fatal: bool) -> None:
        """Note that a call for `count` sessions gave none."""
        self.in_flight -= count
        self.last_error = error
        self._fatal = fatal
        # Calls side by side fail together: that is one failure, not many.
        if now >= self.retry_at:
            self._failures += 1
            self.retry_at = now + retry_delay(self._failures, draw)

    def caller_came(self) -> None:
        """Note a new acquire: after a fatal failure it need not wait for the end of the backoff."""
        if self._fatal:
            self.retry_at = -inf
