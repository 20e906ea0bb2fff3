"""One session of a pool, and the times that decide what happens to it. Pure."""

from __future__ import annotations

from math import inf
from typing import Any, Final

from spanner_grpc_sessions.pool.options import PoolOptions

# The part of its keep-alive time by which a session may be pinged earlier. Into it fall all first pings of a fleet that
# is deployed at once: with a fifth, they come four times as densely as the later ones.
PING_SPREAD: Final = 0.5
# The part of its lifetime by which it may be replaced earlier.
_LIFE_SPREAD: Final = 0.2


class SessionRecord:
    """A session of a pool; all times are seconds of the clock that the pool is told."""

    __slots__ = (
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
        "validate_after",
    )

    def __init__(self, name: str, resource: Any, options: PoolOptions, now: float, draw: float) -> None:
        self.name: str = name
        self.resource: Any = resource
        # The lease, or the waiter that it was delivered to; None while it is not leased.
        self.holder: Any = None
        # The fast path notes when it takes a session, and not when it gives it back.
        self.created_at: float = now
        self.pinged_at: float = now
        self.last_used_at: float = now
        self.keep_alive_after: float = options.keep_alive_after * (1 - PING_SPREAD * draw)
        # After either, the server is asked first: a ping that is due may be late.
        self.validate_after: float = min(options.validate_after, options.keep_alive_after)
        self.expires_at: float = now + options.max_lifetime * (1 - _LIFE_SPREAD * draw)
        # A discarded session is not handed out again. A lost one does not exist on the server: it is not deleted.
        self.discarded: bool = False
        self.lost: bool = False
        # A suspect one is pinged from `retry_at` on. The fast path hands out the others until `valid_until`.
        self.suspect: bool = False
        self.failures: int = 0
        self.retry_at: float = -inf
        self.valid_until: float = min(now + self.validate_after, self.expires_at)

    def __repr__(self) -> str:
        return f"SessionRecord({self.name!r})"

    def alive_at(self) -> float:
        """Return when it last showed a sign of life."""
        return max(self.pinged_at, self.last_used_at)

    def mark_pinged(self, now: float) -> None:
        """Note that a ping succeeded; that is a sign of life, but no use."""
        self.pinged_at = now
        self.suspect = False
        self.failures = 0
        self.retry_at = -inf
        self.is_valid(now)

    def mark_suspect(self, retry_at: float) -> None:
        """Do not hand it out before a ping, from `retry_at` on, succeeds."""
        self.suspect = True
        self.retry_at = retry_at
        self.valid_until = -inf

    def mark_discarded(self, *, lost: bool) -> None:
        """Do not hand it out again."""
        self.discarded = True
        self.lost = self.lost or lost
        self.valid_until = self.expires_at = -inf

    def is_valid(self, now: float) -> bool:
        """Return whether it may be handed out, and note for the fast path until when."""
        if not self.suspect:
            self.valid_until = min(self.alive_at() + self.validate_after, self.expires_at)
        return now < self.valid_until

    def upkeep_due(self) -> float:
        """Return when it is to be pinged or replaced, if it is not used before."""
        return min(self.retry_at if self.suspect else self.alive_at() + self.keep_alive_after, self.expires_at)
