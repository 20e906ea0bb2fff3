"""One session of a pool with the times that decide over it. Pure: no clock, no gRPC."""

from __future__ import annotations

from typing import Any, Final

from spanner_grpc_sessions.pool_options import PoolOptions

__all__ = ["SessionRecord"]

# How much earlier than its option says a session is pinged or replaced, at most.
_SPREAD: Final = 0.2
_NEVER: Final = float("-inf")


class SessionRecord:
    """A session of a pool. All times are seconds of the monotonic clock that the pool is told.

    Args:
        name: its full name.
        resource: what the caller wants to keep with it, like its REST body. The pool never looks at it.
        options: of the pool.
        now: when it was created.
        draw: a number from 0 to below 1: how much of the spread is taken off its keep-alive time and its lifetime.

    Attributes:
        holder: who leases it: set by the fast path, or the waiter it was handed to; None while nobody does.
        created_at: when it was created.
        last_used_at: when it was last given back; at first, when it was created.
        pinged_at: when a ping last succeeded; at first, when it was created.
        good_until: until then it may be handed out without a decision of the pool.
        validate_after: seconds from its last use that it stays good.
        expires_at: when its lifetime ends; until then it may be given back without a decision of the pool.
        keep_alive_after: seconds without use after which it is pinged.
        lost: whether the server no longer knows it, as somebody found out who held it.
        failures: pings that failed since one succeeded. With any, it is not handed out before one does.
        retry_at: when the next ping after a failed one is due.
    """

    __slots__ = (
        "created_at",
        "expires_at",
        "failures",
        "good_until",
        "holder",
        "keep_alive_after",
        "last_used_at",
        "lost",
        "name",
        "pinged_at",
        "resource",
        "retry_at",
        "validate_after",
    )

    def __init__(self, name: str, resource: Any, options: PoolOptions, now: float, draw: float) -> None:
        kept = 1 - _SPREAD * draw
        self.name = name
        self.resource = resource
        self.holder: Any = None
        self.created_at = now
        self.keep_alive_after = options.keep_alive_after * kept
        self.validate_after = options.validate_after
        self.expires_at = now + options.max_lifetime * kept
        self.lost = False
        self.failures = 0
        self.retry_at = _NEVER
        self.pinged_at = now
        self.mark_used(now)

    def __repr__(self) -> str:
        return f"SessionRecord({self.name!r})"

    def mark_used(self, now: float) -> None:
        """Note that it was in use until now."""
        self.last_used_at = now
        self._mark_good(now)

    def mark_pinged(self, now: float) -> None:
        """Note that a ping succeeded; that is a sign of life, but no use."""
        self.pinged_at = now
        self.failures = 0
        self.retry_at = _NEVER
        self._mark_good(now)

    def mark_doubtful(self, retry_at: float) -> None:
        """Note that a ping failed: it is good for nobody until another one, from `retry_at` on, succeeds."""
        self.failures += 1
        self.retry_at = retry_at
        self.good_until = _NEVER

    def mark_lost(self) -> None:
        """Note that the server no longer knows it. The fast path neither hands it out nor takes it back any more."""
        self.lost = True
        self.good_until = self.expires_at = _NEVER

    def ping_due(self, last_used_at: float) -> float:
        """Return when it is to be pinged, if it was last used at the given time."""
        if self.failures:
            return self.retry_at
        return max(self.pinged_at, last_used_at) + self.keep_alive_after

    def silent_for(self, now: float) -> float:
        """Return the seconds since its last sign of life."""
        return now - max(self.pinged_at, self.last_used_at)

    def _mark_good(self, now: float) -> None:
        self.good_until = min(now + self.validate_after, self.expires_at)
