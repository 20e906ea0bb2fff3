"""Names that the server gives again, as an emulator does after a restart. Pure: no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanner_grpc_sessions.pool.core.record import SessionRecord

# Seconds for which a name that was given again is not used: a server that gives it a third time is broken.
_GIVEN_AGAIN: Final = 10.0


class Duplicates:
    """The names that the server gave again lately."""

    def __init__(self) -> None:
        self._given_at: dict[str, float] = {}

    def take(
        self, created: dict[str, SessionRecord], sessions: Mapping[str, SessionRecord], now: float
    ) -> list[tuple[SessionRecord, SessionRecord]]:
        """Take the sessions out of the created ones that are not to be used.

        Return pairs, of a session of the pool and the new one of the same name: the old one is gone, and its holder
        would use the new one. A name that was given again a moment ago has no pair: what uses it now would lose it to
        the next create.
        """
        if self._given_at and now > max(self._given_at.values()) + _GIVEN_AGAIN:
            self._given_at.clear()
        for name in self._given_at.keys() & created.keys():
            del created[name]
        pairs = [(sessions[name], created.pop(name)) for name in tuple(created) if name in sessions]
        self._given_at.update((old.name, now) for old, _ in pairs)
        return pairs
