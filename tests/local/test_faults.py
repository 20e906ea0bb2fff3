"""Faults on request, met over real gRPC."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.local import Faults, LocalSpanner
from tests.local.wire import DATABASE, WatchedFaults, Wire, failure

CREATE = spanner_pb2.CreateSessionRequest(database=DATABASE)


def test_the_next_calls_of_a_method_fail(plain: LocalSpanner, plain_wire: Wire) -> None:
    """Two creates fail with what was asked for and do nothing; other methods, and the third create, work."""
    plain.faults.add("CreateSession", status="RESOURCE_EXHAUSTED", message="too much", times=2)
    name = plain_wire.call("BatchCreateSessions", _batch(1)).session[0].name
    for _ in range(2):
        error = failure(plain_wire.create)
        assert (error.status, error.message, error.details) == ("RESOURCE_EXHAUSTED", "too much", ())
    assert [session["name"] for session in plain.sessions] == [name]
    assert plain_wire.create().name


def test_a_fault_for_any_method_and_without_end(plain: LocalSpanner, plain_wire: Wire) -> None:
    """A fault without method and number is met by every call until it is cleared."""
    plain.faults.add(status="UNAVAILABLE", times=None)
    for _ in range(3):
        assert failure(plain_wire.create).status == "UNAVAILABLE"
        assert failure(lambda: plain_wire.call("BatchCreateSessions", _batch(1))).status == "UNAVAILABLE"
    plain.faults.clear()
    assert plain_wire.create().name


def test_faults_are_met_in_their_order(plain: LocalSpanner, plain_wire: Wire) -> None:
    """One fault a call, first come first met, whether it names the method or not."""
    plain.faults.add("CreateSession", status="ABORTED")
    plain.faults.add(status="INTERNAL")
    plain.faults.add("CreateSession", status="DATA_LOSS")
    assert [failure(plain_wire.create).status for _ in range(3)] == ["ABORTED", "INTERNAL", "DATA_LOSS"]


def test_details_travel_in_the_status_and_in_trailers(plain: LocalSpanner, plain_wire: Wire) -> None:
    """RetryInfo and further details arrive in both places."""
    quota = error_details_pb2.QuotaFailure(violations=[{"subject": "p", "description": "reads"}])
    plain.faults.add(status="RESOURCE_EXHAUSTED", retry_delay=1.5, details=[quota])
    error = failure(plain_wire.create)
    retry = error_details_pb2.RetryInfo(retry_delay={"seconds": 1, "nanos": 500_000_000})
    assert error.details == (retry, quota)
    assert error.trailers["google.rpc.retryinfo-bin"] == retry.SerializeToString()
    assert error.trailers["google.rpc.quotafailure-bin"] == quota.SerializeToString()


def test_a_stream_meets_faults_too(plain: LocalSpanner, plain_wire: Wire) -> None:
    """The error comes instead of the first message."""
    name = plain_wire.create().name
    plain.faults.add("ExecuteStreamingSql", status="UNAVAILABLE")
    request = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
    assert failure(lambda: next(plain_wire.call("ExecuteStreamingSql", request))).status == "UNAVAILABLE"


def test_a_slow_call_is_answered_in_the_end(plain: LocalSpanner, plain_wire: Wire) -> None:
    """A delay alone changes nothing but the time; with a status the error comes after it."""
    plain_wire.create()
    begun = time.monotonic()
    plain.faults.add(delay=0.1)
    plain.faults.add(delay=0.1, status="UNAVAILABLE")
    assert plain_wire.create().name
    assert failure(plain_wire.create).status == "UNAVAILABLE"
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("fault", [{"drop": True}, {"delay": 3600}])
def test_a_call_that_ends_early_frees_its_worker_and_does_nothing(fault: dict[str, Any]) -> None:
    """With one worker, the call after a cancelled one and after one past its deadline is answered."""
    faults = WatchedFaults()
    faults.add("CreateSession", **fault, times=2)
    with LocalSpanner(tls=False, faults=faults, workers=1) as spanner:
        wire = Wire(spanner)
        with wire.channel:
            cancelled = wire.stub.CreateSession.future(CREATE)
            assert faults.met.acquire(timeout=20)
            cancelled.cancel()
            assert failure(lambda: wire.call("CreateSession", CREATE, timeout=0.5)).status == "DEADLINE_EXCEEDED"
            name = wire.create().name
            assert [session["name"] for session in spanner.sessions] == [name]


def test_clearing_does_not_touch_a_call_that_waits() -> None:
    """What has met a fault goes through with it."""
    faults = WatchedFaults()
    faults.add(drop=True)
    with LocalSpanner(tls=False, faults=faults) as spanner:
        wire = Wire(spanner)
        with wire.channel:
            call = wire.stub.CreateSession.future(CREATE)
            assert faults.met.acquire(timeout=20)
            faults.clear()
            with pytest.raises(grpc.FutureTimeoutError):
                call.result(timeout=0.05)


def test_an_unauthorised_call_uses_no_fault_up(spanner: LocalSpanner, wire: Wire) -> None:
    """The token is looked at first."""
    spanner.faults.add(status="ABORTED")
    assert failure(lambda: wire.create(metadata=())).status == "UNAUTHENTICATED"
    assert failure(wire.create).status == "ABORTED"


def test_each_fault_is_met_as_often_as_planned_by_many_threads() -> None:
    """No fault is lost or met twice when many calls take from the plan at a time."""
    faults = Faults()
    faults.add("CreateSession", status="ABORTED", times=5000)
    taken: list[object] = []

    def take() -> None:
        taken.extend([faults.take("CreateSession") for _ in range(2500)])

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns often enough to get in each other's way
    try:
        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    finally:
        sys.setswitchinterval(usual)
    assert len(taken) == 10_000
    assert sum(fault is not None for fault in taken) == 5000


@pytest.mark.parametrize(
    ("method", "keywords", "text"),
    [
        ("createSession", {}, "'createSession' is not an RPC"),
        (None, {"status": "OK"}, "'OK'"),
        (None, {"status": "Unavailable"}, "'Unavailable'"),
        (None, {"delay": -1}, "delay"),
        (None, {"delay": float("nan")}, "delay"),
        (None, {"delay": float("inf")}, "delay"),
        (None, {"status": "ABORTED", "retry_delay": -1}, "retry_delay"),
        (None, {"times": 0}, "times"),
        (None, {"retry_delay": 1}, "status is missing"),
    ],
)
def test_a_wrong_plan_is_refused(method: str | None, keywords: dict[str, Any], text: str) -> None:
    """A fault that could never be met, or not be sent, is an error where it is planned."""
    with pytest.raises(InvalidValue, match=text):
        Faults().add(method, **keywords)


def test_a_wrong_plan_for_tokens_is_refused() -> None:
    """The token endpoint answers with HTTP statuses."""
    wrong: list[dict[str, Any]] = [{"status": 99}, {"delay": -1.0}, {"times": 0}]
    for keywords in wrong:
        with pytest.raises(InvalidValue):
            Faults().add_token(**keywords)


def _batch(count: int) -> spanner_pb2.BatchCreateSessionsRequest:
    return spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_count=count)
