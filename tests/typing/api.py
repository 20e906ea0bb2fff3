# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""The public interface as a service uses it, for type checkers: nothing here runs, and `make types` checks it.

What a call returns is asserted. A wrong call is one that both checkers refuse, or the ignore on its line is an error.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.auth.credentials import AnonymousCredentials
from google.cloud.spanner_v1.database import Database
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc
from typing_extensions import assert_type

from spanner_grpc_sessions import (
    DEFAULT,
    Aborted,
    AsyncLease,
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    BatchCreateSessionsRequest,
    ClientOptions,
    CreateSessionRequest,
    InvalidName,
    Lease,
    ListSessionsBody,
    MultiplexedOptions,
    MultiplexedSession,
    NotFound,
    PoolOptions,
    PoolStats,
    PoolTimeout,
    RetryOptions,
    RpcError,
    Session,
    SessionNotFound,
    SessionPool,
    SessionsBody,
    SessionsClient,
    SessionTemplate,
    SpannerSessionsError,
    discovery,
    google_cloud,
)
from spanner_grpc_sessions.discovery import AsyncSessions, HttpError, Request, Service, Sessions
from spanner_grpc_sessions.local import Call, Faults, LocalSpanner
from spanner_grpc_sessions.observers import CallInfo, Observer, PoolInfo, PoolObserver
from spanner_grpc_sessions.rest import from_rest, to_rest
from spanner_grpc_sessions.streams import AsyncStream, Stream
from spanner_grpc_sessions.telemetry import OpenTelemetry
from spanner_grpc_sessions.testing import Emulator, MovableClock, running_emulator

DATABASE = "projects/p/instances/i/databases/d"
SESSIONS = f"/v1/{DATABASE}/sessions"


def options() -> ClientOptions:
    """Options, and what they do not take."""
    ClientOptions(scopes="https://www.googleapis.com/auth/spanner.data")  # type: ignore[arg-type]
    ClientOptions(instance_type="emulator")  # type: ignore[arg-type]
    ClientOptions(end_point="localhost:9010")  # type: ignore[call-arg]
    RetryOptions(0.25)  # type: ignore[call-arg]
    changed = ClientOptions()
    changed.channels = 2  # type: ignore[misc]
    return ClientOptions(
        endpoint="localhost:9010",
        plaintext=True,
        client_certificate=None,
        retry=RetryOptions(initial_delay=0.1, statuses=frozenset({"UNAVAILABLE"})),
        stub_retry=RetryOptions.none(),
        channel_options=(("grpc.keepalive_time_ms", 30_000), ("grpc.primary_user_agent", "app")),
        observer=OpenTelemetry(),
    )


def sessions(client: SessionsClient) -> None:
    """The session RPCs."""
    session = client.create_session(DATABASE, labels={"team": "checkout"}, creator_role="reader", timeout=None)
    assert_type(session, Session)
    assert_type(session["name"], str)
    assert_type(session["createTime"], str)
    assert_type(session.get("labels"), dict[str, str] | None)
    session["create_time"]  # type: ignore[typeddict-item]
    assert_type(client.batch_create_sessions(DATABASE, 3, retry=RetryOptions.none()), SessionsBody)
    assert_type(client.get_session(session["name"], metadata=[("key-bin", b"value")], timeout=DEFAULT), Session)
    page = client.list_sessions(DATABASE, page_size=10, page_token="", filter="labels.team:*")
    assert_type(page, ListSessionsBody)
    assert_type(page.get("nextPageToken", ""), str)
    assert_type(client.iter_sessions(DATABASE), Iterator[Session])
    assert_type(client.ping_session(session["name"]), None)
    assert_type(client.delete_session(session["name"]), dict[str, Any])
    client.create_session(DATABASE, {"team": "checkout"})  # type: ignore[call-arg]
    client.create_session(DATABASE, labels={"cpus": 4})  # type: ignore[dict-item]
    client.create_session(session)  # type: ignore[arg-type]
    client.get_session(session["name"], timeout="30s")  # type: ignore[arg-type]
    client.batch_create_sessions(DATABASE)  # type: ignore[call-arg]


