"""Channels of a lease and of a multiplexed session, for stubs of one's own; and `run` on a multiplexed session."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import threading
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.experimental
import pytest
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import (
    AsyncLease,
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    ClientOptions,
    InvalidType,
    InvalidValue,
    Lease,
    MultiplexedSession,
    PoolError,
    PoolTimeout,
    RetryOptions,
    SessionNotFound,
    SessionPool,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.asynchronous import in_asyncio
from tests.support.scripted import scripted_server
from tests.support.servers import Server, arrived
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"
_AT_ONCE = RetryOptions(initial_delay=0)


def query(session: str) -> spanner_pb2.ExecuteSqlRequest:
    """Return a query."""
    return spanner_pb2.ExecuteSqlRequest(session=session, sql="SELECT 1")


def test_a_stub_on_the_channel_of_a_lease(server: Server) -> None:
    """It works, finds the loss of the session, and is refused once the lease was released."""
    with (
        SessionsClient(server.credentials(), options=server.options()) as client,
        SessionPool(client, server.new_database()) as pool,
    ):
        lease = pool.acquire()
        stub = spanner_pb2_grpc.SpannerStub(lease.channel())
        assert stub.ExecuteSql(query(lease.name)).rows
        client.delete_session(lease.name)
        with pytest.raises(SessionNotFound):
            list(stub.ExecuteStreamingSql(query(lease.name)))
        assert pool.stats().lost == 1
        pool.release(lease)
        assert pool.run(lambda lease: lease.name) != lease.name
        with pytest.raises(PoolError, match="was released"):
            lease.channel()


def test_a_stub_on_the_channel_of_a_lease_in_asyncio(server: Server) -> None:
    """The same in asyncio."""

    async def test() -> None:
        async with (
            AsyncSessionsClient(server.credentials(), options=server.options()) as client,
            AsyncSessionPool(client, server.new_database()) as pool,
        ):
            lease = await pool.acquire()
            stub = spanner_pb2_grpc.SpannerStub(lease.channel())
            assert (await stub.ExecuteSql(query(lease.name))).rows
            await client.delete_session(lease.name)
            with pytest.raises(SessionNotFound):
                await stub.ExecuteStreamingSql(query(lease.name)).read()
            assert pool.stats().lost == 1
            await pool.release(lease)
            with pytest.raises(PoolError, match="was released"):
                lease.channel()

    asyncio.run(test())


def test_another_session_on_the_channel_of_a_lease(local: LocalSpanner) -> None:
    """The loss of a session that is not the pool's changes nothing; that of another lease is told by its name."""
    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        SessionPool(client, _DATABASE) as pool,
        pool.session() as lease,
        pool.session() as other,
    ):
        stub = spanner_pb2_grpc.SpannerStub(lease.channel())
        with pytest.raises(SessionNotFound):
            stub.ExecuteSql(query(f"{_DATABASE}/sessions/none"))
        assert pool.stats().lost == 0
        local.forget(other.name)
        with pytest.raises(SessionNotFound):
            stub.ExecuteSql(query(other.name))
        assert pool.stats().lost == 1
        assert stub.ExecuteSql(query(lease.name)).rows


def test_retries_and_interceptors_of_these_channels(local: LocalSpanner) -> None:
    """They are those that the channel was asked for, and are checked."""
    wrong: Any = "wrong"
    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        SessionPool(client, _DATABASE) as pool,
        pool.session() as lease,
        MultiplexedSession(client, _DATABASE) as session,
    ):
        for holder in (lease, session):
            local.faults.add("ExecuteSql", status="UNAVAILABLE")
            stub = spanner_pb2_grpc.SpannerStub(holder.channel(retry=_AT_ONCE))
            assert stub.ExecuteSql(query(holder.name)).rows
            with pytest.raises(InvalidType, match="retry"):
                holder.channel(retry=wrong)
            with pytest.raises(InvalidType, match="interceptors"):
                holder.channel(interceptors=[wrong])


