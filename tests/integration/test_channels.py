"""Several connections, the channel for foreign stubs, and warming up: in both colours."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import credentials as user_credentials
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientClosed,
    CredentialsError,
    DeadlineExceeded,
    InvalidName,
    InvalidType,
    InvalidValue,
    ResourceExhausted,
    RetryOptions,
    SessionNotFound,
    SessionsClient,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import ClientOptions
from tests.support.colours import Blocking, Colour
from tests.support.pools import multiplexed_of
from tests.support.scripted import scripted_server
from tests.support.servers import Server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"


@pytest.fixture
def database(server: Server) -> str:
    """A new database."""
    return server.new_database()


def test_a_stub_gets_token_and_headers(local: LocalSpanner, colour: Colour) -> None:
    """Unary and streaming calls on the client's stub carry what the client's own calls do, the caller's headers too."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        name = client.create_session(_DATABASE)["name"]
        request = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
        rows = client.stub.ExecuteSql(request, metadata=(("x-own", "1"),)).rows
        assert [list(row) for row in rows] == [["1"]]
        assert [list(part.values) for part in client.stub.ExecuteStreamingSql(request)] == [list(rows[0].values)]
        create, *queries = local.calls
        assert [call.method for call in queries] == ["ExecuteSql", "ExecuteStreamingSql"]
        for call in queries:
            assert call.auth == create.auth != "none"
            assert call.header("google-cloud-resource-prefix") == _DATABASE
            assert call.header("x-goog-request-params") == f"session={name}"
            assert call.header("x-goog-api-client") == create.header("x-goog-api-client")
        assert queries[0].header("x-own") == "1"
        assert len({call.header("x-goog-spanner-request-id") for call in local.calls}) == 3


def test_a_stub_has_the_published_deadline(colour: Colour) -> None:
    """A call without a timeout gets Google's for the RPC; one that is given holds."""
    seen: list[float] = []

    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        seen.append(context.time_remaining())
        return result_set_pb2.ResultSet()

    with scripted_server(ExecuteSql=answer) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            request = spanner_pb2.ExecuteSqlRequest(session=f"{_DATABASE}/sessions/s")
            client.stub.ExecuteSql(request)
            client.stub.ExecuteSql(request, timeout=5)
    assert 25 < seen[0] < 31
    assert 0 < seen[1] < 6


def test_a_stub_raises_the_errors_of_the_client(client: SessionsClient, database: str) -> None:
    """A session that is gone is a SessionNotFound and a grpc.RpcError, in unary calls and in streams."""
    request = spanner_pb2.ExecuteSqlRequest(session=f"{database}/sessions/none", sql="SELECT 1")
    with pytest.raises(SessionNotFound) as caught:
        client.stub.ExecuteSql(request)
    assert isinstance(caught.value, grpc.RpcError)
    assert (caught.value.method, caught.value.request_id.count(".")) == ("ExecuteSql", 5)
    with pytest.raises(SessionNotFound):
        list(client.stub.ExecuteStreamingSql(request))


def test_a_stub_refuses_what_cannot_be_sent(local: LocalSpanner, colour: Colour) -> None:
    """No name, a header that only the client may set, no number of seconds: nothing is sent."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        good = spanner_pb2.ExecuteSqlRequest(session=f"{_DATABASE}/sessions/s")
        for error_class, request, keywords in (
            (InvalidName, spanner_pb2.ExecuteSqlRequest(), {}),
            (InvalidValue, good, {"metadata": (("authorization", "Bearer x"),)}),
            (InvalidType, good, {"metadata": (("x", 1),)}),
            (InvalidType, good, {"timeout": "1"}),
            (InvalidValue, good, {"timeout": float("nan")}),
        ):
            with pytest.raises(error_class):
                client.stub.ExecuteSql(request, **keywords)
        assert local.calls == []


def test_routing_headers_of_the_caller_stay(local: LocalSpanner, colour: Colour) -> None:
    """Google's generated clients send their own, which take the place of ours."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        request = spanner_pb2.GetSessionRequest(name=client.create_session(_DATABASE)["name"])
        client.stub.GetSession(request, metadata=(("x-goog-request-params", "name=mine"),))
        values = [value for key, value in local.calls[-1].metadata if key == "x-goog-request-params"]
        assert values == ["name=mine"]


