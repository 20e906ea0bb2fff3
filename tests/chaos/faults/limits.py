"""Faults of the process: no descriptors, no threads, little memory."""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from spanner_grpc_sessions import (
    AsyncSessionPool,
    AsyncSessionsClient,
    MultiplexedSession,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
)
from spanner_grpc_sessions.runtime import threads
from tests.chaos.fault import Fault
from tests.chaos.side import DATABASE

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["LIMITS"]

_fault = functools.partial(Fault, noun="limits")
_TIMEOUT: Final = 1.0
_BEGINNINGS: Final = 20
_STARVED: Final = 30.0
# Where a process waits whose channel is never closed, since the thread of gRPC that ends its calls has died.
_OF_GRPC: Final = re.compile(r'grpc/_channel\.py", line \d+ in _close\b')
# Descriptors: more than a round has open, and a usual limit.
_FEW: Final = 500
_MANY: Final = 1_024


def _no_descriptors(rig: Rig) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft > _FEW:  # at the first strike; afterwards there is no descriptor to look with
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), most))
    rig.far("proxy.cut")


def _descriptors(rig: Rig) -> None:
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MANY, most), most))


def _no_threads(rig: Rig) -> None:
    """Begin everything new, where no thread can be started: what works already has its threads.

    Root has no limit of threads, so starting one fails here, in the thread that begins and on the event loop. Not in
    the threads of the load: gRPC's `create` (grpc/_channel.py) counts a stream whose poller did not start as if it ran,
    so a stream that another thread begins on that channel in the same moment is never polled, and hangs.
    """
    start = threading._start_new_thread  # type: ignore[attr-defined]  # what `Thread.start` calls
    starved = {threading.get_ident(), rig.loop.call(threading.get_ident)}

    def fail(*_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    def start_or_fail(*args: Any) -> Any:
        return fail() if threading.get_ident() in starved else start(*args)

    with rig.patch.context() as patch:
        patch.setattr(threading, "_start_new_thread", start_or_fail)
        patch.setattr(threads, "start_new_thread", fail)
        for _ in range(_BEGINNINGS):
            for begin in (functools.partial(_begin_all, rig), lambda: rig.loop.run(_begin_all_async(rig))):
                _try(rig, begin)


def _try(rig: Rig, begin: Callable[[], object]) -> None:
    try:
        begin()
    except SpannerSessionsError:
        pass
    except Exception as error:  # noqa: BLE001 - told
        rig.books.offend("foreign", f"without threads: {error!r}")


def _begin_all(rig: Rig) -> None:
    with SessionsClient(rig.credentials(), options=rig.options()) as client:
        client.create_session(DATABASE, timeout=_TIMEOUT)
        with SessionPool(client, DATABASE) as pool, MultiplexedSession(client, DATABASE):
            pool.release(pool.acquire(_TIMEOUT))


async def _begin_all_async(rig: Rig) -> None:
    async with AsyncSessionsClient(rig.credentials(), options=rig.options()) as client:
        await client.create_session(DATABASE, timeout=_TIMEOUT)
        async with AsyncSessionPool(client, DATABASE) as pool:
            await pool.release(await pool.acquire(_TIMEOUT))


def _little_memory(rig: Rig) -> None:
    """Have a process of its own work, whose address space ends soon.

    gRPC itself aborts where it gets no memory; or a thread of its own ends by that, for which its channel then waits.
    """
    where = rig.far("where")
    arguments = {**where, "root": where["root"].decode(), "megabytes": rig.draw.uniform(0.0, 40.0), "seed": rig.seed}
    program = [sys.executable, "-m", "tests.chaos.starved", json.dumps(arguments)]
    try:
        done = subprocess.run(program, capture_output=True, text=True, timeout=_STARVED, check=False)
    except subprocess.TimeoutExpired as error:
        if not _OF_GRPC.search(str(error.stderr)):
            rig.books.offend("wrong", f"with little memory it hung: {error.stderr!r:.2000}")
        return
    if done.returncode not in {0, -signal.SIGABRT, -signal.SIGSEGV}:
        rig.books.offend("foreign", f"with little memory: exit code {done.returncode}: {done.stderr[-1000:]}")
    for line in done.stdout.splitlines():
        rig.books.offend("foreign", f"with little memory: {line}")


LIMITS: Final = (
    _fault(
        name="no descriptors",
        breaks="the process can open no file and no socket, and its connections are reset",
        strike=_no_descriptors,
        undo=_descriptors,
        every=0.5,
    ),
    _fault(
        name="no threads",
        breaks="no thread can be started, while clients, pools and multiplexed sessions begin",
        strike=_no_threads,
        seconds=0.1,
        # gRPC's channel whose thread did not start is never freed, for that would hang.
        keeps=3,
    ),
    _fault(
        name="little memory",
        breaks="a process beside the load has 0 to 40 MB left",
        strike=_little_memory,
        every=0.1,
        seconds=8.0,
    ),
)
