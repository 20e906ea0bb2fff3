"""The event loop in virtual time: what it does to waiting, and that it says when a program is stuck."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.simulation.loop import Stuck, VirtualLoop, run_virtually


def test_time_jumps_to_the_next_timer() -> None:
    """A month of sleep takes no time, and ends to the digit."""

    async def main(loop: VirtualLoop) -> float:
        since = loop.time()
        await asyncio.gather(asyncio.sleep(30 * 86_400.0), asyncio.sleep(0.1))
        return loop.time() - since

    began = time.monotonic()
    assert run_virtually(main) == 30 * 86_400.0
    assert time.monotonic() - began < 60.0


def test_a_timer_never_rings_before_its_time() -> None:
    """A waiter that wakes too early would wait again, for a moment that no clock can show."""

    async def main(loop: VirtualLoop) -> list[float]:
        until = [1000.0 + 1e6 / 7 * step for step in range(1, 200)]
        for when in until:
            while loop.time() < when:  # noqa: ASYNC110 - what is tested
                await asyncio.sleep(when - loop.time())
        return [loop.time() - until[-1]]

    assert run_virtually(main) == [0.0]


def test_a_frozen_process_finds_its_timers_overdue() -> None:
    """As one that got no CPU."""

    async def main(loop: VirtualLoop) -> float:
        sleeping = asyncio.ensure_future(asyncio.sleep(1.0))
        await asyncio.sleep(0.5)
        loop.freeze(3600.0)
        await sleeping
        return loop.time()

    assert run_virtually(main) == 1000.0 + 0.5 + 3600.0


def test_a_program_that_waits_for_nothing_is_stuck() -> None:
    """No timer is left: it would wait for ever."""

    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="nothing is left"):
        run_virtually(main)


def test_a_program_that_does_not_wait_is_stuck() -> None:
    """A loop without a pause keeps a core busy."""

    async def main(loop: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - what is tested
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="none waits"):
        run_virtually(main)


def test_what_a_callback_raises_ends_the_run() -> None:
    """The loop of asyncio would only log it."""

    async def main(loop: VirtualLoop) -> None:
        loop.call_later(1.0, lambda: 1 / 0)
        await asyncio.sleep(2.0)

    with pytest.raises(ZeroDivisionError):
        run_virtually(main)
