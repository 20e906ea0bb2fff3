"""The life and the end of a session pool, in both colours: its opening, its close, forks, interruptions, and leaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientClosed,
    InvalidType,
    PermissionDenied,
    PoolClosed,
    PoolError,
    PoolOptions,
    PoolTimeout,
    SessionNotFound,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.clock import Clock
from tests.integration.multiplexed.test_multiplexed import multiplexed
from tests.support.clocks import HandMovedClock
from tests.support.colours import SYNC, Colour
from tests.support.pools import WAIT, Rig, query, rig_of, until
from tests.support.processes import FORK, needs_fork, require_an_end
from tests.support.proxy import Proxy
from tests.support.scripted import scripted_server

_DATABASE = "projects/p/instances/i/databases/d"
# What a test calls prompt: far below the time that a call in flight has, far above what a slow machine takes.
_PROMPT = 2.0


# ---- opening


def test_a_pool_opened_by_many_at_once_opens_once(rig: Rig, local: LocalSpanner) -> None:
    """One call creates its sessions, whoever asks for it, and one thread or task keeps it."""
    local.faults.add("BatchCreateSessions", delay=0.05)
    pool = rig.pool(min_size=5)
    for opened in [rig.start(use) for _ in range(15) for use in (pool.open, pool.wait)]:
        opened.result(WAIT)
    assert [request.session_count for request in rig.requests()] == [5]
    assert pool.stats().idle == 5
    assert len([name for name in rig.background() if "keep" in name]) == 1


@pytest.mark.parametrize("use", ["open", "wait", "acquire"])
def test_a_failed_first_create_is_tried_again_by_the_next_use(rig: Rig, local: LocalSpanner, use: str) -> None:
    """Nothing of the failure is remembered: the cause may be mended, and no time has to pass for that."""
    local.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", times=2)
    pool = rig.pool(min_size=1)
    for _ in range(2):
        with pytest.raises(PermissionDenied):
            getattr(pool, use)()
    getattr(pool, use)()
    assert pool.stats().size == 1


def test_a_failed_open_leaves_nothing_behind(rig: Rig, local: LocalSpanner) -> None:
    """Nobody can close what a `with` did not enter; dropped, it says that it is not closed, and ends."""
    local.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", times=None)
    pools = [rig.loose_pool(min_size=1)]
    with pytest.raises(PermissionDenied):
        pools[0].open()
    with pytest.warns(ResourceWarning, match="unclosed"):
        until(lambda: _dropped(rig, pools))


def test_a_nested_acquire_ends_by_its_default_timeout(rig: Rig) -> None:
    """A function that asks for a second session of a pool of one gets an error, not a service that stands still."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    outer = rig.start(pool.run, rig.function(lambda lease: pool.acquire()))
    until(lambda: pool.stats().waiting == 1)
    rig.clock.advance(29.9)
    assert (outer.done(), pool.stats().waiting) == (False, 1)
    rig.clock.advance(0.1)
    assert isinstance(outer.exception(WAIT), PoolTimeout)
    assert (pool.stats().idle, pool.stats().waiting, pool.stats().timeouts) == (1, 0, 1)


def test_a_pool_and_a_multiplexed_session_share_a_client(rig: Rig, local: LocalSpanner) -> None:
    """The end of one, and the loss of its sessions, are nothing to the other."""
    pool = rig.pool(min_size=2)
    session = multiplexed(rig.client, rig.database, clock=rig.clock)
    pool.open()
    session.open()
    name, lease = session.name, pool.acquire()
    assert len(rig.names) == 3
    local.forget(lease.name)
    with pytest.raises(SessionNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    pool.release(lease)
    assert session.name == name
    local.forget(name)
    session.invalidate(name)
    assert (session.name != name, pool.stats().lost) == (True, 1)
    pool.close()
    assert rig.names == {session.name}
    assert session.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=session.name, sql="SELECT 1")).rows
    session.close()


# ---- sessions that are lost under a function


