"""The cancellations themselves: one that never comes, or comes elsewhere, would prove nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.cancelling import TASKS, How, each_suspension, run_in


async def _three(seen: list[int]) -> None:
    for number in range(3):
        await asyncio.sleep(0)
        seen.append(number)


async def _stubborn(seen: list[int]) -> None:
    for number in range(3):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:  # noqa: PERF203 - three times
            seen.append(number)


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("how", [How.BEFORE, How.AGAIN])
def test_each_suspension_is_cancelled_once_and_in_order(how: How, tasks: str) -> None:
    """A coroutine with three of them is cut at each, and then runs through."""

    async def main() -> list[int]:
        runs = []
        for moment in each_suspension(how):
            seen: list[int] = []
            outcome = await moment.run(_three(seen))
            assert isinstance(outcome, asyncio.CancelledError) == (moment.place is not None) == (len(seen) < 3)
            runs.append(len(seen))
        return runs

    assert run_in(tasks, main()) == [0, 1, 2, 3]


def test_a_cancellation_comes_together_with_what_is_waited_for() -> None:
    """The future is done, and its waiter is cancelled all the same."""

    async def main() -> bool:
        moment = next(iter(each_suspension(How.TOGETHER)))
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, None)

        async def wait() -> None:
            await future

        return isinstance(await moment.run(wait()), asyncio.CancelledError) and not future.cancelled()

    assert asyncio.run(main())


@pytest.mark.parametrize(("how", "cancelled"), [(How.AGAIN, [0, 1, 2]), (How.BEFORE, [0])])
def test_a_clean_up_can_be_cancelled_too(how: How, cancelled: list[int]) -> None:
    """At each of its suspensions, or not at all."""

    async def main() -> list[int]:
        moment, seen = next(iter(each_suspension(how))), list[int]()
        task = asyncio.ensure_future(moment.run(_stubborn(seen)))
        await asyncio.sleep(0.01)
        found = list(seen)
        for left in asyncio.all_tasks() - {asyncio.current_task(), task}:
            for _ in range(3):
                left.cancel()
                await asyncio.sleep(0)
        await task
        return found

    assert asyncio.run(main()) == cancelled


def test_all_tasks_are_cancelled_but_those_that_are_spared() -> None:
    """As at the end of `asyncio.run`."""

    async def main() -> tuple[bool, bool]:
        moment = next(iter(each_suspension(How.ALL)))
        others: list[asyncio.Task[Any]] = [asyncio.create_task(asyncio.sleep(0.01)) for _ in range(2)]
        moment.spared.add(others[0])
        await moment.run(_three([]))
        await asyncio.wait(others)
        return others[0].cancelled(), others[1].cancelled()

    assert asyncio.run(main()) == (False, True)


def test_a_task_is_cancelled_before_it_begins() -> None:
    """The moment before the first suspension."""

    async def main() -> list[tuple[str | None, int]]:
        moments = []
        for moment in each_suspension(How.BEFORE, first=0):
            seen: list[int] = []
            await moment.run(_three(seen))
            moments.append((moment.place and moment.place.split()[-1], len(seen)))
        return moments

    assert asyncio.run(main()) == [("beginning", 0), ("__sleep0", 0), ("__sleep0", 1), ("__sleep0", 2), (None, 3)]


def test_a_coroutine_that_waits_for_nothing_fails() -> None:
    """Cancelling nothing is no success."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        for moment in each_suspension():
            await moment.run(nothing())

    with pytest.raises(AssertionError, match="nothing was suspended"):
        asyncio.run(main())
