"""Every way of forking, in every phase of a client: children work, or say at once in one error what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions.options import ClientOptions
from tests.support.processes import needs_fork
from tests.support.scripted import Gate, scripted_server

pytestmark = needs_fork

_PROGRAM = Path(__file__).with_name("fork_phases.py")
# FORKS=20 has each cell fork so often.
_FORKS = int(os.environ.get("FORKS", "0"))
_PHASES = ("fresh", "open", "called", "warmed", "idle", "pinging", "multiplexed", "call", "stream")
# uWSGI forks in C and calls no hook of Python's, unless py-call-osafterfork has it call that of the child.
_WAYS = ("os", "multiprocessing", "c", "c, hook")
# A parent that uses gRPC all the time cannot come to rest for a fork.
_RESTLESS = frozenset({"call", "stream"})
# Without any hook Python itself hangs in the child, in `drop_gil`, if another thread has asked for the GIL.
_CELLS = [(phase, way) for phase in _PHASES for way in _WAYS if way != "c" or phase not in {*_RESTLESS, "pinging"}]


@pytest.fixture(scope="module")
def plain_server() -> Iterator[ClientOptions]:
    """A server with a stream that lasts for longer than a fork waits."""
    gate = Gate()
    gate.open.set()
    ended = threading.Event()

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[result_set_pb2.PartialResultSet]:
        while context.is_active():
            yield result_set_pb2.PartialResultSet()
            ended.wait(0.02)

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        return result_set_pb2.ResultSet()

    with scripted_server(
        CreateSession=gate.create,
        BatchCreateSessions=gate.batch_create,
        ExecuteSql=answer,
        ExecuteStreamingSql=stream,
        DeleteSession=gate.delete,
    ) as options:
        yield options
        ended.set()


def _children(phase: str) -> int:
    # Each fork of a process with a stream waits for half a second.
    return _FORKS or (2 if phase == "stream" else 4)


def _outcomes(options: ClientOptions, phase: str, way: str, support: str | None) -> tuple[dict[str, int], int]:
    """Return how many children ended how, and how many of them said why they could not work."""
    environment = {key: value for key, value in os.environ.items() if key != "GRPC_ENABLE_FORK_SUPPORT"}
    if support is not None:
        environment["GRPC_ENABLE_FORK_SUPPORT"] = support
    program = [sys.executable, "-W", "ignore", str(_PROGRAM), str(options.endpoint), phase, way, str(_children(phase))]
    limit = 60 + 2 * _children(phase)
    result = subprocess.run(program, capture_output=True, text=True, timeout=limit, env=environment)
    assert result.returncode == 0, result.stderr
    outcomes: dict[str, int] = json.loads(result.stdout)
    told = sum(count for text, count in outcomes.items() if text.startswith("ClientClosed: this process was forked"))
    assert outcomes.get("works", 0) + told == _children(phase), outcomes
    return outcomes, told


@pytest.mark.parametrize(("phase", "way"), _CELLS)
def test_children_work_or_say_what_to_do(plain_server: ClientOptions, phase: str, way: str) -> None:
    """Children work, but for those of a process that other threads keep inside gRPC: they say so."""
    if way == "c, hook" and sys.version_info >= (3, 13):
        pytest.skip("Python 3.13 hangs in its hook of the child where that before the fork was not called")
    outcomes, told = _outcomes(plain_server, phase, way, None)
    if (phase, way) == ("stream", "c, hook"):
        assert told == _children(phase), outcomes
    else:
        assert not told or phase in _RESTLESS or (phase, way) == ("pinging", "c, hook"), outcomes


@pytest.mark.parametrize("support", ["0", "1"])
@pytest.mark.parametrize("phase", _PHASES)
def test_the_switch_of_grpc(plain_server: ClientOptions, phase: str, support: str) -> None:
    """With GRPC_ENABLE_FORK_SUPPORT off, children of a process with an open client say so; else they work."""
    if (phase, support) == ("stream", "1") and tuple(map(int, grpc.__version__.split(".")[:2])) < (1, 70):
        pytest.skip("gRPC before 1.70 may itself end such a child, with exit code 64")
    outcomes, told = _outcomes(plain_server, phase, "os", support)
    if phase not in _RESTLESS:
        assert told == (_children(phase) if support == "0" and phase != "fresh" else 0), outcomes
