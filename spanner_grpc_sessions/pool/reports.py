"""What the shells of both colours tell their core alike: sessions that come back or are lost, and when to look next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError
from spanner_grpc_sessions.pool.core import Effect, PoolCore, SessionRecord
from spanner_grpc_sessions.pool.failures import is_loss_of
from spanner_grpc_sessions.pool.leaks import Leaks

__all__ = ["Event", "PoolReports"]

Event = Callable[[float], tuple[Effect, ...]]
"""Something to tell the core: takes the time, and returns the effects."""


class PoolReports(ABC):
    """The part of a shell that is the same in both colours.

    Attributes:
        core: what decides.
        leaks: what is noted of each lease; None for nothing.
    """

    core: PoolCore
    leaks: Leaks | None
    _database: str
    _wake_at: float

    @abstractmethod
    def tell(self, event: Event) -> None:
        """Tell the core of an event, and begin what it wants done."""

    def give_back(self, record: SessionRecord) -> None:
        """Take a leased session back."""
        self.tell(lambda now: self.core.give_back(record, now))

    def lose(self, record: SessionRecord, *, proven: bool) -> None:
        """Note that the server no longer knows a session, as it said itself if that is `proven`."""
        self.tell(lambda now: self.core.lost(record, now, proven=proven))

    def report(self, failure: RpcError, name: str) -> None:
        """Note what the failure of a call says of a session, or of the database."""
        if isinstance(failure, DatabaseNotFound) and name.startswith(f"{self._database}/"):
            self.tell(lambda now: self.core.database_lost(failure, now))
        elif is_loss_of(name, failure):
            self.tell(lambda now: self.core.lost_by_name(name, now))

    def _next_look(self) -> float:
        return self._wake_at if self.leaks is None else min(self._wake_at, self.leaks.due())
