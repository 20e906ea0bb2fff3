"""What is used in a way that cannot work: refused in words before a session is taken, or without losing one."""

from __future__ import annotations

import functools
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from spanner_grpc_sessions import AsyncLease, InvalidType, Lease, PoolError
from tests.support.colours import ASYNC, SYNC, Blocking
from tests.support.pools import Rig, multiplexed_of, pool_of
from tests.support.waiting import until


def _entry(rig: Rig, block: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what enters a block of this colour, and what leaves it."""
    if isinstance(rig.client, Blocking):
        on_loop = rig.on(block)
        return on_loop.__aenter__, lambda: on_loop.__aexit__(None, None, None)
    return block.__enter__, lambda: block.__exit__(None, None, None)


def test_a_block_in_itself_is_refused_and_takes_no_session(rig: Rig) -> None:
    """The first one goes on, and gives its session back."""
    pool = rig.pool()
    enter, leave = _entry(rig, pool.session())
    enter()
    with pytest.raises(PoolError, match=r"entered before: call session\(\) for each block"):
        enter()
    assert pool.stats().leased == 1
    leave()
    assert pool.stats().leased == 0
    with pytest.raises(PoolError, match="entered before"):
        enter()


def test_of_two_callers_that_enter_one_block_one_is_refused(rig: Rig) -> None:
    """It takes no session, although the other one still waits for its own."""
    pool = rig.pool(max_size=1)
    lease = pool.acquire()
    enter, leave = _entry(rig, pool.session())
    waiting = rig.start(enter)
    until(lambda: pool.stats().waiting == 1)
    with pytest.raises(PoolError, match="entered before"):
        enter()
    pool.release(lease)
    waiting.result()
    leave()
    assert pool.stats().leased == 0


def test_a_block_that_was_not_entered_cannot_be_left(rig: Rig) -> None:
    """Nor one whose acquire failed, nor one that was left."""
    pool = rig.pool(max_size=1)
    enter, leave = _entry(rig, pool.session(timeout=0))
    with pytest.raises(PoolError, match="has no session"):
        leave()
    lease = pool.acquire()
    with pytest.raises(TimeoutError):
        enter()
    with pytest.raises(PoolError, match="has no session"):
        leave()
    pool.release(lease)
    enter, leave = _entry(rig, pool.session())
    enter()
    leave()
    with pytest.raises(PoolError, match="released before"):
        leave()
    assert pool.stats().leased == 0


def test_a_lease_that_no_pool_made_is_refused(rig: Rig) -> None:
    """It has no session that could be released."""
    pool = rig.pool()
    lease_class = AsyncLease if isinstance(rig.client, Blocking) else Lease
    with pytest.raises(PoolError, match="has no session"):
        pool.release(lease_class())


@pytest.mark.parametrize("clock", [None, 1.0, object])
def test_no_clock_is_refused(rig: Rig, clock: Any) -> None:
    """When the pool or session is made, and not on its first use."""
    for make in (multiplexed_of, pool_of):
        with pytest.raises(InvalidType, match="clock must be a Clock, got "):
            make(rig.client, rig.database, clock=clock)


async def _coroutine(*_: object) -> None:
    """Run later, when the session is another caller's."""


async def _asynchronous_generator(*_: object) -> AsyncIterator[None]:
    yield


def _generator(*_: object) -> Iterator[None]:
    yield


class _Callable:
    """Called, gives a coroutine."""

    async def __call__(self, *_: object) -> None:
        """Run later."""

    method = _coroutine


_LATER = {
    "nothing": None,
    "name": "select",
    "coroutine function": _coroutine,
    "asynchronous generator": _asynchronous_generator,
    "generator": _generator,
    "method": _Callable().method,
    "callable": _Callable(),
    "partial": functools.partial(functools.partial(_coroutine), None),
    "partial callable": functools.partial(_Callable()),
}


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.parametrize("function", _LATER.values(), ids=_LATER)
def test_run_refuses_a_function_that_would_work_later(rig: Rig, function: Any) -> None:
    """Its session would be another caller's by then. None is taken, and nothing is sent."""
    pool, multiplexed = rig.pool(), multiplexed_of(rig.client, rig.database)
    for run in (pool.run, multiplexed.run):
        with pytest.raises(InvalidType, match=r"function must (be callable|not be a coroutine function)"):
            run(function)
    assert rig.requests() == []


@pytest.mark.parametrize("colour", [ASYNC], ids=["async"])
def test_run_refuses_what_cannot_be_called_in_asyncio(rig: Rig) -> None:
    """Before a session is taken."""
    pool, multiplexed = rig.pool(), multiplexed_of(rig.client, rig.database)
    for run in (pool.run, multiplexed.run):
        with pytest.raises(InvalidType, match="function must be callable, got None"):
            run(None)
    assert rig.requests() == []


@pytest.mark.parametrize("colour", [ASYNC], ids=["async"])
@pytest.mark.parametrize("function", [_generator, _asynchronous_generator, lambda *_: 7])
def test_run_says_that_a_plain_function_cannot_be_awaited(rig: Rig, function: Any) -> None:
    """It was called, for its result alone can tell; the session is released."""
    pool, multiplexed = rig.pool(), multiplexed_of(rig.client, rig.database)
    for run in (pool.run, multiplexed.run):
        with pytest.raises(InvalidType, match="what the function returns must be awaitable, got "):
            run(function)
    assert pool.stats().leased == 0
    multiplexed.close()


@pytest.mark.parametrize("colour", [ASYNC], ids=["async"])
def test_run_awaits_what_a_plain_function_returns(rig: Rig) -> None:
    """A lambda around a coroutine function is as good as one, and so is one that returns a future."""
    pool, multiplexed = rig.pool(), multiplexed_of(rig.client, rig.database)

    async def name(session: Any) -> Any:
        return session.name

    class Awaitable:
        def __init__(self, session: Any) -> None:
            self._name = name(session)

        def __await__(self) -> Any:
            return self._name.__await__()

    for run in (pool.run, multiplexed.run):
        plain = run(lambda session, _: name(session), None)
        assert plain == run(Awaitable)
    multiplexed.close()


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
@pytest.mark.parametrize("function", [repr, str, functools.partial("{0.name}".format), operator.attrgetter("name")])
def test_run_calls_functions_of_all_kinds(rig: Rig, function: Any) -> None:
    """A built-in function, a class, a partial and an object."""
    assert "/sessions/" in rig.pool().run(function)
