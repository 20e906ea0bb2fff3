"""The attempts of one call: their numbers, and what follows from a failure."""

from __future__ import annotations

import pickle
import threading

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ResourceInfo, RetryInfo

from spanner_grpc_sessions.calls.retry import Attempts
from spanner_grpc_sessions.errors.rpc import (
    DATABASE_RESOURCES,
    SESSION_RESOURCE,
    DatabaseNotFound,
    Internal,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    SessionNotFound,
    Unavailable,
)
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.service.rpcs import (
    BATCH_CREATE_SESSIONS,
    CREATE_SESSION,
    DELETE_SESSION,
    EXECUTE_SQL,
    GET_SESSION,
    LIST_SESSIONS,
    RPCS,
    Rpc,
)
from tests.unit.failures import failure, status_trailer

NUMBER = "1.00000000000000ff.1.1.7."
UNAVAILABLE = failure(grpc.StatusCode.UNAVAILABLE)
NOT_FOUND = failure(grpc.StatusCode.NOT_FOUND)


def attempts(
    rpc: Rpc = CREATE_SESSION,
    *,
    options: RetryOptions | None = None,
    seconds: float | None = None,
    count: int = 1,
) -> Attempts:
    """Return the attempts of a call that has `seconds` left, `count` of them made."""
    return Attempts(rpc, NUMBER, options or RetryOptions(), Deadline(seconds), count=count)


def test_a_repeated_failure_counts_the_attempts() -> None:
    """Each failure that is repeated gives a bounded wait, and the next attempt has the next number."""
    made = attempts(options=RetryOptions(initial_delay=2.0, multiplier=3.0, max_delay=5.0))
    for number, longest in ((2, 2.0), (3, 5.0), (4, 5.0)):
        wait = made.next_delay_after(UNAVAILABLE)
        assert wait is not None
        assert 0 <= wait <= longest
        assert made.request_id() == f"{NUMBER}{number}"


@pytest.mark.parametrize(
    "text",
    [
        "Received RST_STREAM with error code 2",
        "Stream removed (Received RST_STREAM with error code 0)",
        "HTTP/2 error code: INTERNAL_ERROR\nReceived Rst Stream",
        "stream terminated by RST_STREAM with error code: INTERNAL_ERROR",
        "Connection closed with unknown cause",
        "Received unexpected EOS on DATA frame from server",
        "Authentication backend internal server error. Please retry.",
    ],
)
def test_what_the_transport_broke_off_is_repeated(text: str) -> None:
    """INTERNAL by the transport counts as UNAVAILABLE, but for Commit, whose work may be done, and without retries."""
    broken = failure(grpc.StatusCode.INTERNAL, text)
    assert attempts().next_delay_after(broken) is not None
    for made in (attempts(RPCS["Commit"]), attempts(options=RetryOptions.none())):
        with pytest.raises(Internal):
            made.next_delay_after(broken)


NEVER_TAKEN_UP = "GOAWAY received; Error code: 0; Debug Text: max_age"


