"""What follows from a failure: repeated or not, within the deadline, numbered, and told in full."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import spanner_pb2

import spanner_grpc_sessions
from spanner_grpc_sessions import (
    AsyncSessionsClient,
    DeadlineExceeded,
    FailedPrecondition,
    RetryOptions,
    RpcError,
    SessionNotFound,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_AT_ONCE = RetryOptions(initial_delay=0)
_REQUEST_ID = "x-goog-spanner-request-id"
_STATUSES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.fixture
def client(local: LocalSpanner, colour: Colour) -> Any:
    """A client of each colour that repeats without waiting."""
    with colour.client(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
        yield client


def _request_ids(local: LocalSpanner) -> list[str]:
    return [str(call.header(_REQUEST_ID)) for call in local.calls]


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_passing_failure_is_repeated(client: SessionsClient, local: LocalSpanner, status: str) -> None:
    """Two attempts that may be repeated fail, the third succeeds, and only the attempt's number changes."""
    local.faults.add("CreateSession", status=status, times=2)
    client.create_session(_DATABASE)
    numbers = [request_id.rpartition(".") for request_id in _request_ids(local)]
    assert [attempt for _, _, attempt in numbers] == ["1", "2", "3"]
    assert len({request for request, _, _ in numbers}) == 1


def test_every_call_has_a_number_of_its_own(client: SessionsClient, local: LocalSpanner) -> None:
    """Calls are counted, so that no two have the same request id."""
    for _ in range(3):
        client.create_session(_DATABASE)
    assert len(set(_request_ids(local))) == 3


@pytest.mark.parametrize("status", sorted({*_STATUSES} - {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}))
def test_other_failures_are_raised_at_once(client: SessionsClient, local: LocalSpanner, status: str) -> None:
    """One attempt, and an error of the status's own class with message, method, request id and REST body."""
    local.faults.add("CreateSession", status=status, message="as planned")
    with pytest.raises(RpcError) as caught:
        client.create_session(_DATABASE)
    error = caught.value
    name = "".join(word.capitalize() for word in status.split("_"))
    assert type(error) is getattr(spanner_grpc_sessions, name)
    assert (error.status, error.message, error.method) == (status, "as planned", "CreateSession")
    assert [error.request_id] == _request_ids(local)
    assert error.to_rest()["error"] == {
        "code": error.to_rest()["error"]["code"],
        "message": "as planned",
        "status": status,
    }
    assert len(local.calls) == 1


def test_error_is_one_of_grpc_too(client: SessionsClient, local: LocalSpanner) -> None:
    """Code written for grpc.RpcError reads code, details and trailers, and finds gRPC's own error as the cause."""
    detail = error_details_pb2.ErrorInfo(reason="PLANNED", domain="example.com")
    local.faults.add("CreateSession", status="FAILED_PRECONDITION", message="as planned", details=[detail])
    with pytest.raises(grpc.RpcError) as caught:
        client.create_session(_DATABASE)
    error: Any = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "as planned")
    assert "grpc-status-details-bin" in {key for key, _ in error.trailing_metadata()}
    assert error.error_details == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "PLANNED", "domain": "example.com"}
    ]
    assert isinstance(error.__cause__, grpc.RpcError)
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(restored), restored.to_rest()) == (FailedPrecondition, error.to_rest())


def test_nothing_is_repeated_without_retries(client: SessionsClient, local: LocalSpanner) -> None:
    """`RetryOptions.none()` for one call makes one attempt of it."""
    local.faults.add("CreateSession", status="UNAVAILABLE")
    with pytest.raises(Unavailable):
        client.create_session(_DATABASE, retry=RetryOptions.none())
    assert len(local.calls) == 1
    client.create_session(_DATABASE)


def test_delay_that_the_server_asks_for_is_kept(client: SessionsClient, local: LocalSpanner) -> None:
    """The next attempt comes no earlier than RetryInfo says."""
    local.faults.add("CreateSession", status="UNAVAILABLE", retry_delay=0.2)
    with takes(0.2):
        client.create_session(_DATABASE)