def test_a_stub_on_the_channel_of_a_multiplexed_session(local: LocalSpanner) -> None:
    """A call that finds the session lost has it replaced."""
    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        MultiplexedSession(client, _DATABASE) as session,
    ):
        stub, lost = spanner_pb2_grpc.SpannerStub(session.channel()), session.name
        assert isinstance(session.channel(), grpc.Channel)
        assert stub.ExecuteSql(query(lost)).rows
        local.forget(lost)
        with pytest.raises(SessionNotFound):
            stub.ExecuteSql(query(lost))
        until(lambda: session.name != lost)


def test_a_stub_on_the_channel_of_a_multiplexed_session_in_asyncio(local: LocalSpanner) -> None:
    """The same in asyncio."""

    async def test(client: AsyncSessionsClient) -> None:
        async with AsyncMultiplexedSession(client, _DATABASE) as session:
            stub, lost = spanner_pb2_grpc.SpannerStub(session.channel()), session.name
            assert isinstance(session.channel(), grpc.aio.Channel)
            local.forget(lost)
            with pytest.raises(SessionNotFound):
                await stub.ExecuteSql(query(lost))
            await until_async(lambda: session.name != lost)

    in_asyncio(local, test)


def test_a_loss_is_told_to_who_asks_for_the_status_alone(local: LocalSpanner) -> None:
    """Not for the answer: a future's `code`, and in asyncio a call's."""
    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        SessionPool(client, _DATABASE) as pool,
        pool.session() as lease,
    ):
        local.forget(lease.name)
        future: Any = lease.stub.ExecuteSql.future(query(lease.name))
        assert future.code() is grpc.StatusCode.NOT_FOUND
        until(lambda: pool.stats().lost == 1)

    async def test(client: AsyncSessionsClient) -> None:
        async with AsyncSessionPool(client, _DATABASE) as pool, pool.session() as lease:
            local.forget(lease.name)
            assert await lease.stub.ExecuteSql(query(lease.name)).code() is grpc.StatusCode.NOT_FOUND
            assert pool.stats().lost == 1

    in_asyncio(local, test)


@dataclass
class _Endless:
    """Streams without end, and how many of them are running on the server."""

    running: int = 0
    changing: threading.Lock = field(default_factory=threading.Lock)

    def stream(self, _: Any, context: grpc.ServicerContext) -> Any:
        over = threading.Event()
        self._change(1)
        context.add_callback(lambda: self._change(-1))
        context.add_callback(over.set)
        yield result_set_pb2.PartialResultSet()
        # Longer than a test waits for its end.
        over.wait(2 * WAIT)

    def _change(self, by: int) -> None:
        with self.changing:
            self.running += by


_REST = f"/v1/{_DATABASE}/sessions/s:executeStreamingSql"
_SQL = query(f"{_DATABASE}/sessions/s")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("threads", [True, False], ids=["threads", "single threaded"])
def test_streams_that_are_left_after_a_row_end_on_the_server(channels: int, threads: bool) -> None:
    """By stub and by REST, also where a channel is chosen by the number of calls in flight."""
    server = _Endless()
    with scripted_server(ExecuteStreamingSql=server.stream) as plain:
        option = () if threads else ((grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),)
        options = dataclasses.replace(plain, channels=channels, channel_options=option)
        with SessionsClient(options=options) as client:
            for _ in range(2):
                for stream in (client.stub.ExecuteStreamingSql(_SQL), client.rest("POST", _REST, {"sql": "SELECT 1"})):
                    next(iter(stream))
            assert server.running
            del stream
            gc.collect()
            until(lambda: not server.running)


@pytest.mark.parametrize("channels", [1, 2])
def test_streams_that_are_left_after_a_row_end_on_the_server_in_asyncio(channels: int) -> None:
    """The same in asyncio, where gRPC's loop holds each call."""
    server = _Endless()

    async def first(stream: Any) -> None:
        async for _ in stream:
            return

    async def test(options: ClientOptions) -> None:
        async with AsyncSessionsClient(options=options) as client:
            for _ in range(2):
                await first(client.stub.ExecuteStreamingSql(_SQL))
                await first(await client.rest("POST", _REST, {"sql": "SELECT 1"}))
            gc.collect()
            await until_async(lambda: not server.running)

    with scripted_server(ExecuteStreamingSql=server.stream) as plain:
        asyncio.run(test(dataclasses.replace(plain, channels=channels)))


# ---- run