async def sessions_async(client: AsyncSessionsClient) -> None:
    """The session RPCs in asyncio."""
    session = await client.create_session(DATABASE, multiplexed=True)
    assert_type(session, Session)
    assert_type(await client.batch_create_sessions(DATABASE, 3), SessionsBody)
    assert_type(await client.get_session(session["name"]), Session)
    assert_type(await client.list_sessions(DATABASE), ListSessionsBody)
    assert_type(client.iter_sessions(DATABASE), AsyncIterator[Session])
    assert_type(await client.delete_session(session["name"]), dict[str, Any])
    await client.ping_session(session["name"])
    client.create_session(DATABASE)["name"]  # type: ignore[index]
    for _ in client.iter_sessions(DATABASE):  # type: ignore[attr-defined]
        pass


def rest(client: SessionsClient, name: str, whole: dict[str, Any]) -> None:
    """REST calls: what the body or the method tells is known, and all else is Any."""
    template: SessionTemplate = {"labels": {"team": "checkout"}, "creatorRole": "reader"}
    created = client.rest("POST", SESSIONS, {"session": template}, timeout=5.0)
    assert_type(created, Session)
    create: CreateSessionRequest = {"session": {"multiplexed": True}}
    assert_type(client.rest("POST", SESSIONS, create), Session)
    batch: BatchCreateSessionsRequest = {"sessionCount": 3, "sessionTemplate": template}
    assert_type(client.rest("POST", f"{SESSIONS}:batchCreate", batch), SessionsBody)
    assert_type(client.rest("POST", f"{SESSIONS}:batchCreate", {"sessionCount": 3}), SessionsBody)
    assert_type(client.rest("DELETE", f"/v1/{name}", retry=RetryOptions.none()), dict[str, Any])
    assert_type(client.rest("GET", SESSIONS, query={"pageSize": 10}), Any)
    assert_type(client.rest("POST", SESSIONS, {}), Any)
    assert_type(client.rest("POST", SESSIONS, whole), Any)
    with client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
        for part in stream:
            assert_type(part, Any)
    client.rest("GET", SESSIONS, {}, {"pageSize": 10})  # type: ignore[call-overload]
    client.rest("POST", SESSIONS, [])  # type: ignore[call-overload]
    client.rest("POST", SESSIONS, {"session": {}}, timout=1.0)  # type: ignore[call-overload]


async def rest_async(client: AsyncSessionsClient, name: str, stream: AsyncStream) -> None:
    """The same in asyncio."""
    assert_type(await client.rest("POST", SESSIONS, {"session": {"labels": {}}}), Session)
    assert_type(await client.rest("POST", f"{SESSIONS}:batchCreate", {"sessionCount": 3}), SessionsBody)
    assert_type(await client.rest("DELETE", f"/v1/{name}"), dict[str, Any])
    assert_type(await client.rest("GET", f"/v1/{name}"), Any)
    async with stream as parts:
        async for part in parts:
            assert_type(part, dict[str, Any])
    client.rest("POST", SESSIONS, {"session": {}})["name"]  # type: ignore[index]


def streams(stream: Stream) -> None:
    """What a streaming method of REST returns."""
    with stream as parts:
        assert_type(next(parts), dict[str, Any])
        assert_type(list(parts), list[dict[str, Any]])
    stream.close()


def messages(session: Session) -> None:
    """Messages and JSON."""
    message = from_rest(spanner_pb2.Session, {"labels": {"team": "checkout"}})
    assert_type(message, spanner_pb2.Session)
    assert_type(from_rest(spanner_pb2.Session, session), spanner_pb2.Session)
    assert_type(to_rest(message), Any)
    spanner_pb2.CreateSessionRequest(database=DATABASE, session={"labels": {"team": "checkout"}})
    from_rest(spanner_pb2.Session, [])  # type: ignore[arg-type]
    to_rest({"labels": {}})  # type: ignore[arg-type]


