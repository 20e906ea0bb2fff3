"""The near side of a round: clients of both forms with their pools and multiplexed sessions, and the load on them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import ClientOptions, PoolOptions
from spanner_grpc_sessions.runtime.clock import Clock
from tests.chaos.books import Books
from tests.chaos.faces import AsyncFace, Face, run
from tests.chaos.far import Far
from tests.chaos.side import DATABASE
from tests.chaos.work import Site, Worker
from tests.support.clocks import WallClock
from tests.support.colours import LoopThread
from tests.support.token_server import refreshed_credentials

if TYPE_CHECKING:
    import pytest

    from tests.chaos.fault import Fault

__all__ = ["Rig"]

THREADS: Final = 16
TASKS: Final = 64
# Fewer sessions than workers, so that some wait.
_SESSIONS: Final = {"sync": 3, "async": 8}
# Seconds: far above what an end takes.
_END: Final = 30.0
# Seconds in which a pool has all its sessions again.
_REFILL: Final = 15.0


class Rig:
    """What a fault strikes.

    Args:
        fault: what will strike.
        far: the far side.
        seed: of all that is drawn.
        patch: undoes at the end what faults replace.

    Attributes:
        clock: of the pools and multiplexed sessions. It goes on by itself, and can be stepped.
        wall: the clock by which clients renew their tokens, likewise.
        books: what the load has seen.
        sites: what the workers of each form use.
        draw: for faults.
    """

    def __init__(self, fault: Fault, far: Far, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.fault = fault
        self.far = far
        self.books = Books()
        self.patch = patch
        self.draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.seed = seed
        self.sites = [Site(face, DATABASE) for face in (Face(), AsyncFace()) if face.form in fault.forms]
        self.clock = SteppedClock()
        self.wall = WallClock(patch)
        self.loop = LoopThread()
        self._ended = threading.Event()

    def drive(self, site: Site, coroutine: Any) -> Any:
        """Run a coroutine of a form to its end, from a thread."""
        return run(coroutine) if site.face.form == "sync" else self.loop.run(coroutine)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Have clients, pools and multiplexed sessions open in a block."""
        for site in self.sites:
            self.drive(site, self._open(site))
        try:
            yield
        finally:
            for site in self.sites:
                self.drive(site, self._close(site))

    def options(self) -> ClientOptions:
        """Return the options of the clients."""
        where = self.far("where")
        security = {"plaintext": True} if where["root"] is None else {"root_certificates": where["root"]}
        return ClientOptions(endpoint=where["endpoint"], **{**security, **self.fault.client})

    def credentials(self) -> Any:
        """Return credentials that ask the token endpoint; none for the emulator."""
        where = self.far("where")
        if where["root"] is None:
            return AnonymousCredentials()
        return refreshed_credentials(where["token_uri"])

    async def _open(self, site: Site) -> None:
        face = site.face
        site.client = face.client(self.credentials(), options=self.options())
        options = PoolOptions(min_size=2, max_size=_SESSIONS[face.form], keep_alive_after=1.0)
        site.pool = face.pool(site.client, site.database, options=options, clock=self.clock)
        await face.wait(site.pool.open())
        if self.fault.multiplexed:
            site.multiplexed = face.multiplexed(site.client, site.database, clock=self.clock)
            await face.wait(site.multiplexed.open())

    async def _close(self, site: Site) -> None:
        if site.multiplexed is not None:
            await site.face.wait(site.multiplexed.close())
        await site.face.wait(site.pool.close(timeout=5.0))
        await site.face.wait(site.client.close())
        site.multiplexed = site.pool = site.client = None

    @contextlib.contextmanager
    def under_load(self) -> Iterator[None]:
        """Have 16 threads and 64 tasks at work in a block."""
        self._ended.clear()
        loads = [self._start(site) for site in self.sites]
        try:
            yield
        finally:
            self._ended.set()
            self.books.threads.end()
            self.books.tasks.end()
            for await_end in loads:
                self._expect_end(await_end)

    def _expect_end(self, await_end: Callable[[], object]) -> None:
        try:
            await_end()
        except Exception as error:  # noqa: BLE001 - told
            self.books.offend("late", f"workers have not ended: {error!r}")

    def _start(self, site: Site) -> Callable[[], object]:
        """Start the workers of a form, and return what waits for their end."""
        if site.face.form == "async":
            return functools.partial(asyncio.run_coroutine_threadsafe(self._in_loop(site), self.loop.loop).result, _END)
        crowd = ThreadPoolExecutor(THREADS + 1)
        done = [crowd.submit(self.books.threads.watch)]
        done += [crowd.submit(run, self.worker(site, f"t{number}").work(self._goes_on)) for number in range(THREADS)]

        def await_end() -> None:
            crowd.shutdown(wait=False)
            for each in done:
                each.result(_END)

        return await_end

    async def _in_loop(self, site: Site) -> None:
        workers = [self.worker(site, f"a{number}") for number in range(TASKS)]
        await asyncio.gather(self.books.tasks.watch_loop(), *(worker.work(self._goes_on) for worker in workers))

    def worker(self, site: Site, name: str) -> Worker:
        """Return a worker of a name that no other has."""
        return Worker(site, self.books, name, random.Random(f"{self.seed}-{name}"))  # noqa: S311

    def _goes_on(self) -> bool:
        return not self._ended.is_set()

    def lost_slots(self) -> int:
        """Return how many sessions of the pools cannot be leased at the same time."""
        return sum(self.drive(site, self._lost(site)) for site in self.sites)

    async def _lost(self, site: Site) -> int:
        face, size = site.face, _SESSIONS[site.face.form]
        leases: list[Any] = []
        error, deadline = None, time.monotonic() + _REFILL
        while len(leases) < size and time.monotonic() < deadline:
            try:
                leases.append(await face.wait(site.pool.acquire(timeout=1.0)))
            except Exception as raised:  # noqa: BLE001, PERF203 - told, and tried again
                error = raised
        if len(leases) < size:
            self.books.offend("lost", f"{face.form} pool: {len(leases)} of {size} sessions: {error!r}; {site.pool!r}")
        for lease in leases:
            await face.wait(site.pool.release(lease))
        return size - len(leases)


class SteppedClock(Clock):
    """The real clock, and what was added to it, as when a machine sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        boot = self.now
        self.now = lambda: boot() + self.ahead
