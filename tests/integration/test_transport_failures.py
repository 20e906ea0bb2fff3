"""Failures that gRPC or the network makes under a server's status: told as they are, and repeated if it is safe."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import (
    AlreadyExists,
    ClientOptions,
    Internal,
    ResourceExhausted,
    RetryOptions,
    Unimplemented,
)
from tests.support.colours import Colour
from tests.support.http2 import answered, http2_server, http_status, reset
from tests.support.pools import multiplexed_of, pool_of, rig_of
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_SESSION = f"{_DATABASE}/sessions/s"
_COMMIT = f"/v1/{_SESSION}:commit"
_MULTIPLEXED = spanner_pb2.Session(name=_SESSION, multiplexed=True)
# Error codes of HTTP/2.
_NO_ERROR, _PROTOCOL_ERROR, _INTERNAL_ERROR, _REFUSED_STREAM = 0, 1, 2, 7
# Failures after which a load is known to meet what gRPC sends again by itself.
_ENOUGH = 3
_LONG = "ä" * 5_000  # 30,000 bytes in a header


def test_a_long_error_text_arrives_and_is_not_repeated(colour: Colour) -> None:
    """More than gRPC's own 16 KiB: the server's status and words, after one attempt, by every way of calling."""
    attempts: Counter[str] = Counter()

    def fail(request: Any, context: grpc.ServicerContext) -> None:
        attempts[type(request).__name__] += 1
        context.abort(grpc.StatusCode.ALREADY_EXISTS, _LONG)

    with scripted_server(CreateSession=fail, Commit=fail, GetSession=fail) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            calls: tuple[Callable[[], Any], ...] = (
                lambda: client.create_session(_DATABASE),
                lambda: client.rest("POST", _COMMIT, {"transactionId": "YQ=="}),
                lambda: client.stub.GetSession(spanner_pb2.GetSessionRequest(name=_SESSION)),
            )
            for call in calls:
                with pytest.raises(AlreadyExists) as error:
                    call()
                assert error.value.message == _LONG
    assert set(attempts.values()) == {1}


def _of_size(size: int) -> spanner_pb2.Session:
    return spanner_pb2.Session(name=_SESSION, creator_role="x" * size)


def test_an_answer_beyond_the_limit_is_not_repeated(colour: Colour) -> None:
    """It came: another attempt would do the work twice, and end the same way. By default there is no limit."""
    sizes: list[int] = []

    def create(request: spanner_pb2.CreateSessionRequest, context: grpc.ServicerContext) -> spanner_pb2.Session:
        sizes.append(200_000)
        return _of_size(sizes[-1])

    with scripted_server(CreateSession=create) as plain:
        small = dataclasses.replace(plain, channel_options=(("grpc.max_receive_message_length", 100_000),))
        with colour.client(AnonymousCredentials(), options=small) as client:
            with pytest.raises(ResourceExhausted, match="larger than max"):
                client.create_session(_DATABASE)
        with colour.client(AnonymousCredentials(), options=plain) as client:
            client.create_session(_DATABASE)
    assert len(sizes) == 2


def test_a_limit_counts_the_bytes_of_a_compressed_answer_that_it_becomes(colour: Colour) -> None:
    """A few kilobytes do not become more memory than the limit allows."""

    def create(request: Any, context: grpc.ServicerContext) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return b"\0" * 10_000_000

    with scripted_server(CreateSession=create) as plain:
        options = dataclasses.replace(plain, channel_options=(("grpc.max_receive_message_length", 1_000_000),))
        with colour.client(AnonymousCredentials(), options=options) as client:
            with pytest.raises(ResourceExhausted, match="larger than max"):
                client.create_session(_DATABASE)


@pytest.mark.parametrize("code", [_NO_ERROR, _PROTOCOL_ERROR, _INTERNAL_ERROR])
def test_a_stream_that_was_reset_is_tried_again(colour: Colour, code: int) -> None:
    """One reset ends neither a call of the client nor the creation of a multiplexed session."""
    answers = itertools.cycle((reset(code), answered(_MULTIPLEXED)))
    with http2_server(answers) as plain:
        options = dataclasses.replace(plain, retry=RetryOptions(initial_delay=0))
        with colour.client(AnonymousCredentials(), options=options) as client:
            assert client.create_session(_DATABASE, multiplexed=True)["name"] == _SESSION
            session = multiplexed_of(client, _DATABASE)
            assert session.open().name == _SESSION
            session.close()
            with pytest.raises(Internal, match="RST_STREAM"):
                client.create_session(_DATABASE, multiplexed=True, retry=RetryOptions.none())


def test_what_the_server_refused_to_take_up_is_sent_again(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """By every way of calling, without retries: the pool's background calls too, which say nothing of it."""
    batch = spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=_SESSION)])

    def server(answer: Message) -> Any:
        return http2_server(itertools.cycle((reset(_REFUSED_STREAM), answered(answer))))

    with server(_MULTIPLEXED) as plain:
        options = dataclasses.replace(plain, retry=RetryOptions.none())
        with colour.client(AnonymousCredentials(), options=options) as client:
            assert client.create_session(_DATABASE)["name"] == _SESSION
            request = spanner_pb2.GetSessionRequest(name=_SESSION)
            assert client.stub.GetSession(request).name == _SESSION
    with server(result_set_pb2.PartialResultSet()) as options:
        with colour.client(AnonymousCredentials(), options=options) as client:
            assert len(list(client.rest("POST", f"/v1/{_SESSION}:executeStreamingSql", {"sql": "SELECT 1"}))) == 1
            assert len(list(client.stub.ExecuteStreamingSql(spanner_pb2.ExecuteSqlRequest(session=_SESSION)))) == 1
    with server(batch) as plain, rig_of(colour, AnonymousCredentials(), plain) as rig:
        pool = pool_of(rig.client, _DATABASE)
        assert pool.acquire().name == _SESSION
        pool.close(timeout=0)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    "server",
    [lambda: http2_server(itertools.repeat(http_status(404))), scripted_server],
    ids=["http 404", "no such method"],
)
def test_what_is_no_spanner_is_not_said_to_lack_multiplexed_sessions(colour: Colour, server: Any) -> None:
    """A web server, or a gRPC server of something else, answers UNIMPLEMENTED too: its own words are what helps."""
    with server() as options, colour.client(AnonymousCredentials(), options=options) as client:
        with pytest.raises(Unimplemented):
            multiplexed_of(client, _DATABASE).open()


