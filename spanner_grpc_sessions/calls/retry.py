"""Whether and when a failed attempt is repeated. Pure: no clock, no random, no gRPC."""

from __future__ import annotations

from typing import Final

from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.runtime.backoff import backoff

__all__ = ["next_delay"]

# Seconds: an attempt that has less could only end at the deadline, and hide why those before it failed.
_LEAST_TIME: Final = 0.05


def next_delay(
    options: RetryOptions,
    *,
    status: str,
    attempt: int,
    remaining: float | None,
    retry_delay: float | None,
    fraction: float,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None when there should be none.

    The wait is `fraction` of the longest one (full jitter) that leaves time for an attempt, so that attempts go on
    until the deadline; and it is never shorter than the server asked for. Where that would pass the deadline, the
    caller learns at once what it would learn later.

    Args:
        options: what is repeated, and how patiently.
        status: canonical name of the status that the attempt ended in.
        attempt: its number, from 1.
        remaining: seconds until the deadline of the whole call; None for no limit.
        retry_delay: seconds that the server asked to wait (google.rpc.RetryInfo), or None.
        fraction: a random number from 0 to 1.
    """
    if status not in options.statuses:
        return None
    longest = backoff(attempt, options.initial_delay, options.max_delay, options.multiplier)
    if remaining is not None:
        if remaining <= _LEAST_TIME:
            return None
        longest = min(longest, remaining - _LEAST_TIME)
    delay = fraction * longest
    if retry_delay is not None:
        delay = max(delay, retry_delay)
    if remaining is not None and delay >= remaining:
        return None
    return delay
