"""One run: a seed, a month, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientOptions,
    MultiplexedOptions,
    PoolOptions,
)
from tests.simulation.books import POOL_LABELS, Books
from tests.simulation.calm import Calm
from tests.simulation.journal import Journal
from tests.simulation.loop import VirtualLoop, run_virtually
from tests.simulation.network import Network, SimulatedChannel
from tests.simulation.ordered import OrderedSet
from tests.simulation.server import DATABASE, SimulatedSpanner
from tests.simulation.service import Service
from tests.simulation.substitution import simulated_world
from tests.simulation.tokens import SimulatedCredentials, SimulatedWorker, TokenEndpoint
from tests.simulation.weather import Weather

DAY: Final = 86_400.0
_EPOCH: Final = 1_800_000_000.0
# Seconds: the longest that anything of the library may go on after it was closed.
_AFTER: Final = 120.0
# Seconds between two callers or bursts of them, and between two incidents: in a month, and in a few days.
_FEW: Final = 5.0
_BETWEEN: Final = ((3600.0, 7200.0, 14_400.0), (21_600.0, 86_400.0, 259_200.0))
_DENSE: Final = ((300.0, 900.0, 3600.0), (1800.0, 7200.0, 28_800.0))


@dataclass(frozen=True)
class Outcome:
    """What came of a run that broke no invariant."""

    seed: int
    days: float
    digest: int
    counts: Counter[str]
    seconds: float


class Failure(AssertionError):
    """A run broke an invariant. The text has the command that repeats it."""


def simulate(seed: int, days: float, fault: str = "") -> Outcome:
    """Run a service for so many days; raise `Failure` if an invariant breaks. A fault is only named here."""
    began = time.perf_counter()
    try:
        journal = run_virtually(lambda loop: _Simulation(loop, seed, days).run())
    except Exception as error:
        named = f" --fault {fault}" if fault else ""
        command = f"python -m tests.simulation seed {seed} --days {days:g}{named}"
        raise Failure(f"{command}\n{type(error).__name__}: {error}") from error
    return Outcome(seed, days, journal.digest, journal.counts, time.perf_counter() - began)


class _Simulation:
    """All parts of one run."""

    def __init__(self, loop: VirtualLoop, seed: int, days: float) -> None:
        self.loop = loop
        self.seed = seed
        self.days = days
        self.until = loop.time() + days * DAY
        self.random = self._stream("options")
        self.journal = Journal(loop.time)
        self.calm = Calm(loop)
        self.endpoint = TokenEndpoint(self.journal, loop.time, self._stream("tokens"))
        self.server = SimulatedSpanner(self.endpoint, self.journal, loop.time, self._stream("server"))
        self.network = Network(self.server, self.journal, self.calm, self._stream("network"))
        self.weather = Weather(self.network, self.endpoint, self.journal, self.calm, self._stream("weather"))
        self.worker = type("Worker", (SimulatedWorker,), {"endpoint": self.endpoint})

    def _stream(self, name: str) -> Random:
        return Random(f"{self.seed} {name}")  # noqa: S311 - no secret

    def wall(self) -> float:
        """Return the wall clock of the process."""
        return _EPOCH + self.loop.time() + self.weather.wall_offset

    async def run(self) -> Journal:
        """Run the service to its end."""
        with simulated_world(
            self.loop,
            seed=self.seed,
            wall=self.wall,
            open_channel=lambda target, options: SimulatedChannel(self.network),
            worker=self.worker,
            log=self.journal.say,
        ):
            await self._serve()
        return self.journal

    async def _serve(self) -> None:
        credentials = SimulatedCredentials(self.endpoint, self.wall)
        client = AsyncSessionsClient(credentials, options=ClientOptions(endpoint="spanner.test:443"))
        pool = AsyncSessionPool(client, DATABASE, options=self._pool_options())
        pool._runner._tasks = OrderedSet()  # type: ignore[assignment]  # in the place of a set
        multiplexed = AsyncMultiplexedSession(client, DATABASE, options=self._multiplexed_options())
        try:
            await self._use(client, pool, multiplexed)
        except BaseException:
            # Without the warnings of what was not closed.
            client._connection.closing.set()
            pool._core.closing = multiplexed._closed = True
            raise

    async def _use(
        self, client: AsyncSessionsClient, pool: AsyncSessionPool, multiplexed: AsyncMultiplexedSession
    ) -> None:
        books = Books(pool, pool._options, self.server, self.journal, self.calm)
        self.network.ended = books.ended
        self.loop.settled = books.check
        service = Service(
            client, pool, multiplexed, self.server, books, self.journal, self.calm, self._stream("service")
        )
        looking = self.loop.create_task(self._look(books))
        self.loop.watch(looking)
        callers, incidents = (self.random.choice(choice) for choice in (_BETWEEN if self.days > _FEW else _DENSE))
        await asyncio.gather(service.serve(self.until, callers), self.weather.blow(self.until, incidents))
        await service.end()
        looking.cancel()
        if self.random.random() < 0.5:
            await self._end_in_calm(service, pool, books)
        await self._close(client, pool, multiplexed)

    def _pool_options(self) -> PoolOptions:
        choice, max_size = self.random.choice, self.random.randint(1, 10)
        return PoolOptions(
            min_size=self.random.randint(0, min(max_size, 3)),
            max_size=max_size,
            max_waiting=choice((None, 3, 30)),
            labels=POOL_LABELS,
            keep_alive_after=choice((1800.0, 1800.0, 2700.0, 3300.0)),
            validate_after=choice((60.0, 900.0, 3000.0)),
            max_idle=choice((None, 300.0, 3600.0)),
            max_lifetime=choice((DAY, 7 * DAY, 27.9 * DAY)),
            leak_after=choice((None, None, 60.0)),
        )

    def _multiplexed_options(self) -> MultiplexedOptions:
        return MultiplexedOptions(replace_after=self.random.choice((DAY, 7 * DAY, 27.9 * DAY)), check_interval=3600.0)

    async def _look(self, books: Books) -> None:
        while True:
            await asyncio.sleep(1800.0)
            books.check_all()

    async def _end_in_calm(self, service: Service, pool: AsyncSessionPool, books: Books) -> None:
        """Check that after hours without incidents all is as if there had been none, and that nothing stays behind."""
        self.network.conditions.lost = self.network.conditions.cut = 0.0
        await asyncio.sleep(2 * 3600.0)
        await service.take_all()
        await asyncio.sleep(60.0)
        books.check_all()
        books.check_idle()
        await pool.drain()
        books.check_closed()

    async def _close(
        self, client: AsyncSessionsClient, pool: AsyncSessionPool, multiplexed: AsyncMultiplexedSession
    ) -> None:
        """Close all, in whatever weather, and check that it takes no longer than it may and that nothing goes on."""
        self.network.conditions.state = self.random.choice(("up", "refused", "silent"))
        for closing, timeout in ((pool.close(5.0), 5.0), (multiplexed.close(), 0.0), (client.close(), 1.0)):
            since = self.loop.time()
            await closing
            took = self.loop.time() - since
            self.journal.require(took <= timeout + 1e-6, "closing takes too long", f"{took:.3f} s of {timeout:g} s")
        await asyncio.sleep(_AFTER)
        tasks = sorted(f"{task.get_coro()}" for task in asyncio.all_tasks() if task is not asyncio.current_task())
        self.journal.require(not tasks, "a task goes on after the end", f"{tasks}")
        timers = self.loop.timers()
        self.journal.require(not timers, "a timer goes on after the end", f"{timers}")
