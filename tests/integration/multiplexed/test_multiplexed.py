"""The multiplexed session, in both colours: made once, kept young, replaced when it is lost, never deleted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionsClient,
    Internal,
    InvalidName,
    InvalidType,
    MultiplexedOptions,
    MultiplexedSession,
    PoolError,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import ClientOptions
from tests.support.clocks import HandMovedClock
from tests.support.colours import Colour
from tests.support.pools import multiplexed_of
from tests.support.scripted import Gate, scripted_server
from tests.support.servers import Server, arrived
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"
_WEEK = 7 * 86400.0
_AT_ONCE = RetryOptions(initial_delay=0)


@pytest.fixture
def clock() -> HandMovedClock:
    """A clock that stands still."""
    return HandMovedClock()


@pytest.fixture
def client(local: LocalSpanner, colour: Colour) -> Iterator[SessionsClient]:
    """A client of each colour."""
    with colour.client(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
        yield client


@pytest.fixture
def session(client: SessionsClient, clock: HandMovedClock) -> Iterator[Any]:
    """An open multiplexed session of each colour, on a clock that stands still."""
    session = multiplexed_of(client, _DATABASE, clock=clock)
    session.open()
    yield session
    session.close()


def test_it_is_created_once_and_said_to_be_multiplexed(local: LocalSpanner, session: Any) -> None:
    """Opening again and reading its name creates nothing; the request has no labels."""
    session.open()
    assert session.resource["name"] == session.name
    assert arrived(local, "CreateSession") == 1
    request: Any = local.calls[-1].request
    assert request.session == spanner_pb2.Session(multiplexed=True)


def test_it_works_on_both_servers(server: Server, colour: Colour) -> None:
    """The name serves queries, through the client and through the stub."""
    with colour.client(server.credentials(), options=server.options()) as client:
        session = multiplexed_of(client, server.new_database())
        session.open()
        client.ping_session(session.name)
        request = spanner_pb2.ExecuteSqlRequest(session=session.name, sql="SELECT 1")
        assert session.stub.ExecuteSql(request).rows
        session.close()


def test_concurrent_first_uses_create_one_session(local: LocalSpanner, client: SessionsClient) -> None:
    """Single flight: all of them get the same session."""
    local.faults.add("CreateSession", delay=0.1)
    session = multiplexed_of(client, _DATABASE)
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: (session.open(), session.name)[1], range(8)))
    assert len(names) == arrived(local, "CreateSession") == 1
    session.close()


def test_a_first_creation_that_failed_is_tried_again(local: LocalSpanner, client: SessionsClient) -> None:
    """All who waited for it get its error; the next use succeeds."""
    local.faults.add("CreateSession", status="INTERNAL", delay=0.1)
    session = multiplexed_of(client, _DATABASE)
    with ThreadPoolExecutor(4) as threads:
        failures = [future.exception(WAIT) for future in [threads.submit(session.open) for _ in range(4)]]
    # Callers that came after the failure have tried again.
    assert any(isinstance(failure, Internal) for failure in failures)
    assert all(failure is None or isinstance(failure, Internal) for failure in failures)
    session.open()
    assert session.name
    session.close()


def test_it_is_replaced_after_a_week(local: LocalSpanner, session: Any, clock: HandMovedClock) -> None:
    """Up to half a week earlier, and not before; in the background, while the old one serves and stays."""
    old = session.name
    clock.advance(0.5 * _WEEK - 1)
    session.open()
    assert (session.name, arrived(local, "CreateSession")) == (old, 1)
    clock.advance(0.5 * _WEEK + 2)
    until(lambda: session.name != old)
    assert arrived(local, "CreateSession") == 2
    assert not any(call.method == "DeleteSession" for call in local.calls)


def test_the_old_one_serves_while_it_cannot_be_replaced(
    local: LocalSpanner, session: Any, clock: HandMovedClock
) -> None:
    """Attempts go on, at most 15 s apart, until one succeeds."""
    old = session.name
    local.faults.add("CreateSession", status="INTERNAL", times=3)
    clock.advance(_WEEK)

    def after_15_seconds(true: Callable[[], bool]) -> bool:
        clock.advance(15)
        return true()

    for attempts in (2, 3, 4):
        assert session.name == old
        until(lambda: after_15_seconds(lambda: arrived(local, "CreateSession") >= attempts))  # noqa: B023 - called at once
    until(lambda: after_15_seconds(lambda: session.name != old))


def test_a_loss_seen_by_many_callers_is_repaired_once(local: LocalSpanner, session: Any) -> None:
    """All callers name the lost session, and only the first has it replaced."""
    lost = session.name
    local.forget(lost)
    local.faults.add("CreateSession", delay=0.1)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(session.invalidate, [lost] * 8))
    assert session.name != lost
    session.invalidate(lost)
    session.invalidate("something else")
    assert arrived(local, "CreateSession") == 2
    with pytest.raises(InvalidType):
        session.invalidate(None)


@pytest.mark.parametrize("rpc", ["ExecuteSql", "ExecuteStreamingSql"])
def test_its_stub_has_a_lost_session_replaced(local: LocalSpanner, session: Any, rpc: str) -> None:
    """Also when the loss comes with the first message of a stream, and when the caller swallows the error."""
    lost = session.name
    local.forget(lost)
    with contextlib.suppress(SessionNotFound):
        answer = getattr(session.stub, rpc)(spanner_pb2.ExecuteSqlRequest(session=lost, sql="SELECT 1"))
        list(answer)
    until(lambda: session.name != lost)
    assert arrived(local, "CreateSession") == 2


def test_a_loss_that_cannot_be_repaired_is_raised(local: LocalSpanner, session: Any) -> None:
    """The caller gets the creation's error, the old name stays, and the next attempt succeeds."""
    lost = session.name
    local.faults.add("CreateSession", status="INTERNAL")
    with pytest.raises(Internal):
        session.invalidate(lost)
    assert session.name == lost
    session.invalidate(lost)
    assert session.name != lost


