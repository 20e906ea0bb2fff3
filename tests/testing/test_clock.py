"""The clock that tests of a service move."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import pytest

from spanner_grpc_sessions import InvalidValue
from spanner_grpc_sessions.local import LocalSpanner
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


def test_a_wait_without_a_limit_is_one_of_the_system() -> None:
    """Which cannot count to infinity: a move ends it all the same, and a free lock is taken at once."""
    clock, condition = MovableClock(), threading.Condition()
    assert clock.wait_for(threading.Lock(), inf)
    waits, woken = threading.Event(), threading.Event()

    def wait() -> None:
        with condition:
            waits.set()
            clock.wait(condition, inf)
            woken.set()

    threading.Thread(target=wait, daemon=True).start()
    assert waits.wait(WAIT)
    clock.advance(1)
    assert woken.wait(WAIT)


def test_a_move_reaches_those_that_share_an_event() -> None:
    """Also after one of them has gone."""

    async def test() -> None:
        clock, event = MovableClock(running=False), TimedEvent()
        gone, stays = (asyncio.ensure_future(clock.wait_async(event, inf)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        clock.advance(1)
        await asyncio.wait_for(stays, WAIT)
        assert clock._events == []

    asyncio.run(test())


def test_an_alarm_needs_nothing_of_its_loop_to_be_cancelled() -> None:
    """Such as the hook that asyncio has for cancelled timers, and uvloop has not."""

    class Loop(asyncio.SelectorEventLoop):
        _timer_handle_cancelled: Any = property()

    async def test() -> None:
        MovableClock(running=False).alarm(inf, lambda: None).cancel()

    loop = Loop()
    loop.run_until_complete(test())
    loop.close()


@pytest.mark.parametrize(
    "clock", [MovableClock(running=False), LocalSpanner(clock=lambda: 1000.0)], ids=["pool", "server"]
)
def test_moves_from_many_threads_add_up(clock: MovableClock | LocalSpanner) -> None:
    """None of them is lost."""
    before, interval = _now(clock), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: [clock.advance(1) for _ in range(2000)], range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert _now(clock) - before == 8000.0


def _now(clock: MovableClock | LocalSpanner) -> float:
    return clock.now() if isinstance(clock, MovableClock) else clock.now


@pytest.mark.parametrize("seconds", [-1, inf])
def test_a_clock_is_moved_ahead_alone(seconds: float) -> None:
    """By a time that has an end."""
    with pytest.raises(InvalidValue, match="seconds"):
        MovableClock().advance(seconds)
