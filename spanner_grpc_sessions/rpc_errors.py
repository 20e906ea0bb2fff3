"""Failed calls as exceptions: one class per canonical status, and from gRPC's error to ours.

RpcError (also grpc.RpcError)
├── Cancelled, Unknown, DeadlineExceeded, AlreadyExists, PermissionDenied, ResourceExhausted,
│   FailedPrecondition, Aborted, OutOfRange, Unimplemented, Internal, Unavailable, DataLoss, Unauthenticated
├── InvalidArgument
│   └── InvalidRequest (also InvalidValue)  query or body of a REST call do not fit: nothing was sent
└── NotFound
    ├── SessionNotFound                 the session is gone: make a new one
    ├── DatabaseNotFound                the database is gone: a new session will not help
    └── UnknownPath (also InvalidValue) no REST call has this path: nothing was sent
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, Final

import grpc

from spanner_grpc_sessions.errors import InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.status_details import DATABASE_RESOURCES, SESSION_RESOURCE, Details, read_details

# The canonical mapping, as google/rpc/code.proto states it.
_HTTP_CODES: Final = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


class RpcError(SpannerSessionsError, grpc.RpcError):
    """A call failed: the server said so, or the network did.

    It is a `grpc.RpcError` too, with `code()`, `details()` and `trailing_metadata()`, so that `except` clauses written
    for gRPC keep working. The error of gRPC that it was made from is its `__cause__`.

    Attributes:
        status: canonical name, like "NOT_FOUND".
        message: what the server said. Its wording is not stable; decide by class, status and details.
        error_details: the google.rpc details as REST gives them, a list of dicts with `@type`.
        method: name of the RPC, like "CreateSession".
        request_id: the x-goog-spanner-request-id header of the last attempt; Google's support asks for it. Empty if
            nothing was sent.
        retry_delay: seconds that the server asked to wait before another attempt, or None.
    """

    _status: str = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        method: str,
        request_id: str = "",
        code: grpc.StatusCode | None = None,
        details: Details = Details(),  # noqa: B008 - frozen
        trailing_metadata: tuple[tuple[str, str | bytes], ...] = (),
    ) -> None:
        self._code = code if code is not None else grpc.StatusCode[self._status]
        self.status: str = self._code.name
        self.message = message
        self.method = method
        self.request_id = request_id
        self.error_details: list[dict[str, Any]] = list(details.entries)
        self.retry_delay = details.retry_delay
        self._trailing_metadata = trailing_metadata
        sent = f" [request id {request_id}]" if request_id else ""
        super().__init__(f"{method}: {self.status}: {message}{sent}")

    def code(self) -> grpc.StatusCode:
        """Return the status as gRPC's enum."""
        return self._code

    def details(self) -> str:
        """Return the server's message, as `grpc.RpcError` objects do."""
        return self.message

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:  # type: ignore[override]  # pairs, as in asyncio
        """Return the trailers of the last attempt as pairs of key and value."""
        return self._trailing_metadata

    def to_rest(self) -> dict[str, Any]:
        """Return the error body that Spanner's REST API answers.

        The form is that of AIP-193: `{"error": {"code": …, "message": …, "status": …, "details": […]}}` with the HTTP
        status as `code`, and `details` only where there are some.
        """
        error: dict[str, Any] = {
            "code": _HTTP_CODES[self.status],
            "message": self.message,
            "status": self.status,
        }
        if self.error_details:
            error["details"] = copy.deepcopy(self.error_details)
        return {"error": error}

    def __reduce__(self) -> tuple[Any, ...]:
        # The arguments make the text; all else, also what was added later like the notes of `add_note`, is state.
        restore = partial(type(self), method=self.method, request_id=self.request_id, code=self._code)
        return restore, (self.message,), self.__dict__


class Cancelled(RpcError):
    """CANCELLED: the caller gave the call up, or the client was closed under it."""

    _status = "CANCELLED"


class Unknown(RpcError):
    """UNKNOWN: the server failed and did not say how."""

    _status = "UNKNOWN"


class InvalidArgument(RpcError):
    """INVALID_ARGUMENT: the server refuses the request as it is; repeating it will not help."""

    _status = "INVALID_ARGUMENT"


class DeadlineExceeded(RpcError):
    """DEADLINE_EXCEEDED: no answer within the timeout. The server may have acted all the same."""

    _status = "DEADLINE_EXCEEDED"


class NotFound(RpcError):
    """NOT_FOUND: something that the request names does not exist; see the two subclasses."""

    _status = "NOT_FOUND"