def test_a_server_without_support_points_to_the_pool(colour: Colour) -> None:
    """UNIMPLEMENTED becomes an error that says what to use instead."""

    def refuse(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no")

    with scripted_server(CreateSession=refuse) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(PoolError, match="no multiplexed sessions: use a SessionPool"):
                multiplexed_of(client, _DATABASE).open()


@pytest.mark.parametrize(
    ("error_class", "arguments", "settings"),
    [
        (InvalidName, ("nope",), {}),
        (InvalidType, (None,), {}),
        (InvalidType, (_DATABASE,), {"options": {}}),
    ],
)
def test_bad_input_is_refused_when_it_is_made(
    client: SessionsClient, error_class: type[Exception], arguments: Any, settings: Any
) -> None:
    """Before anything is sent."""
    with pytest.raises(error_class):
        multiplexed_of(client, *arguments, **settings)


@pytest.mark.parametrize("session_class", [MultiplexedSession, AsyncMultiplexedSession])
def test_a_client_of_the_other_colour_is_refused(session_class: Any) -> None:
    """Each colour has its own."""
    other = AsyncSessionsClient if session_class is MultiplexedSession else SessionsClient
    options = ClientOptions(endpoint="127.0.0.1:1", plaintext=True)
    with pytest.raises(InvalidType, match="client must be"):
        session_class(other(AnonymousCredentials(), options=options), _DATABASE)


def test_its_role_and_its_time_are_options(local: LocalSpanner, client: SessionsClient, clock: HandMovedClock) -> None:
    """A role reaches the server; a short time is looked at often enough."""
    session = multiplexed_of(
        client, _DATABASE, options=MultiplexedOptions(creator_role="reader", replace_after=0.5), clock=clock
    )
    session.open()
    old = session.name
    request: Any = local.calls[-1].request
    assert request.session.creator_role == "reader"
    clock.advance(0.6)
    until(lambda: session.name != old)
    session.close()


def test_a_caller_that_gives_up_does_not_fail_the_others(local: LocalSpanner) -> None:
    """A task that is cancelled while it waits for the first creation leaves it to the others."""
    gate = Gate()

    async def race(options: ClientOptions) -> None:
        async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
            session = AsyncMultiplexedSession(client, _DATABASE)
            tasks = [asyncio.ensure_future(session.open()) for _ in range(2)]
            await until_async(lambda: gate.arrived == 1)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1], timeout=WAIT)
            assert tasks[0].cancelled()
            gate.open.set()
            assert await asyncio.wait_for(tasks[1], WAIT) is session
            await session.close()

    with scripted_server(CreateSession=gate.create) as options:
        asyncio.run(race(options))
    assert gate.arrived == 1
