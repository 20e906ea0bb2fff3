"""Observers of a client's calls: what they are told, and the DEBUG line that the log gets for each call.

Without an observer, and with the log above DEBUG, a call pays for none of this.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, SpannerSessionsError

__all__ = ["CallInfo", "Observer"]

Headers = Iterable[tuple[str, str | bytes]]

_log: Final = logging.getLogger("spanner_grpc_sessions")
# The statuses of errors that have none of their own; the first match counts. The last row is for CancelledError,
# GeneratorExit and the like, by which a caller gives up.
_STATUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (CredentialsError, "UNAUTHENTICATED"),
    (ValueError, "INVALID_ARGUMENT"),
    (TypeError, "INVALID_ARGUMENT"),
    (ClientClosed, "CANCELLED"),
    (Exception, "UNKNOWN"),
    (BaseException, "CANCELLED"),
)


@dataclass(slots=True)
class CallInfo:
    """A call, as observers see it. Updated while the call runs.

    Attributes:
        method: name of the RPC, like "CreateSession"; of a foreign service with its name and a slash before.
        resource: name of the database or session.
        address: "host:port" of the server.
        started: seconds of `time.monotonic`.
        request_id: the x-goog-spanner-request-id header of the last attempt; empty before the first.
        attempts: the number of attempts.
        error: the exception that the caller got, if the call failed.
        server_timing: seconds that Google's front end ("gfe") and Spanner's API front end ("afe") took for the call, if
            the answer says so.
    """

    method: str
    resource: str
    address: str
    started: float = field(default_factory=time.monotonic)
    request_id: str = ""
    attempts: int = 0
    error: BaseException | None = None
    server_timing: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The canonical name of the status that the call ended with; CANCELLED if the caller gave it up."""
        if self.error is None:
            return "OK"
        # This finds an RpcError without importing its module, which loads gRPC.
        if isinstance(self.error, SpannerSessionsError) and hasattr(self.error, "status"):
            return str(self.error.status)
        return next(status for kind, status in _STATUSES if isinstance(self.error, kind))

    def attempt(self, request_id: str) -> None:
        """Count an attempt. For the client."""
        self.request_id = request_id
        self.attempts += 1


@runtime_checkable
class Observer(Protocol):
    """Is told of every call of a client, in the thread or task of the call. Its exceptions go to the caller."""

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
        """Return headers to send with the call, and a mark that `end` gets back."""

    def end(self, call: CallInfo, mark: Any) -> None:
        """Record a call that has ended."""


class Observation:
    """A call that is observed by the log, and by an observer if there is one; has the headers to send with it."""

    def __init__(self, call: CallInfo, observer: Observer | None) -> None:
        self.call = call
        self.headers: tuple[tuple[str, str], ...] = ()
        self._observer = observer
        self._mark: Any = None
        self._began = False
        # The first end takes it and never gives it back: one thread may read a stream while another one closes it.
        self._first_end = threading.Lock()
        if observer is not None:
            self.headers, self._mark = observer.begin(call)
        self._began = True

    def __del__(self) -> None:
        # A call whose caller dropped it, a stream for one, before its end.
        if self._began:
            self.end(GeneratorExit())

    def answered(self, headers: Headers) -> None:
        """Note the headers of the answer."""
        self.call.server_timing = _server_timing(headers)

    def end(self, error: BaseException | None = None) -> None:
        """Report how the call has ended; only the first end counts."""
        if not self._first_end.acquire(blocking=False):
            return
        call = self.call
        call.error = error
        if error is not None and hasattr(error, "initial_metadata"):
            self.answered(error.initial_metadata())
        # No token, no metadata, no request, no answer.
        milliseconds = (time.monotonic() - call.started) * 1e3
        line = "%s of %s: %s after %.1f ms, %d attempts, request id %s"
        _log.debug(line, call.method, call.resource, call.status, milliseconds, call.attempts, call.request_id)
        if self._observer is not None:
            self._observer.end(call, self._mark)


def _server_timing(headers: Headers) -> dict[str, float]:
    """Return the seconds by component in `server-timing` headers, like "gfet4t7; dur=12, afe; dur=3.5"."""
    values = ",".join(str(value) for key, value in headers if key == "server-timing")
    found = re.findall(r"(gfe|afe)\w*\s*;\s*dur=([0-9]{1,9}(?:\.[0-9]{1,9})?)", values)
    return {name: float(milliseconds) / 1e3 for name, milliseconds in found}


def observe(observer: Observer | None, method: str, resource: str, address: str) -> Observation | None:
    """Return the observation of a call that begins, or None without an observer and a log at DEBUG."""
    if observer is None and not _log.isEnabledFor(logging.DEBUG):
        return None
    return Observation(CallInfo(method, resource, address), observer)
