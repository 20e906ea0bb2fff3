"""What gRPC asks of a call that has failed: the exceptions of calls answer it themselves.

gRPC's interceptors hand a raised error on as the outcome of the call, callbacks get it as a future, and clients of gRPC
ask it for metadata. In sync code it is a `grpc.Call` and a `grpc.Future`, in asyncio a `grpc.aio.AioRpcError`; the
exceptions here are all three, so that one class per status does for both.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, SpannerSessionsError

if TYPE_CHECKING:
    _Future = grpc.Future[Any]  # generic in its stubs alone
else:
    _Future = grpc.Future

Metadata = tuple[tuple[str, str | bytes], ...] | grpc.aio.Metadata


class Code:
    """The status of a call, as what `code` of gRPC's errors is: to be called. Its text is the status.

    google-api-core shows `error.code` of an error that has a `message`, in the text of its own exceptions.
    """

    __slots__ = ("_code",)

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def __call__(self) -> grpc.StatusCode:
        """Return the status as gRPC's enum."""
        return self._code

    def __repr__(self) -> str:
        return self._code.name


class FinishedCall(grpc.aio.AioRpcError, grpc.Call, _Future):
    """A call that has failed, and the exception that says so."""

    _code: grpc.StatusCode
    _initial_metadata: Metadata = ()  # pairs from a sync call
    _trailing_metadata: Metadata = ()
    _debug_error_string: str = ""

    def __init__(self, *args: object) -> None:
        # AioRpcError takes a status, and makes the text of it.
        Exception.__init__(self, *args)

    __str__: Callable[..., str] = Exception.__str__
    __repr__: Callable[..., str] = Exception.__repr__

    def __reduce__(self) -> Any:
        return Exception.__reduce__(self)

    @property
    def code(self) -> Code:
        """`code()` is the status as gRPC's enum."""
        return Code(self._code)

    def details(self) -> str:
        """Return the text of the status."""
        return str(self)

    def initial_metadata(self) -> Metadata:  # type: ignore[override]  # pairs, or gRPC's class of them
        """Return the headers of the answer as pairs of key and value; none if the server did not answer."""
        return self._initial_metadata

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]  # the same
        """Return the trailers of the answer as pairs of key and value; none if the server did not answer."""
        return self._trailing_metadata

    def debug_error_string(self) -> str:
        """Return gRPC's own account of the failure, for a log."""
        return self._debug_error_string

    def result(self, timeout: float | None = None) -> NoReturn:  # noqa: ARG002 - gRPC's signature
        """Raise this exception, as the future of a failed call does."""
        raise self

    def exception(self, timeout: float | None = None) -> Exception:  # noqa: ARG002 - gRPC's signature
        """Return this exception, as the future of a failed call does."""
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:  # noqa: ARG002 - gRPC's signature
        """Return the traceback of this exception."""
        return self.__traceback__

    def cancel(self) -> bool:
        """Return False: the call has ended."""
        return False

    def cancelled(self) -> bool:
        """Return False, as gRPC's errors do."""
        return False

    def running(self) -> bool:
        """Return False: the call has ended."""
        return False

    def done(self) -> bool:
        """Return True: the call has ended."""
        return True

    def is_active(self) -> bool:
        """Return False: the call has ended."""
        return False

    def time_remaining(self) -> None:  # type: ignore[override]  # as gRPC's own errors
        """Return None: the call has ended."""

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002 - gRPC's signature
        """Return False, since `callback` is not called: the call has ended."""
        return False

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call back at once: the call has ended."""
        fn(self)


class ClosedCall(ClientClosed, FinishedCall):
    """The client was closed during the call of a stub."""

    _code = grpc.StatusCode.CANCELLED


class CallWithoutToken(CredentialsError, FinishedCall):
    """No token could be obtained for the call of a stub."""

    _code = grpc.StatusCode.UNAUTHENTICATED


for _class in (ClosedCall, CallWithoutToken):
    # Their base class gives exceptions the module that users import; these are known by their bases, and pickled.
    _class.__module__ = __name__


def as_failed_call(error: SpannerSessionsError) -> SpannerSessionsError:
    """Return the exception of a stub's call for one that has no face of gRPC, with the same text and cause."""
    for base, failed in ((ClientClosed, ClosedCall), (CredentialsError, CallWithoutToken)):
        if isinstance(error, base) and not isinstance(error, FinishedCall):
            face = failed(*error.args)
            face.__cause__ = error.__cause__
            return face
    return error
