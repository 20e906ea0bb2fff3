"""Failed calls as exceptions: one class per canonical status, made from the errors that gRPC raises.

RpcError (also grpc.RpcError, and a failed call: see `errors.finished_call`)
├── Cancelled, Unknown, DeadlineExceeded, AlreadyExists, PermissionDenied, ResourceExhausted,
│   FailedPrecondition, Aborted, OutOfRange, Unimplemented, Internal, Unavailable, DataLoss, Unauthenticated
├── InvalidArgument
│   └── InvalidRequest (also InvalidValue)  the query or body of a REST call is invalid; nothing was sent
└── NotFound
    ├── SessionNotFound                 the session is gone: create a new one
    ├── DatabaseNotFound                the database is gone: a new session will not help
    └── UnknownPath (also InvalidValue) no REST call has this path; nothing was sent
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.errors.connecting import explained
from spanner_grpc_sessions.errors.finished_call import FinishedCall, Metadata
from spanner_grpc_sessions.errors.statuses import HTTP_CODES

# The `resourceType` under which Spanner reports a session that is gone.
SESSION_RESOURCE: Final = "type.googleapis.com/google.spanner.v1.Session"

# The `resourceType`s under which it reports a database that is gone, alone or with its instance.
DATABASE_RESOURCES: Final = (
    "type.googleapis.com/google.spanner.admin.database.v1.Database",
    "type.googleapis.com/google.spanner.admin.instance.v1.Instance",
)


class RpcError(SpannerSessionsError, FinishedCall):
    """A call failed: the server answered with an error, or the network broke.

    It is a `grpc.RpcError` too, and all that gRPC's own errors are: the finished `grpc.Call` and `grpc.Future` in sync
    code, a `grpc.aio.AioRpcError` in asyncio. So `except` clauses and interceptors written for gRPC keep working. The
    error of gRPC that it was made from is its `__cause__`.

    Attributes:
        status: canonical name, like "NOT_FOUND".
        message: the server's text. Its wording is not stable; decide by class, status and details.
        error_details: the google.rpc details as in REST, a list of dicts with `@type`.
        method: name of the RPC, like "CreateSession".
        request_id: the x-goog-spanner-request-id header of the last attempt; Google's support asks for it. Empty if
            nothing was sent.
        retry_delay: seconds to wait before another attempt, as the server asked (google.rpc.RetryInfo), or None.
        attempts: how many attempts were made, of which this is the last one's failure.
    """

    _status: str = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        method: str,
        request_id: str = "",
        code: grpc.StatusCode | None = None,
        error_details: Iterable[dict[str, Any]] = (),
        retry_delay: float | None = None,
        trailing_metadata: Metadata = (),
        attempts: int = 1,
    ) -> None:
        self._code = code if code is not None else grpc.StatusCode[self._status]
        self.status: str = self._code.name
        self.message = message
        self.method = method
        self.request_id = request_id
        self.error_details: list[dict[str, Any]] = list(error_details)
        self.retry_delay = retry_delay
        self._trailing_metadata = trailing_metadata
        self.attempts = attempts
        counted = f" (after {attempts} attempts)" if attempts > 1 else ""
        sent = f" [request id {request_id}]" if request_id else ""
        super().__init__(f"{method}: {self.status}: {message}{counted}{sent}")

    def details(self) -> str:
        """Return the server's message, as `grpc.RpcError` objects do."""
        return self.message

    def to_rest(self) -> dict[str, Any]:
        """Return the error body that Spanner's REST API would answer.

        The form is that of AIP-193: `{"error": {"code": …, "message": …, "status": …, "details": […]}}` with the HTTP
        status as `code`, and `details` only where there are some.
        """
        error: dict[str, Any] = {
            "code": HTTP_CODES[self.status],
            "message": self.message,
            "status": self.status,
        }
        if self.error_details:
            error["details"] = copy.deepcopy(self.error_details)
        return {"error": error}

    def __reduce__(self) -> tuple[Any, ...]:
        # The arguments make the text; all else, also what was added later like the notes of `add_note`, is state.
        restore = partial(
            type(self), method=self.method, request_id=self.request_id, code=self._code, attempts=self.attempts
        )
        return restore, (self.message,), self.__dict__


class Cancelled(RpcError):
    """CANCELLED: the caller gave up, or the client was closed during the call."""

    _status = "CANCELLED"


class Unknown(RpcError):
    """UNKNOWN: the server failed without saying how."""

    _status = "UNKNOWN"


class InvalidArgument(RpcError):
    """INVALID_ARGUMENT: the server rejects the request; repeating it does not help."""

    _status = "INVALID_ARGUMENT"


class DeadlineExceeded(RpcError):
    """DEADLINE_EXCEEDED: no answer within the timeout. The server may still have done the work."""

    _status = "DEADLINE_EXCEEDED"


class NotFound(RpcError):
    """NOT_FOUND: something that the request names does not exist."""

    _status = "NOT_FOUND"


class SessionNotFound(NotFound):
    """The session no longer exists: idle for an hour, 28 days old, or deleted. Create a new one."""

    def concerns(self, name: str) -> bool:
        """Return whether this is about the session `name`; an error that names no session is taken to be."""
        named = [detail["resourceName"] for detail in self.error_details if detail.get("resourceName")]
        return not named or name in named


