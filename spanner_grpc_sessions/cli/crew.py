"""Calls of a command that run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, stop: Callable[[], object]
) -> Iterator[_Result]:
    """Yield what a function returns for each item, as it comes, with up to `workers` calls under way.

    After a failure those under way go to their end, and then it is raised. `stop` makes them end at once: it is called
    if the caller is interrupted.
    """
    under_way: set[Future[_Result]] = set()
    failures: list[BaseException] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                under_way.add(pool.submit(function, item))
                if len(under_way) == workers:
                    yield from _results(under_way, failures)
                if failures:
                    break
            while under_way:
                yield from _results(under_way, failures)
        except BaseException:
            for future in under_way:
                future.cancel()
            stop()
            raise
    if failures:
        raise failures[0]


def _results(under_way: set[Future[_Result]], failures: list[BaseException]) -> Iterator[_Result]:
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    under_way -= done
    for future in done:
        error = future.exception()
        if error is None:
            yield future.result()
        else:
            failures.append(error)
