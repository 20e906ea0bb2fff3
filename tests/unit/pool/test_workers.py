"""The threads that do a pool's jobs."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from spanner_grpc_sessions.pool.workers import Workers

_WAIT = 20.0
NAME = "workers-of-this-test"


def _fail() -> None:
    raise ZeroDivisionError


def test_jobs_are_done_side_by_side_and_not_by_more_threads_than_allowed() -> None:
    """Two threads meet at a barrier; a third job waits for one of them."""
    workers, together, names = Workers(NAME, 2), threading.Barrier(2), list[str]()

    def meet() -> None:
        names.append(threading.current_thread().name)
        together.wait(_WAIT)

    for job in (meet, meet, lambda: names.append("third")):
        workers.add(job)
    workers.staff()
    workers.end(_WAIT)
    assert names == [NAME, NAME, "third"]
    assert not [thread for thread in threading.enumerate() if thread.name == NAME]


def test_a_job_that_fails_is_logged_and_does_not_keep_the_others_from_being_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is a defect, but not theirs."""
    workers, done = Workers(NAME, 1), threading.Event()
    workers.add(_fail)
    workers.add(done.set)
    workers.staff()
    assert done.wait(_WAIT)
    workers.end(_WAIT)
    assert NAME in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_jobs_that_come_after_the_end_are_done_too() -> None:
    """A lease that comes back to a closed pool still has its session deleted."""
    workers, done = Workers(NAME, 1), threading.Event()
    workers.end(_WAIT)
    workers.add(done.set)
    workers.staff()
    assert done.wait(_WAIT)
    workers.end(_WAIT)


def test_without_threads_the_caller_does_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an `atexit` function, where Python starts no more threads; what the jobs bring up is done as well."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers, done = Workers(NAME, 2), list[Any]()

    def job() -> None:
        done.append(threading.current_thread())
        if len(done) < 3:
            workers.add(job)
            workers.staff()
            assert len(done) < 3, "one after the other, and not one inside another"

    workers.add(job)
    workers.staff()
    assert done == [threading.current_thread()] * 3
