"""A process that forks children in a row, each in the same phase of its client. Started by test_fork_table.

Prints a line of JSON: how many children ended how. Arguments: endpoint, phase, way, number of children. A fork that
does not return ends the process, with the stacks of its threads.
"""

from __future__ import annotations

import collections
import ctypes
import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from typing import Any

from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import (
    ClientOptions,
    MultiplexedSession,
    PoolOptions,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
)

DATABASE = "projects/p/instances/i/databases/d"
STREAM = f"/v1/{DATABASE}/sessions/s:executeStreamingSql"
# Seconds: of a child's own call; after which a child is ended by its alarm, and by its parent; and of a fork in all.
TIMEOUT, HUNG, KILLED, STUCK = 10.0, 20, 25, 40
OPTIONS = ClientOptions(endpoint=sys.argv[1], plaintext=True)


class Phases:
    """What the parent does with its client before each fork; each method is a phase."""

    def __init__(self, client: SessionsClient) -> None:
        self.client = client
        self.streaming = threading.Event()
        self.use: Any = lambda: client.create_session(DATABASE, timeout=TIMEOUT)

    def fresh(self, _: int) -> None:
        """Nothing."""

    def open(self, _: int) -> None:
        """Open it."""
        self.client.open()

    def called(self, _: int) -> None:
        """Make a call."""
        self.client.create_session(DATABASE)

    def warmed(self, child: int) -> None:
        """Warm it up, 0 to 0.3 s before the fork."""
        self.client.close()
        self.client = SessionsClient(AnonymousCredentials(), options=OPTIONS)
        self.use = lambda: self.client.create_session(DATABASE, timeout=TIMEOUT)
        self.client.warm_up()
        time.sleep(0.3 * (child % 4) / 3)

    def idle(self, child: int, **options: Any) -> None:
        """Have a pool open."""
        if child == 0:
            pool = SessionPool(self.client, DATABASE, options=PoolOptions(min_size=4, max_size=8, **options)).open()
            leases = [pool.acquire() for _ in range(4)]
            self.names = {lease.name for lease in leases}
            for lease in leases[1:]:
                pool.release(lease)
            self.use = lambda: self._use_pool(pool)

    def _use_pool(self, pool: SessionPool) -> None:
        with pool.session(TIMEOUT) as lease:
            assert lease.name not in self.names
            self.client.ping_session(lease.name, timeout=TIMEOUT)

    def pinging(self, child: int) -> None:
        """Have a pool open that pings all the time."""
        self.idle(child, keep_alive_after=0.02)
        time.sleep(0.01)

    def multiplexed(self, child: int) -> None:
        """Have a multiplexed session open."""
        if child == 0:
            session = MultiplexedSession(self.client, DATABASE).open()
            self.use = lambda: self.client.ping_session(session.name, timeout=TIMEOUT)

    def call(self, child: int) -> None:
        """Be in calls, one after the other, in other threads."""
        self._background(child, lambda: self.client.ping_session(f"{DATABASE}/sessions/s"))

    def stream(self, child: int) -> None:
        """Be in a stream that lasts, in another thread."""
        self._background(child, self._stream)
        self.streaming.wait(TIMEOUT)

    def _stream(self) -> None:
        for _ in self.client.rest("POST", STREAM, {"sql": "SELECT 1"}):
            self.streaming.set()

    def _background(self, child: int, work: Any) -> None:
        def go_on() -> None:
            while True:
                work()

        if child == 0:
            self.client.create_session(DATABASE)
            for _ in range(2):
                threading.Thread(target=go_on, daemon=True).start()
        time.sleep(0.01)


def in_child(use: Any, pipe: int) -> None:
    """Use what the parent had, and tell what came of it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(HUNG)
    try:
        use()
        outcome = "works"
    except SpannerSessionsError as error:
        outcome = f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 - told to the test
        outcome = f"foreign: {error!r}"
    os.write(pipe, outcome.encode()[:400])
    os._exit(0)


def fork(way: str, use: Any, pipe: int) -> int:
    """Fork a child, wait for its end, and return its exit code."""
    if way == "multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=in_child, args=(use, pipe))
        process.start()
        return exit_code(process.pid or 0)
    if way == "c":
        # As a master that is at rest: without Python's hooks a thread that asks for the GIL asks in the child for good.
        time.sleep(0.05)
    # PyDLL keeps the GIL.
    child = os.fork() if way == "os" else ctypes.PyDLL(None).fork()
    if not child:
        in_child(use, pipe)
    return exit_code(child)


def exit_code(child: int) -> int:
    """Wait for the end of a child, and end one that hangs before it has set its alarm."""
    deadline = time.monotonic() + KILLED
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(ended[1])


def call_hook_of_child() -> None:
    """Have forks in C call Python's hooks in the child, and none before: uWSGI's py-call-osafterfork."""
    library, hook = ctypes.CDLL(None), ctypes.cast(ctypes.pythonapi.PyOS_AfterFork_Child, ctypes.c_void_p)
    if hasattr(library, "__register_atfork"):
        library["__register_atfork"](None, None, hook, None)
    else:
        library.pthread_atfork(None, None, hook)


def main() -> None:
    """Fork and count."""
    _, _, phase, way, children = sys.argv
    if way in {"c", "c, hook"}:
        # What alone forks so, uWSGI, has this module in its processes.
        sys.modules["uwsgi"] = types.ModuleType("uwsgi")
    phases, outcomes = Phases(SessionsClient(AnonymousCredentials(), options=OPTIONS)), collections.Counter[str]()
    for child in range(int(children)):
        faulthandler.dump_traceback_later(STUCK, exit=True)
        getattr(phases, phase)(child)
        if child == 0 and way == "c, hook":
            # After gRPC's own.
            call_hook_of_child()
        reading, writing = os.pipe()
        code = fork(way, phases.use, writing)
        os.close(writing)
        outcomes[f"exit code {code}" if code else os.read(reading, 500).decode()] += 1
        os.close(reading)
    phases.client.create_session(DATABASE, timeout=TIMEOUT)
    print(json.dumps(outcomes), flush=True)  # noqa: T201 - its answer
    os._exit(0)


if __name__ == "__main__":
    main()
