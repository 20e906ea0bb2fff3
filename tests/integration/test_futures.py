"""A future of a stub: what the server never took up is sent again, and the future tells of the last attempt alone."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import NotFound, SessionsClient, Unavailable
from tests.support.http2 import answered, http2_server, reset, status_alone
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until

_SESSION = "projects/p/instances/i/databases/d/sessions/s"
_MULTIPLEXED = spanner_pb2.Session(name=_SESSION, multiplexed=True)
# REFUSED_STREAM of HTTP/2.
_REFUSED = reset(7)


@contextmanager
def _sent_again(*answers: Any) -> Iterator[Any]:
    """Give a future of a stub over a server that answers so, and is then silent."""
    with http2_server(itertools.chain(answers, itertools.repeat(()))) as options:
        with SessionsClient(AnonymousCredentials(), options=options) as client:
            yield client.stub.GetSession.future(spanner_pb2.GetSessionRequest(name=_SESSION), timeout=WAIT)


def test_a_future_that_is_sent_again_tells_of_its_last_attempt() -> None:
    """It ends once, whatever its owner asks it and by whatever callback it is told."""
    with _sent_again(_REFUSED, _REFUSED, answered(_MULTIPLEXED)) as future:
        ended: Future[Any] = Future()
        future.add_done_callback(ended.set_result)
        assert ended.result(WAIT) is future
        assert future.result(0).name == _SESSION
        assert future.code() is grpc.StatusCode.OK
        assert future.exception() is future.traceback() is None
        assert future.done()
        assert not future.running()
        assert future.request_id.endswith(".3")
        assert not future.add_callback(lambda: None)
        told: list[Any] = []
        future.add_done_callback(told.append)
        assert told == [future]


@pytest.mark.parametrize("ask", ["code", "details", "trailing_metadata", "result", "exception", "traceback"])
def test_a_future_that_is_sent_again_ends_as_its_last_attempt(ask: str) -> None:
    """A server that refuses it once, and then fails it."""
    with _sent_again(_REFUSED, status_alone("5")) as future:
        if ask == "result":
            with pytest.raises(NotFound) as raised:
                future.result()
            assert raised.value is future.exception()
        else:
            getattr(future, ask)()
        assert future.code() is grpc.StatusCode.NOT_FOUND
        assert isinstance(future.exception(), NotFound)
        assert future.traceback() is not None


def test_a_future_that_is_always_refused_ends() -> None:
    """After as many attempts as any call is sent again."""
    with _sent_again(*[_REFUSED] * 30) as future:
        with pytest.raises(Unavailable):
            future.result(WAIT)
        assert future.request_id.endswith(".21")


def test_a_future_that_is_sent_again_can_be_cancelled() -> None:
    """Its last attempt ends, and no other one follows."""
    with _sent_again(_REFUSED) as future:
        until(lambda: future.request_id.endswith(".2"))
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(0.01)
        assert future.cancel()
        assert future.cancelled()
        assert future.code() is grpc.StatusCode.CANCELLED
        with pytest.raises(grpc.FutureCancelledError):
            future.result()


def test_a_future_that_is_dropped_is_cancelled() -> None:
    """As one of gRPC's: what attends to its end does not hold it, unless its owner has a callback."""
    ended = threading.Event()

    def answer(_: Any, context: grpc.ServicerContext) -> spanner_pb2.Session:
        context.add_callback(ended.set)
        arrived.set()
        over.wait(2 * WAIT)
        return _MULTIPLEXED

    arrived, over = threading.Event(), threading.Event()
    server = scripted_server(GetSession=answer)
    with server as options, SessionsClient(AnonymousCredentials(), options=options) as client:
        future = client.stub.GetSession.future(spanner_pb2.GetSessionRequest(name=_SESSION), timeout=2 * WAIT)
        assert arrived.wait(WAIT)
        del future
        gc.collect()
        cancelled = ended.wait(WAIT)
        over.set()
    assert cancelled
