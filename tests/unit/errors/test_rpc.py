"""From gRPC's errors to ours: classes, REST bodies, and that nothing of what the server said is lost."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from hypothesis import given, strategies as st

import spanner_grpc_sessions
from spanner_grpc_sessions.errors import SpannerSessionsError, rpc as rpc_errors
from spanner_grpc_sessions.errors.rpc import (
    DATABASE_RESOURCES,
    SESSION_RESOURCE,
    DatabaseNotFound,
    NotFound,
    RpcError,
    SessionNotFound,
    from_grpc,
)
from tests.unit.errors.trailers import trailers_of_all_kinds
from tests.unit.failures import failure, status_trailer

# The canonical mapping of google/rpc/code.proto, and the class of each status.
STATUSES = {
    "CANCELLED": (499, "Cancelled"),
    "UNKNOWN": (500, "Unknown"),
    "INVALID_ARGUMENT": (400, "InvalidArgument"),
    "DEADLINE_EXCEEDED": (504, "DeadlineExceeded"),
    "NOT_FOUND": (404, "NotFound"),
    "ALREADY_EXISTS": (409, "AlreadyExists"),
    "PERMISSION_DENIED": (403, "PermissionDenied"),
    "RESOURCE_EXHAUSTED": (429, "ResourceExhausted"),
    "FAILED_PRECONDITION": (400, "FailedPrecondition"),
    "ABORTED": (409, "Aborted"),
    "OUT_OF_RANGE": (400, "OutOfRange"),
    "UNIMPLEMENTED": (501, "Unimplemented"),
    "INTERNAL": (500, "Internal"),
    "UNAVAILABLE": (503, "Unavailable"),
    "DATA_LOSS": (500, "DataLoss"),
    "UNAUTHENTICATED": (401, "Unauthenticated"),
}
ID = "1.00000000000000ff.1.1.7.2"


def ours(error: grpc.RpcError) -> RpcError:
    """Return our exception for gRPC's, as a call of CreateSession would raise it."""
    return from_grpc(error, method="CreateSession", request_id=ID)


def rich_error() -> RpcError:
    """Return an error that has all an error can have."""
    unknown = AnyMessage(type_url="type.googleapis.com/example.Unknown", value=b"\x00\xff")
    trailers: list[tuple[str, str | bytes]] = [
        ("server-timing", "afe; dur=1"),
        status_trailer(
            ErrorInfo(reason="R", metadata={"key": "value"}),
            ResourceInfo(resource_type=SESSION_RESOURCE, resource_name="s"),
            RetryInfo(retry_delay=Duration(seconds=2)),
            BadRequest(field_violations=[BadRequest.FieldViolation(field="f")]),
            unknown,
        ),
    ]
    return ours(failure(grpc.StatusCode.NOT_FOUND, "Session not found: s", trailers))


def what_it_says(error: RpcError) -> dict[str, Any]:
    """Return everything that a caller can ask of an error."""
    return {
        "class": type(error),
        "text": str(error),
        "repr": repr(error),
        "args": error.args,
        "code": error.code(),
        "details": error.details(),
        "trailers": error.trailing_metadata(),
        "rest": error.to_rest(),
        "attributes": [
            getattr(error, name)
            for name in ("status", "message", "error_details", "method", "request_id", "retry_delay")
        ],
    }


