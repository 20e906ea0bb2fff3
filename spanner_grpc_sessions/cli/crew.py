"""Calls of a command that run side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, stop: Callable[[], object]
) -> Iterator[_Result]:
    """Yield what a function returns for each item, in order, with up to `workers` calls under way.

    `stop` makes the calls under way end. It is called if one fails, or the caller is interrupted.
    """
    under_way: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                under_way.append(pool.submit(function, item))
                if len(under_way) == workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BaseException:
            for future in under_way:
                future.cancel()
            stop()
            raise