@pytest.mark.parametrize(
    "text",
    [
        NEVER_TAKEN_UP,
        f"Stream removed ({NEVER_TAKEN_UP})",
        f"Stream removed (Transport closed (Socket closed ({NEVER_TAKEN_UP})))",
        "Received RST_STREAM with error code 7",
    ],
)
def test_what_the_server_never_took_up_is_sent_again_at_once(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without retries too, numbered as another attempt, and without a word of what may be left behind."""
    caplog.set_level("INFO")
    made = attempts(options=RetryOptions.none())
    assert made.next_delay_after(failure(grpc.StatusCode.UNAVAILABLE, text)) == 0.0
    assert made.request_id() == f"{NUMBER}2"
    assert not caplog.records


@pytest.mark.parametrize(
    "text",
    [f"Stream removed (Socket closed ({NEVER_TAKEN_UP}))", "Socket closed", f"of the server, about {NEVER_TAKEN_UP}"],
)
def test_what_the_server_may_have_taken_up_is_not_sent_again(text: str) -> None:
    """The connection of a call in flight was lost."""
    with pytest.raises(Unavailable):
        attempts(options=RetryOptions.none()).next_delay_after(failure(grpc.StatusCode.UNAVAILABLE, text))


def test_sending_again_has_an_end() -> None:
    """A server that never takes anything up is unavailable; so is one that did not until the deadline."""
    gone = failure(grpc.StatusCode.UNAVAILABLE, NEVER_TAKEN_UP)
    made = attempts(options=RetryOptions.none())
    with pytest.raises(Unavailable):
        for _ in range(100):
            made.next_delay_after(gone)
    with pytest.raises(Unavailable):
        attempts(seconds=0.0).next_delay_after(gone)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.INTERNAL, "a server's own"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "received metadata size exceeds hard limit (value length 20000 vs. 16384)",
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Stream removed (CLIENT: Received message larger than max (9 vs. 5))"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Decompressed message larger than max"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Sent message larger than max (9 vs. 5)"),
    ],
)
def test_what_another_attempt_cannot_change_is_not_repeated(code: grpc.StatusCode, text: str) -> None:
    """A server's INTERNAL, and what gRPC refuses for its size here: the server has answered, or will never be asked."""
    with pytest.raises(RpcError):
        attempts().next_delay_after(failure(code, text))


def test_an_answered_commit_is_not_repeated() -> None:
    """RESOURCE_EXHAUSTED is an answer: Commit is repeated only if that asks for it, or if nothing answered."""
    commit = RPCS["Commit"]
    with pytest.raises(ResourceExhausted):
        attempts(commit).next_delay_after(failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "a quota"))
    wish = status_trailer(RetryInfo(retry_delay=Duration(seconds=1)))
    asks = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "a quota", trailers=[wish])
    assert attempts(commit, seconds=10.0).next_delay_after(asks) is not None
    assert attempts(commit).next_delay_after(UNAVAILABLE) is not None


def test_the_last_error_tells_the_number_of_attempts() -> None:
    """In its text and as an attribute, also after a pickle; an only attempt is not counted."""
    with pytest.raises(Unavailable) as error:
        attempts(count=3, seconds=0.0).next_delay_after(UNAVAILABLE)
    for last in (error.value, pickle.loads(pickle.dumps(error.value))):  # noqa: S301 - of this very line
        assert last.attempts == 3
        assert "(after 3 attempts)" in str(last)
    with pytest.raises(Unavailable) as error:
        attempts(seconds=0.0).next_delay_after(UNAVAILABLE)
    assert "attempt" not in str(error.value)


def test_waits_are_drawn_at_random() -> None:
    """Two calls that fail together do not come back together."""
    assert (
        len({attempts(options=RetryOptions(initial_delay=10)).next_delay_after(UNAVAILABLE) for _ in range(10)}) == 10
    )


def test_a_failure_that_is_not_repeated_is_raised_as_ours() -> None:
    """The error names the RPC and the attempt it came from, and keeps gRPC's own as its cause."""
    denied = failure(grpc.StatusCode.PERMISSION_DENIED, "no")
    made = attempts(count=3)
    with pytest.raises(PermissionDenied) as error:
        made.next_delay_after(denied)
    assert (error.value.method, error.value.request_id) == ("CreateSession", f"{NUMBER}3")
    assert error.value.__cause__ is denied
    assert made.count == 3


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_nothing_is_repeated_after_the_deadline(seconds: float) -> None:
    """Once the deadline has passed, the last failure is what the caller learns, and the time left is none."""
    made = attempts(seconds=seconds)
    assert made.deadline.left() == 0.0
    with pytest.raises(Unavailable):
        made.next_delay_after(UNAVAILABLE)


