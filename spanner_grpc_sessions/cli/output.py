"""What a command says: JSON on standard output, and on standard error what is for people."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from spanner_grpc_sessions.observers import CallInfo

# Seconds without a word after which a terminal is told what a command waits for.
_SILENT: Final = 1.0
# Below this, seconds are shown with a digit after the point.
_IN_TENTHS: Final = 10.0
_LOGGER: Final = logging.getLogger("spanner_grpc_sessions")


class Calls:
    """The calls under way: the observer of a command's client.

    Attributes:
        last_attempts: of the call that ended last.
    """

    def __init__(self) -> None:
        self.last_attempts: int = 0
        self._under_way: dict[int, CallInfo] = {}

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], None]:
        """Note a call that begins."""
        self._under_way[id(call)] = call
        return (), None

    def end(self, call: CallInfo, mark: None) -> None:
        """Forget a call that has ended."""
        self._under_way.pop(id(call), mark)
        self.last_attempts = call.attempts

    def longest(self) -> str:
        """Return what the oldest call is, if it takes long or is repeated; "" otherwise."""
        call = min(tuple(self._under_way.values()), key=lambda call: call.started, default=None)
        if call is None:
            return ""
        seconds = time.monotonic() - call.started
        if seconds < _SILENT and call.attempts < 2:
            return ""
        return f"{call.method}: attempt {max(call.attempts, 1)}, {seconds:.0f} s"


class Output:
    """The two outputs of a command.

    Attributes:
        people: the console of standard error.
        calls: what the client of the command is doing.
    """

    def __init__(self) -> None:
        self.people: Console = Console(stderr=True, highlight=False)
        self.calls: Calls = Calls()
        self._live: Live | None = None

    @property
    def for_people(self) -> bool:
        """Whether standard output is a terminal."""
        return sys.stdout.isatty()

    def bodies(self, *values: Any) -> None:
        """Print REST bodies, each on a line."""
        self.write("".join(f"{json.dumps(value)}\n" for value in values))

    def write(self, text: str) -> None:
        """Print text for a program; on a terminal it must not run into the line that moves."""
        live = self._live if self.for_people else None
        if live is not None:
            live.stop()
        sys.stdout.write(text)
        sys.stdout.flush()
        if live is not None:
            live.start()

    def tell(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        self.people.print(Text(text, style), soft_wrap=True)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show on a terminal what takes so long, while a block runs."""
        with self._moving(_Waiting(what, self.calls)):
            yield

    @contextmanager
    def work(self, what: str, done: str, total: int) -> Iterator[Work]:
        """Show on a terminal how far a block is, and say what was done if it does not reach its end."""
        work = Work(what, total, self.calls)
        try:
            with self._moving(work):
                yield work
        except BrokenPipeError:
            raise
        except BaseException as error:
            if total > 1:
                begin = "interrupted: " if isinstance(error, KeyboardInterrupt) else ""
                self.tell(f"{begin}{work.done:,} of {total:,} sessions {done}")
            raise
        if total > 1 and self.people.is_terminal:
            took = f"{work.seconds:.1f}s" if work.seconds < _IN_TENTHS else ago(work.seconds)
            self.tell(f"{work.done:,} sessions {done} in {took}")

    @contextmanager
    def _moving(self, renderable: Any) -> Iterator[None]:
        if not self.people.is_interactive:
            yield
            return
        live = Live(
            renderable,
            console=self.people,
            transient=True,
            refresh_per_second=5,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    @contextmanager
    def log(self, verbose: bool) -> Iterator[None]:
        """Print what the library logs, attempts included, while a block runs."""
        if not verbose:
            yield
            return
        handler, level = _Lines(self), _LOGGER.level
        _LOGGER.addHandler(handler)
        _LOGGER.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            _LOGGER.setLevel(level)
            _LOGGER.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints log records with the seconds since the start of the command."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output
        self._started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        self._output.tell(f"{time.monotonic() - self._started:8.3f} s  {record.getMessage()}", "dim")


class _Waiting:
    """Says what takes so long, once it does."""

    def __init__(self, what: str, calls: Calls) -> None:
        self._what = what
        self._calls = calls
        self._started = time.monotonic()

    def __rich__(self) -> Text:
        seconds = time.monotonic() - self._started
        if seconds < _SILENT:
            return Text()
        longest = self._calls.longest()
        return _line(f"{self._what} … {longest or f'{seconds:.0f} s'}")


class Work:
    """Progress towards a number.

    Attributes:
        done: how far it is.
    """

    def __init__(self, what: str, total: int, calls: Calls) -> None:
        self.done: int = 0
        self._started = time.monotonic()
        self._calls = calls
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("left"),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(what, total=total)

    def advance(self, count: int = 1) -> None:
        """Count what was done."""
        self.done += count
        self._progress.advance(self._task, count)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._started

    def __rich__(self) -> Group:
        longest = self._calls.longest()
        return Group(self._progress.get_renderable(), *([_line(longest)] if longest else []))


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


def _line(text: str) -> Text:
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")


def ago(seconds: float) -> str:
    """Return a time span in at most seven characters, like "2h 13m"."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
