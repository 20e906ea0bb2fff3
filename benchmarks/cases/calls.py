"""CreateSession, one after the other and many at a time, against a server with a fixed answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from benchmarks.case import Case, Target, Way, calls, in_tasks, in_threads
from benchmarks.environment import Environment
from benchmarks.peers import BARE, FLOOR, GOOGLE, OURS, PLUGIN, STUB, WATCHED, async_calls, sync_calls

__all__ = ["CASES"]

_IN_FLIGHT: Final = (1, 8, 64, 256)
_THREAD_CALLS: Final = 160
_TASK_CALLS: Final = 256
_IN_THREADS: Final = (BARE, FLOOR, STUB, OURS, PLUGIN, GOOGLE)


def _one(environment: Environment) -> Sequence[Way]:
    ways = sync_calls(environment.fixed(), environment)
    return [Way(name, calls(call)) for name, call in ways.items()]


def _threads(number: int, environment: Environment) -> Sequence[Way]:
    ways, executor = sync_calls(environment.fixed(), environment), environment.threads(number)
    # Each thread makes some calls: to hand a call to a thread costs as much as a fifth of it.
    at_a_time = max(_THREAD_CALLS, 4 * number)
    return [Way(name, in_threads(ways[name], at_a_time, number, executor)) for name in _IN_THREADS]


def _tasks(number: int, environment: Environment) -> Sequence[Way]:
    ways = async_calls(environment.fixed(), environment)
    return [Way(name, in_tasks(call, _TASK_CALLS, number, environment)) for name, call in ways.items()]


def _many(number: int) -> Sequence[Case]:
    many_threads = Case(
        f"threads-{number}", "concurrency", f"CreateSession, threads: {number}, a call's share of the time",
        "The interpreter's lock is shared with gRPC's own threads: more threads than cores make no call cheaper.",
        partial(_threads, number), BARE, seconds=6, plot="threads", at=number,
    )  # fmt: skip
    targets = [
        Target(f"asyncio, {number} in flight: over the bare stub", OURS, BARE, most=1.10, goal=True),
        Target(f"asyncio, {number} in flight: over the bare stub with our headers", OURS, FLOOR, most=1.05),
    ]
    if number == 64:
        targets += [
            Target("asyncio, 64 in flight: times as fast as gapic", GOOGLE, OURS, least=7, goal=True),
            Target("asyncio, 64 in flight: a stub on our channel", STUB, BARE, most=1.10),
        ]
    many_tasks = Case(
        f"tasks-{number}", "concurrency", f"CreateSession in asyncio, in flight: {number}, a call's share of the time",
        "What one event loop gets through. The latency of a call is its share times the calls in flight.",
        partial(_tasks, number), BARE, seconds=7, targets=targets, plot="tasks", at=number,
    )  # fmt: skip
    return [many_threads, many_tasks]


CASES: Final = (
    Case(
        "call", "call", "CreateSession, one call after the other, over TLS",
        "The client alone: the server has a fixed answer, the network is loopback. Only this library and the two "
        "with google-auth's plugin send a token, and give a dict.",
        _one, BARE, seconds=30, rounds=20, distribution=True, targets=(
            Target("one call: over the bare stub", OURS, BARE, most=1.06, goal=True),
            Target("one call: CPU over the bare stub", OURS, BARE, "cpu", most=1.08, goal=True),
            Target("one call: over the bare stub with our headers", OURS, FLOOR, most=1.05),
            Target("one call: times as fast as gapic with its plugin", GOOGLE, OURS, least=2.3, goal=True),
            Target("a stub on our channel: over the bare stub", STUB, BARE, most=1.05),
            Target("a stub on our channel, observed: over one that is not", WATCHED, STUB, most=1.05),
        ),
    ),
    *(case for number in _IN_FLIGHT for case in _many(number)),
)  # fmt: skip
