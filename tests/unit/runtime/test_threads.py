"""What a signal does not cut short."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from spanner_grpc_sessions.runtime import threads
from tests.support.interrupting import each_line
from tests.support.waiting import until


def _no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


@pytest.fixture
def _forget() -> Iterator[None]:
    """Leave no failure to the next test."""
    yield
    threads._failed.clear()


def test_only_the_main_thread_is_interruptible() -> None:
    """Python runs signal handlers there alone."""
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(threads.is_interruptible()))
    thread.start()
    thread.join()
    assert (threads.is_interruptible(), seen) == (True, [False])


def test_the_result_and_the_exception_are_those_of_the_function() -> None:
    """As if it had been called."""
    assert threads.run_uninterrupted(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.run_uninterrupted(divmod, 7, 0)


def test_without_a_thread_the_function_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the system's limit, for one."""
    monkeypatch.setattr(threads, "start_new_thread", _no_thread)
    assert threads.run_uninterrupted(divmod, 7, 2) == (3, 1)


def test_an_interruption_comes_before_the_function_or_after_it() -> None:
    """Never in it: it does all that it does, or nothing; and it has ended when the exception comes."""
    for moment in each_line():
        steps: list[int] = []
        with moment:
            threads.run_uninterrupted(lambda steps=steps: steps.extend([1]) or steps.append(2))
        assert steps in ([], [1, 2]), moment
        if moment.place is None:
            assert steps == [1, 2]


def test_at_the_end_of_the_interpreter_the_function_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that starts then would never run."""
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    assert threads.run_uninterrupted(threading.get_ident) == threading.get_ident()


def test_a_signal_waits_until_the_function_has_ended() -> None:
    """What its handler raises comes then, in the caller."""
    came, steps = threading.Event(), []

    def handle(number: int, frame: FrameType | None) -> None:
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    def interrupted() -> bool:
        # A signal that comes just before the main thread waits does not end that wait: the next one does.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return came.wait(0.05)

    def work() -> None:
        steps.append(1)
        until(interrupted)
        steps.append(2)

    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(KeyboardInterrupt):
            threads.run_uninterrupted(work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == [1, 2]


@pytest.mark.usefixtures("_forget")
def test_after_a_thread_could_not_be_started_one_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until one can be started again; before that, a trial would cost as much as a call."""
    assert threads.can_start_thread()
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start_new_thread", _no_thread)
        assert threads.can_start_thread()
        threads.note_no_thread(RuntimeError("can't start new thread"))
        assert not threads.can_start_thread()
        assert not threads.can_start_thread()
    assert threads.can_start_thread()
    monkeypatch.setattr(threads, "start_new_thread", _no_thread)
    assert threads.can_start_thread()


@pytest.mark.usefixtures("_forget")
def test_an_error_that_is_not_about_threads_is_raised() -> None:
    """It says nothing of the next call."""
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else") as caught:
        threads.note_no_thread(error)
    assert caught.value is error
    assert not threads._failed.is_set()
