"""What conversion costs beside protobuf's own: `to_rest` and `json_format.MessageToDict`, `from_rest` and `ParseDict`.

Everything runs in one process, in short blocks whose order is drawn anew each round, so that a machine that speeds up
or slows down does so for all. Absolute times mean little; the ratios do.

    python benchmarks/rest.py [--rounds N] [--least ROW=RATIO ...]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions.rest import from_rest, to_rest

BLOCK_SECONDS = 0.002
SESSION = {
    "name": "projects/p/instances/i/databases/d/sessions/AKtxcXnV0Xl8_lVmOVPVQeNnTIYvyoZ6gPXt9qcmXBNvQcf3S1CZ8w",
    "labels": {"env": "prod", "team": "checkout"},
    "createTime": "2026-09-21T14:13:20.123456Z",
    "approximateLastUseTime": "2026-09-21T14:13:20.123457Z",
}
ROW = ["42", "name", "2026-11-24T08:00:00Z", 0.5, True, None]


@dataclass
class Side:
    """One of the two that are compared: the seconds that a call took in each block."""

    call: Callable[[], Any]
    calls: int = 1
    seconds: list[float] = field(default_factory=list)

    def time(self) -> float:
        """Return the seconds that a call takes in one block."""
        start = time.perf_counter()
        for _ in range(self.calls):
            self.call()
        return (time.perf_counter() - start) / self.calls

    @property
    def median(self) -> float:
        """The seconds of a call in the median block."""
        return statistics.median(self.seconds)


@dataclass
class Row:
    """A conversion, by the reference and by this library."""

    name: str
    title: str
    reference: Side
    ours: Side

    @property
    def ratio(self) -> float:
        """How many times faster this library is."""
        return self.reference.median / self.ours.median


def rows() -> list[Row]:
    """Return what is measured, after making sure that both sides agree on it."""
    session = from_rest(spanner_pb2.Session, SESSION)
    batch = spanner_pb2.BatchCreateSessionsResponse(session=[session] * 100)
    result_set = from_rest(result_set_pb2.ResultSet, {"rows": [ROW] * 100})
    request = from_rest(
        spanner_pb2.CreateSessionRequest,
        {"database": "projects/p/instances/i/databases/d", "session": {"labels": SESSION["labels"]}},
    )
    return [
        _out("session-out", "to_rest, Session with two labels", session),
        _out("batch-out", "to_rest, 100 of them", batch),
        _out("rows-out", "to_rest, ResultSet of 100 rows", result_set),
        _in("request-in", "from_rest, CreateSessionRequest with two labels", request),
        _in("session-in", "from_rest, Session with two labels", session),
        _in("batch-in", "from_rest, 100 of them", batch),
        _in("rows-in", "from_rest, ResultSet of 100 rows", result_set),
    ]


def _out(name: str, title: str, message: Message) -> Row:
    if to_rest(message) != json_format.MessageToDict(message):
        raise AssertionError(name)
    return Row(name, title, Side(partial(json_format.MessageToDict, message)), Side(partial(to_rest, message)))


def _in(name: str, title: str, message: Message) -> Row:
    message_class, body = type(message), to_rest(message)
    if from_rest(message_class, body) != message:
        raise AssertionError(name)
    reference = Side(lambda: json_format.ParseDict(body, message_class()))
    return Row(name, title, reference, Side(partial(from_rest, message_class, body)))


def measure(table: list[Row], rounds: int) -> None:
    """Time all sides in turn, blocks of about two milliseconds."""
    sides = [side for row in table for side in (row.reference, row.ours)]
    for side in sides:
        side.time()
        side.calls = max(1, round(BLOCK_SECONDS / side.time()))
    for _ in range(rounds):
        for side in random.sample(sides, len(sides)):
            side.seconds.append(side.time())


def report(table: list[Row]) -> None:
    """Print a line per row."""
    print(f"{'':12}{'':48}{'json_format µs':>16}{'this library µs':>17}{'times faster':>14}")
    for row in table:
        times = f"{row.reference.median * 1e6:16.2f}{row.ours.median * 1e6:17.2f}{row.ratio:14.2f}"
        print(f"{row.name:12}{row.title:48}{times}")


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
