"""A token as calls carry it: the headers that authenticate them, and for how long."""

from __future__ import annotations

from typing import Final, NamedTuple

TokenHeaders = tuple[tuple[str, str], ...]

# A time that never comes.
NEVER: Final = float("inf")


class Token(NamedTuple):
    """The headers that authenticate a call, which are secret, and how long they do, in seconds since the epoch."""

    headers: TokenHeaders
    renew_at: float
    valid_until: float

    def __repr__(self) -> str:
        return f"Token(renew_at={self.renew_at}, valid_until={self.valid_until})"


NO_TOKEN: Final = Token((), 0.0, 0.0)
