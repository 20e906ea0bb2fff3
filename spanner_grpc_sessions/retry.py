"""Whether and when a failed attempt is repeated. Pure: no clock, no random, no gRPC."""

from __future__ import annotations

from spanner_grpc_sessions.options import RetryOptions

__all__ = ["next_delay"]


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

    The wait is `fraction` of the longest one (full jitter), and never shorter than the server asked for. One that
    would pass the deadline is not begun: the caller learns at once what it would learn later.

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
    delay = fraction * _longest(options, attempt)
    if retry_delay is not None:
        delay = max(delay, retry_delay)
    if remaining is not None and delay >= remaining:
        return None
    return delay


def _longest(options: RetryOptions, attempt: int) -> float:
    if not options.initial_delay:
        return 0.0
    try:
        return min(options.initial_delay * options.multiplier ** (attempt - 1), options.max_delay)
    except OverflowError:
        return options.max_delay