def google_discovery(client: SessionsClient) -> None:
    """The interface of google-api-python-client."""
    service = discovery.build(client)
    assert_type(service, Service[Sessions])
    with service.projects().instances().databases() as databases:
        resource = databases.sessions()
    assert_type(resource, Sessions)
    request = resource.create(database=DATABASE, body={"session": {"labels": {"team": "checkout"}}}, prettyPrint=True)
    assert_type(request, Request[Session])
    assert_type(request.uri, str)
    assert_type(request.body, str | None)
    assert_type(request.execute(), Session)
    assert_type(resource.batchCreate(database=DATABASE, body={"sessionCount": 3}).execute(), SessionsBody)
    assert_type(resource.get(name="s", alt="json").execute(), Session)
    page = resource.list(database=DATABASE, pageSize=10, filter="labels.team:*")
    assert_type(page.execute(), ListSessionsBody)
    assert_type(resource.list_next(page, page.execute()), Request[ListSessionsBody] | None)
    assert_type(resource.delete(name="s").execute(), dict[str, Any])
    assert_type(resource.executeSql(session="s", body={"sql": "SELECT 1"}).execute(), dict[str, Any])
    assert_type(resource.executeStreamingSql(session="s", body={}).execute(num_retries=3), list[dict[str, Any]])
    resource.create(DATABASE)  # type: ignore[call-arg]
    resource.get(name="s", fields="name")  # type: ignore[call-arg]
    resource.get(name="s", pageSize=10)  # type: ignore[call-arg]
    resource.get(name="s", alt="xml")  # type: ignore[arg-type]
    resource.list_next(request, {})  # type: ignore[arg-type]
    discovery.build("spanner", "v1")  # type: ignore[call-overload]


async def google_discovery_async(client: AsyncSessionsClient) -> None:
    """The same in asyncio, where `execute` is awaited."""
    resource = discovery.build(client).projects().instances().databases().sessions()
    assert_type(resource, AsyncSessions)
    assert_type(await resource.create(database=DATABASE).execute(), Session)
    page = resource.list(database=DATABASE)
    assert_type(await page.execute(), ListSessionsBody)
    further = resource.list_next(page, await page.execute())
    if further is not None:
        assert_type(await further.execute(), ListSessionsBody)
    assert_type(await resource.executeStreamingSql(session="s").execute(), list[dict[str, Any]])
    resource.get(name="s").execute()["name"]  # type: ignore[index]


def stubs(client: SessionsClient, interceptor: grpc.UnaryUnaryClientInterceptor) -> None:
    """Stubs, ours and others, on the client's channels."""
    assert_type(client.stub, spanner_pb2_grpc.SpannerStub)
    assert_type(client.channel(interceptors=[interceptor], retry=RetryOptions()), grpc.Channel)
    assert_type(client.call_credentials(), grpc.CallCredentials)
    request = spanner_pb2.ExecuteSqlRequest(session="s", sql="SELECT 1")
    assert_type(client.stub.ExecuteSql(request, timeout=5.0), result_set_pb2.ResultSet)
    for part in client.stub.ExecuteStreamingSql(request):
        assert_type(part, result_set_pb2.PartialResultSet)
    client.stub.ExecuteSql(spanner_pb2.CommitRequest())  # type: ignore[arg-type]


async def stubs_async(client: AsyncSessionsClient, interceptor: grpc.aio.UnaryUnaryClientInterceptor) -> None:
    """The same in asyncio."""
    assert_type(client.channel(interceptors=[interceptor]), grpc.aio.Channel)
    request = spanner_pb2.ExecuteSqlRequest(session="s", sql="SELECT 1")
    assert_type(await client.stub.ExecuteSql(request), result_set_pb2.ResultSet)
    async for part in client.stub.ExecuteStreamingSql(request):
        assert_type(part, result_set_pb2.PartialResultSet)
    client.channel(interceptors=[print])  # type: ignore[list-item]


def transfer(lease: Lease, amount: int) -> list[str]:
    """Work on a lease, as `SessionPool.run` calls it."""
    return [lease.name] * amount


