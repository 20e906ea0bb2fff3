"""The near side of a round: clients of both forms with their pools and multiplexed sessions, and the load on them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from google.oauth2.credentials import Credentials

from spanner_grpc_sessions import ClientOptions, PoolOptions
from tests.chaos.books import Books
from tests.chaos.faces import AsyncFace, Face, run
from tests.chaos.far import Far
from tests.chaos.side import DATABASE
from tests.chaos.work import Site, Worker
from tests.support.colours import LoopThread

if TYPE_CHECKING:
    from tests.chaos.fault import Fault

__all__ = ["Rig"]

THREADS: Final = 16
TASKS: Final = 64
# Fewer sessions than workers, so that some wait.
_SESSIONS: Final = {"sync": 3, "async": 8}
# Seconds: far above what an end takes.
_END: Final = 30.0


class Rig:
    """What a fault strikes.

    Args:
        fault: what will strike.
        far: the far side.
        seed: of all that is drawn.

    Attributes:
        books: what the load has seen.
        sites: what the workers of each form use.
        draw: for faults.
    """

    def __init__(self, fault: Fault, far: Far, seed: int) -> None:
        self.fault = fault
        self.far = far
        self.books = Books()
        self.draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.seed = seed
        self.sites = [Site(Face(), DATABASE), Site(AsyncFace(), DATABASE)]
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

    def credentials(self) -> Credentials:
        """Return credentials that ask the token endpoint."""
        # Not a service account's, which would sign its tokens itself.
        return Credentials(  # type: ignore[no-untyped-call]  # google-auth is typed in part only
            None, refresh_token="r", client_id="c", client_secret="s", token_uri=self.far("where")["token_uri"]
        )  # fmt: skip

    async def _open(self, site: Site) -> None:
        face = site.face
        site.client = face.client(self.credentials(), options=self.options())
        options = PoolOptions(min_size=2, max_size=_SESSIONS[face.form], keep_alive_after=1.0)
        site.pool = face.pool(site.client, site.database, options=options)
        await face.wait(site.pool.open())
        if self.fault.multiplexed:
            site.multiplexed = face.multiplexed(site.client, site.database)
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
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        threads.append(threading.Thread(target=self.books.threads.watch))
        tasks = asyncio.run_coroutine_threadsafe(self._work_in_loop(), self.loop.loop)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self.books.threads.end()
            self.books.tasks.end()
            for thread in threads:
                thread.join(_END)
            if any(thread.is_alive() for thread in threads):
                self.books.offend("late", "a worker's call has not ended")
            tasks.result(_END)

    def _work(self, number: int) -> None:
        run(self._worker(self.sites[0], f"t{number}").work(self._goes_on))

    async def _work_in_loop(self) -> None:
        workers = [self._worker(self.sites[1], f"a{number}") for number in range(TASKS)]
        await asyncio.gather(self.books.tasks.watch_loop(), *(worker.work(self._goes_on) for worker in workers))

    def _worker(self, site: Site, name: str) -> Worker:
        return Worker(site, self.books, name, random.Random(f"{self.seed}-{name}"))  # noqa: S311

    def _goes_on(self) -> bool:
        return not self._ended.is_set()

    def lost_slots(self) -> int:
        """Return how many sessions of the pools cannot be leased at the same time."""
        return sum(self.drive(site, self._lost(site)) for site in self.sites)

    async def _lost(self, site: Site) -> int:
        face, size = site.face, _SESSIONS[site.face.form]
        leases = []
        try:
            for _ in range(size):
                leases.append(await face.wait(site.pool.acquire(timeout=10.0)))
        except Exception as error:  # noqa: BLE001 - told
            self.books.offend("lost", f"{face.form} pool: {len(leases)} of {size} sessions: {error!r}; {site.pool!r}")
        for lease in leases:
            await face.wait(site.pool.release(lease))
        return size - len(leases)
