"""Waiting in asyncio until an event or a time, whichever comes first."""

from __future__ import annotations

import asyncio

import pytest

from spanner_grpc_sessions.runtime.clock import TimedEvent
from tests.support.waiting import WAIT


async def _waiting(event: TimedEvent, seconds: float = WAIT) -> asyncio.Task[None]:
    """Return a task that waits by now."""
    task = asyncio.ensure_future(event.wait_within(seconds))
    await asyncio.sleep(0)
    return task


def test_a_set_wakes_all_that_wait() -> None:
    """Those of asyncio's own wait too."""

    async def run() -> None:
        event = TimedEvent()
        tasks = [await _waiting(event), await _waiting(event), asyncio.ensure_future(event.wait())]
        await asyncio.sleep(0)
        event.set()
        await asyncio.wait_for(asyncio.gather(*tasks), WAIT)
        await asyncio.wait_for(event.wait_within(WAIT), WAIT)
        event.clear()
        assert not (await _waiting(event, 0.01)).done()

    asyncio.run(run())


def test_a_wake_wakes_only_those_that_wait_now() -> None:
    """The event is not set by it."""

    async def run() -> None:
        event = TimedEvent()
        task = await _waiting(event)
        event.wake()
        await asyncio.wait_for(task, WAIT)
        assert not event.is_set()
        assert not (await _waiting(event, 0.01)).done()

    asyncio.run(run())


def test_an_event_that_is_set_lets_other_tasks_run() -> None:
    """A caller that waits for something else by it would stop the loop."""

    async def run() -> None:
        event, others = TimedEvent(), list[str]()
        event.set()
        asyncio.get_running_loop().call_soon(others.append, "ran")
        for _ in range(2):
            await event.wait_within(WAIT)
        assert others == ["ran"]

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01])
def test_a_time_ends_the_wait(seconds: float) -> None:
    """The event is not set by that."""

    async def run() -> None:
        event = TimedEvent()
        await event.wait_within(seconds)
        assert not event.is_set()

    asyncio.run(run())


def test_a_cancellation_that_comes_with_the_event_is_not_lost() -> None:
    """`asyncio.wait_for` of Python 3.11 loses it; and nothing is left of the wait."""

    async def run() -> None:
        event = TimedEvent()
        task = await _waiting(event)
        event.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not event._until_a_time

    asyncio.run(run())