def test_run_gives_up_after_the_second_loss(rig: Rig, local: LocalSpanner) -> None:
    """The error is the second one's; both sessions are replaced."""
    pool = rig.pool(min_size=1, max_size=1)
    met: list[str] = []

    def function(lease: Any) -> None:
        met.append(lease.name)
        local.forget(lease.name)
        lease.stub.ExecuteSql(query(lease))

    with pytest.raises(SessionNotFound) as caught:
        pool.run(rig.function(function))
    assert met[1] in str(caught.value)
    lease = pool.acquire()
    assert len({*met, lease.name}) == 3
    assert (pool.stats().lost, rig.names) == (2, {lease.name})


def test_run_repeats_nothing_else(rig: Rig, local: LocalSpanner) -> None:
    """Neither another error nor the loss of a session that the function got from elsewhere."""
    pool = rig.pool(min_size=1, max_size=1)
    other = rig.client.create_session(rig.database)["name"]
    local.forget(other)
    local.faults.add("ExecuteSql", status="UNAVAILABLE")
    met: list[str] = []

    def function(lease: Any, session: str) -> None:
        met.append(lease.name)
        lease.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=session or lease.name, sql="SELECT 1"))

    with pytest.raises(Unavailable):
        pool.run(rig.function(function), "")
    with pytest.raises(SessionNotFound):
        pool.run(rig.function(function), other)
    assert (len(met), len(set(met)), pool.stats().lost, pool.stats().idle) == (2, 1, 0, 1)


# ---- the close


def test_close_wakes_whoever_waits_and_drains_what_is_leased(rig: Rig) -> None:
    """Acquires end at once; the close itself goes on until the last lease came back, and nothing is left then."""
    pool = rig.pool(min_size=3, max_size=3)
    leases = [pool.acquire() for _ in range(3)]
    waiting = rig.wait_in_line(pool, 5, timeout=None)
    closing = rig.start(pool.close, timeout=None)
    assert all(isinstance(each.exception(_PROMPT), PoolClosed) for each in waiting)
    for lease in leases:
        assert rig.on(lease).stub.ExecuteSql(query(lease)).rows
        assert not closing.done()
        pool.release(lease)
    closing.result(_PROMPT)
    assert (rig.names, rig.background()) == (set(), [])


@pytest.mark.parametrize("use", ["open", "wait"])
def test_close_wakes_whoever_opens(rig: Rig, local: LocalSpanner, use: str) -> None:
    """Also while the server does not answer."""
    local.faults.add("BatchCreateSessions", drop=True)
    pool = rig.pool(min_size=1)
    opening = rig.start(getattr(pool, use))
    until(lambda: len(rig.requests()) == 1)
    pool.close(timeout=0.05)
    assert isinstance(opening.exception(_PROMPT), PoolClosed)
    assert rig.background() == []


@dataclass
class _Gate:
    """A server whose creates wait until the test lets them go on.

    Attributes:
        open: whether they go on.
        arrived: how many have come.
        sessions: what was created and not deleted.
        deleted: what was deleted.
    """

    open: threading.Event = field(default_factory=threading.Event)
    arrived: int = 0
    sessions: set[str] = field(default_factory=set)
    deleted: int = 0

    def create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer BatchCreateSessions, in time."""
        self.arrived += 1
        names = [f"{request.database}/sessions/{self.arrived}-{number}" for number in range(request.session_count)]
        self.open.wait(60)
        self.sessions.update(names)
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])

    def delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer DeleteSession."""
        self.sessions.remove(request.name)
        self.deleted += 1
        return b""


def test_sessions_that_come_after_the_close_are_deleted(colour: Colour) -> None:
    """A create in flight is waited for, and what it brings is not left on the server."""
    gate = _Gate()
    with scripted_server(BatchCreateSessions=gate.create, DeleteSession=gate.delete) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=4)
            opening = rig.start(pool.open)
            until(lambda: gate.arrived == 1)
            closing = rig.start(pool.close)
            assert isinstance(opening.exception(_PROMPT), PoolClosed)
            assert not closing.done()
            gate.open.set()
            closing.result(_PROMPT)
            assert (gate.sessions, gate.deleted, rig.background()) == (set(), 4, [])