def test_the_time_left_is_what_the_deadline_says() -> None:
    """Without a deadline there is no limit; with one, the time left is at most what was given."""
    assert attempts().deadline.left() is None
    left = attempts(seconds=1000.0).deadline.left()
    assert left is not None
    assert 0 < left <= 1000.0


def test_the_servers_wish_is_waited_for() -> None:
    """RetryInfo in the trailers sets the least wait."""
    trailer = status_trailer(RetryInfo(retry_delay=Duration(seconds=70)))
    assert attempts(seconds=1000.0).next_delay_after(failure(grpc.StatusCode.UNAVAILABLE, trailers=[trailer])) == 70.0


def test_a_wish_without_measure_is_waited_for_as_long_as_python_can() -> None:
    """Without a deadline the longest RetryInfo there is becomes a wait that `threading` accepts."""
    trailer = status_trailer(RetryInfo(retry_delay=Duration(seconds=315_576_000_000)))
    delay = attempts().next_delay_after(failure(grpc.StatusCode.UNAVAILABLE, trailers=[trailer]))
    assert delay is not None
    assert 1e8 < delay < threading.TIMEOUT_MAX


def test_a_wish_that_passes_the_deadline_ends_the_call() -> None:
    """A RetryInfo longer than the time left ends the call at once, and the error tells it."""
    trailer = status_trailer(RetryInfo(retry_delay=Duration(seconds=70)))
    with pytest.raises(Unavailable) as error:
        attempts(seconds=60.0).next_delay_after(failure(grpc.StatusCode.UNAVAILABLE, trailers=[trailer]))
    assert error.value.retry_delay == 70.0


@pytest.mark.parametrize("resource", ["", SESSION_RESOURCE, *DATABASE_RESOURCES])
def test_a_repeated_delete_that_finds_nothing_is_done(resource: str) -> None:
    """NOT_FOUND on the second attempt of DeleteSession means that the first one, or the database's end, deleted it."""
    trailers = [status_trailer(ResourceInfo(resource_type=resource))] if resource else []
    made = attempts(DELETE_SESSION)
    assert made.next_delay_after(UNAVAILABLE) is not None
    assert made.next_delay_after(failure(grpc.StatusCode.NOT_FOUND, trailers=trailers)) is None


def test_a_first_delete_that_finds_nothing_has_failed() -> None:
    """NOT_FOUND on the first attempt is the caller's to know."""
    with pytest.raises(NotFound):
        attempts(DELETE_SESSION).next_delay_after(NOT_FOUND)


def test_a_repeated_delete_that_fails_otherwise_has_failed() -> None:
    """Another status on the second attempt is no success."""
    with pytest.raises(PermissionDenied):
        attempts(DELETE_SESSION, count=2).next_delay_after(failure(grpc.StatusCode.PERMISSION_DENIED))


@pytest.mark.parametrize(
    "rpc",
    [CREATE_SESSION, BATCH_CREATE_SESSIONS, GET_SESSION, LIST_SESSIONS,
     EXECUTE_SQL],
    ids=lambda rpc: rpc.name,
)  # fmt: skip
def test_only_delete_is_done_when_the_session_is_gone(rpc: Rpc) -> None:
    """NOT_FOUND on a later attempt of any other RPC is a failure."""
    with pytest.raises(NotFound):
        attempts(rpc, count=2).next_delay_after(NOT_FOUND)


@pytest.mark.parametrize(
    ("resource", "error_class"),
    [(SESSION_RESOURCE, SessionNotFound), *((resource, DatabaseNotFound) for resource in DATABASE_RESOURCES)],
)
def test_a_lost_session_and_a_lost_database_are_distinguished(resource: str, error_class: type[RpcError]) -> None:
    """The class of the error says what is gone."""
    lost = failure(grpc.StatusCode.NOT_FOUND, trailers=[status_trailer(ResourceInfo(resource_type=resource))])
    with pytest.raises(error_class):
        attempts(EXECUTE_SQL).next_delay_after(lost)
