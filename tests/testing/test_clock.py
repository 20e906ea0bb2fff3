"""The clock that tests of a service move."""

from __future__ import annotations

import asyncio
import threading
from math import inf

import pytest

from spanner_grpc_sessions import InvalidValue
from spanner_grpc_sessions.runtime.clock import TimedEvent
from spanner_grpc_sessions.testing import MovableClock
from tests.support.waiting import WAIT


def test_an_alarm_rings_by_itself_where_the_clock_goes_on() -> None:
    """One that is set for never waits for a move; one that is cancelled never rings."""

    async def test() -> list[str]:
        clock, rung = MovableClock(), asyncio.Event()
        names: list[str] = []
        clock.alarm(inf, names.append, "never")
        clock.alarm(clock.now() + 0.01, names.append, "cancelled").cancel()
        clock.alarm(clock.now() + 0.02, names.append, "soon")
        clock.alarm(clock.now() + 0.03, rung.set)
        await asyncio.wait_for(rung.wait(), WAIT)
        return names

    assert asyncio.run(test()) == ["soon"]


def test_a_clock_that_stands_still_rings_when_it_is_moved() -> None:
    """Not before."""

    async def test() -> None:
        clock, rung = MovableClock(running=False), asyncio.Event()
        names: list[str] = []
        clock.alarm(clock.now() + 10, names.append, "ten")
        clock.alarm(clock.now() + 10, rung.set)
        clock.alarm(clock.now() + 20, names.append, "twenty")
        clock.advance(9)
        await asyncio.sleep(0)
        assert names == []
        clock.advance(1)
        await asyncio.wait_for(rung.wait(), WAIT)
        assert names == ["ten"]

    asyncio.run(test())


def test_loops_that_are_closed_are_left_alone() -> None:
    """A clock outlives them: what waited there is gone."""
    clock, event = MovableClock(running=False), TimedEvent()
    names: list[str] = []
    loop = asyncio.new_event_loop()
    waiting = clock.wait_async(event, clock.now() + 10)

    async def use() -> None:
        clock.alarm(clock.now() + 10, names.append, "rang")
        # It waits now, as a task that its loop forgot.
        waiting.send(None)

    loop.run_until_complete(use())
    loop.close()
    clock.advance(10)
    assert names == []
    waiting.close()


def test_a_time_that_has_come_is_not_waited_for() -> None:
    """Nothing would notify the condition."""
    clock, condition = MovableClock(running=False), threading.Condition()
    with condition:
        clock.wait(condition, clock.now())
    assert not clock.wait_for(threading.Lock(), clock.now())


@pytest.mark.parametrize("seconds", [-1, inf])
def test_a_clock_is_moved_ahead_alone(seconds: float) -> None:
    """By a time that has an end."""
    with pytest.raises(InvalidValue, match="seconds"):
        MovableClock().advance(seconds)
