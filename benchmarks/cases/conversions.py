"""Conversion of messages to REST's JSON and back, beside json_format."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from benchmarks.case import Block, Case, Target, Way
from benchmarks.environment import Environment
from benchmarks.groups import OURS
from benchmarks.servers import DATABASE
from spanner_grpc_sessions.rest import from_rest, to_rest

__all__ = ["CASES"]

REFERENCE: Final = "json_format"
BLOCK_SECONDS: Final = 0.004
LABELS: Final = {"env": "prod", "team": "checkout"}
NOW: Final = 1_790_000_000
WEEK: Final = 7 * 24 * 60 * 60
ROW: Final = ["42", "name", "2026-11-24T08:00:00Z", 0.5, True, None]
_DRAW: Final = random.Random(0)  # noqa: S311 - the same messages in each run


def _session(created: int, used: int) -> spanner_pb2.Session:
    """Return a session with two labels that was created and last used at these seconds."""
    made = spanner_pb2.Session(name=f"{DATABASE}/sessions/{_DRAW.randbytes(29).hex()}", labels=LABELS)
    for timestamp, seconds in ((made.create_time, created), (made.approximate_last_use_time, used)):
        timestamp.seconds, timestamp.nanos = seconds, _DRAW.randrange(1_000_000) * 1000
    return made


def _page_of_a_week() -> spanner_pb2.ListSessionsResponse:
    """Return 100 sessions that were created and last used at any time in the last week."""
    times = (sorted(NOW - _DRAW.randrange(WEEK) for _ in range(2)) for _ in range(100))
    return spanner_pb2.ListSessionsResponse(sessions=[_session(*both) for both in times], next_page_token="t")  # noqa: S106


def _pages() -> Sequence[Message]:
    return [_page_of_a_week() for _ in range(10)]


def _one() -> Sequence[Message]:
    return [_session(NOW - 3600, NOW)]


def _batch() -> Sequence[Message]:
    return [spanner_pb2.BatchCreateSessionsResponse(session=[_session(NOW, NOW) for _ in range(100)])]


def _result_set() -> Sequence[Message]:
    return [from_rest(result_set_pb2.ResultSet, {"rows": [ROW] * 100})]


def _part() -> Sequence[Message]:
    return [from_rest(result_set_pb2.PartialResultSet, {"values": ROW * 100})]


def _create() -> Sequence[Message]:
    return [spanner_pb2.CreateSessionRequest(database=DATABASE, session=spanner_pb2.Session(labels=LABELS))]


def _commit() -> Sequence[Message]:
    insert = {"table": "Singers", "columns": list("abcdef"), "values": [ROW] * 100}
    return [
        from_rest(spanner_pb2.CommitRequest, {"session": f"{DATABASE}/sessions/s", "mutations": [{"insert": insert}]})
    ]


def _out(messages: Callable[[], Sequence[Message]], _: Environment) -> Sequence[Way]:
    """Return the ways of converting each message in turn, once both agree on it."""
    made = messages()
    for message in made:
        if to_rest(message) != json_format.MessageToDict(message):
            raise AssertionError(message.DESCRIPTOR.name)
    return [Way(REFERENCE, _each(json_format.MessageToDict, made)), Way(OURS, _each(to_rest, made))]


def _in(messages: Callable[[], Sequence[Message]], _: Environment) -> Sequence[Way]:
    made = messages()
    message_class, bodies = type(made[0]), [to_rest(message) for message in made]
    for message, body in zip(made, bodies, strict=True):
        if from_rest(message_class, body) != message:
            raise AssertionError(message.DESCRIPTOR.name)
    return [
        Way(REFERENCE, _each(lambda body: json_format.ParseDict(body, message_class()), bodies)),
        Way(OURS, _each(partial(from_rest, message_class), bodies)),
    ]


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> Callable[[], Block]:
    """Return a block of conversions, timed by the CPU of this thread: no other one takes part."""
    in_turn, number = itertools.cycle(values), 0

    def take(number: int) -> float:
        start = time.thread_time()
        for _ in range(number):
            convert(next(in_turn))
        return (time.thread_time() - start) / number

    def run() -> Block:
        nonlocal number
        if not number:
            take(1)  # loads and compiles
            number = max(1, round(BLOCK_SECONDS / take(1)))
        seconds = take(number)
        return Block([seconds], number, seconds)

    return run


def _row(
    name: str, what: str, make: Callable[[], Sequence[Message]], *, out: bool = True, least: float | None = None
) -> Case:
    title = f"{what} {'to' if out else 'from'} JSON"
    target = Target(f"{title}: times as fast", REFERENCE, OURS, least=least, goal=True)
    return Case(
        name, "conversion", title, "CPU of a conversion in a loop; inside a call, with cold caches, both cost more.",
        partial(_out if out else _in, make), REFERENCE, seconds=2, rounds=15, unit="conversion",
        targets=(target,) * (least is not None),
    )  # fmt: skip


CASES: Final = (
    _row("session-out", "Session with two labels", _one, least=3.5),
    _row("batch-out", "100 sessions created at once", _batch, least=3.5),
    _row("week-out", "100 sessions from all over a week", _pages, least=3.5),
    _row("rows-out", "ResultSet of 100 rows of 6 values", _result_set, least=3.5),
    _row("part-out", "PartialResultSet of 600 values", _part, least=3.5),
    _row("commit-out", "Commit of 100 rows of 6 values", _commit, least=3.5),
    _row("create-in", "CreateSession with two labels", _create, out=False, least=3.5),
    _row("session-in", "Session with two labels", _one, out=False, least=3.5),
    _row("batch-in", "100 sessions created at once", _batch, out=False, least=3.5),
    _row("week-in", "100 sessions from all over a week", _pages, out=False, least=3.5),
    _row("rows-in", "ResultSet of 100 rows of 6 values", _result_set, out=False, least=3.5),
    _row("part-in", "PartialResultSet of 600 values", _part, out=False, least=3.5),
    _row("commit-in", "Commit of 100 rows of 6 values", _commit, out=False, least=3.5),
)
