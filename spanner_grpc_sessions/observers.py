"""Who watches the calls of a client: what an observer is told, and the one that writes to the log.

Without an observer, and with the log above DEBUG, a call pays for none of this.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, SpannerSessionsError

__all__ = ["Observation", "ObservedCall", "Observer", "observe"]

_log: Final = logging.getLogger("spanner_grpc_sessions")
_STATUSES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    (CredentialsError, "UNAUTHENTICATED"),
    ((ValueError, TypeError), "INVALID_ARGUMENT"),
    (ClientClosed, "CANCELLED"),
    (Exception, "UNKNOWN"),
    (BaseException, "CANCELLED"),
)
"""What errors that have no status count as, the first that fits: the last are those by which a caller gives up."""


@dataclass(slots=True)
class ObservedCall:
    """A call, for those who watch it. Filled as it goes on.

    Attributes:
        method: name of the RPC, like "CreateSession".
        resource: name of the database or session that it is about.
        address: "host:port" of the server.
        started: seconds of `time.monotonic`.
        request_id: the x-goog-spanner-request-id header of the last attempt; empty before the first.
        attempts: how many there were.
        error: what the caller got instead of an answer, if so.
    """

    method: str
    resource: str
    address: str
    started: float = field(default_factory=time.monotonic)
    request_id: str = ""
    attempts: int = 0
    error: BaseException | None = None

    @property
    def status(self) -> str:
        """The canonical name of the status that it ended with; CANCELLED if the caller gave it up."""
        error = self.error
        if error is None:
            return "OK"
        # An RpcError, whose module would load gRPC; what others call a status is none of ours.
        if isinstance(error, SpannerSessionsError) and hasattr(error, "status"):
            return str(error.status)
        return next(status for kinds, status in _STATUSES if isinstance(error, kinds))

    def attempt(self, request_id: str) -> None:
        """Note that an attempt is being made."""
        self.request_id = request_id
        self.attempts += 1


@runtime_checkable
class Observer(Protocol):
    """Is told of every call of a client, on the thread or task that makes it. What it raises goes to the caller."""

    def begin(self, call: ObservedCall) -> tuple[tuple[tuple[str, str], ...], Any]:
        """Return headers to send with the call, and anything that `end` should get."""

    def end(self, call: ObservedCall, mark: Any) -> None:
        """Take note of a call that has ended."""


class Observation:
    """A call that is watched.

    Args:
        call: what it is.
        observer: who is told, beside the log; None for nobody.

    Attributes:
        headers: to send with the call.
    """

    def __init__(self, call: ObservedCall, observer: Observer | None) -> None:
        self.call = call
        self._untold = [observer]
        self.headers: tuple[tuple[str, str], ...] = ()
        self._mark: Any = None
        if observer is not None:
            self.headers, self._mark = observer.begin(call)

    def end(self, error: BaseException | None = None) -> None:
        """Tell how the call has ended; only the first end counts."""
        try:
            # One step, for a stream may be read by one thread and closed by another.
            observer = self._untold.pop()
        except IndexError:
            return
        self.call.error = error
        # No token, no metadata, no request, no answer.
        _log.debug(
            "%s of %s: %s after %.1f ms, %d attempts, request id %s",
            self.call.method,
            self.call.resource,
            self.call.status,
            (time.monotonic() - self.call.started) * 1e3,
            self.call.attempts,
            self.call.request_id,
        )
        if observer is not None:
            observer.end(self.call, self._mark)


def observe(observer: Observer | None, method: str, resource: str, address: str) -> Observation | None:
    """Return the observation of a call that begins, or None if nobody watches."""
    if observer is None and not _log.isEnabledFor(logging.DEBUG):
        return None
    return Observation(ObservedCall(method, resource, address), observer)
