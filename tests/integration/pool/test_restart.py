"""The session pool when the server dies, forgets its sessions or loses the database: what callers meet, and after."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2, type_pb2

from spanner_grpc_sessions import (
    AsyncLease,
    AsyncSessionPool,
    ClientOptions,
    DatabaseNotFound,
    Lease,
    SessionNotFound,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import EmulatorUnavailable, OwnEmulator
from tests.support.colours import COLOURS, Blocking, Colour
from tests.support.pools import blocking, pool_of
from tests.support.servers import EmulatorServer, LocalServer, Server
from tests.support.waiting import WAIT, until

if TYPE_CHECKING:
    from typing_extensions import Self

_DATABASE = "projects/p/instances/i/databases/d"
_ACQUIRE, _CALL = 1.0, 2.0
# Far above what both take on a busy machine, far below the 30 s of an acquire that has no timeout of its own.
_IN_TIME = 15.0
_CALLERS = 16
# More than callers: some lie idle when the server goes, and are still there when others have taken their names.
_SESSIONS = 30


Ask = Callable[[str, str], spanner_pb2.ExecuteSqlRequest]


@dataclass
class Caller:
    """One of many who work on sessions all the time, and what it met.

    Attributes:
        name: of the caller.
        turn: rounds so far.
        clean: rounds since the last failure.
        failures: what ended rounds.
        slowest: seconds of the longest round.
    """

    name: str
    turn: int = 0
    clean: int = 0
    failures: list[SpannerSessionsError] = field(default_factory=list)
    slowest: float = 0.0

    @contextlib.contextmanager
    def round(self) -> Iterator[str]:
        """Give what to ask in a round, and take down how it ends; what is not an error of ours goes through."""
        self.turn += 1
        started = time.monotonic()
        try:
            yield f"{self.name} {self.turn}"
            self.clean += 1
        except SpannerSessionsError as error:
            self.clean = 0
            self.failures.append(error)
        self.slowest = max(self.slowest, time.monotonic() - started)


class Crowd:
    """Callers of a pool, threads or tasks by its colour, that work until they are told to stop.

    Args:
        client: of the colour.
        database: of the pool's sessions.
        pool: open.
        ask: makes the request of a round from the session's name and a text; its answer begins with the text.
    """

    def __init__(self, client: Any, database: str, pool: Any, ask: Ask) -> None:
        self.pool = pool
        self.callers = [Caller(f"{database} {number}") for number in range(_CALLERS)]
        self._client, self._database, self._ask = client, database, ask
        self._held: dict[str, Lease | AsyncLease] = {}
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(_CALLERS)
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._begin(caller) for caller in self.callers]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        wait(self._working)
        self._threads.shutdown()

    @property
    def failures(self) -> list[SpannerSessionsError]:
        """What ended rounds of all callers."""
        return [failure for caller in self.callers for failure in caller.failures]

    @property
    def slowest(self) -> float:
        """Seconds of the longest round of all."""
        return max(caller.slowest for caller in self.callers)

    def stop(self) -> None:
        """End the work; raise what ended a caller before."""
        self._stop.set()
        for working in self._working:
            working.result(WAIT)

    def until(self, true: Callable[[Caller], bool]) -> None:
        """Wait until that is true of every caller; raise what has ended one."""
        until(lambda: any(working.done() for working in self._working) or all(map(true, self.callers)))
        for working in self._working:
            if working.done():
                working.result()

    def _begin(self, caller: Caller) -> Future[None]:
        if isinstance(self.pool, Blocking):
            return asyncio.run_coroutine_threadsafe(self._work_async(self.pool._target, caller), self.pool._thread.loop)
        return self._threads.submit(self._work, self.pool, caller)

    def _work(self, pool: SessionPool, caller: Caller) -> None:
        while not self._stop.is_set():
            with caller.round() as text, pool.session(timeout=_ACQUIRE) as lease, self._alone(lease):
                check(lease.stub.ExecuteSql(self._ask(lease.name, text), timeout=_CALL), text)
            if not caller.clean:
                self._stop.wait(0.01)

    async def _work_async(self, pool: AsyncSessionPool, caller: Caller) -> None:
        while not self._stop.is_set():
            with caller.round() as text:
                async with pool.session(timeout=_ACQUIRE) as lease:
                    with self._alone(lease):
                        check(await lease.stub.ExecuteSql(self._ask(lease.name, text), timeout=_CALL), text)
            if not caller.clean:
                await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def _alone(self, lease: Lease | AsyncLease) -> Iterator[None]:
        assert self._held.setdefault(lease.name, lease) is lease, f"{lease.name} has two holders"
        try:
            yield
        finally:
            del self._held[lease.name]

    def _is_at_rest(self) -> bool:
        stats = self.pool.stats()
        return (stats.leased, stats.waiting, stats.idle) == (0, 0, stats.size)

    def check_pool(self) -> None:
        """See that the pool is at rest and whole: every session is there once, on the server too, and works."""
        until(self._is_at_rest)
        names = use_all(self._client, self.pool, lambda name: self._ask(name, "end"))
        until(lambda: listed(self._client, self._database) == names)


@contextlib.contextmanager
def open_pool(client: Any, database: str, **options: Any) -> Iterator[Any]:
    """Give an open pool of the client's colour; close it without waiting for leases."""
    pool = pool_of(client, database, **options)
    try:
        pool.open()
        yield pool
    finally:
        pool.close(timeout=2)