def test_every_status_is_tried() -> None:
    """The table above has every status that a call can fail with."""
    assert set(STATUSES) == {code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_its_class_and_its_rest_body(status: str) -> None:
    """The class is the one that users import, and the body has HTTP's code, the text and the canonical name."""
    http, class_name = STATUSES[status]
    error = ours(failure(grpc.StatusCode[status], "text"))
    assert type(error) is getattr(spanner_grpc_sessions, class_name)
    assert error.code() is grpc.StatusCode[status]
    assert error.to_rest() == {"error": {"code": http, "message": "text", "status": status}}
    assert list(error.to_rest()["error"]) == ["code", "message", "status"]
    assert (error.status, error.message, error.details()) == (status, "text", "text")
    assert (error.method, error.request_id) == ("CreateSession", ID)
    assert (error.error_details, error.retry_delay, error.trailing_metadata()) == ([], None, ())


def test_every_class_is_exported_and_says_so() -> None:
    """Tracebacks name the classes as users import them."""
    for name, error_class in vars(rpc_errors).items():
        if isinstance(error_class, type) and issubclass(error_class, RpcError):
            assert getattr(spanner_grpc_sessions, name) is error_class
            assert (error_class.__module__, error_class.__qualname__) == ("spanner_grpc_sessions", name)


def test_it_is_caught_by_the_clauses_that_people_have() -> None:
    """Ours is gRPC's too, and the root's."""
    for caught in (grpc.RpcError, SpannerSessionsError, RpcError, NotFound, SessionNotFound):
        with pytest.raises(caught):
            raise rich_error()


@pytest.mark.parametrize(
    ("resource", "error_class"),
    [
        (SESSION_RESOURCE, SessionNotFound),
        *((resource, DatabaseNotFound) for resource in DATABASE_RESOURCES),
        ("type.googleapis.com/google.spanner.v1.Other", NotFound),
        ("", NotFound),
    ],
)
@pytest.mark.parametrize("alone", [False, True], ids=["status-details", "resourceinfo-only"])
def test_the_class_of_not_found_depends_on_the_resource(
    resource: str, error_class: type[RpcError], alone: bool
) -> None:
    """ResourceInfo decides, in either trailer; the text, which is the same in all of these, does not."""
    info = ResourceInfo(resource_type=resource)
    trailer = ("google.rpc.resourceinfo-bin", info.SerializeToString()) if alone else status_trailer(info)
    error = ours(failure(grpc.StatusCode.NOT_FOUND, "Session not found: Database not found", [trailer]))
    assert type(error) is error_class


def test_a_resource_does_not_change_other_statuses() -> None:
    """A session that is named by another status is not lost."""
    trailer = status_trailer(ResourceInfo(resource_type=SESSION_RESOURCE))
    error = ours(failure(grpc.StatusCode.PERMISSION_DENIED, trailers=[trailer]))
    assert type(error) is rpc_errors.PermissionDenied


def test_details_are_in_the_attribute_and_the_rest_body() -> None:
    """Both give the same list, and the wait that the server asked for is a number."""
    error = rich_error()
    assert error.to_rest()["error"]["details"] == error.error_details
    assert [detail["@type"].rpartition(".")[2] for detail in error.error_details] == [
        "ErrorInfo", "ResourceInfo", "RetryInfo", "BadRequest", "Unknown",
    ]  # fmt: skip
    assert error.retry_delay == 2.0


def test_a_changed_rest_body_changes_nothing_else() -> None:
    """The body is the caller's own: what is done to it, at any depth, is not seen in the error."""
    error = rich_error()
    before = copy.deepcopy(error.error_details)
    body = error.to_rest()["error"]
    body["details"][0]["metadata"]["key"] = "changed"
    body["details"][3]["fieldViolations"].append("more")
    body["details"].clear()
    assert error.error_details == before
    assert error.to_rest()["error"]["details"] == before


def test_text_and_repr_say_what_failed_and_which_request() -> None:
    """A log line has the RPC, the status, the server's words and the id that support asks for."""
    error = rich_error()
    assert str(error) == f"CreateSession: NOT_FOUND: Session not found: s [request id {ID}]"
    assert repr(error) == f"SessionNotFound({str(error)!r})"


@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
          for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
)  # fmt: skip
def test_copies_say_all_that_the_original_says(clone: Any) -> None:
    """An error that went through a copy or another process has its class, its details and its trailers."""
    for status in STATUSES:
        error = ours(failure(grpc.StatusCode[status], "text"))
        assert what_it_says(clone(error)) == what_it_says(error)
    assert what_it_says(clone(rich_error())) == what_it_says(rich_error())


def test_copies_keep_what_was_added() -> None:
    """What code on the way up noted on an error travels with it."""
    error: Any = rich_error()
    error.__notes__ = ["while warming up"]
    error.error_details.append({"@type": "added"})
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while warming up"]  # noqa: S301 - our own bytes
    assert copy.copy(error).error_details[-1] == {"@type": "added"}


@pytest.mark.parametrize("code", [grpc.StatusCode.OK, None, 5, "NOT_FOUND"])
def test_an_error_without_a_status_is_unknown(code: Any) -> None:
    """A code that no failed call can have does not hide the failure."""
    error = ours(failure(code))
    assert type(error) is rpc_errors.Unknown
    assert error.code() is grpc.StatusCode.UNKNOWN


def test_an_error_that_is_no_call_is_unknown() -> None:
    """GRPC's bare exception, which interceptors may raise, has neither code nor trailers."""
    error = ours(grpc.RpcError())
    assert type(error) is rpc_errors.Unknown
    assert (error.message, error.trailing_metadata()) == ("", ())


def test_an_error_without_text_has_an_empty_message() -> None:
    """GRPC gives None where the server said nothing."""
    error = ours(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()))
    assert error.to_rest() == {"error": {"code": 503, "message": "", "status": "UNAVAILABLE"}}


def test_trailers_are_kept_as_pairs() -> None:
    """All trailers of the server are there, in its order, text and bytes."""
    keys = [key for key, _ in rich_error().trailing_metadata()]
    assert keys == ["server-timing", "grpc-status-details-bin"]


@given(st.sampled_from(sorted(STATUSES)), st.text(), trailers_of_all_kinds)
def test_no_trailers_raise_or_hide_the_status(
    status: str, message: str, trailers: list[tuple[str, str | bytes]]
) -> None:
    """Whatever bytes come with a failure, it is ours, with its status, text and trailers."""
    error = ours(failure(grpc.StatusCode[status], message, trailers))
    assert isinstance(error, getattr(spanner_grpc_sessions, STATUSES[status][1]))
    assert (error.status, error.message) == (status, message)
    assert sorted(map(repr, error.trailing_metadata())) == sorted(map(repr, trailers))
    assert what_it_says(pickle.loads(pickle.dumps(error))) == what_it_says(error)  # noqa: S301 - our own bytes


def test_the_text_of_code_is_the_status() -> None:
    """google-api-core puts `error.code` into the text of its exceptions, where gRPC's method would be."""
    error = rpc_errors.Unavailable("no connection", method="GetSession")
    assert (error.code(), f"{error.code}: {error.message}") == (
        grpc.StatusCode.UNAVAILABLE,
        "UNAVAILABLE: no connection",
    )