@pytest.mark.parametrize(
    ("server", "doing"),
    [
        ("gone", "nothing"),
        ("stalled", "nothing"),
        ("slow", "nothing"),
        ("stalled", "creating"),
        ("slow", "creating"),
        ("stalled", "pinging"),
        ("slow", "pinging"),
    ],
)
def test_close_is_bounded_whatever_the_server_does(
    local: LocalSpanner, colour: Colour, server: str, doing: str
) -> None:
    """At its timeout it gives up, and the calls in flight with it: no thread and no task is left."""
    with Proxy(local.endpoint) as proxy:
        options = local.client_options(endpoint=proxy.endpoint)
        with rig_of(colour, AnonymousCredentials(), options, local) as rig:
            pool = rig.pool(min_size=20, max_size=30)
            pool.open()
            if server == "gone":
                proxy.refuse()
                proxy.cut()
            elif server == "stalled":
                proxy.stall()
            else:
                local.faults.add(delay=60, times=None)
            if doing == "pinging":
                rig.clock.advance(1800)
                until(lambda: "pinging=10" in repr(pool._runner.core))
            waiting = []
            if doing == "creating":
                for _ in range(20):
                    pool.acquire()
                waiting = rig.wait_in_line(pool, 2, timeout=None)
            started = time.monotonic()
            pool.close(timeout=0.1)
            assert time.monotonic() - started < _PROMPT
            assert rig.background() == []
            assert all(isinstance(each.exception(_PROMPT), PoolClosed) for each in waiting)


def test_a_close_without_time_leaves_nothing_running(rig: Rig) -> None:
    """The sessions are left to the server then."""
    pool = rig.pool(min_size=3)
    pool.open()
    pool.close(timeout=0)
    assert (pool.stats().size, rig.background()) == (0, [])


def test_sessions_may_be_left_to_the_server(rig: Rig) -> None:
    """Without `delete_on_close` nothing is deleted at the end, also not what comes back later; before it, as ever."""
    pool = rig.pool(min_size=3, delete_on_close=False)
    lease, wrong = pool.acquire(), pool.acquire()
    rig.on(wrong).invalidate()
    pool.release(wrong)
    until(lambda: wrong.name not in rig.names and pool.stats().size == 3)
    names = rig.names
    pool.close(timeout=0.05)
    pool.release(lease)
    pool.close()
    assert (rig.names, rig.background(), pool.stats().size) == (names, [], 0)
    assert len(names) == 3


def test_a_closed_pool_refuses_all_but_what_comes_back(rig: Rig) -> None:
    """Everything is PoolClosed; a lease that comes back is deleted; to close again is allowed."""
    pool = rig.pool(min_size=1)
    lease, other = pool.acquire(), pool.acquire()
    pool.close(timeout=0.05)
    pool.close(timeout=0.05)
    for refused in (pool.acquire, pool.open, pool.wait, lambda: pool.run(None), lambda: pool.acquire(timeout=0)):
        with pytest.raises(PoolClosed, match="the pool was closed"):
            refused()
    assert rig.names >= {lease.name, other.name}
    pool.release(lease)
    until(lambda: rig.names == {other.name})
    with pytest.raises(PoolError, match="was released before"):
        pool.release(lease)
    pool.release(other)
    pool.close()
    assert (rig.names, rig.background(), pool.stats().size) == (set(), [], 0)


def test_a_pool_that_was_never_opened_is_closed_for_good(rig: Rig) -> None:
    """Without a call, a thread or a task."""
    pool = rig.pool(min_size=1)
    pool.close()
    with pytest.raises(PoolClosed):
        pool.open()
    assert (rig.requests(), rig.background()) == ([], [])


def test_many_may_close_at_once(rig: Rig) -> None:
    """All of them wait until nothing is left."""
    pool = rig.pool(min_size=3)
    lease = pool.acquire()

    def left_after_close() -> int:
        pool.close(timeout=None)
        left: int = pool.stats().size
        return left

    closing = [rig.start(left_after_close) for _ in range(5)]
    until(lambda: " closed " in repr(pool) and pool.stats().size == 1)
    pool.release(lease)
    assert [each.result(_PROMPT) for each in closing] == [0] * 5
    assert (rig.names, rig.background()) == (set(), [])