def test_run_on_a_multiplexed_session(local: LocalSpanner) -> None:
    """The function gets the session and the arguments, and is called again if the session was lost, once."""
    used: list[str] = []

    def use(session: MultiplexedSession, first: int, second: str) -> str:
        used.append(session.name)
        if len(used) == 1:
            local.forget(session.name)
        assert session.stub.ExecuteSql(query(session.name)).rows
        return f"{first}{second}"

    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        session = MultiplexedSession(client, _DATABASE)
        answer: str = session.run(use, 1, "a")
        session.close()
    assert answer == "1a"
    assert len(set(used)) == len(used) == 2
    assert arrived(local, "CreateSession") == 2


def test_run_on_a_multiplexed_session_in_asyncio(local: LocalSpanner) -> None:
    """The same in asyncio, where the function is a coroutine function."""
    used: list[str] = []

    async def use(session: AsyncMultiplexedSession, first: int, second: str) -> str:
        used.append(session.name)
        if len(used) == 1:
            local.forget(session.name)
        assert (await session.stub.ExecuteSql(query(session.name))).rows
        return f"{first}{second}"

    async def test(client: AsyncSessionsClient) -> None:
        session = AsyncMultiplexedSession(client, _DATABASE)
        answer: str = await session.run(use, 1, "a")
        await session.close()
        assert answer == "1a"

    in_asyncio(local, test)
    assert len(set(used)) == len(used) == 2
    assert arrived(local, "CreateSession") == 2


def test_run_gives_up_after_the_second_loss(local: LocalSpanner) -> None:
    """And at once, if another session was lost than its own."""
    calls: list[str] = []

    def lose(session: MultiplexedSession) -> None:
        calls.append(session.name)
        local.forget(session.name)
        client.ping_session(session.name)

    def other(_: MultiplexedSession) -> None:
        calls.append("other")
        client.ping_session(f"{_DATABASE}/sessions/none")

    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        MultiplexedSession(client, _DATABASE) as session,
    ):
        with pytest.raises(SessionNotFound):
            session.run(lose)
        assert len(set(calls)) == 2
        calls.clear()
        with pytest.raises(SessionNotFound):
            session.run(other)
        assert calls == ["other"]


def test_run_waits_so_long_for_a_session(local: LocalSpanner) -> None:
    """The first use creates it; a creation that takes longer goes on for others."""
    local.faults.add("CreateSession", delay=2 * WAIT)
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        session = MultiplexedSession(client, _DATABASE)
        with pytest.raises(PoolTimeout, match=r"no multiplexed session of .* within 0\.05 s"):
            session.run(lambda session: session.name, timeout=0.05)
        with pytest.raises(InvalidValue, match="timeout"):
            session.run(lambda session: session.name, timeout=-1)
        session.close()

    async def test(client: AsyncSessionsClient) -> None:
        async def use(session: AsyncMultiplexedSession) -> str:
            return session.name

        local.faults.add("CreateSession", delay=2 * WAIT)
        session = AsyncMultiplexedSession(client, _DATABASE)
        with pytest.raises(PoolTimeout, match=r"no multiplexed session of .* within 0\.05 s"):
            await session.run(use, timeout=0.05)
        await session.close()

    in_asyncio(local, test)


def test_the_types_of_run(local: LocalSpanner) -> None:
    """A type checker knows the result, and what the function takes: this test is for it."""

    def sized(lease: Lease, text: str, times: int) -> int:
        return len(lease.name and text) * times

    async def sized_async(lease: AsyncLease, text: str, times: int) -> int:
        return len(lease.name and text) * times

    async def test(client: AsyncSessionsClient) -> None:
        async with AsyncSessionPool(client, _DATABASE) as pool:
            number: int = await pool.run(sized_async, "ab", 2, timeout=WAIT)
            assert number == 4
            with pytest.raises(TypeError):
                await pool.run(sized_async, "ab")  # type: ignore[arg-type]  # an argument is missing

    in_asyncio(local, test)
    with (
        SessionsClient(local.credentials(), options=local.client_options()) as client,
        SessionPool(client, _DATABASE) as pool,
    ):
        number: int = pool.run(sized, "ab", 2, timeout=WAIT)
        assert number == 4
        with pytest.raises(TypeError):
            pool.run(sized, 2, "ab")  # type: ignore[arg-type]  # in the wrong order
