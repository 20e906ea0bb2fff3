"""CreateSession from Node, by grpc-js and by Google's client, against the same server as from Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.case import Block, Case, Unavailable, Way, calls, in_tasks
from benchmarks.environment import Environment
from benchmarks.peers import BARE, OURS, async_calls, sync_calls
from benchmarks.results import NODE
from benchmarks.servers import DATABASE, Server

__all__ = ["CASES"]

GRPC_JS: Final = "Node: @grpc/grpc-js"
GRPC_JS_PLUGIN: Final = "Node: @grpc/grpc-js, token by call credentials"
GAPIC: Final = "Node: @google-cloud/spanner, v1.SpannerClient"
WHOLE: Final = "Node: @google-cloud/spanner, createSession"
_WAYS: Final = {GRPC_JS: "stub", GRPC_JS_PLUGIN: "plugin", GAPIC: "gapic", WHOLE: "database"}
CALLS: Final = 256


class _Node:
    """A process of Node that makes calls when it is asked to."""

    def __init__(self, server: Server, environment: Environment) -> None:
        node = shutil.which("node")
        if node is None or not (NODE / "@google-cloud" / "spanner").exists():
            raise Unavailable("no Node, or none of its clients: `make node-peer` installs them where npm is there")
        settings = {
            "folder": str(NODE.parent),
            "address": server.address,
            "root": server.root.decode(),
            "database": DATABASE,
        }
        program = [node, str(Path(__file__).with_name("node.mjs")), json.dumps(settings)]
        # Google's client looks for the metadata server of a machine in Google's cloud, which takes seconds here.
        environ = {"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1", "METADATA_SERVER_DETECTION": "none"}
        self._process = environment.enter_context(
            subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        )

    def block(self, way: str, number: int, in_flight: int) -> Block:
        """Make calls, and return what they took of the process's time."""
        assert self._process.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps({"way": _WAYS[way], "number": number, "inFlight": in_flight}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Block(answer["seconds"], number, answer["cpu"])


def _one(environment: Environment) -> Sequence[Way]:
    server = environment.fixed()
    node, python = _Node(server, environment), sync_calls(server, environment)
    ways: dict[str, Callable[[], Block]] = {name: calls(python[name]) for name in (BARE, OURS)}
    ways |= {name: partial(node.block, name, 20, 1) for name in _WAYS}
    return [Way(name, run) for name, run in ways.items()]


def _many(environment: Environment) -> Sequence[Way]:
    server = environment.fixed()
    node, python = _Node(server, environment), async_calls(server, environment)
    ways = {name: in_tasks(python[name], CALLS, 64, environment) for name in (BARE, OURS)}
    ways |= {name: partial(node.block, name, CALLS, 64) for name in _WAYS}
    return [Way(name, run) for name, run in ways.items()]


_SHOWS: Final = (
    "Another language: where this library stands among what else there is. Node's clients have a token that never "
    "ends, so that none signs one."
)

CASES: Final = (
    Case(
        "node",
        "node",
        "CreateSession from Python and from Node, one call after the other",
        _SHOWS,
        _one,
        BARE,
        seconds=8,
    ),
    Case("node-64", "node", "CreateSession from asyncio and from Node, 64 in flight", _SHOWS, _many, BARE, seconds=8),
)
