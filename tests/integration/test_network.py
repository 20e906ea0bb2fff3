"""What a network does to a client: the right error at the deadline, and the same client works on when it is over.

A client's life goes on over a proxy that stalls, refuses, cuts and loses its connections. Deadlines may be late on a
busy machine, never early.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import DeadlineExceeded, RetryOptions, SessionsClient, Unavailable
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.transport import channel as transport
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.proxy import CAN_VANISH, Proxy
from tests.support.waiting import WAIT, until

if TYPE_CHECKING:
    from typing_extensions import Self

_DATABASE = "projects/p/instances/i/databases/d"
# Milliseconds: a call of the default 30 s that meets a dead connection then has time for another one.
_LONGEST_PATIENCE = 15_000
_SHORT_PATIENCE = 300


@pytest.fixture
def proxy(local: LocalSpanner) -> Iterator[Proxy]:
    """The network before the server."""
    with Proxy(local.endpoint) as proxy:
        yield proxy


@pytest.fixture
def client(local: LocalSpanner, proxy: Proxy, colour: Colour) -> Iterator[SessionsClient]:
    """A client of each colour that is connected through the proxy."""
    options = local.client_options(endpoint=proxy.endpoint)
    with colour.client(local.credentials(), options=options) as client:
        client.create_session(_DATABASE)
        yield client


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls in flight."""
    with ThreadPoolExecutor() as threads:
        yield threads


