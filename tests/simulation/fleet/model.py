"""Ten thousand processes by the decisions of the library alone, and the server that they share.

Each process has a pool, a token and a multiplexed session; `PoolCore`, `TokenFetcher`, `Renewal`, `Rotation` and
`next_delay` decide, and one heap of events carries it out. No tasks, no messages: what a process sends is counted in
the second in which it reaches the server, or would if there were one.
"""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any, Final

from google.auth.exceptions import TransportError

from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.renewal import Renewal
from spanner_grpc_sessions.calls.retry import next_delay
from spanner_grpc_sessions.multiplexed.rotation import MultiplexedOptions, Rotation
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.pool.core import Create, Delete, Deliver, Fail, Ping, PoolCore, SessionRecord, WakeAt
from spanner_grpc_sessions.pool.options import PoolOptions
from tests.simulation.fleet.credentials import FleetCredentials

POOL: Final = PoolOptions(min_size=4, max_size=100)
KINDS: Final = ("creates", "pings", "tokens", "calls", "retries", "multiplexed")
_RETRY: Final = RetryOptions()
_CALL_TIMEOUT: Final = 30.0
_USE: Final = 0.02
_FAILURE: Final = RuntimeError("the server cannot be reached")


class Fleet:
    """The events of all processes, in their order, and the server.

    Attributes:
        arrived: how many requests of each kind came in each second.
        up: whether the server can be reached; tokens: whether the token endpoint can.
        generation: sessions of an older one are lost.
        working: processes that have all that they need.
    """

    def __init__(self, seconds: float, seed: int) -> None:
        self.now = 0.0
        self.up = self.tokens_up = True
        self.generation = 0
        self.random = Random(seed)  # noqa: S311 - no secret
        self.arrived = {kind: array("I", bytes(4 * (int(seconds) + 1))) for kind in KINDS}
        self.sessions = 0
        self.held: list[int] = []
        self.processes: list[Process] = []
        self.tokens_needed = True
        self._until = seconds
        self._serial = itertools.count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, when: float, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function at a time."""
        heapq.heappush(self._events, (when, next(self._serial), function, arguments))

    def count(self, kind: str) -> None:
        """Count a request that is sent now."""
        self.arrived[kind][int(self.now)] += 1

    def round_trip(self) -> float:
        """Return the seconds until an answer."""
        return 0.005 + self.random.expovariate(100.0)

    def run(self) -> None:
        """Run to the end."""
        events = self._events
        while events and events[0][0] < self._until:
            self.now, _, function, arguments = heapq.heappop(events)
            function(*arguments)

    def set(self, name: str, value: bool) -> None:
        """Set an attribute."""
        setattr(self, name, value)

    def lose_all(self) -> None:
        """Lose all sessions."""
        self.generation += 1
        self.sessions = 0

    def quiet(self) -> None:
        """Have no caller come any more."""
        for process in self.processes:
            process.used = False

    def sample(self, every: float) -> None:
        """Note now and then how many sessions the server has."""
        self.held.append(self.sessions)
        self.at(self.now + every, self.sample, every)

    def waiting(self) -> int:
        """Return how many processes lack sessions or a token."""
        return sum(not process.works for process in self.processes)


class Process:
    """One process of a service.

    Args:
        rate: callers in a second; each uses a session for a moment.
        own_calls: the share of callers that call a method of the client, which retries.
    """

    def __init__(self, fleet: Fleet, *, rate: float, own_calls: float = 0.2, pool: bool = True) -> None:
        self._fleet = fleet
        self._random = fleet.random
        self.core = PoolCore(POOL)
        self.ended = False
        self._generation: dict[str, int] = {}
        self._names = itertools.count()
        self._wake = inf
        self._rate, self._own_calls, self._has_pool = rate, own_calls, pool
        self.used = rate > 0
        self._fetch = TokenFetcher(
            lambda _: FleetCredentials(fleet, self._clock), clock=self._clock, draw=self._random.random
        )
        self._renewal = Renewal(self._random.random())
        self._rotation = Rotation(MultiplexedOptions())
        fleet.processes.append(self)

    @property
    def works(self) -> bool:
        """Whether it has sessions that the server knows, and a token."""
        has_token = self._fleet.now < self._renewal.token.valid_until
        known = sum(self._generation[name] == self._fleet.generation for name in self.core.sessions)
        return self.ended or (has_token and known >= POOL.min_size)

    def _clock(self) -> float:
        return self._fleet.now

    def start(self) -> None:
        """Fetch a token and fill the pool."""
        fleet = self._fleet
        if fleet.tokens_needed:
            self._ask_for_token()
        # The first call waits for the token.
        if self._has_pool:
            fleet.at(fleet.now + 0.1, self._due, inf)
        else:
            fleet.at(fleet.now + 0.1, self._rotate)
        if self.used:
            fleet.at(fleet.now + self._random.expovariate(self._rate), self._call)

    def stop(self) -> None:
        """End as a service does that is deployed anew: it deletes its sessions."""
        self.ended = True
        self._carry_out(self.core.close(self._fleet.now))

    def _carry_out(self, effects: tuple[Any, ...]) -> None:
        fleet = self._fleet
        for effect in effects:
            match effect:
                case WakeAt(when):
                    self._wake = when
                    fleet.at(when, self._due, when)
                case Create(count):
                    self._send("creates", self._created, count)
                case Ping(record):
                    self._send("pings", self._pinged, record)
                case Delete(record):
                    fleet.at(fleet.now + fleet.round_trip(), self._deleted, record)
                case Deliver(waiter, record):
                    self.core.accepted(waiter, fleet.now)
                    fleet.at(fleet.now + _USE, self._release, record)
                case Fail() | _:
                    pass

    def _due(self, when: float) -> None:
        if when == self._wake:
            self._wake = inf
            self._carry_out(self.core.tick(self._fleet.now))

    def _send(self, kind: str, answer: Callable[[Any, bool], None], of: Any) -> None:
        fleet = self._fleet
        fleet.count(kind)
        fleet.at(fleet.now + fleet.round_trip(), answer, of, fleet.up)

    def _created(self, count: int, up: bool) -> None:
        now, draw = self._fleet.now, self._random.random()
        if not up:
            self._carry_out(self.core.create_failed(count, _FAILURE, now, draw))
            return
        names = [f"s{next(self._names)}" for _ in range(count)]
        self._generation |= dict.fromkeys(names, self._fleet.generation)
        self._fleet.sessions += count
        self._carry_out(self.core.created(count, [(name, None) for name in names], now, draw))

    def _pinged(self, record: SessionRecord, up: bool) -> None:
        lost = up and self._is_lost(record)
        if up and not lost:
            self._carry_out(self.core.pinged(record, self._fleet.now))
        else:
            self._carry_out(self.core.ping_failed(record, self._fleet.now, self._random.random(), lost=lost))

    def _deleted(self, record: SessionRecord) -> None:
        self._fleet.sessions -= not self._is_lost(record)
        self._carry_out(self.core.deleted(record, self._fleet.now, ok=self._fleet.up))

    def _is_lost(self, record: SessionRecord) -> bool:
        return self._generation[record.name] != self._fleet.generation

    def _call(self) -> None:
        """A caller takes a session, by the fast path if there is one."""
        fleet, core = self._fleet, self.core
        if self.ended or not self.used:
            return
        fleet.at(fleet.now + self._random.expovariate(self._rate), self._call)
        if self._random.random() < self._own_calls:
            self._attempt(1, fleet.now + _CALL_TIMEOUT)
            return
        if core.idle and fleet.now < core.idle[-1].valid_until:
            record = core.idle.pop()
            record.last_used_at = fleet.now
            record.holder = record
            self._use(record)
        else:
            self._carry_out(core.acquire(object(), fleet.now))

    def _use(self, record: SessionRecord) -> None:
        fleet = self._fleet
        fleet.count("calls")
        if fleet.up and self._is_lost(record):
            self._carry_out(self.core.lost(record, fleet.now))
        fleet.at(fleet.now + _USE, self._release, record)

    def _release(self, record: SessionRecord) -> None:
        core = self.core
        if core.contended or record.discarded:
            self._carry_out(core.give_back(record, self._fleet.now))
        else:
            record.holder = None
            core.idle.append(record)

    def _attempt(self, attempt: int, deadline: float) -> None:
        """Make an attempt of a call of the client's own."""
        fleet = self._fleet
        fleet.count("calls" if attempt == 1 else "retries")
        if not fleet.up:
            delay = next_delay(
                _RETRY,
                status="UNAVAILABLE",
                attempt=attempt,
                remaining=deadline - fleet.now,
                retry_delay=None,
                fraction=self._random.random(),
            )
            if delay is not None:
                fleet.at(fleet.now + delay, self._attempt, attempt + 1, deadline)

    def _ask_for_token(self) -> None:
        if self.ended:
            return
        now = self._fleet.now
        try:
            self._renewal.take(self._fetch(self._renewal.unwanted), now, now)
        except TransportError:
            self._renewal.fail(now)
        self._fleet.at(self._renewal.renew_at, self._ask_for_token)

    def _rotate(self) -> None:
        """Create the multiplexed session, or its successor."""
        fleet = self._fleet
        if self.ended:
            return
        fleet.count("multiplexed")
        if fleet.up:
            self._rotation.created(fleet.now, self._random.random())
        else:
            self._rotation.failed(fleet.now, self._random.random())
        fleet.at(self._rotation.due if self._rotation.due < inf else fleet.now + 1.0, self._rotate)
