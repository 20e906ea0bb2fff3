"""When a pool creates sessions, and when it tries again after a failure. Pure: no clock, no random, no gRPC."""

from __future__ import annotations

from typing import Final

__all__ = ["BATCH", "Creation", "backoff"]

BATCH: Final = 100
"""Sessions to ask for in one call: the most that Google's clients assume the server to give."""

_FIRST_BACKOFF: Final = 0.25
_LAST_BACKOFF: Final = 4.0
_DOUBLINGS: Final = 10
_AT_ONCE: Final = float("-inf")


def backoff(failures: int, draw: float) -> float:
    """Return the seconds to wait after a number of failures in a row.

    The longest wait doubles from a quarter of a second up to 4 s: one call in that time is no load, and whoever waits
    has a session soon after the server is back. At least half of it is waited, so that a server in trouble has time.

    Args:
        failures: from 1.
        draw: a number from 0 to below 1.
    """
    longest = min(_FIRST_BACKOFF * 2.0 ** min(failures - 1, _DOUBLINGS), _LAST_BACKOFF)
    return longest * (0.5 + 0.5 * draw)


class Creation:
    """The creates of a pool: what is in flight, and whether they fail.

    While they succeed, all that is missing is asked for side by side. After a failure one call at a time probes, and
    only when the backoff is over; the first success ends that. A fatal failure says that trying by itself is of
    little use, but whoever comes next is worth a try at once: the cause may be mended.

    Attributes:
        in_flight: sessions that were asked for and are not answered yet.
        retry_at: before then nothing is asked for.
        last_error: why the last create failed; None after a success.
    """

    __slots__ = ("_failures", "_fatal", "in_flight", "last_error", "retry_at")

    def __init__(self) -> None:
        self.in_flight = 0
        self.retry_at = _AT_ONCE
        self.last_error: Exception | None = None
        self._failures = 0
        self._fatal = False

    def begin(self, missing: int, now: float) -> list[int]:
        """Return how many sessions to ask for, call by call, and count them as in flight.

        Args:
            missing: sessions that the pool lacks, those in flight included.
            now: seconds.
        """
        missing -= self.in_flight
        if missing <= 0 or now < self.retry_at or (self._failures and self.in_flight):
            return []
        counts = [BATCH] * (missing // BATCH) + [missing % BATCH] * bool(missing % BATCH)
        if self._failures:
            del counts[1:]
        self.in_flight += sum(counts)
        return counts

    def succeeded(self, count: int) -> None:
        """Note that a call for `count` sessions gave some."""
        self.in_flight -= count
        self.retry_at = _AT_ONCE
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
            self.retry_at = now + backoff(self._failures, draw)

    def someone_came(self) -> None:
        """Note that there is a new acquire: after a fatal failure it need not wait for the end of the backoff."""
        if self._fatal:
            self.retry_at = _AT_ONCE
