"""What the load saw: calls, and what must not be: wrong answers, late callers, sessions that are leased twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Final, NamedTuple

from spanner_grpc_sessions import SessionNotFound, SpannerSessionsError
from tests.chaos.control import Control

__all__ = ["Books", "Wrong"]

# So many examples of each offence are kept for the report.
_EXAMPLES: Final = 5
# A caller may be this much past its timeout: a fifth.
_TOLERANCE: Final = 1.2
# A call is work before and after it waits, also with a timeout of nothing.
_GRACE: Final = 0.05
# Threads that have to wake up one after the other at a deadline, each as late as the control: gRPC's and the caller's.
_WAKES: Final = 2

_TIMEOUTS: Final = ("DeadlineExceeded", "PoolTimeout")


class Wrong(AssertionError):
    """An answer that is not the right one."""


class _Failure(NamedTuple):
    start: float
    end: float
    kind: str
    error: str


class Books:
    """Safe to share between threads and tasks.

    Attributes:
        calls: how many calls have ended, by kind.
        errors: how many of them in an error of the library, by its name.
        offences: what must not be, by what it is; with a few examples in `examples`.
        threads, tasks: the controls of deadlines.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.offences: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.threads, self.tasks = Control(), Control()
        self._failures: list[_Failure] = []
        self._first: dict[str, float] = {}
        self._mark = 0.0
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()

    def took(self, kind: str, start: float, timeout: float, control: Control, error: BaseException | None) -> None:
        """Note a call that has ended, well or in an error."""
        end = time.monotonic()
        over = end - start - _TOLERANCE * timeout - _GRACE
        if over > 0 and (over := over - _WAKES * control.late(start, end)) > 0:
            self.offend("late", f"{kind}: {end - start:.3f} s with a timeout of {timeout:.3f} s, {over:.3f} s too late")
        with self._lock:
            self.calls[kind] += 1
            if error is None:
                if start > self._mark and kind not in self._first:
                    self._first[kind] = end
                return
            self.errors[type(error).__name__] += 1
            if start > self._mark and not _is_of_own_session(kind, error):
                self._failures.append(_Failure(start, end, kind, f"{type(error).__name__}: {error}"))
        if not isinstance(error, SpannerSessionsError):
            self.offend("foreign", f"{kind}: {error!r}")

    def offend(self, what: str, example: str) -> None:
        """Note what must not be."""
        with self._lock:
            self.offences[what] += 1
            examples = self.examples.setdefault(what, [])
            if len(examples) < _EXAMPLES:
                examples.append(example[:500])

    def lease(self, name: str, holder: str) -> None:
        """Note that a worker holds a session."""
        with self._lock:
            other = self._held.setdefault(name, holder)
        if other != holder:
            self.offend("wrong", f"leased twice: {name}, by {other} and {holder}")

    def release(self, holder: str) -> None:
        """Note that a worker holds none, or is about to give it back."""
        with self._lock:
            for name in [name for name, other in self._held.items() if other == holder]:
                del self._held[name]

    def mark(self) -> float:
        """Begin to note how calls fare that start from now on; return the time."""
        with self._lock:
            self._failures.clear()
            self._first.clear()
            self._mark = time.monotonic()
            return self._mark

    def failures(self, *, timeouts: bool = True) -> list[str]:
        """Return what has failed since the mark, with or without what only took too long."""
        with self._lock:
            return [
                f"{kind} after {start - self._mark:.2f} s: {error}"
                for start, _, kind, error in self._failures
                if timeouts or not error.startswith(_TIMEOUTS)
            ]

    def recovery(self) -> float | None:
        """Return the seconds from the mark until each kind of call succeeded for good; None if one never did."""
        with self._lock:
            last = {failure.kind: failure.end for failure in self._failures}
            kinds = last.keys() | self._first.keys()
            if not kinds or any(kind not in self._first for kind in kinds):
                return None
            return max(max(last.get(kind, 0.0), self._first[kind]) for kind in kinds) - self._mark


def _is_of_own_session(kind: str, error: BaseException) -> bool:
    """Return whether a worker's own session was lost, which the worker learns by that: the library keeps no such."""
    return isinstance(error, SessionNotFound) and kind.partition(" ")[2] in {"stub", "stream", "call"}
