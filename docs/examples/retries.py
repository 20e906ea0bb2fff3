"""When to try again: after waits that grow and are never shorter than the server asks, all within one deadline."""

from __future__ import annotations

import random
import time

from spanner_grpc_sessions import RpcError

# Seconds: what Google's Go client takes where the server names no delay.
_INITIAL_DELAY = 0.02
_MULTIPLIER = 1.3
_MAX_DELAY = 32.0


class Retries:
    """The attempts at one task.

    Args:
        timeout: seconds for all of them together, waits included.
    """

    def __init__(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._longest = _INITIAL_DELAY

    def left(self) -> float:
        """Return the seconds until the deadline: the timeout of the next call."""
        return max(self._deadline - time.monotonic(), 0.0)

    def delay(self, error: RpcError) -> float:
        """Return the seconds to wait after a failed attempt: random, so that rivals do not collide again.

        Raises:
            RpcError: the given one, if the wait would pass the deadline.
        """
        delay = max(random.uniform(0, self._longest), error.retry_delay or 0.0)  # noqa: S311 - jitter, not a secret
        self._longest = min(self._longest * _MULTIPLIER, _MAX_DELAY)
        if delay >= self.left():
            raise error
        return delay
