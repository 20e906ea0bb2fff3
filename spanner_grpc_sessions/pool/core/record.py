"""One session of a pool with the times that decide over it. Pure: no clock, no gRPC."""

from __future__ import annotations

from typing import Any, Final

from spanner_grpc_sessions.pool.options import PoolOptions

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
        last_used_at: when it was last in use, as far as the pool was told: the fast path says so when it takes the
            session, and not when it gives it back. At first, when it was created.
        pinged_at: when a ping last succeeded; at first, when it was created.
        valid_until: until then it may be handed out without a decision of the pool.
        expires_at: when its lifetime ends.
        keep_alive_after: seconds without use after which it is pinged.
        discarded: whether nobody is to get it any more. The fast path does not take such a session back.
        lost: whether the server no longer knows it, so that there is nothing to delete.
        doubtful: whether it is good for nobody before a ping succeeds.
        failures: pings that failed since one succeeded.
        retry_at: when a suspect one is to be pinged.
    """

    __slots__ = (
        "_validate_after",
        "created_at",
        "discarded",
        "expires_at",
        "failures",
        "holder",
        "keep_alive_after",
        "last_used_at",
        "lost",
        "name",
        "pinged_at",
        "resource",
        "retry_at",
        "suspect",
        "valid_until",
    )

    def __init__(self, name: str, resource: Any, options: PoolOptions, now: float, draw: float) -> None:
        kept = 1 - _SPREAD * draw
        self.name = name
        self.resource = resource
        self.holder: Any = None
        self.created_at = now
        self.keep_alive_after = options.keep_alive_after * kept
        self._validate_after = options.validate_after
        self.expires_at = now + options.max_lifetime * kept
        self.discarded = self.lost = False
        self.last_used_at = now
        self.mark_pinged(now)

    def __repr__(self) -> str:
        return f"SessionRecord({self.name!r})"

    def mark_used(self, now: float) -> None:
        """Note that it was in use until now."""
        self.last_used_at = now

    def mark_pinged(self, now: float) -> None:
        """Note that a ping succeeded; that is a sign of life, but no use."""
        self.pinged_at = now
        self.suspect = False
        self.failures = 0
        self.retry_at = _NEVER
        self.is_valid(now)

    def mark_suspect(self, retry_at: float) -> None:
        """Note that it is good for nobody until a ping, from `retry_at` on, succeeds."""
        self.suspect = True
        self.retry_at = retry_at
        self.valid_until = _NEVER

    def mark_discarded(self, *, lost: bool) -> None:
        """Note that nobody is to get it any more, because the server no longer knows it or for another reason."""
        self.discarded = True
        self.lost = self.lost or lost
        self.valid_until = self.expires_at = _NEVER

    def is_valid(self, now: float) -> bool:
        """Return whether it may be handed out, and note for the fast path until when."""
        if not self.suspect:
            alive_at = max(self.pinged_at, self.last_used_at)
            self.valid_until = min(alive_at + self._validate_after, self.expires_at)
        return now < self.valid_until

    def ping_due(self) -> float:
        """Return when it is to be pinged, if it is not used before."""
        return self.retry_at if self.suspect else max(self.pinged_at, self.last_used_at) + self.keep_alive_after

    def silent_for(self, now: float) -> float:
        """Return the seconds since its last sign of life."""
        return now - max(self.pinged_at, self.last_used_at)
