"""What the user plugs in, and what calls at the wrong moment: a pool and a multiplexed session serve on, and say so."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import ClientClosed, PoolError, PoolTimeout, RetryOptions
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from tests.support.colours import ASYNC, Colour
from tests.support.pools import Rig, multiplexed_of, rig_of
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"
_LOGGER = logging.getLogger("spanner_grpc_sessions")


class _Broken(logging.Filter):
    """Raises for each line, or for the first one."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.lines = 0
        self._always = always

    def filter(self, record: logging.LogRecord) -> bool:
        self.lines += 1
        if self._always or self.lines == 1:
            raise KeyError("an attribute that the filter expects")
        return True


@pytest.fixture(params=[True, False], ids=["always", "once"])
def broken_log(request: pytest.FixtureRequest) -> Iterator[_Broken]:
    """A log whose filter raises."""
    level, broken = _LOGGER.level, _Broken(always=request.param)
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.addFilter(broken)
    yield broken
    _LOGGER.removeFilter(broken)
    _LOGGER.setLevel(level)


def test_a_log_that_raises_wedges_no_pool(
    rig: Rig, plain: LocalSpanner, broken_log: _Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    """A create fails, and a session is lost: both are logged, and the pool serves on."""
    plain.faults.add("BatchCreateSessions", status="UNAVAILABLE")
    pool = rig.pool(min_size=1, clock=CLOCK, leak_after=0.01)
    lease = pool.acquire()
    plain.forget(lease.name)
    rig.on(lease).invalidate()
    pool.release(lease)
    pool.release(pool.acquire())
    assert broken_log.lines
    assert "an attribute that the filter expects" in capsys.readouterr().err
    pool.close()
    assert (rig.names, rig.background()) == (set(), [])


def test_a_log_that_raises_wedges_no_multiplexed_session(
    local: LocalSpanner, colour: Colour, broken_log: _Broken
) -> None:
    """Its loss is found and logged, and it is replaced."""
    options = local.client_options(retry=RetryOptions(initial_delay=0))
    with colour.client(local.credentials(), options=options) as client:
        session = multiplexed_of(client, _DATABASE)
        first = session.open().name
        local.faults.add("CreateSession", status="INTERNAL")
        local.forget(first)
        request = spanner_pb2.ExecuteSqlRequest(session=first, sql="SELECT 1")
        with pytest.raises(grpc.RpcError):
            session.stub.ExecuteSql(request)
        until(lambda: session.name != first)
        session.close()
    assert broken_log.lines


class _Clock:
    """A clock that raises while the test says so."""

    def __init__(self) -> None:
        self.raises = False
        self._now = CLOCK.now
        self.asked = threading.Event()

    def now(self) -> float:
        if self.raises:
            self.asked.set()
            raise OverflowError("a clock of the user's")
        return self._now()


def test_a_clock_that_raises_does_not_end_the_keeper(
    rig: Rig, plain: LocalSpanner, caplog: pytest.LogCaptureFixture
) -> None:
    """Its work goes on when the clock works again, and the log says that it failed."""
    clock = _Clock()
    user = Clock()
    user.now = clock.now
    pool = rig.pool(min_size=1, clock=user, keep_alive_after=0.05)
    pool.open()
    clock.raises = True
    assert clock.asked.wait(WAIT)
    until(lambda: "goes on after a failure" in caplog.text)
    clock.raises = False
    plain.forget(next(iter(rig.names)))
    until(lambda: pool.stats().created == 2)


class _Observer:
    """Raises once, at the beginning or at the end of a call."""

    def __init__(self, error: BaseException) -> None:
        self.raises = ""
        self.told = 0
        self._error = error

    def begin(self, call: Any) -> tuple[tuple[Any, ...], None]:
        self._raise("begin")
        return (), None

    def end(self, call: Any, mark: None) -> None:
        self._raise("end")

    def _raise(self, where: str) -> None:
        if self.raises == where:
            self.told += 1
            self.raises = ""
            raise self._error


@pytest.mark.parametrize("where", ["begin", "end"])
def test_an_observer_that_raises_wedges_no_pool(local: LocalSpanner, colour: Colour, where: str) -> None:
    """The job of the pool that it observed is answered, at worst by an error of ours, and the next one works."""
    # In a task, asyncio itself ends the loop with a SystemExit.
    observer = _Observer(SystemExit("the user's") if colour.name == "sync" else RuntimeError("the user's"))
    options = local.client_options(observer=observer)
    with rig_of(colour, local.credentials(), options, local) as rig:
        pool = rig.pool(min_size=1, clock=CLOCK)
        observer.raises = where
        with contextlib.suppress(PoolError):
            pool.release(pool.acquire())
        pool.release(pool.acquire())
        assert observer.told == 1
        pool.close()
        assert rig.background() == []


@pytest.mark.parametrize("colour", [ASYNC], ids=["async"])
def test_a_lease_of_asyncio_is_invalidated_in_its_loop_alone(rig: Rig) -> None:
    """From another thread that is refused before anything changes."""
    pool = rig.pool(min_size=2, max_size=2)
    lease = pool.acquire()
    with pytest.raises(ClientClosed, match="event loop"):
        lease._target.invalidate() if hasattr(lease, "_target") else lease.invalidate()
    pool.release(lease)
    assert pool.stats().lost == 0
    leases = [pool.acquire(), pool.acquire()]
    for lease in leases:
        pool.release(lease)


def test_deletes_that_hang_leave_room_for_creates(colour: Colour) -> None:
    """Forty of them, longer than a caller waits for its session."""
    hanging, over = threading.Semaphore(0), threading.Event()
    numbers = iter(range(10**6))

    def batch(request: Any, context: grpc.ServicerContext) -> Any:
        names = [f"{request.database}/sessions/{next(numbers)}" for _ in range(request.session_count)]
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])

    def delete(request: Any, context: grpc.ServicerContext) -> bytes:
        hanging.release()
        over.wait(WAIT)
        return b""

    with scripted_server(BatchCreateSessions=batch, DeleteSession=delete) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=0, max_size=200, max_idle=10.0)
            leases = [pool.acquire() for _ in range(100)]
            for lease in leases:
                pool.release(lease)
            for _ in range(10):
                rig.clock.advance(11.0)
            assert hanging.acquire(timeout=WAIT)
            leases = []
            try:
                leases = [pool.acquire(timeout=WAIT) for _ in range(100)]
            except PoolTimeout:
                pytest.fail("the deletes took all the room")
            finally:
                over.set()