class SessionNotFound(NotFound):
    """The session does not exist any more: idle for an hour, 28 days old, or deleted. Create a new one."""


class DatabaseNotFound(NotFound):
    """The database, or the instance that held it, does not exist: a new session will not help."""


class AlreadyExists(RpcError):
    """ALREADY_EXISTS: a row with this key is there already."""

    _status = "ALREADY_EXISTS"


class PermissionDenied(RpcError):
    """PERMISSION_DENIED: the caller is known and may not do this: an IAM permission or an OAuth scope is missing."""

    _status = "PERMISSION_DENIED"


class ResourceExhausted(RpcError):
    """RESOURCE_EXHAUSTED: a quota or limit is used up, or the server pushes back."""

    _status = "RESOURCE_EXHAUSTED"


class FailedPrecondition(RpcError):
    """FAILED_PRECONDITION: the request does not fit the state that the server is in."""

    _status = "FAILED_PRECONDITION"


class Aborted(RpcError):
    """ABORTED: the transaction lost against another one; run the whole transaction again."""

    _status = "ABORTED"


class OutOfRange(RpcError):
    """OUT_OF_RANGE: a value, like a timestamp bound, lies outside of what the server can serve."""

    _status = "OUT_OF_RANGE"


class Unimplemented(RpcError):
    """UNIMPLEMENTED: the server does not know the method, as the emulator with some newer ones."""

    _status = "UNIMPLEMENTED"


class Internal(RpcError):
    """INTERNAL: the server or the transport broke."""

    _status = "INTERNAL"


class Unavailable(RpcError):
    """UNAVAILABLE: no server could be reached, or it turned the call away; it was repeated in vain."""

    _status = "UNAVAILABLE"


class DataLoss(RpcError):
    """DATA_LOSS: unrecoverable loss or corruption, as the server says."""

    _status = "DATA_LOSS"


class Unauthenticated(RpcError):
    """UNAUTHENTICATED: the server did not accept the token. Mend the credentials: it is never repeated."""

    _status = "UNAUTHENTICATED"


class InvalidRequest(InvalidArgument, InvalidValue):
    """Query or body of a REST call do not fit its RPC: what REST answers with 400. Raised before anything is sent."""


class UnknownPath(NotFound, InvalidValue):
    """The API has no method with this path: what REST answers with 404. Raised before anything is sent."""


_CLASSES: Final = {cls._status: cls for cls in RpcError.__subclasses__()}
_NOT_FOUND_CLASSES: Final[dict[str, type[RpcError]]] = {
    SESSION_RESOURCE: SessionNotFound,
    **dict.fromkeys(DATABASE_RESOURCES, DatabaseNotFound),
}

__all__ = [  # noqa: PLE0604 - every class above, one per status
    "DatabaseNotFound",
    "InvalidRequest",
    "RpcError",
    "SessionNotFound",
    "UnknownPath",
    "from_grpc",
    *(cls.__name__ for cls in _CLASSES.values()),
]


def from_grpc(error: grpc.RpcError, *, method: str, request_id: str) -> RpcError:
    """Return our exception for one that gRPC raised, sync or asyncio.

    Args:
        error: what the call raised; in practice it is a call too, with code, details and trailers.
        method: name of the RPC.
        request_id: the x-goog-spanner-request-id header that was sent.
    """
    code = _ask(error, "code")
    if not isinstance(code, grpc.StatusCode) or code is grpc.StatusCode.OK:
        code = grpc.StatusCode.UNKNOWN
    trailers = tuple((str(key), value) for key, value in _ask(error, "trailing_metadata") or ())
    details = read_details(trailers)
    error_class: type[RpcError] = _CLASSES[code.name]
    if error_class is NotFound:
        # By the type of the resource, never by the text: the wording is not stable.
        error_class = _NOT_FOUND_CLASSES.get(details.resource_type, NotFound)
    return error_class(
        str(_ask(error, "details") or ""),
        method=method,
        request_id=request_id,
        code=code,
        details=details,
        trailing_metadata=trailers,
    )


def _ask(error: grpc.RpcError, question: str) -> Any:
    answer = getattr(error, question, None)
    return answer() if callable(answer) else None


for _error_class in (RpcError, *_CLASSES.values(), SessionNotFound, DatabaseNotFound, InvalidRequest, UnknownPath):
    # Tracebacks and pickles show the name that users import.
    _error_class.__module__ = "spanner_grpc_sessions"