@contextlib.contextmanager
def crowd_of(client: Any, database: str, ask: Ask) -> Iterator[Crowd]:
    """Give a crowd at work on a full pool of its own."""
    with open_pool(client, database, min_size=_SESSIONS, max_size=_SESSIONS) as pool:
        with Crowd(client, database, pool, ask) as crowd:
            yield crowd


def use_all(client: Any, pool: Any, ask: Callable[[str], spanner_pb2.ExecuteSqlRequest]) -> set[str]:
    """Lease as many sessions as there may be, make a call with each, give them back, and return their names."""
    leases = [pool.acquire(timeout=WAIT) for _ in range(pool._options.max_size)]
    for lease in leases:
        call(client, lease, ask(lease.name))
        pool.release(lease)
    assert len({lease.name for lease in leases}) == len(leases)
    return {lease.name for lease in leases}


def call(client: Any, lease: Any, request: spanner_pb2.ExecuteSqlRequest) -> Any:
    """Execute a request through a lease of either colour."""
    return blocking(client, lease.stub).ExecuteSql(request, timeout=_CALL)


def listed(client: SessionsClient, database: str) -> set[str]:
    """Return the names of the sessions that the server has."""
    return {session["name"] for session in client.list_sessions(database).get("sessions", ())}


def say(name: str, text: str) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query that is answered by the text."""
    request = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT @text")
    request.params.update({"text": text})
    request.param_types["text"].code = type_pb2.STRING
    return request


def one(name: str, _: str = "") -> spanner_pb2.ExecuteSqlRequest:
    """Return the query that LocalSpanner knows."""
    return spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")


def check(answer: Any, text: str) -> None:
    """See that an answer is the one to that question, if it asked for one."""
    assert answer.rows[0].values[0].string_value in {text, "1"}


def test_all_work_again_soon_after_the_emulator_was_killed(outer_environment: dict[str, str]) -> None:
    """It comes back empty and repeats names: errors are ours and in time, answers right, no slot is lost."""
    try:
        own = OwnEmulator(outer_environment)
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))
    options = ClientOptions(endpoint=own.emulator.grpc_endpoint, plaintext=True)
    with own, contextlib.ExitStack() as stack:
        crowds = []
        for colour in COLOURS:
            client = stack.enter_context(colour.client(options=options))
            database = own.emulator.create_database(instance=f"of-{colour.name}")
            crowds.append(stack.enter_context(crowd_of(client, database, say)))
        for crowd in crowds:
            crowd.until(lambda caller: caller.clean >= 20)
            assert not crowd.failures
        own.kill()
        for crowd in crowds:
            crowd.until(lambda caller: bool(caller.failures))
        own.start()
        for colour in COLOURS:
            own.emulator.create_database(instance=f"of-{colour.name}")
        for crowd in crowds:
            crowd.until(lambda caller: caller.clean >= 50)
        for crowd in crowds:
            crowd.stop()
            assert crowd.slowest < _IN_TIME
            crowd.check_pool()


def test_after_a_restart_without_its_sessions_each_is_missed_once(local: LocalSpanner, colour: Colour) -> None:
    """Under load: holders of leases may meet their loss, and no later caller meets another."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with crowd_of(client, _DATABASE, one) as crowd:
            crowd.until(lambda caller: caller.clean >= 20)
            local.stop()
            for session in local.sessions:
                local.forget(session["name"])
            local.start()
            crowd.until(lambda caller: caller.clean >= 50)
            crowd.stop()
            assert crowd.slowest < _IN_TIME
            assert sum(isinstance(error, SessionNotFound) for error in crowd.failures) <= _CALLERS
            crowd.check_pool()


