"""The multiplexed session where others have failed: interruptions, hangs, forks, loops, unplanned ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionsClient,
    ClientClosed,
    DatabaseNotFound,
    Internal,
    MultiplexedOptions,
    MultiplexedSession,
    PoolClosed,
    PoolError,
    PoolTimeout,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.observers import CallInfo
from tests.support.clocks import HandMovedClock
from tests.support.colours import ASYNC, SYNC, Blocking, Colour
from tests.support.observing import Watcher
from tests.support.pools import multiplexed_of
from tests.support.processes import FORK, needs_fork, require_an_end
from tests.support.scripted import Gate, scripted_server
from tests.support.servers import arrived
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"
_WEEK = 7 * 86400.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate, closed; it lets all go at the end."""
    gate = Gate()
    yield gate
    gate.open.set()


@contextlib.contextmanager
def client_of(gate: Gate, colour: Colour) -> Iterator[SessionsClient]:
    """Give a client of a server with the gate."""
    with scripted_server(CreateSession=gate.create) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            try:
                yield client
            finally:
                gate.open.set()


def _timed_out(session: Any) -> PoolTimeout:
    with pytest.raises(PoolTimeout) as info:
        session.run(repr, timeout=0.01)
    return info.value


def test_a_wait_that_times_out_says_why_no_session_was_created(local: LocalSpanner, colour: Colour) -> None:
    """By the newest failure of the creation, which goes on: it is tried again until it succeeds."""
    words = "the server is restarting"
    local.faults.add("CreateSession", status="UNAVAILABLE", message=words, times=None)
    options = local.client_options(retry=RetryOptions(initial_delay=0.001, max_delay=0.01))
    with colour.client(local.credentials(), options=options) as client:
        session = multiplexed_of(client, _DATABASE)
        until(lambda: _timed_out(session).__cause__)
        error = _timed_out(session)
        assert isinstance(error.__cause__, Unavailable)
        assert f"{_DATABASE} within 0.01 s; it could not be created: {error.__cause__}" in str(error)
        assert words in str(error)
        local.faults.clear()
        session.open()
        session.close()


def test_a_wait_that_times_out_has_no_cause_while_the_creation_waits(gate: Gate, colour: Colour) -> None:
    """Nothing has failed so far."""
    with client_of(gate, colour) as client:
        error = _timed_out(multiplexed_of(client, _DATABASE))
        assert (str(error), error.__cause__) == (f"no multiplexed session of {_DATABASE} within 0.01 s", None)


@contextlib.contextmanager
def replacing(gate: Gate, colour: Colour) -> Iterator[Any]:
    """Give an open session whose replacement waits at the gate."""
    gate.open.set()
    with client_of(gate, colour) as client:
        clock = HandMovedClock()
        session = multiplexed_of(client, _DATABASE, clock=clock)
        session.open()
        gate.open.clear()
        clock.advance(_WEEK)
        until(lambda: gate.arrived == 2)
        yield session
        session.close()