@pytest.fixture
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut one patience of the library with dead connections, if it has set a bearable one, to that of a test."""
    arguments_of = transport._channel_arguments
    name: str = request.param

    def shorter(*args: Any) -> list[tuple[str, Any]]:
        arguments = dict(arguments_of(*args))
        assert arguments.get(name, math.inf) <= _LONGEST_PATIENCE
        return list({**arguments, name: _SHORT_PATIENCE}.items())

    monkeypatch.setattr(transport, "_channel_arguments", shorter)


def _assert_ends(client: SessionsClient, error: type[Exception], timeout: float, match: str | None = None) -> None:
    """Make a call that ends in `error` at its timeout; a fifth earlier, for a wait that would pass the deadline."""
    with takes(0.8 * timeout), pytest.raises(error, match=match):
        client.create_session(_DATABASE, timeout=timeout)


def _assert_works(client: SessionsClient) -> None:
    """Make a call that succeeds in less than half of the default timeout."""
    with takes():
        assert client.create_session(_DATABASE)["name"].startswith(_DATABASE)


def _in_flight(threads: ThreadPoolExecutor, client: SessionsClient, local: LocalSpanner) -> Future[Any]:
    """Make a call that has arrived at the server and gets no answer."""
    before = len(local.calls)
    local.faults.add("CreateSession", drop=True)
    call = threads.submit(client.create_session, _DATABASE, timeout=WAIT)
    until(lambda: len(local.calls) > before)
    return call


def test_stall_ends_calls_at_their_deadline_and_then_all_goes_on(client: SessionsClient, proxy: Proxy) -> None:
    """DeadlineExceeded while no byte flows, and the same connection serves when they flow again."""
    proxy.stall()
    _assert_ends(client, DeadlineExceeded, timeout=0.2)
    proxy.resume()
    _assert_works(client)
    assert proxy.accepted == 1


def test_stalled_connection_that_is_cut_is_replaced(client: SessionsClient, proxy: Proxy) -> None:
    """A stall that ends with a reset costs a new connection, and no new client."""
    proxy.stall()
    _assert_ends(client, DeadlineExceeded, timeout=0.2)
    proxy.cut()
    proxy.resume()
    _assert_works(client)
    assert proxy.accepted == 2


def test_stall_while_connecting_ends_calls_at_their_deadline(client: SessionsClient, proxy: Proxy) -> None:
    """A server that is reached and says nothing: DeadlineExceeded, and the handshake goes on when it speaks."""
    proxy.stall()
    proxy.cut()
    # A call that met the cut itself may have no time for the wait before another attempt.
    with pytest.raises((DeadlineExceeded, Unavailable)):
        client.create_session(_DATABASE, timeout=0.2)
    proxy.resume()
    _assert_works(client)


def test_refused_connection_is_unavailable_at_the_deadline(local: LocalSpanner, proxy: Proxy, colour: Colour) -> None:
    """Tries go on until the deadline, the error then says why they failed, and a server that is back is found."""
    options = local.client_options(endpoint=proxy.endpoint, retry=RetryOptions(initial_delay=0.02, multiplier=1))
    with colour.client(local.credentials(), options=options) as client:
        client.create_session(_DATABASE)
        proxy.refuse()
        proxy.cut()
        for _ in range(2):
            _assert_ends(client, Unavailable, timeout=0.5, match="[Cc]onnect")
        proxy.listen()
        _assert_works(client)


def test_call_survives_an_outage_that_is_shorter(
    client: SessionsClient, proxy: Proxy, threads: ThreadPoolExecutor
) -> None:
    """A call that begins while the server is down succeeds when it is up."""
    proxy.refuse()
    proxy.cut()
    call = threads.submit(client.create_session, _DATABASE, timeout=WAIT)
    # The outage lasts as long as this other call.
    with pytest.raises(Unavailable):
        client.create_session(_DATABASE, timeout=0.5)
    assert not call.done()
    proxy.listen()
    assert call.result()["name"].startswith(_DATABASE)


def test_cut_connection_is_replaced_within_the_call(
    client: SessionsClient, proxy: Proxy, local: LocalSpanner, threads: ThreadPoolExecutor
) -> None:
    """A call whose connection is reset before the answer is repeated on a new one."""
    call = _in_flight(threads, client, local)
    proxy.cut()
    assert call.result()["name"].startswith(_DATABASE)
    assert (proxy.accepted, len(local.calls)) == (2, 3)


def test_killed_server_that_comes_back_elsewhere_is_found(
    client: SessionsClient, proxy: Proxy, local: LocalSpanner, threads: ThreadPoolExecutor
) -> None:
    """A server that dies in the middle of a call and is started again elsewhere answers both that and the next call."""
    call = _in_flight(threads, client, local)
    proxy.refuse()
    proxy.cut()
    local.stop()
    # A process of its own would get another port.
    local._port = 0
    local.start()
    proxy.target = local.endpoint
    proxy.listen()
    _assert_works(client)
    assert call.result()["name"].startswith(_DATABASE)


class _Draining:
    """A plaintext server that takes as long for an answer as it is told to, and can be stopped meanwhile."""

    def __init__(self, name: str) -> None:
        self.arrived = threading.Event()
        self.answers = threading.Event()
        self._name = name
        self._workers = ThreadPoolExecutor()
        self._server = grpc.server(self._workers)
        create = grpc.unary_unary_rpc_method_handler(
            self._create,
            request_deserializer=spanner_pb2.CreateSessionRequest.FromString,
            response_serializer=spanner_pb2.Session.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler("google.spanner.v1.Spanner", {"CreateSession": create})
        self._server.add_generic_rpc_handlers([service])
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._server.stop(None).wait()
        self._workers.shutdown()

    def drain(self) -> threading.Event:
        """Send GOAWAY, take no more calls; return what is set when the last call has ended."""
        return self._server.stop(grace=WAIT)

    def _create(self, request: spanner_pb2.CreateSessionRequest, _: object) -> spanner_pb2.Session:
        self.arrived.set()
        self.answers.wait(WAIT)
        return spanner_pb2.Session(name=f"{request.database}/sessions/{self._name}")


def test_goaway_lets_the_call_in_flight_end_and_leads_others_away(colour: Colour, threads: ThreadPoolExecutor) -> None:
    """A server that drains still answers the call it has; those that come meanwhile go to its successor."""
    with _Draining("old") as old, _Draining("new") as new, Proxy(old.endpoint) as proxy:
        new.answers.set()
        # gRPC's own server cancels what arrives between its GOAWAY and the client's reading it; Spanner's need not.
        retry = RetryOptions(statuses=frozenset({"CANCELLED", "UNAVAILABLE"}))
        with colour.client(options=ClientOptions(endpoint=proxy.endpoint, plaintext=True, retry=retry)) as client:
            call = threads.submit(client.create_session, _DATABASE, timeout=WAIT)
            assert old.arrived.wait(WAIT)
            proxy.target = new.endpoint
            drained = old.drain()
            for _ in range(3):
                assert client.create_session(_DATABASE, timeout=WAIT)["name"].endswith("/new")
            assert not call.done()
            old.answers.set()
            assert call.result()["name"].endswith("/old")
            assert drained.wait(WAIT)
            assert proxy.accepted == 2


@pytest.mark.skipif(not CAN_VANISH, reason="only Linux lets a socket drop what arrives")
@pytest.mark.parametrize("impatient", ["grpc.keepalive_timeout_ms"], indirect=True)
@pytest.mark.usefixtures("impatient")
def test_connection_whose_peer_vanished_is_replaced(client: SessionsClient, proxy: Proxy) -> None:
    """Half-open, nothing acknowledged: DeadlineExceeded, then UNAVAILABLE inside, which a longer call survives."""
    proxy.vanish()
    _assert_ends(client, DeadlineExceeded, timeout=0.2)
    _assert_works(client)
    assert proxy.accepted >= 2


@pytest.mark.parametrize("impatient", ["grpc.http2.ping_timeout_ms"], indirect=True)
@pytest.mark.usefixtures("impatient")
def test_busy_connection_whose_peer_froze_is_replaced(client: SessionsClient, proxy: Proxy) -> None:
    """Half-open, all acknowledged and nothing answered: a ping is under way on a busy connection, and tells it."""
    for _ in range(3):
        client.create_session(_DATABASE)
    proxy.freeze()
    _assert_ends(client, DeadlineExceeded, timeout=0.2)
    _assert_works(client)
    assert proxy.accepted >= 2


@pytest.mark.parametrize("impatient", ["grpc.min_reconnect_backoff_ms"], indirect=True)
@pytest.mark.usefixtures("impatient")
def test_connecting_to_a_silent_host_ends_at_the_deadline(client: SessionsClient, proxy: Proxy) -> None:
    """A handshake into the void is not waited for beyond the patience: a later one may be answered."""
    proxy.stall()
    proxy.cut()

    def connects() -> bool:
        with pytest.raises((DeadlineExceeded, Unavailable)):
            client.create_session(_DATABASE, timeout=0.2)
        return proxy.accepted >= 2

    until(connects)
    proxy.freeze()
    proxy.resume()
    _assert_works(client)
    assert proxy.accepted >= 3