def pools(client: SessionsClient) -> None:
    """A session pool."""
    limits = PoolOptions(min_size=2, max_size=20, max_waiting=None, labels={"team": "checkout"}, leak_after=60)
    with SessionPool(client, DATABASE, options=limits, clock=MovableClock()) as pool:
        assert_type(pool, SessionPool)
        with pool.session(timeout=1.0) as lease:
            assert_type(lease, Lease)
            assert_type(lease.name, str)
            assert_type(lease.resource, Session)
            assert_type(lease.stub, spanner_pb2_grpc.SpannerStub)
            assert_type(lease.channel(), grpc.Channel)
            lease.invalidate()
        pool.release(pool.acquire(timeout=DEFAULT))
        assert_type(pool.run(transfer, 3, timeout=None), list[str])
        assert_type(pool.run(lambda lease: lease.resource), Session)
        assert_type(pool.stats(), PoolStats)
        assert_type(pool.stats().idle, int)
        pool.wait(timeout=None)
        assert_type(pool.drain(), bool)
        pool.run(transfer, "3")  # type: ignore[arg-type]
        pool.run(transfer)  # type: ignore[arg-type]
        pool.release("s")  # type: ignore[arg-type]
        pool.acquire().name = "s"  # type: ignore[misc]
    SessionPool(client, DATABASE, limits)  # type: ignore[call-arg]
    PoolOptions(max_size=None)  # type: ignore[arg-type]


async def transfer_async(lease: AsyncLease, amount: int) -> list[str]:
    """The same in asyncio."""
    return [lease.name] * amount


async def pools_async(client: AsyncSessionsClient, blocking: SessionsClient) -> None:
    """The same in asyncio."""
    async with AsyncSessionPool(client, DATABASE) as pool, pool.session() as lease:
        assert_type(lease, AsyncLease)
        assert_type(lease.stub, spanner_pb2_grpc.SpannerAsyncStub)
        assert_type(lease.channel(), grpc.aio.Channel)
        assert_type(await pool.run(transfer_async, 3), list[str])
        assert_type(pool.stats(), PoolStats)
        await pool.release(await pool.acquire(timeout=0))
        await pool.run(transfer, 3)  # type: ignore[arg-type]
        pool.acquire().invalidate()  # type: ignore[attr-defined]
    AsyncSessionPool(blocking, DATABASE)  # type: ignore[arg-type]


def multiplexed(client: SessionsClient) -> None:
    """The multiplexed session."""
    with MultiplexedSession(client, DATABASE, options=MultiplexedOptions(creator_role="reader")) as session:
        assert_type(session.name, str)
        assert_type(session.resource, Session)
        assert_type(session.stub, spanner_pb2_grpc.SpannerStub)
        assert_type(session.channel(), grpc.Channel)
        assert_type(session.run(lambda shared: shared.name), str)
        session.invalidate(session.name)
        session.run(transfer, 3)  # type: ignore[arg-type]
    MultiplexedOptions(labels={})  # type: ignore[call-arg]


async def multiplexed_async(client: AsyncSessionsClient) -> None:
    """The same in asyncio."""

    async def name_of(shared: AsyncMultiplexedSession) -> str:
        return shared.name

    async with AsyncMultiplexedSession(client, DATABASE) as session:
        assert_type(session.name, str)
        assert_type(session.stub, spanner_pb2_grpc.SpannerAsyncStub)
        assert_type(await session.run(name_of), str)
        await session.invalidate(session.name)


def errors(client: SessionsClient) -> str:
    """Errors, as gRPC's and as REST's."""
    try:
        client.get_session("s")
    except (SessionNotFound, InvalidName) as error:
        if isinstance(error, SessionNotFound):
            assert_type(error.concerns("s"), bool)
        return str(error)
    except (NotFound, Aborted) as error:
        assert_type(error.retry_delay, float | None)
        assert_type(error.error_details, list[dict[str, Any]])
    except RpcError as error:
        assert_type(error.code(), grpc.StatusCode)
        assert_type(error.details(), str)
        assert_type(error.status, str)
        assert_type(error.to_rest(), dict[str, Any])
        failed: grpc.RpcError = error
        call: grpc.Call = error
        awaited: grpc.aio.AioRpcError = error
        return f"{failed} {call} {awaited} {error.request_id} {error.attempts}"
    except PoolTimeout as error:
        timeout: TimeoutError = error
        raise timeout from error
    except HttpError as error:
        assert_type(error.status_code, int)
    except SpannerSessionsError:
        raise
    return RpcError("the text").message  # type: ignore[call-arg]


