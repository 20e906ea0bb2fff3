"""A session pool whose caller is interrupted at each line in turn: it works on, and no session is lost for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from spanner_grpc_sessions import PoolClosed, PoolTimeout, SessionNotFound
from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_QUIET
from tests.support.colours import SYNC
from tests.support.interrupting import Moment, each_line
from tests.support.pools import Rig, query
from tests.support.thorough import THOROUGH
from tests.support.waiting import WAIT, until

_SIZE: Final = 2

pytestmark = pytest.mark.parametrize("colour", [SYNC], ids=["sync"])


class _Case(NamedTuple):
    """What is interrupted.

    Attributes:
        prepare: is called with a rig and a new pool, before; what it returns is for `act`.
        act: is interrupted.
        tidy: is called afterwards, in another thread, with the same.
        closes: the pool may be closed afterwards.
        step: which lines, unless all are tried.
    """

    act: Callable[[Any, Any], object]
    prepare: Callable[[Rig, Any], Any] = lambda _, pool: pool.open()
    tidy: Callable[[Any], object] = lambda _: None
    closes: bool = False
    step: int = 1


def _block(pool: Any, _: Any) -> None:
    with pool.session():
        pass


def _query(pool: Any, _: Any) -> None:
    with pool.session() as lease:
        lease.stub.ExecuteSql(query(lease))


def _run_with_a_loss(pool: Any, _: Any) -> None:
    lost: list[Any] = []

    def function(lease: Any) -> None:
        if not lost:
            lost.append(lease.name)
            raise SessionNotFound("gone", method="ExecuteSql")

    pool.run(function)


def _lease(_: Rig, pool: Any) -> list[Any]:
    pool.release(pool.acquire())
    return [pool.acquire()]


def _all_leased(rig: Rig, pool: Any) -> tuple[list[Any], Any]:
    """Return all leases, and a call in another thread that releases them once a caller waits."""
    leases = [pool.acquire() for _ in range(_SIZE)]
    return leases, rig.start(_release_all, pool, leases)


def _release_all(pool: Any, leases: list[Any]) -> None:
    # The caller may be interrupted before it waits.
    until(lambda: pool.stats().waiting == 1 or not leases)
    while leases:
        pool.release(leases.pop())


def _acquire_waiting(pool: Any, others: tuple[list[Any], Any]) -> None:
    try:
        pool.release(pool.acquire(timeout=None))
    except KeyboardInterrupt:
        leases, releasing = others
        left, leases[:] = leases[:], []
        releasing.result(WAIT)
        for lease in left:
            pool.release(lease)
        raise


def _acquire_without_success(pool: Any, _: Any) -> None:
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)


def _release_both(prepared: tuple[Any, list[Any]]) -> None:
    pool, leases = prepared
    while leases:
        pool.release(leases.pop())


def _contended(rig: Rig, pool: Any) -> tuple[list[Any], Any, Any]:
    """Return all leases, and an acquire that waits."""
    leases = [pool.acquire() for _ in range(_SIZE)]
    (waiting,) = rig.wait_in_line(pool, timeout=None)
    return leases, waiting, pool


def _end_contended(contended: tuple[list[Any], Any, Any]) -> None:
    leases, waiting, pool = contended
    while leases:
        pool.release(leases.pop())
    pool.release(waiting.result(WAIT))


_CASES: Final = {
    "first acquire": _Case(lambda pool, _: pool.release(pool.acquire()), prepare=lambda *_: None, step=3),
    "acquire": _Case(lambda pool, _: pool.acquire()),
    "release": _Case(lambda pool, leases: pool.release(leases.pop()), prepare=_lease),
    "acquire, waiting": _Case(_acquire_waiting, prepare=_all_leased, step=3),
    "release to a waiter": _Case(
        lambda pool, contended: pool.release(contended[0].pop()), prepare=_contended, tidy=_end_contended
    ),
    "acquire, timed out": _Case(
        _acquire_without_success,
        prepare=lambda _, pool: (pool, [pool.acquire() for _ in range(_SIZE)]),
        tidy=_release_both,
        step=5,
    ),
    "session": _Case(_block),
    "run": _Case(lambda pool, _: pool.run(lambda lease: lease.name), step=2),
    "run with a loss": _Case(_run_with_a_loss, step=5),
    "first use of the stub": _Case(_query, step=29),
    "open": _Case(lambda pool, _: pool.open(), prepare=lambda *_: None, step=3),
    "close": _Case(lambda pool, _: pool.close(1.0), closes=True, step=3),
    "drain": _Case(lambda pool, _: pool.drain(1.0), closes=True, step=3),
}


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_a_pool_works_after_an_interruption_at_any_line(rig: Rig, case: _Case) -> None:
    """Another thread gets all its sessions within ten minutes, and its numbers are true; or it is closed."""
    for moment in each_line(step=1 if THOROUGH else case.step):
        pool = rig.pool(min_size=1, max_size=_SIZE)
        prepared = case.prepare(rig, pool)
        with moment:
            case.act(pool, prepared)
        rig.start(case.tidy, prepared).result(WAIT)
        del prepared
        rig.clock.advance(RECLAIM_QUIET)
        rig.start(_check, pool, moment, closes=case.closes).result(WAIT)


def _check(pool: Any, moment: Moment, *, closes: bool) -> None:
    """Use a pool in another thread than the one that was interrupted, and close it."""
    try:
        until(lambda: pool.stats().leased == 0)
        leases = [pool.acquire(timeout=None) for _ in range(_SIZE)]
    except PoolClosed:
        assert closes, moment
    else:
        assert pool.stats().leased == _SIZE, moment
        for lease in leases:
            pool.release(lease)
        assert (pool.stats().leased, pool.stats().waiting) == (0, 0), moment
    assert pool.drain(WAIT), moment
    assert pool.stats().size == 0, moment
