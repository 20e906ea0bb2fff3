"""A client, its pool and its multiplexed session under signals at drawn moments: 10,000 of them if THOROUGH."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import MultiplexedSession, PoolOptions, SessionPool, SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_QUIET
from tests.support.clocks import HandMovedClock
from tests.support.interrupting import drawn_moments
from tests.support.pools import query
from tests.support.thorough import often
from tests.support.waiting import WAIT, until

_DATABASE: Final = "projects/p/instances/i/databases/d"
_OPTIONS: Final = PoolOptions(min_size=2, max_size=4, acquire_timeout=None)
_WORKERS: Final = 2


@pytest.fixture(scope="module")
def server() -> Iterator[LocalSpanner]:
    """A server without TLS."""
    with LocalSpanner(tls=False) as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """A function that calls another one in a thread of its own, and fails if that takes long."""
    with ThreadPoolExecutor() as threads:
        yield lambda function, *args: threads.submit(function, *args).result(WAIT)


def _use(pool: SessionPool, session: MultiplexedSession, client: SessionsClient) -> None:
    for _ in range(30):
        pool.release(pool.acquire())
    with pool.session() as lease:
        lease.stub.ExecuteSql(query(lease))
    pool.run(lambda lease: lease.name)
    client.get_session(session.run(lambda it: it.name))


def _keep_using(pool: SessionPool, stopped: threading.Event, uses: list[int]) -> None:
    while not stopped.is_set():
        with pool.session():
            stopped.wait(0.0002)
        uses[0] += 1


def _take_all(pool: SessionPool) -> None:
    leases = [pool.acquire() for _ in range(_OPTIONS.max_size)]
    assert (pool.stats().leased, pool.stats().size) == (_OPTIONS.max_size, _OPTIONS.max_size)
    for lease in leases:
        pool.release(lease)
    assert (pool.stats().leased, pool.stats().waiting) == (0, 0)


def test_what_is_in_use_survives_signals(server: LocalSpanner, elsewhere: Callable[..., Any]) -> None:
    """While other threads use the pool too: they go on, and in the end all sessions are there, and none is left."""
    clock, stopped, uses = HandMovedClock(), threading.Event(), [0]
    with SessionsClient(AnonymousCredentials(), options=server.client_options()) as client:
        session = MultiplexedSession(client, _DATABASE).open()
        pool = SessionPool(client, _DATABASE, options=_OPTIONS, clock=clock).open()
        workers = [threading.Thread(target=_keep_using, args=(pool, stopped, uses)) for _ in range(_WORKERS)]
        for worker in workers:
            worker.start()
        cut = 0
        for number, moment in enumerate(drawn_moments(often(10_000))):
            with moment:
                _use(pool, session, client)
            cut += moment.error is not None
            clock.advance(1.0)
            if number % 100 == 0:
                clock.advance(10.0)
                before = uses[0]
                until(lambda: uses[0] > before)  # noqa: B023 - called here
        assert cut > often(10_000) / 2
        stopped.set()
        for worker in workers:
            worker.join(WAIT)
        clock.advance(RECLAIM_QUIET)
        until(lambda: pool.stats().leased == 0)
        elsewhere(_take_all, pool)
        assert elsewhere(pool.drain)
        assert [each["name"] for each in server.sessions] == [session.name]
        elsewhere(session.close)


def test_first_uses_survive_signals(server: LocalSpanner, elsewhere: Callable[..., Any]) -> None:
    """A client, pool and multiplexed session that are interrupted while they open work in another thread."""
    for moment in drawn_moments(often(300)):
        clock = HandMovedClock()
        client = SessionsClient(AnonymousCredentials(), options=server.client_options())
        session = MultiplexedSession(client, _DATABASE)
        pool = SessionPool(client, _DATABASE, options=_OPTIONS, clock=clock)
        with moment:
            _use(pool, session, client)
        clock.advance(RECLAIM_QUIET)
        elsewhere(_use, pool, session, client)
        until(lambda: pool.stats().leased == 0)  # noqa: B023 - called here
        elsewhere(_take_all, pool)
        elsewhere(session.close)
        assert elsewhere(pool.drain), moment
        elsewhere(client.close)
