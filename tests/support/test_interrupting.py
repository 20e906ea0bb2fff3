"""The interruptions themselves: a moment that never comes, or comes after its block, would prove nothing."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

from tests.support.interrupting import drawn_moments, each_line


def _three(seen: list[int]) -> None:
    seen.append(1)
    seen.append(2)
    seen.append(3)


def _here(filename: str) -> bool:
    return filename == __file__


def test_each_line_is_interrupted_once_and_in_order() -> None:
    """A function of three lines is cut before each of them, and then runs through."""
    runs, errors = [], []
    for moment in each_line(of=_here):
        seen: list[int] = []
        with moment:
            _three(seen)
        runs.append(seen)
        errors.append(moment.error)
        assert (moment.place is None) == (len(seen) == 3)
    assert runs == [[], [1], [1, 2], [1, 2, 3]]
    assert [type(error) for error in errors] == [KeyboardInterrupt] * 3 + [type(None)]


def test_a_function_is_interrupted_on_its_way_back_too() -> None:
    """With the event "return" the last cut comes after the last line."""
    assert _cuts(events=("line", "return")) == [0, 1, 2, 3, 3]


def test_lines_can_be_left_out() -> None:
    """A step of 2 takes every second line, from the first on."""
    assert _cuts(step=2) == [0, 2, 3]


def _cuts(**options: Any) -> list[int]:
    """Return how far each run came."""
    runs = []
    for moment in each_line(RecursionError, of=_here, **options):
        seen: list[int] = []
        with moment:
            _three(seen)
        runs.append(len(seen))
    return runs


def test_what_has_the_interruption_as_its_cause_is_kept() -> None:
    """An exception that was raised instead is the moment's error; one of another origin passes."""

    def instead() -> None:
        try:
            _three([])
        except KeyboardInterrupt as error:
            raise LookupError from error

    for moment in each_line(of=_here):
        with moment:
            instead()
        if moment.place is not None:
            assert moment.raised in (moment.error, moment.error and moment.error.__cause__)
    with pytest.raises(ZeroDivisionError), next(each_line(of=_here)):
        raise ZeroDivisionError


def test_a_block_without_a_line_that_counts_fails() -> None:
    """Tracing the wrong files is no success."""
    with pytest.raises(AssertionError, match="no line"):
        for moment in each_line():
            with moment:
                _three([])


def test_nothing_is_left_behind() -> None:
    """The trace function, the handler of the signal and the hook are those from before."""
    before = (sys.gettrace(), signal.getsignal(signal.SIGALRM), sys.unraisablehook)
    for moment in [next(each_line(of=_here)), *drawn_moments(3)]:
        with moment:
            _three([])
    assert (sys.gettrace(), signal.getsignal(signal.SIGALRM), sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_signals_come_at_moments_of_a_run_without_one() -> None:
    """The first run is not interrupted, most of the others are, and each at most once."""
    cut = []
    for moment in drawn_moments(50):
        with moment:
            for _ in range(20_000):
                pass
        cut.append(moment.place is not None)
        assert (moment.error is moment.raised) == cut[-1]
    assert not cut[0]
    assert sum(cut) >= 10