_STREAMING = "/google.spanner.v1.Spanner/ExecuteStreamingSql"


class _Ageing(grpc.GenericRpcHandler):
    """Answers everything with a session; its server ends connections every 40 ms."""

    def __init__(self) -> None:
        self.request_ids: Counter[str] = Counter()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        for key, value in handler_call_details.invocation_metadata:
            if key == "x-goog-spanner-request-id":
                self.request_ids[str(value)] += 1
        if handler_call_details.method == _STREAMING:
            return grpc.unary_stream_rpc_method_handler(lambda *_: iter((b"", b"")))
        answer = _MULTIPLEXED.SerializeToString()
        return grpc.unary_unary_rpc_method_handler(lambda *_: answer)


def _failures(calls: dict[str, Callable[[], Any]], enough: Callable[[dict[str, Any]], bool]) -> dict[str, list[str]]:
    """Make all calls side by side, again and again; return how they failed. The last one has most of the threads."""
    failed: dict[str, list[str]] = {name: [] for name in calls}
    over = threading.Event()

    def work(name: str) -> None:
        while not over.is_set():
            try:
                calls[name]()
            except grpc.RpcError as error:
                failed[name].append(str(error))
            if enough(failed):
                over.set()

    works = [*calls, *calls, *[list(calls)[-1]] * 6]
    with ThreadPoolExecutor(len(works)) as threads:
        limit = threading.Timer(2 * WAIT, over.set)
        limit.start()
        for done in [threads.submit(work, name) for name in works]:
            done.result()
        limit.cancel()
    return failed


def _futures(client: Any, request: Any) -> dict[str, Callable[[], Any]]:
    """Return the ways of a future, which asyncio's stubs do not have."""

    def told() -> Any:
        ended: Future[Any] = Future()
        client.stub.GetSession.future(request).add_done_callback(ended.set_result)
        return ended.result(WAIT).result(0)

    return {"a future of ours": lambda: client.stub.GetSession.future(request).result(), "a callback of ours": told}


def test_connections_that_end_by_age_fail_no_more_calls_than_a_bare_channels(colour: Colour) -> None:
    """GRPC itself sends again what the server never took up; a channel without that shows that it was needed."""
    ageing = _Ageing()
    age = [("grpc.max_connection_age_ms", 40), ("grpc.max_connection_age_grace_ms", 5_000), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), handlers=[ageing], options=age)
    endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    request = spanner_pb2.GetSessionRequest(name=_SESSION)
    query = spanner_pb2.ExecuteSqlRequest(session=_SESSION)

    def bare(*options: tuple[str, int]) -> Callable[[], Any]:
        channel = grpc.insecure_channel(endpoint, [*options, ("grpc.use_local_subchannel_pool", 1)])
        call: Any = channel.unary_unary("/google.spanner.v1.Spanner/GetSession")
        return lambda: call(request.SerializeToString(), timeout=WAIT)

    options = ClientOptions(endpoint=endpoint, plaintext=True)
    with colour.client(AnonymousCredentials(), options=options) as client:
        calls = {
            "a stub of ours": lambda: client.stub.GetSession(request),
            "a stream of ours": lambda: list(client.stub.ExecuteStreamingSql(query)),
            "our own": lambda: client.get_session(_SESSION, retry=RetryOptions.none()),
            **(_futures(client, request) if colour.name == "sync" else {}),
            "bare": bare(),
            "without transparent retries": bare(("grpc.enable_retries", 0)),
        }
        failed = _failures(calls, lambda failed: len(failed["without transparent retries"]) >= _ENOUGH)
    server.stop(None).wait()
    assert failed["without transparent retries"], "no connection ended at the wrong moment: this shows nothing"
    for name in calls.keys() - {"bare", "without transparent retries"}:
        assert len(failed[name]) <= len(failed["bare"]), failed[name]
    assert set(ageing.request_ids.values()) == {1}, "a request id came twice: two attempts have one number"