def test_delay_beyond_the_deadline_ends_the_call(client: SessionsClient, local: LocalSpanner) -> None:
    """A RetryInfo that would pass the deadline fails the call at once, with the delay in the error."""
    local.faults.add("CreateSession", status="UNAVAILABLE", retry_delay=60)
    with takes(), pytest.raises(Unavailable) as caught:
        client.create_session(_DATABASE, timeout=30)
    assert caught.value.retry_delay == 60
    assert len(local.calls) == 1


def test_deadline_bounds_all_attempts(local: LocalSpanner, colour: Colour) -> None:
    """A server that is never there ends the call at its timeout, not at the end of all patience."""
    local.faults.add("CreateSession", status="UNAVAILABLE", times=None)
    options = local.client_options(retry=RetryOptions(initial_delay=0.05, multiplier=1))
    with colour.client(local.credentials(), options=options) as client:
        client.list_sessions(_DATABASE)
        with takes(), pytest.raises((Unavailable, DeadlineExceeded)):
            client.create_session(_DATABASE, timeout=0.5)
    assert len(local.calls) > 2


def test_server_that_does_not_answer_ends_at_the_deadline(client: SessionsClient, local: LocalSpanner) -> None:
    """A call that gets no answer raises DeadlineExceeded, and is not repeated."""
    client.list_sessions(_DATABASE)
    local.faults.add("CreateSession", drop=True)
    with takes(0.2), pytest.raises(DeadlineExceeded):
        client.create_session(_DATABASE, timeout=0.25)


def test_delete_whose_first_attempt_got_through_has_succeeded(client: SessionsClient, local: LocalSpanner) -> None:
    """A delete that meets NOT_FOUND on a later attempt answers `{}`: an earlier one has done it."""
    name = client.create_session(_DATABASE)["name"]
    local.faults.add("DeleteSession", status="UNAVAILABLE")
    local.forget(name)
    assert client.delete_session(name) == {}


def test_delete_of_a_session_that_is_not_there_fails(client: SessionsClient) -> None:
    """NOT_FOUND on the first attempt is an error: nothing of ours was deleted."""
    with pytest.raises(SessionNotFound):
        client.delete_session(f"{_DATABASE}/sessions/none")


def test_ping_whose_session_vanished_between_attempts_fails(client: SessionsClient, local: LocalSpanner) -> None:
    """Only a delete takes NOT_FOUND for success."""
    name = client.create_session(_DATABASE)["name"]
    local.faults.add("ExecuteSql", status="UNAVAILABLE")
    local.forget(name)
    with pytest.raises(SessionNotFound):
        client.ping_session(name)


def test_unreachable_server_is_unavailable(colour: Colour) -> None:
    """A port without a listener raises Unavailable at the deadline."""
    with LocalSpanner(tls=False) as gone:
        options = gone.client_options(retry=_AT_ONCE)
    with colour.client(options=options) as client:
        with pytest.raises((Unavailable, DeadlineExceeded)):
            client.create_session(_DATABASE, timeout=0.2)


def test_server_that_comes_back_is_found_again(local: LocalSpanner, colour: Colour) -> None:
    """After a restart on the same port the same client goes on."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.create_session(_DATABASE)
        local.stop()
        local.start()
        assert client.create_session(_DATABASE, timeout=WAIT)["name"].startswith(_DATABASE)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "NOT_FOUND"])
def test_a_failure_is_freed_when_it_was_handled(local: LocalSpanner, status: str) -> None:
    """It keeps the frames that it went through, and what these hold: not until the garbage collector runs."""
    local.faults.add("GetSession", status=status, times=None)
    name, failures = f"{_DATABASE}/sessions/s", []

    async def fail() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
            try:
                await client.get_session(name, timeout=0.2)
            except RpcError as error:
                failures.append(weakref.ref(error))
            assert failures[-1]() is None

    gc.disable()
    try:
        asyncio.run(fail())
        with SessionsClient(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
            for ask in (
                lambda: client.get_session(name, timeout=0.2),
                lambda: client.stub.GetSession(spanner_pb2.GetSessionRequest(name=name), timeout=0.2),
            ):
                try:
                    ask()
                except RpcError as error:
                    failures.append(weakref.ref(error))
                assert failures[-1]() is None
    finally:
        gc.enable()
    assert len(failures) == 3
