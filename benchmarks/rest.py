"""The speed of conversions: `to_rest` beside `json_format.MessageToDict`, and `from_rest` beside `ParseDict`.

Both sides of a row take turns in short blocks, in a new random order each round, and are timed by the CPU time of
the thread: neither a busy machine nor one that changes its pace favours a side. Absolute times mean little; the ratios
do.

    python benchmarks/rest.py [--rounds N] [--least ROW=RATIO ...]
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions.rest import from_rest, to_rest

BLOCK_SECONDS = 0.002
DRAW = random.Random(0)  # noqa: S311 - the same messages in each run
DATABASE = "projects/p/instances/i/databases/d"
LABELS = {"env": "prod", "team": "checkout"}
NOW = 1_790_000_000
WEEK = 7 * 24 * 60 * 60
ROW = ["42", "name", "2026-11-24T08:00:00Z", 0.5, True, None]


def session(created: int, used: int) -> spanner_pb2.Session:
    """Return a session with two labels that was created and last used at these seconds."""
    made = spanner_pb2.Session(name=f"{DATABASE}/sessions/{DRAW.randbytes(29).hex()}", labels=LABELS)
    for timestamp, seconds in ((made.create_time, created), (made.approximate_last_use_time, used)):
        timestamp.seconds, timestamp.nanos = seconds, DRAW.randrange(1_000_000) * 1000
    return made


def page_of_a_week() -> spanner_pb2.ListSessionsResponse:
    """Return 100 sessions that were created and last used at any time in the last week."""
    times = (sorted(NOW - DRAW.randrange(WEEK) for _ in range(2)) for _ in range(100))
    return spanner_pb2.ListSessionsResponse(sessions=[session(*both) for both in times], next_page_token="t")  # noqa: S106


@dataclass
class Side:
    """One side of a comparison: the seconds that a call took in each block."""

    call: Callable[[], Any]
    calls: int = 1
    seconds: list[float] = field(default_factory=list)

    def time(self) -> float:
        """Return the seconds that a call takes in one block."""
        start = time.thread_time()
        for _ in range(self.calls):
            self.call()
        return (time.thread_time() - start) / self.calls


@dataclass
class Row:
    """A conversion, by the reference and by this library."""

    name: str
    title: str
    reference: Side
    ours: Side

    @property
    def ratio(self) -> float:
        """How many times faster this library is, in the median round."""
        rounds = zip(self.reference.seconds, self.ours.seconds, strict=True)
        return statistics.median(theirs / ours for theirs, ours in rounds)


def rows() -> list[Row]:
    """Return what is measured, once both sides agree on it."""
    one = session(NOW - 3600, NOW)
    batch = spanner_pb2.BatchCreateSessionsResponse(session=[session(NOW, NOW) for _ in range(100)])
    weeks = [page_of_a_week() for _ in range(10)]
    result_set = from_rest(result_set_pb2.ResultSet, {"rows": [ROW] * 100})
    part = from_rest(result_set_pb2.PartialResultSet, {"values": ROW * 100})
    request = spanner_pb2.CreateSessionRequest(database=DATABASE, session=spanner_pb2.Session(labels=LABELS))
    insert = {"table": "Singers", "columns": list("abcdef"), "values": [ROW] * 100}
    commit = from_rest(spanner_pb2.CommitRequest, {"session": one.name, "mutations": [{"insert": insert}]})
    return [
        _out("session-out", "to_rest, Session with two labels", one),
        _out("batch-out", "to_rest, 100 of them, created at once", batch),
        _out("week-out", "to_rest, page of 100 from all over a week", *weeks),
        _out("rows-out", "to_rest, ResultSet of 100 rows", result_set),
        _out("part-out", "to_rest, PartialResultSet of 600 values", part),
        _in("request-in", "from_rest, CreateSessionRequest with two labels", request),
        _in("session-in", "from_rest, Session with two labels", one),
        _in("batch-in", "from_rest, 100 of them, created at once", batch),
        _in("week-in", "from_rest, page of 100 from all over a week", *weeks),
        _in("rows-in", "from_rest, ResultSet of 100 rows", result_set),
        _in("commit-in", "from_rest, CommitRequest of 100 rows", commit),
    ]


def _out(name: str, title: str, *messages: Message) -> Row:
    """Return a row that converts each message in turn."""
    for message in messages:
        if to_rest(message) != json_format.MessageToDict(message):
            raise AssertionError(name)
    return Row(name, title, _each(json_format.MessageToDict, messages), _each(to_rest, messages))


def _in(name: str, title: str, *messages: Message) -> Row:
    message_class, bodies = type(messages[0]), [to_rest(message) for message in messages]
    for message, body in zip(messages, bodies, strict=True):
        if from_rest(message_class, body) != message:
            raise AssertionError(name)
    reference = _each(lambda body: json_format.ParseDict(body, message_class()), bodies)
    return Row(name, title, reference, _each(partial(from_rest, message_class), bodies))


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> Side:
    in_turn = itertools.cycle(values)
    return Side(lambda: convert(next(in_turn)))


def measure(table: list[Row], rounds: int) -> None:
    """Time the rows in turn, each side of a row in a block of about two milliseconds."""
    for row in table:
        for side in (row.reference, row.ours):
            side.time()  # the first call loads and compiles
            side.calls = max(1, round(BLOCK_SECONDS / side.time()))
    for _ in range(rounds):
        for row in DRAW.sample(table, len(table)):
            for side in DRAW.sample([row.reference, row.ours], 2):
                side.seconds.append(side.time())


def report(table: list[Row]) -> None:
    """Print a line per row."""
    print(f"{'':12}{'':48}{'json_format µs':>16}{'this library µs':>17}{'times faster':>14}")
    for row in table:
        theirs, ours = (statistics.median(side.seconds) * 1e6 for side in (row.reference, row.ours))
        print(f"{row.name:12}{row.title:48}{theirs:16.2f}{ours:17.2f}{row.ratio:14.2f}")


def _bound(text: str) -> tuple[str, float]:
    name, _, ratio = text.partition("=")
    return name, float(ratio)


def main() -> int:
    """Measure and report; fail when a row is less than `--least` times faster than the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150, help="blocks of 2 ms for each side (default: 150)")
    parser.add_argument("--least", type=_bound, nargs="+", default=[], metavar="ROW=RATIO", help="fail below this")
    arguments = parser.parse_args()
    table, least = rows(), dict(arguments.least)
    if unknown := least.keys() - {row.name for row in table}:
        parser.error(f"no such row: {', '.join(unknown)}")
    measure(table, arguments.rounds)
    report(table)
    slow = [row for row in table if row.ratio < least.get(row.name, 0)]
    for row in slow:
        print(f"{row.name}: {row.ratio:.2f} times faster, expected at least {least[row.name]}", file=sys.stderr)
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
