"""Cancellations: a coroutine is cancelled at its first suspension, at its second and so on, until it ends by itself.

    for moment in each_suspension():
        pool = AsyncSessionPool(client, DATABASE)  # the same state each time
        await moment.run(pool.acquire())
        assert await pool.acquire(), moment  # says where it was

A moment cancels the task that it runs its coroutine in, as the task's owner or `asyncio.run` would do it.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from enum import Enum
from functools import partial
from typing import Any, Final, TypeVar

import grpc
import pytest

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.interrupting import in_library
from tests.support.waiting import WAIT

__all__ = ["TASKS", "CountingSpanner", "How", "Moment", "each_suspension", "nothing_left", "run_in"]

_Result = TypeVar("_Result")

TASKS: Final = [
    "ordinary",
    pytest.param(
        "eager",
        marks=pytest.mark.skipif(
            not hasattr(asyncio, "eager_task_factory"), reason="eager tasks came with Python 3.12"
        ),
    ),
]
"""The kinds of tasks that an event loop can have, as parameters of a test."""


def run_in(tasks: str, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine in an event loop with this kind of tasks."""

    async def main() -> _Result:
        if tasks == "eager":
            factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined]  # of Python 3.12
            asyncio.get_running_loop().set_task_factory(factory)
        return await coroutine

    return asyncio.run(main())


class How(Enum):
    """How a coroutine is cancelled at a suspension.

    Attributes:
        BEFORE: what it waits for has not come.
        TOGETHER: what it waits for came in the same turn of the loop.
        AGAIN: at each later suspension too, as by an owner who loses patience with the clean-up.
        ALL: and all other tasks of the loop with it, as `asyncio.run` does it at its end.
    """

    BEFORE = "before"
    TOGETHER = "together"
    AGAIN = "again"
    ALL = "all"


def each_suspension(*hows: How, first: int = 1) -> Iterator[Moment]:
    """Yield a moment for the first suspension of what it runs, for the second and so on, in each way in turn.

    The last moment of each way cancels nothing. With a `first` of 0 the task is cancelled before it begins, too.

    Raises:
        AssertionError: nothing was suspended, and so nothing cancelled.
    """
    suspended = False
    for how in hows or How:
        for number in itertools.count(first):
            moment = Moment(number, how)
            yield moment
            if moment.place is None:
                break
            suspended = True
    assert suspended, "nothing was suspended"


class Moment:
    """A cancellation at one suspension.

    Attributes:
        place: file, line and function that were suspended; None if the coroutine ended before.
        how: it is cancelled.
        spared: tasks that ALL leaves alone.
    """

    def __init__(self, number: int, how: How) -> None:
        self.place: str | None = None
        self.spared: set[asyncio.Task[Any]] = set()
        self._number = number
        self.how = how
        self._suspensions = 0

    def __repr__(self) -> str:
        return f"<{self.how.value} suspension {self._number} at {self.place}>"

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in a task and cancel it in this moment; return its result, or its exception.

        Raises:
            AssertionError: it did not end.
        """
        current = asyncio.current_task()
        assert current is not None
        self.spared.add(current)
        task = self.start(asyncio.get_running_loop().create_task, coroutine)
        await asyncio.wait([task], timeout=WAIT)
        assert task.done(), f"it goes on after a cancellation: {self}"
        return asyncio.CancelledError() if task.cancelled() else task.exception() or task.result()

    def start(
        self, start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]], coroutine: Coroutine[Any, Any, Any]
    ) -> asyncio.Task[Any]:
        """Start a task, by what starts tasks, that is cancelled in this moment."""
        task = start(_Steps(coroutine, self._suspended))
        if self._number == 0:
            self.place = "its beginning"
            task.cancel()
        return task

    def _suspended(self, coroutine: Any, future: Any) -> Any:
        """Cancel the running task if this is the moment; return what it waits for."""
        self._suspensions += 1
        if self._suspensions < self._number or (self.place is not None and self.how is not How.AGAIN):
            return future
        self.place = self.place or _place_of(coroutine)
        task = asyncio.current_task()
        assert task is not None
        if self.how is How.TOGETHER and future is not None:
            # Called before the task's own callback: it finds the future done.
            future.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()
        if self.how is How.ALL:
            for other in asyncio.all_tasks() - self.spared - {task}:
                other.cancel()
        return future


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine that tells of each of its suspensions."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], tell: Callable[[Any, Any], None]) -> None:
        self._coroutine = coroutine
        self._tell = tell

    def send(self, value: Any) -> Any:
        """Go on to the next suspension."""
        return self._tell(self._coroutine, self._coroutine.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._tell(self._coroutine, self._coroutine.throw(*error))

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError


def _place_of(coroutine: Any) -> str:
    """Return where a coroutine is suspended: in the innermost function of the library, if there is one."""
    frames = []
    while coroutine is not None:
        prefix = next((kind for kind in ("cr", "gi", "ag") if hasattr(coroutine, f"{kind}_frame")), None)
        if prefix is None:
            break
        frames.append(getattr(coroutine, f"{prefix}_frame"))
        coroutine = getattr(coroutine, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")
    places = [f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" for frame in frames if frame]
    return next((place for place in reversed(places) if in_library(place)), places[-1])


class CountingSpanner(LocalSpanner):
    """A server in plaintext that counts its calls in progress.

    Attributes:
        in_progress: their number.
    """

    def __init__(self) -> None:
        super().__init__(tls=False)
        self.in_progress = 0
        self._counting = threading.Lock()

    def start(self) -> None:
        """Start it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grpc, "server", partial(grpc.server, interceptors=[_Counting(self._add)]))
            super().start()

    def _add(self, number: int) -> None:
        with self._counting:
            self.in_progress += number


class _Counting(grpc.ServerInterceptor):
    """Counts calls from their beginning to their end, which a cancelled one comes to before its handler."""

    def __init__(self, add: Callable[[int], None]) -> None:
        self._add = add

    def intercept_service(self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        kind = "unary_stream" if handler.response_streaming else "unary_unary"
        return handler._replace(**{kind: partial(self._call, getattr(handler, kind))})

    def _call(self, handle: Callable[..., Any], request: Any, context: grpc.ServicerContext) -> Any:
        self._add(1)
        if not context.add_callback(partial(self._add, -1)):
            self._add(-1)
        return handle(request, context)


async def nothing_left(server: CountingSpanner, moment: object) -> None:
    """Require that soon no task but this one, no thread of the library and no call is left.

    Raises:
        AssertionError: something is.
    """
    deadline = time.monotonic() + WAIT
    while left := _left(server):
        assert time.monotonic() < deadline, f"{left} left after {moment}"
        await asyncio.sleep(0.001)


def _left(server: CountingSpanner) -> list[str]:
    tasks = [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("spanner-sessions")]
    return tasks + threads + ["a call"] * server.in_progress