def test_another_service_gets_the_token_alone(local: LocalSpanner, colour: Colour) -> None:
    """A path that is none of Spanner's data API has no routing headers; the server is the one to refuse it."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        call: Any = client.channel().unary_unary("/google.longrunning.Operations/GetOperation", None, None)
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            call(b"")


def test_every_way_of_calling_raises_our_errors(local: LocalSpanner) -> None:
    """`with_call` and `future` do as the plain call does, and what they return has gRPC's face."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        good = spanner_pb2.GetSessionRequest(name=client.create_session(_DATABASE)["name"])
        bad = spanner_pb2.GetSessionRequest(name=f"{_DATABASE}/sessions/none")
        answer, call = client.stub.GetSession.with_call(good)
        assert (answer.name, call.code()) == (good.name, grpc.StatusCode.OK)
        future = client.stub.GetSession.future(good)
        assert future.result(timeout=WAIT).name == good.name
        assert future.exception() is None
        assert future.done()
        future = client.stub.GetSession.future(bad)
        with pytest.raises(SessionNotFound):
            future.result(timeout=WAIT)
        assert isinstance(future.exception(), SessionNotFound)
        with pytest.raises(SessionNotFound):
            client.stub.GetSession.with_call(bad)


def test_an_async_call_waits_for_its_first_token_without_blocking(local: LocalSpanner) -> None:
    """A stub's call that comes before the token waits for it in gRPC; one that gets none is a CredentialsError."""

    async def call() -> None:
        request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            assert (await client.stub.CreateSession(request)).name
        async with AsyncSessionsClient(_Broken(), options=local.client_options()) as client:
            with pytest.raises(CredentialsError, match="no token for you"):
                await client.stub.CreateSession(request)

    asyncio.run(call())


class _Broken(user_credentials.Credentials):
    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[no-untyped-call]  # google-auth is typed in part only

    def refresh(self, request: Any) -> None:
        raise CredentialsError("no token for you")


@pytest.mark.parametrize("timeout", [0, -0.001, -math.inf])
def test_time_that_is_over_is_the_end_of_a_stubs_call(local: LocalSpanner, colour: Colour, timeout: float) -> None:
    """As on a bare channel: what is left of a caller's own deadline may be less than nothing."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.warm_up()
        with pytest.raises(DeadlineExceeded):
            client.stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE), timeout=timeout)
        client.stub.CreateSession(spanner_pb2.CreateSessionRequest(database=_DATABASE), timeout=math.inf)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stub_sends_what_its_serializer_makes(local: LocalSpanner, colour: Colour, channels: int) -> None:
    """Bytes, for a proxy: without the headers that the fields of a message would tell."""
    with colour.client(local.credentials(), options=local.client_options(channels=channels)) as client:
        call: Any = client.channel().unary_unary("/google.spanner.v1.Spanner/CreateSession", None, None)
        answer = call(spanner_pb2.CreateSessionRequest(database=_DATABASE).SerializeToString())
        assert spanner_pb2.Session.FromString(answer).name
    assert local.calls[0].header("x-goog-request-params") is None
    assert local.calls[0].header("x-goog-spanner-request-id")


def test_channel_options_reach_grpc(local: LocalSpanner, colour: Colour) -> None:
    """A limit of message size is kept, which this library does not have by itself."""
    limit = (("grpc.max_receive_message_length", 10),)
    options = local.client_options(channel_options=limit, retry=RetryOptions.none())
    with colour.client(local.credentials(), options=options) as client:
        with pytest.raises(ResourceExhausted, match="larger than max"):
            client.create_session(_DATABASE)


def test_a_stub_ends_with_its_client(local: LocalSpanner, colour: Colour) -> None:
    """Closing the channel closes nothing; closing the client ends its stubs."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
        stub = client.stub
        channel = client.channel()
        channel.close()
        stub.CreateSession(request)
        client.close()
        with pytest.raises(ClientClosed):
            stub.CreateSession(request)


@pytest.fixture
def many(local: LocalSpanner, colour: Colour) -> Iterator[SessionsClient]:
    """A client with three connections."""
    with colour.client(local.credentials(), options=local.client_options(channels=3)) as client:
        yield client


@dataclass
class _Peers:
    """A server that notes which connection each call came on, and what number of a channel its request id has."""

    of_session: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    together: threading.Barrier | None = None

    def batch_create(self, request: Any, context: grpc.ServicerContext) -> Any:
        names = [f"{request.database}/sessions/{number}" for number in range(request.session_count)]
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])

    def create(self, request: Any, context: grpc.ServicerContext) -> Any:
        return spanner_pb2.Session(name=f"{request.database}/sessions/m", multiplexed=True)

    def query(self, request: Any, context: grpc.ServicerContext) -> Any:
        sent = dict(context.invocation_metadata())
        number = str(sent["x-goog-spanner-request-id"]).split(".")[3]
        self.of_session[request.session].add((context.peer(), number))
        if self.together is not None:
            self.together.wait()
        return result_set_pb2.ResultSet()

    @property
    def used(self) -> Counter[tuple[str, str]]:
        """How many sessions each connection, with its number, has served."""
        return Counter(place for places in self.of_session.values() for place in places)


def _sql(session: str) -> Any:
    return spanner_pb2.ExecuteSqlRequest(session=session, sql="SELECT 1")


