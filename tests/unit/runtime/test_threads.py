"""What a signal does not cut short."""

from __future__ import annotations

import threading

import pytest

from spanner_grpc_sessions.runtime import threads
from tests.support.interrupting import each_line


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

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", fail)
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
