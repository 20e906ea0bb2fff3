"""What happens to a service in a month: incidents of all kinds at times that the seed draws."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from tests.simulation.calm import Calm
from tests.simulation.journal import Journal
from tests.simulation.network import Network
from tests.simulation.tokens import LONGEST_SILENCE, TokenEndpoint

_Incident = Callable[["Weather"], Awaitable[None]]


class Weather:
    """Brings incidents, one after the other and over each other.

    Attributes:
        wall_offset: seconds by which the wall clock of the process is wrong.
    """

    def __init__(self, network: Network, endpoint: TokenEndpoint, journal: Journal, calm: Calm, random: Random) -> None:
        self.wall_offset = 0.0
        self.network = network
        self.server = network.server
        self.endpoint = endpoint
        self.random = random
        self._journal = journal
        self._calm = calm
        self._changes: list[tuple[Any, dict[str, Any]]] = []
        self._usual: list[tuple[Any, dict[str, Any]]] = [(part, dict(vars(part))) for part in (network.conditions,)]
        self._usual += [(self.server, {"short": 0.0, "busy": 0.0, "database_gone": False}), (endpoint, {"state": "up"})]

    async def blow(self, until: float, between: float) -> None:
        """Bring incidents until a time, on average so many seconds apart, and wait for their end."""
        loop = self._calm.loop
        incidents = []
        while (pause := self.random.expovariate(1 / between)) < until - loop.time():
            await asyncio.sleep(pause)
            incident = self.random.choice(INCIDENTS)
            self._journal.note("incident", incident.__name__.lstrip("_"))
            incidents.append(loop.create_task(self._bring(incident)))
        await asyncio.gather(*incidents)

    async def _bring(self, incident: _Incident) -> None:
        self._calm.begin()
        try:
            await incident(self)
        finally:
            self._calm.end()

    @contextmanager
    def set(self, target: Any, **values: Any) -> Iterator[None]:
        """Give attributes other values, for a while. The newest of several incidents counts."""
        self._changes.append((target, values))
        self._apply()
        try:
            yield
        finally:
            self._changes.remove((target, values))
            self._apply()

    def _apply(self) -> None:
        for target, values in (*self._usual, *self._changes):
            for name, value in values.items():
                setattr(target, name, value)

    async def last(self, shortest: float, longest: float) -> None:
        """Let an incident last; most are short."""
        await asyncio.sleep(shortest * (longest / shortest) ** self.random.random())

    def freeze(self, seconds: float) -> None:
        """Take the CPU from the process."""
        self._calm.loop.freeze(seconds)
        self.endpoint.calm_since = self._calm.loop.time()


async def _refused(weather: Weather) -> None:
    with weather.set(weather.network.conditions, state="refused"):
        weather.network.cut()
        await weather.last(1.0, 1800.0)


async def _silent(weather: Weather) -> None:
    with weather.set(weather.network.conditions, state="silent"):
        await weather.last(1.0, 1800.0)


async def _slow(weather: Weather) -> None:
    with weather.set(weather.network.conditions, latency=weather.random.uniform(0.1, 1.0)):
        await weather.last(10.0, 3600.0)


async def _lossy(weather: Weather) -> None:
    draw = weather.random.uniform
    with weather.set(weather.network.conditions, lost=draw(0.0, 0.3), cut=draw(0.0, 0.3)):
        await weather.last(10.0, 3600.0)


async def _cut_off(weather: Weather) -> None:
    weather.network.cut()


async def _restart(weather: Weather) -> None:
    weather.network.cut()
    weather.server.forget_all(multiplexed=weather.random.random() < 0.5)
    with weather.set(weather.network.conditions, state="refused"):
        await weather.last(0.1, 60.0)


async def _forget_some(weather: Weather) -> None:
    for name in weather.server.alive():
        if weather.random.random() < 0.3:
            weather.server.forget(name)


async def _forget_one(weather: Weather) -> None:
    alive = weather.server.alive()
    if alive:
        weather.server.forget(weather.random.choice(alive))


async def _move(weather: Weather) -> None:
    weather.server.forget_all(multiplexed=True)
    with weather.set(weather.server, database_gone=True):
        await weather.last(0.5, 300.0)


async def _short(weather: Weather) -> None:
    with weather.set(weather.server, short=weather.random.random()):
        await weather.last(60.0, 86_400.0)


async def _busy(weather: Weather) -> None:
    with weather.set(weather.server, busy=weather.random.uniform(0.1, 0.9)):
        await weather.last(1.0, 1800.0)


async def _no_tokens(weather: Weather) -> None:
    state = weather.random.choice(["down", "failing", "silent"])
    with weather.set(weather.endpoint, state=state):
        await weather.last(10.0, 5400.0)
    weather.endpoint.calm_since = asyncio.get_running_loop().time()
    # For so long the last request may be without an answer.
    await asyncio.sleep(LONGEST_SILENCE if state == "silent" else 0.0)
    weather.endpoint.calm_since = asyncio.get_running_loop().time()


async def _revoked(weather: Weather) -> None:
    weather.endpoint.revoke_all()


async def _frozen(weather: Weather) -> None:
    weather.freeze(0.1 * 10.0 ** weather.random.uniform(0.0, 5.0))


async def _wall_clock(weather: Weather) -> None:
    weather.wall_offset = weather.random.uniform(-1.0, 1.0) * 10.0 ** weather.random.uniform(0.0, 4.0)
    weather.endpoint.calm_since = asyncio.get_running_loop().time()
    await weather.last(60.0, 86_400.0)
    weather.wall_offset = 0.0
    weather.endpoint.calm_since = asyncio.get_running_loop().time()


INCIDENTS: Final[tuple[_Incident, ...]] = (
    *(_refused, _silent, _slow, _lossy, _cut_off, _restart, _forget_some, _forget_one, _move, _short, _busy),
    *(_no_tokens, _revoked, _frozen, _wall_clock),
)
