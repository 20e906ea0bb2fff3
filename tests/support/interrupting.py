"""Interruptions: an exception at every line of library code in turn, or by a signal at drawn moments.

    for moment in each_line():
        pool = SessionPool(client, DATABASE)  # the same state each time
        with moment:
            pool.acquire()
        assert pool.acquire(), moment  # says where it was

A moment raises once, in the thread that enters it, and its block ends normally when its exception comes out.
"""

from __future__ import annotations

import dis
import itertools
import linecache
import random
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

import spanner_grpc_sessions

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Moment", "drawn_moments", "each_line", "in_library"]

_PACKAGE: Final = str(Path(spanner_grpc_sessions.__path__[0]))


def in_library(filename: str) -> bool:
    """Return whether code of this file is the library's: its modules, and what `rest` compiles."""
    return filename.startswith((_PACKAGE, "<encode ", "<decode "))


def each_line(
    raises: Callable[[], BaseException] = KeyboardInterrupt,
    of: Callable[[str], bool] = in_library,
    events: Collection[str] = ("line",),
    step: int = 1,
) -> Iterator[Moment]:
    """Yield a moment for the first line that runs in its block, for the second and so on; the last one raises nothing.

    Args:
        raises: makes the exception.
        of: says of a file name whether its lines count; the files of the standard library could count too.
        events: those of `sys.settrace` that count. With "return" a function is interrupted when it has its result too,
            as a signal does it after a last call into C.
        step: 2 for every second line, and so on: the time that all of them take grows by the square of their number.

    Raises:
        AssertionError: no line ran in the block of the first moment.
    """
    for number in itertools.count(1, step):
        moment = _Line(number, raises(), of, events)
        yield moment
        if moment.place is None:
            assert number > 1, "no line that counts has run"
            return


def drawn_moments(count: int, seed: int = 0) -> Iterator[Moment]:
    """Yield moments that raise KeyboardInterrupt by SIGALRM, at any time of a run: `count`, after one that never does.

    The longest time drawn is a little more than the last run took that was not interrupted. The main thread only.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    moment = _Signal(0.0)
    yield moment
    whole = moment.seconds
    for _ in range(count):
        moment = _Signal(max(1e-6, draw.uniform(0.0, 1.1 * whole)))
        yield moment
        if moment.place is None:
            whole = moment.seconds


class Moment(ABC):
    """A block that an exception interrupts.

    Attributes:
        raised: the exception.
        place: file, line and function where it was raised; None if the block ended before.
        error: what came out of the block: `raised`, or what has it as cause or context; None if it ended normally.
        seconds: the time that the block took.
    """

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised
        self.place: str | None = None
        self.error: BaseException | None = None
        self.seconds = 0.0
        self._hook: Any = None

    def __enter__(self) -> Self:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self.seconds = -time.perf_counter()
        self._arm()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> bool:
        self._disarm()
        self.seconds += time.perf_counter()
        sys.unraisablehook, self._hook = self._hook, None
        if self.place is not None and error is not None and self.raised in (chain := _chain(error)):
            self.error = error
            for link in chain:
                # What is kept of an exception keeps the frames that it left, and what they have.
                link.__traceback__ = None
        return self.error is not None

    def __repr__(self) -> str:
        return f"<{type(self.raised).__name__} at {self.place}>"

    @abstractmethod
    def _arm(self) -> None:
        """Begin to raise."""

    @abstractmethod
    def _disarm(self) -> None:
        """Raise no more."""

    def _raise(self, frame: FrameType) -> None:
        self.place = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
        raise self.raised

    def _unraisable(self, unraisable: Any) -> None:
        # Within a finalizer or a weak reference's callback it ends there.
        if unraisable.exc_value is not self.raised:
            self._hook(unraisable)


class _Line(Moment):
    """Raises when the n-th line begins."""

    def __init__(self, number: int, raised: BaseException, of: Callable[[str], bool], events: Collection[str]) -> None:
        super().__init__(raised)
        self._left = number
        self._of = of
        self._events = events
        self._before: Any = None

    def _arm(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def _disarm(self) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not self._of(frame.f_code.co_filename):
            return None
        if event in self._events and not (event == "line" and _no_signal_comes(frame)):
            self._left -= 1
            if self._left == 0:
                self._raise(frame)  # Python stops tracing when a trace function raises
        return self._trace


class _Signal(Moment):
    """Raises when a timer of the process ends; 0 for never."""

    def __init__(self, after: float) -> None:
        super().__init__(KeyboardInterrupt())
        self._after = after
        self._before: Any = None

    def _arm(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._after)

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._before)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        # Not on the way in or out of the block, where the exception would end the test.
        if frame is not None and frame.f_code.co_filename != __file__:
            self._raise(frame)


def _no_signal_comes(frame: FrameType) -> bool:
    """Return whether Python looks for no signal where this line begins, and expects no exception there.

    To raise there would skip the `__exit__` of a block, and a lock stays held. It is a line without code, like `try:`,
    or that of a `with` whose block is over.
    """
    code, line = frame.f_code, frame.f_lineno
    if code.co_code[frame.f_lasti] == dis.opmap["NOP"]:
        return True
    if not linecache.getline(code.co_filename, line).lstrip().startswith("with "):
        return False
    return frame.f_lasti > min(start for start, _, number in code.co_lines() if number == line)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception with its causes and contexts."""
    chain, new = [], [error]
    while new:
        chain.extend(new)
        related = [link for one in new for link in (one.__cause__, one.__context__)]
        new = [link for link in related if link is not None and link not in chain]
    return chain
