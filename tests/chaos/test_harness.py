"""The harness of chaos itself: what is wrong shows, and what a busy machine does is not blamed on the library."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import PoolTimeout, SessionNotFound
from tests.chaos import table
from tests.chaos.books import Books
from tests.chaos.control import Control
from tests.chaos.faces import Face, run
from tests.chaos.faults import FAULTS
from tests.chaos.lies import LIES, is_lie
from tests.chaos.plot import plot
from tests.chaos.soak import Sample, growth
from tests.chaos.work import Site, Worker

_DATABASE = "projects/p/instances/i/databases/d"


class _Punctual(Control):
    """A control that was never late."""

    def late(self, start: float, end: float) -> float:
        return 0.0


class _Busy(Control):
    """A control that was late all the time."""

    def late(self, start: float, end: float) -> float:
        return end - start


@pytest.mark.parametrize(("control", "late"), [(_Punctual(), 1), (_Busy(), 0)])
def test_a_caller_past_its_deadline_shows_unless_timers_are_late_too(control: Control, late: int) -> None:
    """A fifth is tolerated, and what a plain timer was late by."""
    books = Books()
    now = time.monotonic()
    books.took("sync call", now - 1.15, 1.0, control, None)
    assert not books.offences
    books.took("sync call", now - 2.0, 1.0, control, None)
    assert books.offences["late"] == late


def test_the_control_notes_a_thread_that_comes_late() -> None:
    """While it cannot run, it is late, and it notes that when it runs again."""
    control = Control()
    start = time.monotonic()
    assert control.late(start - 1.0, start) < 1.0
    time.sleep(0.1)
    assert control.late(start, time.monotonic()) > 0.05
    watching = threading.Thread(target=control.watch)
    watching.start()
    control.end()
    watching.join()


def test_a_foreign_exception_and_a_session_leased_twice_show() -> None:
    """Errors of ours are counted, and no offence."""
    books = Books()
    books.took("sync call", time.monotonic(), 1.0, _Punctual(), PoolTimeout("no"))
    books.took("sync call", time.monotonic(), 1.0, _Punctual(), KeyError("name"))
    assert books.offences["foreign"] == books.errors["PoolTimeout"] == 1
    books.lease("s", "first")
    books.release("first")
    books.lease("s", "second")
    assert "wrong" not in books.offences
    books.lease("s", "third")
    assert books.offences["wrong"] == 1


def test_recovery_lasts_until_every_kind_of_call_succeeds_for_good() -> None:
    """From the mark to the end of the last failure; never, if a kind only fails. A worker's own session is its own."""
    books = Books()
    mark = books.mark()
    assert books.recovery() is None
    gone = SessionNotFound("gone", method="GetSession")
    for kind, error in (("sync call", None), ("sync lease", PoolTimeout("no")), ("sync stub", gone)):
        time.sleep(0.01)
        books.took(kind, time.monotonic(), 1.0, _Punctual(), error)
    assert books.recovery() is None
    books.took("sync lease", time.monotonic(), 1.0, _Punctual(), None)
    assert 0.02 < (books.recovery() or 0.0) <= time.monotonic() - mark
    assert len(books.failures()) == 1
    assert not books.failures(timeouts=False)


class _Stub:
    """Answers each query with what another one asked for."""

    def ExecuteSql(self, request: Any, timeout: float) -> result_set_pb2.ResultSet:  # noqa: N802 - gRPC's
        return result_set_pb2.ResultSet(rows=[{"values": [{"string_value": "another-1"}]}])


class _Client:
    stub = _Stub()

    def create_session(self, database: str, *, timeout: float, labels: Any = None) -> dict[str, Any]:
        return {"name": f"{database}/sessions/s", "labels": {"tag": "another-1"}}


@pytest.mark.parametrize("kind", ["calls", "stub calls"])
@pytest.mark.parametrize("lied_to", [False, True])
def test_the_answer_to_another_request_is_wrong(kind: str, lied_to: bool) -> None:
    """Also where the server lies: that one has a tag of a request, which no lie has."""
    import random

    site = Site(Face(), _DATABASE)
    site.client, site.lied_to = _Client(), lied_to
    books = Books()
    run(Worker(site, books, "w", random.Random(0)).once(kind))  # noqa: S311 - repeatable on purpose
    assert books.offences == {"wrong": 1}


@pytest.mark.parametrize("kind", sorted(set(LIES) - {"garbage", "no message"}))
def test_a_lie_is_told_from_the_answer_to_another_request(kind: str) -> None:
    """By that it has no tag."""
    rows = result_set_pb2.ResultSet(rows=[{"values": [{"string_value": "w-1"}]}])
    assert is_lie(LIES[kind](rows))
    assert not is_lie(rows)
    session = LIES[kind](spanner_pb2.Session(name="s", labels={"tag": "w-1"}))
    assert is_lie({"name": session.name, "labels": dict(session.labels)})


def _row(**changes: Any) -> dict[str, Any]:
    row = {
        "fault": "cut", "breaks": "connections are <reset>", "seed": 7, "times": 3, "calls": 1_000, "wrong": 0,
        "foreign": 0, "slots": 0, "late": 0, "errors": {"Unavailable": 5}, "recovery": 0.5, "bound": 1.0,
        "recovered": True, "left": {"threads": [], "descriptors": []}, "ended": True, "examples": {},
    }  # fmt: skip
    return {**row, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"wrong": 1}, {"foreign": 1}, {"slots": 1}, {"late": 1}, {"recovered": False},
        {"left": {"threads": ["pool"], "descriptors": []}}, {"ended": None, "broke": "it hung"},
    ],
)  # fmt: skip
def test_a_row_that_failed_says_how_to_repeat_it(changes: dict[str, Any]) -> None:
    """By its fault and seed."""
    row = {key: value for key, value in _row(**changes).items() if value is not None}
    assert table.failures(row)
    assert "make chaos FAULT='cut' SEED=7" in table.text([row])
    assert not table.failures(_row())
    assert "FAILED" not in table.text([_row(), {"fault": "x", "breaks": "y", "bound": 1.0, "skipped": "no emulator"}])


def test_the_page_stands_alone_and_the_json_has_the_rows(tmp_path: Path) -> None:
    """It loads nothing, and escapes what it shows."""
    page = table.write(tmp_path, [_row()]).read_text(encoding="utf-8")
    assert "connections are &lt;reset&gt;" in page
    assert "http" not in page
    assert json.loads((tmp_path / "chaos.json").read_text())["rows"][0]["fault"] == "cut"
    assert "polyline" in plot([(0.0, 1.0), (1.0, 3.0)], "minutes")


@pytest.mark.parametrize(
    ("memory", "descriptors", "grown"), [(0.0, 0, 0), (0.5, 0, 1), (0.0, 1, 1)], ids=["flat", "memory", "descriptors"]
)
def test_a_soak_sees_what_grows(memory: float, descriptors: int, grown: int) -> None:
    """From the second quarter to the last one."""
    samples = [Sample(at, 80 + memory * at, 20, 20 + descriptors * at, at) for at in range(100)]
    assert len(growth(samples, 1_800.0)) == grown


def test_each_fault_has_a_name_of_its_own() -> None:
    """The command that repeats one names it."""
    assert len(FAULTS) >= 40
    assert sum(fault.short for fault in FAULTS.values()) >= 5