def test_no_session_is_handed_out_dead_after_the_first_loss(client: SessionsClient, server: Server) -> None:
    """All vanish; one of three holders finds out. Neither idle sessions nor those of other holders are handed out."""
    database = server.new_database()
    with open_pool(client, database, min_size=_SESSIONS, max_size=_SESSIONS) as pool:
        leases = [pool.acquire() for _ in range(3)]
        for name in listed(client, database):
            client.delete_session(name)
        with pytest.raises(SessionNotFound):
            call(client, leases[0], one(leases[0].name))
        for lease in leases:
            pool.release(lease)
        assert use_all(client, pool, one) == listed(client, database)
        assert pool.stats().lost == _SESSIONS


def test_a_name_that_is_given_again_has_one_holder(local: LocalSpanner, colour: Colour) -> None:
    """The emulator counts from 0 after a restart. Who has the old session may well work with the new one."""

    def forget_all() -> None:
        local._store._new_id = partial(next, map(str, itertools.count()))
        for session in local.sessions:
            local.forget(session["name"])

    forget_all()
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with open_pool(client, _DATABASE, min_size=4, max_size=4) as pool:
            *held, lost = sorted((pool.acquire() for _ in range(4)), key=lambda lease: lease.name)
            forget_all()
            with pytest.raises(SessionNotFound):
                call(client, lost, one(lost.name))
            pool.release(lost)
            another = pool.acquire(timeout=WAIT)
            assert another.name not in {lease.name for lease in held}
            for lease in (another, *held):
                pool.release(lease)
            assert use_all(client, pool, one) == listed(client, _DATABASE)


def test_a_dropped_database_sends_all_waiters_away(client: SessionsClient, server: Server) -> None:
    """As soon as one holder finds out, long before their time is over; made again, it is used again."""
    database = server.new_database()
    with open_pool(client, database, max_size=2) as pool, ThreadPoolExecutor(6) as threads:
        leases = [pool.acquire(), pool.acquire()]
        waiting = [threads.submit(pool.acquire, timeout=WAIT) for _ in range(6)]
        until(lambda: pool.stats().waiting == 6)
        drop(server, database)
        with pytest.raises(DatabaseNotFound):
            call(client, leases[0], one(leases[0].name))
        done, late = wait(waiting, WAIT / 2)
        assert not late
        assert all(isinstance(waiter.exception(), DatabaseNotFound) for waiter in done)
        for lease in leases:
            pool.release(lease)
        with pytest.raises(DatabaseNotFound):
            pool.acquire(timeout=WAIT)
        recreate(server, database)
        assert use_all(client, pool, one) == listed(client, database)
        assert (pool.stats().leased, pool.stats().waiting, pool.stats().size) == (0, 0, 2)


def drop(server: Server, database: str) -> None:
    """Drop a database behind the pool's back."""
    if isinstance(server, EmulatorServer):
        server.emulator.drop_database(database)
    elif isinstance(server, LocalServer):
        server.local.drop_database(database)


def recreate(server: Server, database: str) -> None:
    """Have a database again that was dropped."""
    if isinstance(server, EmulatorServer):
        server.emulator.recreate_database(database)
    elif isinstance(server, LocalServer):
        server.local._store._dropped.discard(database)