class Watcher:
    """An observer of calls and pools."""

    server_timing = True

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], float]:
        """Return no header, and when the call began."""
        return (), call.started

    def end(self, call: CallInfo, mark: float) -> None:
        """Note how long it took."""
        assert_type(call.server_timing.get("gfe", call.started - mark), float)

    def watch_pool(self, pool: PoolInfo) -> str:
        """Return the name of the database."""
        return f"{pool.database}: {pool.counts().idle}"

    def sessions_created(self, mark: str, count: int, seconds: float) -> None:
        """Do nothing."""

    def session_acquired(self, mark: str, seconds: float) -> None:
        """Do nothing."""

    def session_released(self, mark: str, seconds: float) -> None:
        """Do nothing."""

    def acquire_timed_out(self, mark: str) -> None:
        """Do nothing."""


def observers() -> tuple[Observer, PoolObserver]:
    """What is an observer, and what is none."""
    ClientOptions(observer=Watcher())
    ClientOptions(observer=Watcher)  # type: ignore[arg-type]
    ClientOptions(observer=print)  # type: ignore[arg-type]
    return Watcher(), Watcher()


def local(path: Path) -> None:
    """The local server."""
    with LocalSpanner(tls=True, faults=Faults(), databases=[DATABASE]) as spanner:
        assert_type(spanner, LocalSpanner)
        assert_type(spanner.endpoint, str)
        assert_type(spanner.client_options(channels=2), ClientOptions)
        assert_type(spanner.service_account_file(path), Path)
        assert_type(spanner.service_account_file("key.json"), str)
        assert_type(spanner.issue_token(lifetime=60), str)
        assert_type(spanner.calls, list[Call])
        assert_type(spanner.calls[0].params, dict[str, Any])
        assert_type(spanner.sessions, list[dict[str, Any]])
        spanner.answer("SELECT 1", columns={"": "INT64"}, rows=[[1]], times=1)
        spanner.answer(re.compile("SELECT .*"), rows=lambda call: [call.params.values()], columns={"id": "INT64"})
        spanner.answer_read("Users", columns={"id": "INT64"}, rows=[{"id": 1}], index="ById")
        spanner.faults.add("Commit", status="ABORTED", retry_delay=0.01)
        spanner.faults.add_token(status=503, times=None)
        spanner.advance(3600)
        spanner.forget("s")
        spanner.answer_read("Users", rows=[])  # type: ignore[call-arg]
        spanner.answer(7)  # type: ignore[arg-type]
        spanner.calls = []  # type: ignore[misc]
        SessionsClient(spanner.credentials(), options=spanner.client_options()).open().close()


def test_of_a_service(
    spanner_client: SessionsClient, spanner_pool: SessionPool, spanner_database: str, spanner_emulator: Emulator
) -> None:
    """What the plugin of pytest gives a test."""
    spanner_client.create_session(spanner_database)
    assert_type(spanner_pool.stats().size, int)
    assert_type(spanner_emulator.create_database(["CREATE TABLE t (id INT64) PRIMARY KEY (id)"]), str)
    with running_emulator({}) as emulator:
        assert_type(emulator, Emulator)


def google_clients(
    database: Database, client: SessionsClient, awaited: AsyncSessionsClient, pool: SessionPool, own: AsyncSessionPool
) -> None:
    """google-cloud-spanner on the library."""
    assert_type(google_cloud.use(database, client), Database)
    google_cloud.SessionPool(pool)
    google_cloud.AsyncSessionPool(own)
    google_cloud.MultiplexedSession(MultiplexedSession(client, DATABASE))
    google_cloud.AsyncMultiplexedSession(AsyncMultiplexedSession(awaited, DATABASE))
    google_cloud.SessionPool(own)  # type: ignore[arg-type]
    google_cloud.use(database, "client")  # type: ignore[call-overload]


async def clients() -> None:
    """Clients, open and closed."""
    with SessionsClient(AnonymousCredentials(), options=options()) as client:
        assert_type(client, SessionsClient)
        client.warm_up(timeout=None)
    async with AsyncSessionsClient() as awaited:
        assert_type(awaited, AsyncSessionsClient)
        await awaited.warm_up()
    with AsyncSessionsClient():  # type: ignore[attr-defined]
        pass
    SessionsClient("key.json")  # type: ignore[arg-type]
    SessionsClient(options={"endpoint": "localhost:9010"})  # type: ignore[arg-type]
    start: Callable[[], None] = lambda: asyncio.run(clients())  # noqa: E731 - never called
    start()