def test_sessions_of_a_pool_spread_evenly_and_stay(colour: Colour) -> None:
    """Of one BatchCreateSessions, over three connections; the fourth field of the request id names the connection."""
    peers = _Peers()
    with scripted_server(BatchCreateSessions=peers.batch_create, ExecuteSql=peers.query) as plain:
        options = dataclasses.replace(plain, channels=3)
        with colour.client(AnonymousCredentials(), options=options) as client:
            for session in client.batch_create_sessions(_DATABASE, 9)["session"]:
                for _ in range(3):
                    client.ping_session(session["name"])
                client.stub.ExecuteSql(_sql(session["name"]))
                client.rest("POST", f"/v1/{session['name']}:executeSql", {"sql": "SELECT 1"})
    assert sorted(peers.used.values()) == [3, 3, 3], "each session on one connection, and the same for each number"
    assert {number for _, number in peers.used} == {"1", "2", "3"}


def test_a_multiplexed_session_uses_all_connections(colour: Colour) -> None:
    """Three calls at a time, none of which is answered alone, take three connections."""
    peers = _Peers(together=threading.Barrier(3, timeout=WAIT))
    with scripted_server(CreateSession=peers.create, ExecuteSql=peers.query) as plain:
        options = dataclasses.replace(plain, channels=3)
        with colour.client(AnonymousCredentials(), options=options) as client, ThreadPoolExecutor(3) as threads:
            session = multiplexed_of(client, _DATABASE)
            list(threads.map(session.stub.ExecuteSql, [_sql(session.open().name)] * 3))
            session.close()
    assert len(peers.used) == len({number for _, number in peers.used}) == 3


def test_everything_works_over_several_connections(many: SessionsClient) -> None:
    """Batch, list, streams, stubs, delete: with three connections as with one."""
    names = [session["name"] for session in many.batch_create_sessions(_DATABASE, 5)["session"]]
    assert len(many.list_sessions(_DATABASE)["sessions"]) == 5
    for name in names:
        request = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
        assert len(list(many.stub.ExecuteStreamingSql(request))) == 1
        assert many.stub.ExecuteSql(request).rows
        with many.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}) as stream:
            assert len(list(stream)) == 1
        assert many.delete_session(name) == {}
    assert many.list_sessions(_DATABASE) == {}


@pytest.mark.parametrize("channels", [1, 3])
def test_warming_up_connects_and_has_a_token(local: LocalSpanner, colour: Colour, channels: int) -> None:
    """Nothing is called, and the first call then finds everything there."""
    with colour.client(local.credentials(), options=local.client_options(channels=channels)) as client:
        client.warm_up()
        assert local.calls == []
        connection: Any = (client._target if isinstance(client, Blocking) else client)._connection
        assert connection.tokens.current()
        client.create_session(_DATABASE)
        client.warm_up(timeout=WAIT)


def test_warming_up_without_success_ends_at_its_timeout(colour: Colour) -> None:
    """No server, no token, a client that is closed: each is told."""
    nowhere = ClientOptions(endpoint="127.0.0.1:1", plaintext=True)
    with colour.client(AnonymousCredentials(), options=nowhere) as client:
        with pytest.raises(DeadlineExceeded, match=r"no connection to 127\.0\.0\.1:1"):
            client.warm_up(timeout=0.2)
        with pytest.raises(InvalidValue):
            client.warm_up(timeout=-1)
        with ThreadPoolExecutor() as threads:
            warming = threads.submit(client.warm_up, timeout=60)
            client.close()
            with pytest.raises(ClientClosed):
                warming.result(WAIT)
        with pytest.raises(ClientClosed):
            client.warm_up()


def test_warming_up_without_a_token_is_a_credentials_error(local: LocalSpanner, colour: Colour) -> None:
    """What the credentials said is the cause."""
    with colour.client(_Broken(), options=local.client_options()) as client:
        with pytest.raises(CredentialsError, match="no token for you"):
            client.warm_up()


def test_a_client_that_is_dropped_open_warns_and_ends_its_thread(local: LocalSpanner) -> None:
    """A ResourceWarning names it; its thread is gone soon after."""
    client = SessionsClient(local.credentials(), options=local.client_options())
    client.create_session(_DATABASE)
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("spanner-sessions"))
    clients = [client]
    del client
    with pytest.warns(ResourceWarning, match="unclosed <SessionsClient 127"):
        clients.clear()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_an_async_client_that_is_dropped_open_warns(local: LocalSpanner) -> None:
    """The same in asyncio, where nothing can be awaited by then."""

    async def drop() -> None:
        client = AsyncSessionsClient(local.credentials(), options=local.client_options())
        await client.create_session(_DATABASE)
        clients = [client]
        del client
        with pytest.warns(ResourceWarning, match="unclosed <AsyncSessionsClient"):
            clients.clear()

    asyncio.run(drop())