class DatabaseNotFound(NotFound):
    """The database, or the instance that held it, does not exist: a new session will not help."""


class AlreadyExists(RpcError):
    """ALREADY_EXISTS: there is already a row with this key."""

    _status = "ALREADY_EXISTS"


class PermissionDenied(RpcError):
    """PERMISSION_DENIED: the caller lacks an IAM permission or an OAuth scope."""

    _status = "PERMISSION_DENIED"


class ResourceExhausted(RpcError):
    """RESOURCE_EXHAUSTED: a quota or limit is exceeded, or the server is overloaded."""

    _status = "RESOURCE_EXHAUSTED"


class FailedPrecondition(RpcError):
    """FAILED_PRECONDITION: the request does not fit the current state of the server."""

    _status = "FAILED_PRECONDITION"


class Aborted(RpcError):
    """ABORTED: the transaction conflicted with another one; run the whole transaction again."""

    _status = "ABORTED"


class OutOfRange(RpcError):
    """OUT_OF_RANGE: a value, such as a timestamp bound, is outside the range that the server can serve."""

    _status = "OUT_OF_RANGE"


class Unimplemented(RpcError):
    """UNIMPLEMENTED: the server does not have this method, as the emulator lacks some newer ones."""

    _status = "UNIMPLEMENTED"


class Internal(RpcError):
    """INTERNAL: the server or the transport failed."""

    _status = "INTERNAL"


class Unavailable(RpcError):
    """UNAVAILABLE: the server could not be reached or rejected the call, and retrying did not help."""

    _status = "UNAVAILABLE"


class DataLoss(RpcError):
    """DATA_LOSS: the server reports unrecoverable data loss or corruption."""

    _status = "DATA_LOSS"


class Unauthenticated(RpcError):
    """UNAUTHENTICATED: the server did not accept the token. Fix the credentials; it is never retried."""

    _status = "UNAUTHENTICATED"


class InvalidRequest(InvalidArgument, InvalidValue):
    """The query or body of a REST call is invalid (REST: 400). Raised before anything is sent."""


class UnknownPath(NotFound, InvalidValue):
    """The API has no method with this path (REST: 404). Raised before anything is sent."""


_CLASSES: Final = {cls._status: cls for cls in RpcError.__subclasses__()}
_NOT_FOUND_CLASSES: Final[dict[str, type[RpcError]]] = {
    SESSION_RESOURCE: SessionNotFound,
    **dict.fromkeys(DATABASE_RESOURCES, DatabaseNotFound),
}


def from_grpc(error: grpc.RpcError, *, method: str, request_id: str, attempts: int = 1) -> RpcError:
    """Return the exception of this library for one that gRPC raised, sync or asyncio.

    Args:
        error: what the call raised; in practice it is a call too, with code, details and trailers.
        method: name of the RPC.
        request_id: the x-goog-spanner-request-id header that was sent.
        attempts: how many attempts were made.
    """
    # Loaded by the first failure: 4 ms that a client without failures does not need.
    from spanner_grpc_sessions.errors.details import read_details  # noqa: PLC0415

    code = _ask(error, "code")
    if not isinstance(code, grpc.StatusCode) or code is grpc.StatusCode.OK:
        code = grpc.StatusCode.UNKNOWN
    trailers = tuple((str(key), value) for key, value in _ask(error, "trailing_metadata") or ())
    details = read_details(trailers)
    error_class: type[RpcError] = _CLASSES[code.name]
    if error_class is NotFound:
        # By the type of the resource, never by the text: the wording is not stable.
        error_class = _NOT_FOUND_CLASSES.get(details.resource_type, NotFound)
    failure = error_class(
        explained(str(_ask(error, "details") or "")),
        method=method,
        request_id=request_id,
        code=code,
        error_details=details.entries,
        retry_delay=details.retry_delay,
        trailing_metadata=_as_of(error, trailers),
        attempts=attempts,
    )
    failure._initial_metadata = _as_of(error, tuple(_ask(error, "initial_metadata") or ()))  # noqa: SLF001 - ours
    # gRPC never sets it for a stream or future that was ended on this side, and asking for it would block.
    if not isinstance(error, Iterator):
        failure._debug_error_string = str(_ask(error, "debug_error_string") or "")  # noqa: SLF001 - ours
    return failure


def _as_of(error: grpc.RpcError, pairs: tuple[tuple[str, str | bytes], ...]) -> Metadata:
    """Return headers or trailers in the form that gRPC gives them in: in asyncio as an object that looks up by key."""
    return grpc.aio.Metadata(*pairs) if isinstance(error, grpc.aio.AioRpcError) else pairs


def _ask(error: grpc.RpcError, question: str) -> Any:
    answer = getattr(error, question, None)
    try:
        return answer() if callable(answer) else None
    except Exception as failure:
        from grpc.experimental import UsageError  # noqa: PLC0415 - 1 ms that only some streams need

        if isinstance(failure, UsageError):
            # A stream that is read on one thread and was cancelled here has no trailers.
            return None
        raise
