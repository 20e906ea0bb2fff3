"""Cancellations of a multiplexed session's coroutines and tasks at each of their suspensions, and eager tasks."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import AsyncMultiplexedSession, AsyncSessionsClient, PoolClosed, PoolError
from spanner_grpc_sessions.multiplexed import session_async
from spanner_grpc_sessions.runtime.clock import start_background_task
from tests.support.cancelling import TASKS, CountingSpanner, How, Moment, each_suspension, nothing_left, run_in
from tests.support.waiting import WAIT


@pytest.fixture(scope="module")
def shared() -> Iterator[CountingSpanner]:
    """A server for all tests of this file."""
    with CountingSpanner() as server:
        yield server


@pytest.fixture
def server(shared: CountingSpanner) -> Iterator[CountingSpanner]:
    """That server, without what the last test wanted of it."""
    yield shared
    shared.faults.clear()


class _Case:
    """A multiplexed session on a client and a database of its own."""

    def __init__(self, server: CountingSpanner, moment: Moment | None = None, **options: Any) -> None:
        self.server = server
        self.moment = moment
        self.database = f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}"
        self.client = AsyncSessionsClient(AnonymousCredentials(), options=server.client_options(**options))
        self.session = AsyncMultiplexedSession(self.client, self.database)

    async def query(self, session: AsyncMultiplexedSession) -> None:
        """Use the session."""
        await session.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=session.name, sql="SELECT 1"))

    async def end(self) -> None:
        """Require that the session serves, or is closed and says so; close it: nothing is left."""
        if repr(self.session).endswith(" closed>"):
            with pytest.raises(PoolClosed):
                await self.session.open()
        else:
            await asyncio.wait_for(self.session.run(self.query), WAIT)
        await asyncio.wait_for(self.session.close(), WAIT)
        await self.client.close()
        await nothing_left(self.server, self.moment)


async def _lose(case: _Case) -> str:
    """Have the server forget a session, and return its name."""
    await case.session.open()
    case.server.forget(case.session.name)
    return case.session.name


async def _run_lost(case: _Case) -> None:
    await _lose(case)
    await case.session.run(case.query)


async def _invalidate(case: _Case) -> None:
    await case.session.invalidate(await _lose(case))


async def _close(case: _Case) -> None:
    opening = asyncio.ensure_future(case.session.open())
    await asyncio.sleep(0)
    await case.session.close()
    await asyncio.wait([opening], timeout=WAIT)
    assert isinstance(opening.exception(), PoolClosed)


async def _block(case: _Case) -> None:
    async with case.session as session:
        await case.query(session)


_USES: dict[str, Callable[[_Case], Coroutine[Any, Any, Any]]] = {
    "open": lambda case: case.session.open(),
    "run": lambda case: case.session.run(case.query),
    "run, on a lost session": _run_lost,
    "invalidate": _invalidate,
    "close": _close,
    "block": _block,
}


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("use", _USES)
def test_a_session_works_after_a_cancelled_use(server: CountingSpanner, use: str, tasks: str) -> None:
    """Or it is closed, and says so; when it is closed, nothing of it goes on."""

    async def main() -> None:
        for moment in each_suspension():
            case = _Case(server, moment)
            outcome = await moment.run(_USES[use](case))
            expected = asyncio.CancelledError if moment.place else object
            assert isinstance(outcome, expected), (moment, outcome)
            await case.end()

    run_in(tasks, main())


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("task", ["_create", "_keep"])
def test_a_session_works_after_its_task_was_cancelled(
    server: CountingSpanner, monkeypatch: pytest.MonkeyPatch, task: str, tasks: str
) -> None:
    """The creation, or the keeper, before it begins or at any suspension, as when `asyncio.run` cancels all tasks."""

    async def main() -> None:
        for moment in each_suspension(How.BEFORE, How.TOGETHER, first=0):
            started: list[str] = []

            def start(coroutine: Any, moment: Moment = moment, started: list[str] = started) -> asyncio.Task[Any]:
                started.append(coroutine.__name__)
                if coroutine.__name__ == task and started.count(task) == 1:
                    return moment.start(start_background_task, coroutine)
                return start_background_task(coroutine)

            monkeypatch.setattr(session_async, "start_background_task", start)
            case = _Case(server, moment)
            with contextlib.suppress(PoolError):
                await case.session.open()
            await case.end()

    run_in(tasks, main())


class _FailsOnce:
    """An observer that fails at the beginning of the first call, before anything can be waited for."""

    def __init__(self) -> None:
        self.failures = 0

    def begin(self, call: Any) -> tuple[tuple[Any, ...], None]:
        """Fail, the first time."""
        self.failures += 1
        if self.failures == 1:
            raise RuntimeError("an observer of the user's")
        return (), None

    def end(self, call: Any, mark: None) -> None:
        """Do nothing."""


@pytest.mark.parametrize("tasks", TASKS)
def test_a_creation_that_fails_at_once_is_tried_again(server: CountingSpanner, tasks: str) -> None:
    """It is not remembered, also where it failed before the task that makes it was known."""

    async def main() -> None:
        case = _Case(server, observer=_FailsOnce())
        with pytest.raises(RuntimeError, match="observer"):
            await case.session.open()
        await case.end()

    run_in(tasks, main())
