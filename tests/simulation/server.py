"""The simulated Spanner: answers the RPCs that the library makes by itself, and knows the truth about each session."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions.local.status import RpcStatus, error_info, resource_not_found, retry_info
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, LIFETIME_LIMIT
from tests.simulation.journal import Journal
from tests.simulation.tokens import TokenEndpoint

DATABASE: Final = "projects/simulated/instances/fleet/databases/orders"


@dataclass
class Truth:
    """What the server knows of a session, whether the client has heard of it or not."""

    created: float
    used: float
    multiplexed: bool
    dropped: float | None = None
    deleted: bool = False

    def gone_at(self, now: float) -> float | None:
        """Return since when it does not exist any more, None if it does."""
        ends = (
            [self.created + LIFETIME_LIMIT]
            if self.multiplexed
            else [self.created + LIFETIME_LIMIT, self.used + IDLE_LIMIT]
        )
        if self.dropped is not None:
            ends.append(self.dropped)
        gone = min(ends)
        return gone if gone < now else None


class SimulatedSpanner:
    """A server without a network.

    Attributes:
        truth: of every session ever created, by name.
        short: the share of batches of which it creates only a part.
        busy: the share of calls that it refuses for want of resources.
        database_gone: whether it knows no database.
    """

    def __init__(self, endpoint: TokenEndpoint, journal: Journal, now: Callable[[], float], random: Random) -> None:
        serial = itertools.count(1)
        self.truth: dict[str, Truth] = {}
        self.short = self.busy = 0.0
        self.database_gone = False
        self._endpoint = endpoint
        self._journal = journal
        self._now = now
        self._random = random
        self._store = SessionStore(lambda: f"s{next(serial)}")

    def answer(self, method: str, request: Any, token: str) -> Any:
        """Return the answer to a call, or raise `RpcStatus`."""
        self._endpoint.check(token)
        if not self._endpoint.accepts(token):
            raise RpcStatus("UNAUTHENTICATED", "Invalid credentials.", error_info("ACCESS_TOKEN_EXPIRED", method))
        if self.busy and self._random.random() < self.busy:
            raise RpcStatus("RESOURCE_EXHAUSTED", "The server is busy.", retry_info(self._random.uniform(0.1, 2.0)))
        if self.database_gone:
            raise resource_not_found("google.spanner.admin.database.v1.Database", DATABASE)
        answer: Any = getattr(self, f"_{method}")(request, self._now())
        return answer

    def forget(self, name: str) -> None:
        """Lose a session."""
        truth = self.truth[name]
        if truth.gone_at(self._now()) is None:
            self._journal.note("forget", name)
            truth.dropped = self._now()
            self._store.forget(name)

    def forget_all(self, *, multiplexed: bool) -> None:
        """Lose all sessions, or all but the multiplexed ones."""
        for name, truth in self.truth.items():
            if multiplexed or not truth.multiplexed:
                self.forget(name)

    def alive(self) -> list[str]:
        """Return the names of the sessions that exist."""
        now = self._now()
        return [name for name, truth in self.truth.items() if truth.gone_at(now) is None]

    def _BatchCreateSessions(self, request: Any, now: float) -> Any:  # noqa: N802 - called like the RPC
        if self.short and self._random.random() < self.short:
            request.session_count = self._random.randint(0, request.session_count)
        answer = self._store.batch_create(request, now)
        for session in answer.session:
            self.truth[session.name] = Truth(now, now, multiplexed=False)
        return answer

    def _CreateSession(self, request: Any, now: float) -> Any:  # noqa: N802 - called like the RPC
        session = self._store.create(request, now)
        self.truth[session.name] = Truth(now, now, multiplexed=session.multiplexed)
        return session

    def _GetSession(self, request: Any, now: float) -> Any:  # noqa: N802 - called like the RPC
        session = self._store.get(request, now)
        self.truth[request.name].used = now
        return session

    def _DeleteSession(self, request: Any, now: float) -> Any:  # noqa: N802 - called like the RPC
        answer = self._store.delete(request, now)
        truth = self.truth[request.name]
        truth.dropped, truth.deleted = now, True
        return answer

    def _ExecuteSql(self, request: Any, now: float) -> Any:  # noqa: N802 - called like the RPC
        self._store.use(request.session, now)
        self.truth[request.session].used = now
        return result_set_pb2.ResultSet()