class CreateWatcher(Watcher):
    """An observer of creates, which raises what it is given to.

    Attributes:
        raises: exceptions, one for each create, the last first.
        contexts: whose context each create was begun in.
        at_end: what to do when a call ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_end: Callable[[], None] = lambda: None
        self.raises: list[BaseException] = []
        self.contexts: list[str] = []

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
        """Note whose context a create is begun in; raise."""
        if call.method == "CreateSession":
            self.contexts.append(caller.get())
            if self.raises:
                raise self.raises.pop()
        return super().begin(call)

    def end(self, call: CallInfo, mark: Any) -> None:
        """Do what is to be done then."""
        super().end(call, mark)
        self.at_end()


caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="none")


def keepers(client: Any) -> list[Any]:
    """Return the threads or tasks that keep multiplexed sessions young."""
    if isinstance(client, Blocking):
        tasks: set[asyncio.Task[Any]] = client._thread.call(asyncio.all_tasks)
        return [task for task in tasks if "_keep" in repr(task.get_coro())]
    return [thread for thread in threading.enumerate() if thread.name.startswith("spanner-sessions-multiplexed")]


def target(session: Any) -> Any:
    """Return a session without its blocking face."""
    return session._target if isinstance(session, Blocking) else session


# ---- single flight, and what interrupts it


@pytest.mark.parametrize(
    ("colour", "interruption"),
    [(SYNC, KeyboardInterrupt), (SYNC, SystemExit), (ASYNC, asyncio.CancelledError)],
    ids=lambda value: getattr(value, "__name__", None) or value.name,
)
def test_an_interruption_is_no_success(local: LocalSpanner, colour: Colour, interruption: type[BaseException]) -> None:
    """A creation that was interrupted is told as an error; a replacement that was interrupted is tried again."""
    watcher, clock = CreateWatcher(), HandMovedClock()
    options = local.client_options(retry=RetryOptions.none(), observer=watcher)
    with colour.client(local.credentials(), options=options) as client:
        session = multiplexed_of(client, _DATABASE, clock=clock)
        watcher.raises = [interruption()]
        with pytest.raises(PoolError, match="interrupted"):
            session.open()
        session.open()
        old = session.name
        watcher.raises = [interruption()]
        clock.advance(_WEEK)
        until(lambda: not watcher.raises)
        assert session.name == old

        def replaced() -> bool:
            clock.advance(15)
            return bool(session.name != old)

        until(replaced)
        session.close()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_caller_ends_no_creation(gate: Gate) -> None:
    """Ctrl-C ends the wait of the main thread alone: the one creation goes on, and serves the others."""
    with client_of(gate, SYNC) as client, ThreadPoolExecutor(1) as threads:
        session = multiplexed_of(client, _DATABASE)

        def interrupt() -> Any:
            until(lambda: gate.arrived == 1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        sender = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.open()
        sender.result(WAIT)
        gate.open.set()
        session.open()
        assert gate.arrived == 1
        session.close()


def test_a_failed_creation_leaves_nothing_running(local: LocalSpanner, colour: Colour) -> None:
    """A `with` that failed to enter cannot close: nothing is left to close, and nothing warns."""
    local.faults.add("CreateSession", status="INTERNAL")
    with colour.client(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client:
        with pytest.raises(Internal):
            multiplexed_of(client, _DATABASE).open()
        gc.collect()
        until(lambda: not keepers(client))


def test_tasks_never_lock_each_other_out(local: LocalSpanner) -> None:
    """A hundred tasks open, read, and report losses while creates are slow or fail, and then one closes it."""
    for _ in range(5):
        local.faults.add("CreateSession", status="INTERNAL", delay=0.02)
        local.faults.add("CreateSession", delay=0.02)

    async def use(session: AsyncMultiplexedSession) -> None:
        for _ in range(5):
            with contextlib.suppress(Internal):
                await session.open()
                await session.invalidate(session.name)

    async def crowd() -> None:
        options = local.client_options(retry=RetryOptions.none())
        async with AsyncSessionsClient(local.credentials(), options=options) as client:
            session = AsyncMultiplexedSession(client, _DATABASE)
            await asyncio.wait_for(asyncio.gather(*(use(session) for _ in range(100))), WAIT)
            await asyncio.wait_for(session.close(), WAIT)

    asyncio.run(crowd())


# ---- replacement


def test_no_caller_waits_for_a_replacement(gate: Gate, colour: Colour) -> None:
    """While the new session is being made, the name, the resource and `open` give the old one at once."""
    with replacing(gate, colour) as session, ThreadPoolExecutor(1) as threads:
        old = session.name
        threads.submit(session.open).result(WAIT)
        assert threads.submit(lambda: (session.name, session.resource["name"])).result(WAIT) == (old, old)
        gate.open.set()
        until(lambda: session.name != old)


def test_callers_that_see_a_loss_during_a_replacement_wait_for_it(gate: Gate, colour: Colour) -> None:
    """They start none of their own."""
    with replacing(gate, colour) as session, ThreadPoolExecutor(4) as threads:
        lost = session.name
        callers = [threads.submit(session.invalidate, lost) for _ in range(4)]
        gate.open.set()
        for each in callers:
            each.result(WAIT)
        assert (session.name != lost, gate.arrived) == (True, 2)


def test_a_server_that_gives_the_same_name_again_is_believed(colour: Colour) -> None:
    """A replacement by a session of that name counts: no caller asks for ever."""
    asked: list[Any] = []

    def create(request: Any, context: grpc.ServicerContext) -> spanner_pb2.Session:
        asked.append(request)
        return spanner_pb2.Session(name=f"{_DATABASE}/sessions/same", multiplexed=True)

    with scripted_server(CreateSession=create) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            session = multiplexed_of(client, _DATABASE)
            session.open()
            session.invalidate(session.name)
            assert len(asked) == 2
            session.close()


def test_a_host_that_slept_has_a_new_one(local: LocalSpanner, colour: Colour) -> None:
    """After a month without a step of its clock, the session that the server dropped is replaced, unasked."""
    clock = HandMovedClock()
    with colour.client(local.credentials(), options=local.client_options()) as client:
        session = multiplexed_of(client, _DATABASE, clock=clock)
        session.open()
        old = session.name
        local.advance(29 * 86400)
        clock.advance(29 * 86400)
        until(lambda: session.name != old)
        client.ping_session(session.name)
        session.close()


@pytest.mark.parametrize("what", ["database", "another"])
def test_only_its_own_loss_counts(local: LocalSpanner, colour: Colour, what: str) -> None:
    """A lost database is not a lost session, and the loss of another session is no reason to replace this one."""
    clock = HandMovedClock()
    with colour.client(local.credentials(), options=local.client_options()) as client:
        session = multiplexed_of(client, _DATABASE, clock=clock)
        session.open()
        due, name = target(session)._rotation.due, session.name
        if what == "database":
            local.drop_database(_DATABASE)
        else:
            name += "0"
        with pytest.raises(DatabaseNotFound if what == "database" else SessionNotFound):
            session.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1"))
        assert (target(session)._rotation.due, arrived(local, "CreateSession")) == (due, 1)
        session.close()


def test_creates_run_outside_the_context_of_callers(local: LocalSpanner, colour: Colour) -> None:
    """What serves all is no part of the trace of the caller who came first, nor does it keep his context alive."""
    watcher, clock = CreateWatcher(), HandMovedClock()
    with colour.client(local.credentials(), options=local.client_options(observer=watcher)) as client:
        caller.set("the first")
        session = multiplexed_of(client, _DATABASE, clock=clock)
        session.open()
        old = session.name
        clock.advance(_WEEK)
        until(lambda: session.name != old)
        assert watcher.contexts == ["none", "none"]
        session.close()


def test_a_cancelled_keeper_is_followed_by_another(local: LocalSpanner) -> None:
    """Who cancels all tasks of a loop that goes on cancels no replacement for ever."""
    clock = HandMovedClock()

    async def live() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            session = AsyncMultiplexedSession(client, _DATABASE, clock=clock)
            await session.open()
            old = session.name
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await session.open()
            clock.advance(_WEEK)
            await until_async(lambda: session.name != old)
            await session.close()

    asyncio.run(live())


def test_a_session_is_created_without_a_thread(local: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process at its limit of threads the caller creates it, and the next use starts the thread."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "spanner-sessions-multiplexed":
            raise RuntimeError("can't start new thread")
        start(thread)

    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        session = MultiplexedSession(client, _DATABASE)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            name = session.open().name
        assert session._keeper is None
        assert session.name == name
        assert session._keeper is not None
        session.close()


# ---- ends


@pytest.mark.parametrize("which", ["first", "replacement"])
def test_closing_does_not_wait_for_a_creation(gate: Gate, colour: Colour, which: str) -> None:
    """Waiting callers get PoolClosed at once, and calls in flight end."""
    with client_of(gate, colour) as client, ThreadPoolExecutor(2) as threads:
        session, arrived = multiplexed_of(client, _DATABASE), 1
        use: Callable[[], Any] = session.open
        if which == "replacement":
            gate.open.set()
            session.open()
            gate.open.clear()
            name, arrived = session.name, 2
            use = lambda: session.invalidate(name)  # noqa: E731 - one of two things to do
        waiting = threads.submit(use)
        until(lambda: gate.arrived == arrived)
        threads.submit(session.close).result(WAIT)
        assert isinstance(waiting.exception(WAIT), PoolClosed)
        session.close()
        assert "closed" in repr(session)
        for refused in (session.open, lambda: session.name, lambda: session.resource):
            with pytest.raises(PoolClosed):
                refused()
        assert not keepers(client)


@pytest.mark.parametrize("end", ["close", "run"])
def test_a_task_that_just_woke_up_ends(local: LocalSpanner, end: str) -> None:
    """A cancellation that `asyncio.wait_for` swallows, as it did before Python 3.12, keeps neither waiting."""
    sessions = []

    async def live() -> None:
        client = AsyncSessionsClient(local.credentials(), options=local.client_options())
        session = AsyncMultiplexedSession(client, _DATABASE)
        await session.open()
        sessions.append(session)
        for _ in range(10):
            # Until its task waits.
            await asyncio.sleep(0)
        if end == "close":
            session._changed.set()
            await session.close()
        await client.close()
        session._changed.set()

    running = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    running.start()
    running.join(WAIT)
    assert not running.is_alive()
    # The loop is gone, so this is a matter of no other.
    asyncio.run(_wait_for(sessions[0].close))


def test_a_session_that_comes_with_the_close_stays_unused(local: LocalSpanner) -> None:
    """The answer of a creation opens nothing again; an observer may close, too, on the thread that creates."""
    watcher = CreateWatcher()
    with SessionsClient(local.credentials(), options=local.client_options(observer=watcher)) as client:
        session = MultiplexedSession(client, _DATABASE)
        watcher.at_end = session.close
        with pytest.raises(PoolClosed):
            session.open()
        until(lambda: not keepers(client))
        with pytest.raises(PoolClosed):
            session.name  # noqa: B018 - reading it is the claim
        assert arrived(local, "CreateSession") == 1


def test_a_session_that_was_not_closed_warns_and_leaves_nothing_running(local: LocalSpanner, colour: Colour) -> None:
    """Dropped, it says so; its thread or task ends, and the session on the server is not deleted."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        held = [multiplexed_of(client, _DATABASE, clock=HandMovedClock())]
        held[0].stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=held[0].open() and held[0].name, sql="SELECT 1"))

        def dropped() -> bool:
            held.clear()
            gc.collect()
            return not keepers(client)

        assert len(keepers(client)) == 1
        with pytest.warns(ResourceWarning, match=r"unclosed <(Async)?MultiplexedSession projects/.*/sessions/"):
            until(dropped)
    assert not any(call.method == "DeleteSession" for call in local.calls)