# ---- interruptions


def _interrupt_when(true: Callable[[], bool]) -> None:
    until(true)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_acquire_leaves_no_trace(rig: Rig) -> None:
    """Ctrl-C in the main thread: it waits no longer, what it waited for goes to the next, and no slot is lost."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    sender = rig.start(_interrupt_when, lambda: pool.stats().waiting == 1)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire(timeout=None)
    sender.result(WAIT)
    assert pool.stats().waiting == 0
    (waiting,) = rig.wait_in_line(pool, timeout=None)
    pool.release(lease)
    pool.release(waiting.result(WAIT))
    assert (pool.stats().idle, pool.stats().leased, pool.stats().timeouts) == (1, 0, 0)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_close_is_taken_up_by_the_next(rig: Rig) -> None:
    """The pool is closed, and a second close waits for what is left."""
    pool = rig.pool(min_size=2)
    lease = pool.acquire()
    sender = rig.start(_interrupt_when, lambda: " closed " in repr(pool) and pool.stats().size == 1)
    with pytest.raises(KeyboardInterrupt):
        pool.close(timeout=None)
    sender.result(WAIT)
    pool.release(lease)
    pool.close()
    assert (rig.names, rig.background()) == (set(), [])


@contextlib.asynccontextmanager
async def _async_pool(local: LocalSpanner, clock: HandMovedClock | None = None, **options: Any) -> Any:
    clocks = {} if clock is None else {"clock": clock}
    async with AsyncSessionsClient(AnonymousCredentials(), options=local.client_options()) as client:
        async with AsyncSessionPool(client, _DATABASE, options=PoolOptions(**options), **clocks) as pool:
            yield pool


async def _until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, true)


@pytest.mark.parametrize("handed_first", [True, False])
@pytest.mark.parametrize("others", [0, 1])
def test_a_cancellation_in_the_moment_of_the_hand_over_loses_nothing(
    local: LocalSpanner, handed_first: bool, others: int
) -> None:
    """Whether the session or the cancellation comes first: the next in line gets it, or it is idle."""

    async def main() -> None:
        async with _async_pool(local, min_size=1, max_size=1) as pool:
            lease = await pool.acquire()
            cancelled, *next_ones = [asyncio.create_task(pool.acquire(timeout=None)) for _ in range(1 + others)]
            await _until(lambda: pool.stats().waiting == 1 + others)
            if handed_first:
                await pool.release(lease)
                cancelled.cancel()
            else:
                cancelled.cancel()
                await pool.release(lease)
            await asyncio.wait([cancelled], timeout=WAIT)
            assert cancelled.cancelled()
            for each in next_ones:
                await pool.release(await asyncio.wait_for(each, WAIT))
            stats = pool.stats()
            assert (stats.idle, stats.leased, stats.waiting, stats.timeouts) == (1, 0, 0, 0)

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(6))
def test_what_runs_in_the_background_takes_a_cancellation_at_any_moment(local: LocalSpanner, steps: int) -> None:
    """Also where something happens at the same time: else `asyncio.run` would never end."""

    async def main() -> None:
        async with _async_pool(local, min_size=1) as pool:
            pool._runner._wake()
            for _ in range(steps):
                await asyncio.sleep(0)
            (keeper,) = pool._runner._tasks
            keeper.cancel()
            await asyncio.wait([keeper], timeout=1)
            assert keeper.cancelled()

    asyncio.run(main())


def test_a_cancelled_close_is_taken_up_by_the_next(local: LocalSpanner) -> None:
    """As in threads."""

    async def main() -> None:
        async with _async_pool(local, min_size=2) as pool:
            lease = await pool.acquire()
            closing = asyncio.create_task(pool.close(timeout=None))
            await _until(lambda: pool.stats().size == 1)
            closing.cancel()
            await asyncio.wait([closing])
            assert closing.cancelled()
            await pool.release(lease)
            await pool.close()
            assert (pool.stats().size, len(pool._runner._tasks)) == (0, 0)

    asyncio.run(main())


# ---- leaks, and pools that nobody closes


def test_an_async_leak_is_reported_with_its_stack(local: LocalSpanner, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each lease that is kept for too long, with the coroutine that acquired it; none that came back."""
    clock = HandMovedClock()

    async def forgetful(pool: AsyncSessionPool) -> Any:
        return await pool.acquire()

    async def main() -> tuple[str, str]:
        async with _async_pool(local, clock, min_size=3, max_size=3, leak_after=60.0) as pool:
            first, careful, brief = await forgetful(pool), await pool.acquire(), await pool.acquire()
            late = asyncio.create_task(forgetful(pool))
            await _until(lambda: pool.stats().waiting == 1)
            clock.advance(40)
            await pool.release(careful)
            second = await late
            await pool.release(brief)
            for seconds, reports in ((20, 1), (30, 1), (10, 2), (100, 2)):
                clock.advance(seconds)
                await asyncio.to_thread(_until_reported, caplog, reports)
            for lease in (first, second):
                await pool.release(lease)
            return first.name, second.name

    with caplog.at_level(logging.WARNING, "spanner_grpc_sessions"):
        leaked = asyncio.run(main())
    reports = _reports(caplog)
    assert len(reports) == 2
    for name, report in zip(leaked, reports, strict=True):
        assert f"{name} has been leased for 60 s" in report
        assert "in forgetful" in report
        assert "spanner_grpc_sessions/pool" not in report


