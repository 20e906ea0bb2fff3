"""The two forms of the library behind one face, so that each kind of work is written once.

What waits is a coroutine in both. In that of threads it never suspends, and `run` ends it in one step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    MultiplexedSession,
    SessionPool,
    SessionsClient,
)

__all__ = ["AsyncFace", "Face", "run"]

_T = TypeVar("_T")


class Face:
    """The form for threads.

    Attributes:
        form: its name.
        client, pool, multiplexed: what the classes of this form are.
    """

    form = "sync"
    client: type[Any] = SessionsClient
    pool: type[Any] = SessionPool
    multiplexed: type[Any] = MultiplexedSession

    async def wait(self, answer: Any) -> Any:
        """Return what a method returned: an answer."""
        return answer

    async def collect(self, stream: Any) -> list[Any]:
        """Return the messages of a stream."""
        return list(stream)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)  # noqa: ASYNC251 - no event loop runs it


class AsyncFace(Face):
    """The form for tasks."""

    form = "async"
    client = AsyncSessionsClient
    pool = AsyncSessionPool
    multiplexed = AsyncMultiplexedSession

    async def wait(self, answer: Any) -> Any:
        """Return what a method's coroutine or call returns."""
        return await answer

    async def collect(self, stream: Any) -> list[Any]:
        """Return the messages of a stream."""
        return [message async for message in stream]

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine of the form for threads, which never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        coroutine.close()
    raise AssertionError("the coroutine waits for an event loop")
