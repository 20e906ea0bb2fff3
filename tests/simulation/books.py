"""The invariants: what is known from outside of each session of the pool, and what must hold at every moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import grpc

from spanner_grpc_sessions import AsyncSessionPool, PoolOptions
from spanner_grpc_sessions.service.limits import IDLE_LIMIT
from tests.simulation.calm import Calm
from tests.simulation.journal import Journal
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import SimulatedCall
from tests.simulation.server import SimulatedSpanner, Truth

# Seconds. A loss counts when the pool is told of it; what is on its way then, such as the answer to a ping, may be
# older.
_ON_ITS_WAY: Final = 10.0
# The pool suspects its sessions once in two seconds at most.
_SUSPICION: Final = 2.5
# The longest that a call of the pool can take, its wait for others and for a token included.
_LONGEST_JOB: Final = 300.0
_MARGIN: Final = 120.0
POOL_LABELS: Final = {"of": "pool"}
PING: Final = "SELECT 1"
_Rule: Any = None


class Books:
    """What callers, network and server tell of the sessions of one pool.

    Attributes:
        held: when each leased session was taken.
    """

    def __init__(
        self, pool: AsyncSessionPool, options: PoolOptions, server: SimulatedSpanner, journal: Journal, calm: Calm
    ) -> None:
        self.held: dict[str, float] = {}
        self._full_at = 0.0
        self._core = pool._core
        self._options = options
        self._server = server
        self._journal = journal
        self._calm = calm
        self._loop: VirtualLoop = calm.loop
        # Sessions that the client was told of and the server still has, as far as the client was told.
        self._owned: set[str] = set()
        # Sessions that the pool has begun to delete. Where that fails for long, it leaves them to the server.
        self._let_go: set[str] = set()
        # When the pool got each session, or the answer to its last ping; when a caller last took it, and gave it back.
        self._pinged: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._released: dict[str, float] = {}
        # When the pool was told of losses that say something new.
        self._losses: list[float] = []
        self._busy_since: dict[Any, float] = {}

    def taken(self, name: str) -> None:
        """Check a session that a caller got."""
        now, truth = self._loop.time(), self._server.truth[name]
        self._journal.note("acquire", name)
        self._journal.require(name not in self.held, "a session is leased twice", name)
        gone = truth.gone_at(now)
        if gone is not None:
            self._check_gone(name, gone, truth, now)
        self.held[name] = self._taken[name] = now

    def given_back(self, name: str) -> None:
        """Note that a caller is about to give a session back."""
        self._journal.note("release", name)
        del self.held[name]
        self._released[name] = self._loop.time()

    def ended(self, call: SimulatedCall) -> None:
        """Note what the end of a call tells the client."""
        outcome, request, now = call.outcome(), call.request, self._loop.time()
        if call.method == "BatchCreateSessions" and request.session_template.labels == POOL_LABELS:
            if not isinstance(outcome, BaseException):
                for session in outcome.session:
                    self._owned.add(session.name)
                    self._pinged[session.name] = now
        elif call.method == "DeleteSession":
            self._owned.discard(request.name)
        elif call.method == "ExecuteSql" and request.session in self._pinged:
            if isinstance(outcome, grpc.RpcError) and outcome.code() is grpc.StatusCode.NOT_FOUND:
                self._lost(request.session, now)
            elif request.sql == PING and not isinstance(outcome, BaseException):
                self._pinged[request.session] = now

    def free_for(self) -> float:
        """Return for how many seconds not all sessions that there may be are leased."""
        return 0.0 if len(self.held) >= self._options.max_size else self._loop.time() - self._full_at

    def check(self) -> None:
        """Check what holds whenever nothing is left to run at this moment. Called often."""
        core, sessions = self._core, self._core._sessions
        # What could not be deleted at once is not waited for: the server may have it for longer.
        deleting = sum(not record.failures for record in sessions.deleting)
        self._let_go.update(record.name for record in sessions.deleting)
        in_use = len(core.sessions) + deleting + core._creation.in_flight
        if in_use > self._options.max_size or sessions.leased != len(self.held) or (core._waiting and core.idle):
            self._explain(in_use)
        if len(self.held) >= self._options.max_size:
            self._full_at = self._loop.time()

    def check_all(self) -> None:
        """Check what takes a look at every session."""
        self.check()
        now, core = self._loop.time(), self._core
        alive = {name for name in self._owned if self._server.truth[name].gone_at(now) is None}
        self._journal.require(
            len(alive) <= self._options.max_size, "the server has more sessions than max_size", f"{len(alive)}"
        )
        lost = alive - core.sessions.keys() - self._let_go
        self._journal.require(not lost, "a session is lost", f"the pool does not know {lost} any more")
        for name in core.sessions.keys() - self.held.keys():
            self._check_kept(name, now)
        self._check_busy(now)

    def check_idle(self) -> None:
        """Check a pool whose callers have gone, and which had a calm hour."""
        stats = self._core.stats()
        self._journal.require(stats.leased == 0, "a slot is lost", repr(stats))
        self._journal.require(stats.size == stats.idle, "a slot is lost", repr(stats))
        self._journal.require(stats.size >= self._options.min_size, "the pool is not filled again", repr(stats))

    def check_closed(self) -> None:
        """Check that a pool that was closed in calm left no session behind."""
        now = self._loop.time()
        left = [name for name in self._owned if self._server.truth[name].gone_at(now) is None]
        self._journal.require(not left, "a closed pool leaves sessions behind", f"{left}")

    def _explain(self, in_use: int) -> None:
        core = self._core
        self._journal.require(in_use <= self._options.max_size, "more sessions than max_size", repr(core))
        self._journal.require(
            core._sessions.leased == len(self.held), "a session is lost", f"{core!r}, and callers hold {set(self.held)}"
        )
        self._journal.require(not (core._waiting and core.idle), "a caller waits beside an idle session", repr(core))

    def _check_gone(self, name: str, gone: float, truth: Truth, now: float) -> None:
        """Check that a session that the server no longer has may still be handed out."""
        options, pinged, taken = self._options, self._pinged[name], self._taken.get(name, 0.0)
        silent = now - max(pinged, taken)
        most = min(options.validate_after, options.keep_alive_after)
        self._journal.require(silent < most, "a session is handed out after a silence", f"{name}, {silent:.1f} s")
        if truth.dropped is None:
            # By its age, or for want of use. The pool takes an acquire for a use, whatever the caller did.
            used = taken > truth.used
            self._journal.require(
                used, "a session is handed out that the server dropped", f"{name} {now - gone:.1f} s ago"
            )
        for loss in self._losses:
            late = gone < loss - _ON_ITS_WAY and now > loss + _SUSPICION
            told = f"{name}, gone {now - gone:.1f} s ago, a loss known for {now - loss:.1f} s"
            self._journal.require(not late, "a lost session is handed out after a known loss", told)

    def _lost(self, name: str, now: float) -> None:
        self._owned.discard(name)
        # One that was not alive since the last loss says nothing new.
        if self._pinged[name] > (self._losses[-1] if self._losses else 0.0):
            self._journal.note("loss", name)
            self._losses = [*self._losses[-3:], now]

    def _check_kept(self, name: str, now: float) -> None:
        """Check that an idle session is kept alive while the server can be reached."""
        truth = self._server.truth[name]
        if truth.gone_at(now) is not None and truth.dropped is None:
            silent = now - max(truth.used, self._released.get(name, 0.0), self._calm.since)
            told = f"{name}, unused for {silent:.0f} s"
            self._journal.require(silent < IDLE_LIMIT + _MARGIN, "a session is not kept alive", told)

    def _check_busy(self, now: float) -> None:
        """Check that nothing that the pool does lasts for ever."""
        core = self._core
        busy: Iterable[Any] = (
            *core._sessions.pinging,
            *core._sessions.deleting,
            *(["creates"] * bool(core._creation.in_flight)),
        )
        self._busy_since = {job: self._busy_since.get(job, now) for job in busy}
        for job, since in self._busy_since.items():
            # Looked at now and then: another ping may have begun since the last look.
            lasts = now - max(since, self._calm.since)
            self._journal.require(
                lasts < _LONGEST_JOB * 4, "the pool waits for something without end", f"{job!r}, {lasts:.0f} s"
            )