_LEFT_OPEN = """
import asyncio, sys, threading
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

options = ClientOptions(endpoint=sys.argv[1], plaintext=True)
settings = MultiplexedOptions(replace_after=float(sys.argv[3]))

async def use():
    global session
    session = AsyncMultiplexedSession(AsyncSessionsClient(AnonymousCredentials(), options=options), sys.argv[4],
                                      options=settings)
    await session.open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

if sys.argv[2] == "async":
    asyncio.run(use())
else:
    session = MultiplexedSession(SessionsClient(AnonymousCredentials(), options=options), sys.argv[4], options=settings)
    session.open()
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("state", ["idle", "replacing"])
def test_a_process_ends_when_it_was_not_closed(gate: Gate, colour: Colour, state: str) -> None:
    """Also while a replacement hangs. Else there is a warning, for who looks."""
    require_an_end(colour)
    gate.open.set()
    with scripted_server(CreateSession=gate.create) as options:
        replace_after = "0.05" if state == "replacing" else "1000"
        arguments = [str(options.endpoint), colour.name, replace_after, _DATABASE]
        with subprocess.Popen(
            [sys.executable, "-W", "always::ResourceWarning", "-c", _LEFT_OPEN, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stdout.readline() == "open\n"
            if state == "replacing":
                gate.open.clear()
                arrived = gate.arrived
                until(lambda: gate.arrived > arrived)
            _, errors = process.communicate("\n", timeout=WAIT)
        assert process.returncode == 0, errors
        if state == "idle":
            assert f"unclosed <{'Async' * (colour.name == 'async')}MultiplexedSession" in errors


# ---- other loops, other processes


def test_every_method_refuses_another_loop(local: LocalSpanner) -> None:
    """To use, to report a loss to, and to close: each belongs to the first loop while that lives, and not after."""
    loop = asyncio.new_event_loop()

    async def begin() -> AsyncMultiplexedSession:
        client = AsyncSessionsClient(local.credentials(), options=local.client_options())
        session = AsyncMultiplexedSession(client, _DATABASE)
        with pytest.raises(PoolError, match="open"):
            session.name  # noqa: B018 - a property cannot wait for the first creation
        await session.open()
        return session

    async def finish(session: AsyncMultiplexedSession) -> None:
        await session._client.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    session = loop.run_until_complete(begin())
    for use in (session.open, lambda: session.invalidate(session.name), session.close):
        with pytest.raises(ClientClosed, match="another event loop; create one per loop, with a client of its own"):
            asyncio.run(_wait_for(use))
    assert session.name
    loop.run_until_complete(finish(session))
    loop.close()
    asyncio.run(_wait_for(session.close))
    with pytest.raises(PoolClosed):
        session.name  # noqa: B018 - reading it is the claim


async def _wait_for(use: Callable[[], Any]) -> Any:
    return await use()


_FORKING = """
import os, sys, threading
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

client = SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=sys.argv[1], plaintext=True))
session = MultiplexedSession(client, sys.argv[3], options=MultiplexedOptions(replace_after=1000))

def keepers():
    return [thread.name for thread in threading.enumerate() if "multiplexed" in thread.name]

def in_child():
    if sys.argv[2] == "new":
        session.open()
    elif sys.argv[2] == "open":
        assert session.name == name, session.name
        assert len(keepers()) == 1, keepers()
    elif sys.argv[2] == "lost":
        # Also if no caller has read the name in this process before.
        session.invalidate(name)
        assert session.name != name
    elif sys.argv[2] == "closed":
        try:
            session.open()
        except PoolClosed:
            return
        raise AssertionError
    session.close()
    assert not keepers()
    client.close()

if sys.argv[2] != "new":
    session.open()
    name = session.name
if sys.argv[2] == "closed":
    session.close()
for _ in range(2):
    fork(in_child)
if sys.argv[2] in {"open", "lost"}:
    assert session.name == name
session.close()
client.close()
print("ok")
"""


@needs_fork
@pytest.mark.parametrize(("state", "asked"), [("new", 2), ("open", 1), ("lost", 3), ("closed", 1)])
def test_a_forked_child_goes_on(gate: Gate, state: str, asked: int) -> None:
    """With the session of its parent and a thread of its own; with one of its own if there is none, or it was lost."""
    gate.open.set()
    with scripted_server(CreateSession=gate.create) as options:
        run = subprocess.run(
            [sys.executable, "-c", FORK + _FORKING, str(options.endpoint), state, _DATABASE],
            capture_output=True, text=True, timeout=2 * WAIT,
        )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, "ok\n"), run.stderr
    assert gate.arrived == asked


_FORKING_EARLY = """
import os, sys, threading
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