def test_a_leak_is_noticed_though_nothing_else_happens(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The pool is woken for it each time, though it is asleep until the next ping."""
    pool = rig.pool(clock=Clock(), min_size=1, leak_after=0.02)
    with caplog.at_level(logging.WARNING, "spanner_grpc_sessions"):
        for reports in (1, 2):
            lease = pool.acquire()
            _until_reported(caplog, reports)
            pool.release(lease)
            assert lease.name in _reports(caplog)[-1]


def _reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "has been leased" in record.getMessage()]


def _until_reported(caplog: pytest.LogCaptureFixture, count: int) -> None:
    until(lambda: len(_reports(caplog)) == count)


def _dropped(rig: Rig, pools: list[Any]) -> bool:
    pools.clear()
    gc.collect()
    return not rig.background()


def test_a_pool_that_is_dropped_open_warns_and_ends(rig: Rig) -> None:
    """Its threads or tasks do not keep it alive; they delete its sessions and end."""
    pools = [rig.loose_pool(min_size=3)]
    pools[0].open()
    assert rig.background()
    with pytest.warns(ResourceWarning, match=r"unclosed <(Async)?SessionPool .* open size=3"):
        until(lambda: _dropped(rig, pools))
    assert rig.names == set()


_LEFT_OPEN = """
import asyncio, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

colour, state, endpoint, database = sys.argv[1:]
options = ClientOptions(endpoint=endpoint, plaintext=True)
settings = PoolOptions(min_size=1, max_size=3)

async def use():
    global pool
    pool = await AsyncSessionPool(AsyncSessionsClient(AnonymousCredentials(), options=options), database,
                                  options=settings).open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await pool.acquire()
    await pool.acquire(0 if state == "creating" else 10)

if colour == "async":
    asyncio.run(use())
else:
    pool = SessionPool(SessionsClient(AnonymousCredentials(), options=options), database, options=settings).open()
    print("open", flush=True)
    sys.stdin.readline()
    pool.acquire()
    pool.acquire(0 if state == "creating" else 10)
"""


@pytest.mark.parametrize(
    ("state", "said"), [("leased", ""), ("creating", "PoolTimeout"), ("failed", "PermissionDenied")]
)
def test_a_process_ends_though_nobody_closed_its_pool(colour: Colour, state: str, said: str) -> None:
    """Also while a create hangs, and after one that failed."""
    require_an_end(colour)
    gate = _Gate()

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        if state == "failed" and gate.sessions:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no more")
        return gate.create(request, context)

    gate.open.set()
    with scripted_server(BatchCreateSessions=create, DeleteSession=gate.delete) as options:
        with subprocess.Popen(
            [sys.executable, "-c", _LEFT_OPEN, colour.name, state, str(options.endpoint), _DATABASE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stdout.readline() == "open\n"
            if state == "creating":
                gate.open.clear()
            try:
                _, errors = process.communicate("\n", timeout=WAIT)
            finally:
                process.kill()
                gate.open.set()
    assert errors.strip().rpartition("\n")[2].startswith(f"spanner_grpc_sessions.{said}" if said else "")
    assert process.returncode == bool(said)


# ---- other processes, other loops


_FORKING = """
import os, signal, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *
from spanner_grpc_sessions_pb import spanner_pb2

end, endpoint, database = sys.argv[1:]
client = SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
pool = SessionPool(client, database, options=PoolOptions(min_size=2, max_size=2)).open()
lease = pool.acquire()

def use(lease):
    assert lease.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT 1")).rows
    return lease.name

def in_child():
    signal.alarm(30)
    assert (pool.stats().size, pool.stats().created, " new " in repr(pool)) == (0, 0, True), pool
    names = {pool.run(use, timeout=10) for _ in range(3)}
    pool.wait(timeout=10)
    assert lease.name not in names and pool.stats().size == 2, pool
    try:
        pool.release(lease)
    except PoolError as error:
        assert "forked" in str(error)
    else:
        raise AssertionError
    if end == "close":
        pool.close(timeout=10)
        client.close()

fork(in_child, leave=sys.exit if end == "exit" else os._exit)
assert use(lease) == lease.name
pool.release(lease)
assert pool.run(use) == lease.name
assert (pool.stats().size, pool.stats().created, pool.stats().lost) == (2, 2, 0), pool
print("used", flush=True)
sys.stdin.readline()
pool.close(timeout=10)
client.close()
"""


@needs_fork
@pytest.mark.parametrize(("end", "left"), [("close", 0), ("exit", 2), ("_exit", 2)])
def test_a_pool_goes_on_in_both_processes_after_a_fork(local: LocalSpanner, end: str, left: int) -> None:
    """The child begins empty and makes its own sessions; its end, however it comes, deletes none of the parent's."""
    with rig_of(SYNC, AnonymousCredentials(), local.client_options(), local) as rig:
        with subprocess.Popen(
            [sys.executable, "-c", FORK + _FORKING, end, local.endpoint, rig.database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            said = process.stdout.readline()
            with_both = rig.names
            _, errors = process.communicate("\n", timeout=WAIT)
        assert (said, process.returncode) == ("used\n", 0), errors
        assert (len(with_both), len(rig.names)) == (2 + left, left)


_FORKING_ASYNC = """
import asyncio, os, signal, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

state, endpoint, database = sys.argv[1:]
client = AsyncSessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
pool = AsyncSessionPool(client, database)

async def use():
    async with pool.session(timeout=10) as lease:
        return lease.name

def in_child():
    signal.alarm(30)
    if state == "new":
        asyncio.run(whole())
        return
    assert pool.stats().size == 0, pool
    try:
        asyncio.run(use())
    except ClientClosed as error:
        assert "forked while an asyncio client was open" in str(error), error
    else:
        raise AssertionError

async def whole():
    name = await use()
    if state == "open":
        fork(in_child)
    assert await use() == name
    await pool.close()
    await client.close()

if state == "new":
    fork(in_child)
asyncio.run(whole())
print("used")
"""


@needs_fork
@pytest.mark.parametrize("state", ["new", "open"])
def test_an_async_pool_and_a_fork(local: LocalSpanner, state: str) -> None:
    """Not opened before, it works in both; an open one says in the child why it cannot, and goes on in the parent."""
    with rig_of(SYNC, AnonymousCredentials(), local.client_options(), local) as rig:
        run = subprocess.run(
            [sys.executable, "-c", FORK + _FORKING_ASYNC, state, local.endpoint, rig.database],
            capture_output=True, text=True, timeout=WAIT,
        )  # fmt: skip
        assert (run.returncode, run.stdout) == (0, "used\n"), run.stderr
        assert rig.names == set()


def test_another_loop_is_told_whatever_it_calls(local: LocalSpanner) -> None:
    """To acquire, to release, to open, to wait and to close: each belongs to the loop that came first."""

    async def other(pool: AsyncSessionPool, lease: Any) -> None:
        for use in (pool.acquire, pool.open, pool.wait, pool.close, lambda: pool.release(lease)):
            with pytest.raises(ClientClosed, match="another event loop; create one per loop, with a client of its own"):
                await use()

    async def main() -> None:
        async with _async_pool(local, min_size=1) as pool:
            lease = await pool.acquire()
            await asyncio.to_thread(asyncio.run, other(pool, lease))
            await pool.release(lease)

    asyncio.run(main())


def test_an_async_pool_has_another_keeper_when_it_needs_one(local: LocalSpanner) -> None:
    """Somebody cancelled all tasks of a loop that goes on: a create that fails is repeated all the same."""

    async def main() -> None:
        async with _async_pool(local, min_size=0) as pool:
            await pool.open()
            keeper = pool._runner._keeper
            keeper.cancel()
            await asyncio.wait([keeper])
            local.faults.add("BatchCreateSessions", status="UNAVAILABLE")
            await pool.release(await pool.acquire(timeout=WAIT))
            assert pool._runner._keeper is not keeper

    asyncio.run(main())


def test_an_async_pool_can_be_closed_after_its_loop(local: LocalSpanner) -> None:
    """Its tasks have ended with the loop: nothing is left to wait for, and nothing warns."""

    async def main() -> tuple[AsyncSessionsClient, AsyncSessionPool]:
        client = AsyncSessionsClient(AnonymousCredentials(), options=local.client_options())
        return client, await AsyncSessionPool(client, _DATABASE, options=PoolOptions(min_size=1)).open()

    async def close(client: AsyncSessionsClient, pool: AsyncSessionPool) -> None:
        await pool.close()
        assert " closed " in repr(pool)
        await client.close()

    asyncio.run(close(*asyncio.run(main())))


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_the_garbage_collector_may_give_a_lease_back_at_any_moment(rig: Rig) -> None:
    """A generator that nobody holds is closed in the midst of the pool's own work: it does not wait for itself."""
    pool = rig.pool(min_size=4, max_size=4)
    pool.open()

    class Rows:
        def __init__(self) -> None:
            self.rows = self.read()  # a cycle

        def read(self) -> Iterator[str]:
            with pool.session() as lease:
                yield lease.name

    def take_all_and_one_more(allocations: int) -> None:
        gc.collect()
        gc.disable()
        for _ in range(4):
            next(Rows().rows)
        gc.set_threshold(gc.get_count()[0] + allocations)
        gc.enable()
        with contextlib.suppress(PoolTimeout):
            pool.release(pool.acquire(timeout=0))

    thresholds = gc.get_threshold()
    try:
        for allocations in range(1, 40):
            rig.start(take_all_and_one_more, allocations).result(WAIT)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
        gc.collect()
    assert (pool.stats().leased, pool.stats().waiting) == (0, 0)


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_a_handler_of_the_log_may_use_the_pool(rig: Rig) -> None:
    """The pool holds no lock while it says that a lease is kept for too long."""
    pool, used = rig.pool(min_size=2, leak_after=60.0), threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pool.release(rig.start(pool.acquire).result(WAIT))
            used.set()

    log, handler = logging.getLogger("spanner_grpc_sessions"), Handler(logging.WARNING)
    lease = pool.acquire()
    log.addHandler(handler)
    try:
        rig.clock.advance(61)
        assert used.wait(WAIT)
    finally:
        log.removeHandler(handler)
    pool.release(lease)


def test_something_that_is_no_lease_is_left_alone(rig: Rig) -> None:
    """Even a pool: it is told that it is no lease, and stays whole."""
    pool = rig.pool(min_size=1)
    pool.open()
    whole = pool._target if hasattr(pool, "_target") else pool
    for wrong in (None, 7, whole, rig.client):
        with pytest.raises(InvalidType, match=r"lease must be an? (Async)?Lease"):
            pool.release(wrong)
    pool.release(pool.acquire())