class Asked(Exception):
    pass

class Watcher:
    def begin(self, call):
        if os.getpid() != parent:
            raise Asked
        return (), None

    def end(self, call, mark):
        pass

parent = os.getpid()
options = ClientOptions(endpoint=sys.argv[1], plaintext=True, observer=Watcher())
client = SessionsClient(AnonymousCredentials(), options=options)
session = MultiplexedSession(client, sys.argv[2])
opening = threading.Thread(target=session.open)
opening.start()
sys.stdin.readline()
child = os.fork()
if not child:
    try:
        session.open()
    except Asked:
        os._exit(0)
    os._exit(1)
print(os.waitpid(child, 0)[1], flush=True)
opening.join()
session.close()
client.close()
"""


@needs_fork
def test_a_child_does_not_wait_for_a_creation_of_its_parent(gate: Gate) -> None:
    """The thread that makes it did not follow: the child asks for one of its own, as far as its gRPC still works."""
    with scripted_server(CreateSession=gate.create) as options, ThreadPoolExecutor(1) as threads:
        arguments = [sys.executable, "-c", _FORKING_EARLY, str(options.endpoint), _DATABASE]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            until(lambda: gate.arrived == 1)
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            try:
                assert threads.submit(process.stdout.readline).result(WAIT) == "0\n"
            finally:
                gate.open.set()
                process.terminate()


# ---- what Spanner refuses


def test_labels_are_refused_before_anything_is_sent(local: LocalSpanner, colour: Colour) -> None:
    """Options have none to give, and a create of one's own says what the server would."""
    with pytest.raises(TypeError, match="labels"):
        MultiplexedOptions(labels={"team": "x"})  # type: ignore[call-arg]  # that is the claim
    with colour.client(local.credentials(), options=local.client_options()) as client:
        with pytest.raises(ValueError, match="multiplexed session has no labels"):
            client.create_session(_DATABASE, labels={"team": "x"}, multiplexed=True)
    assert local.calls == []


def test_none_is_ever_deleted(local: LocalSpanner, colour: Colour) -> None:
    """Not when it is replaced, not when it was lost, not when it is closed."""
    clock = HandMovedClock()
    with colour.client(local.credentials(), options=local.client_options()) as client:
        session = multiplexed_of(client, _DATABASE, clock=clock)
        session.open()
        first = session.name
        clock.advance(_WEEK)
        until(lambda: session.name != first)
        session.invalidate(session.name)
        session.close()
    assert arrived(local, "CreateSession") == len(local.sessions) == 3
    assert not any(call.method == "DeleteSession" for call in local.calls)
