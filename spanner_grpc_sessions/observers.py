"""Observers of a client's calls and pools: what they are told, and the DEBUG line that the log gets for each call.

Without an observer, and with the log above DEBUG, a call pays for none of this, and a pool without an observer neither.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, SpannerSessionsError
from spanner_grpc_sessions.errors.checks import counted, short
from spanner_grpc_sessions.runtime.log import log

__all__ = ["CallInfo", "Observer", "PoolCounts", "PoolInfo", "PoolObserver"]

Headers = Iterable[tuple[str, str | bytes]]

_FAILED: Final = "the observer of a pool failed"
# Characters: no valid name is longer.
_LONGEST_NAME: Final = 2048
_PoolEvent = Literal["sessions_created", "session_acquired", "session_released", "acquire_timed_out"]
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
            the observer asks and the answer says so.
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
    """Is told of every call of a client and its stubs, in the thread or task of the call.

    Its exceptions go to the caller. With a true attribute `server_timing`, the calls ask for `server-timing`, which
    `CallInfo.server_timing` then has; that costs each call a header, and a look at those of the answer.

    A stream that is dropped ends when it is collected, in any thread at any moment: a lock in `end` must be reentrant.
    """

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
        """Return headers to send with the call, and a mark that `end` gets back."""

    def end(self, call: CallInfo, mark: Any) -> None:
        """Record a call that has ended."""


class PoolCounts(NamedTuple):
    """What a pool has at one moment.

    Attributes:
        idle: sessions that no caller holds, those that are being pinged among them.
        used: sessions that callers hold. A multiplexed session is used from its creation on.
        waiting: callers that wait for a session.
    """

    idle: int
    used: int
    waiting: int


@dataclass(frozen=True, eq=False)
class PoolInfo:
    """A pool or a multiplexed session, as observers see it. It is alive until the pool is closed or dropped.

    Attributes:
        database: name of the database.
        address: "host:port" of the server.
        multiplexed: whether it is one session for all callers, of which `max_size` is 1 and `min_size` 0.
        min_size: the number of sessions that the pool keeps, idle or not.
        max_size: the largest number of sessions.
        counts: returns the sessions and callers at this moment, without waiting, in any thread.
    """

    database: str
    address: str
    multiplexed: bool
    min_size: int
    max_size: int
    counts: Callable[[], PoolCounts]


@runtime_checkable
class PoolObserver(Protocol):
    """What an observer may have besides `begin` and `end`, to be told of the pools of a client.

    The methods run in the thread or task that acquires or releases, or in one of the pool's own, and never under a lock
    of the pool. Their exceptions are logged and not raised: no session is lost, and no caller fails, because of them.
    """

    def watch_pool(self, pool: PoolInfo) -> Any:
        """Begin to watch a pool, which may not be open yet; return a mark that the other methods get.

        Keep the pool by a weak reference alone, since it is alive until the pool is closed or dropped. A forked child
        calls this for each pool of its parent while no other thread runs: do not wait for a lock.
        """

    def sessions_created(self, mark: Any, count: int, seconds: float) -> None:
        """Record that one call created so many sessions, in so many seconds."""

    def session_acquired(self, mark: Any, seconds: float) -> None:
        """Record that a caller got a session after so many seconds; 0 if one was idle."""

    def session_released(self, mark: Any, seconds: float) -> None:
        """Record that a caller gave a session back after so many seconds. A multiplexed one is not given back."""

    def acquire_timed_out(self, mark: Any) -> None:
        """Record that a caller got no session in time."""


class Observation:
    """A call that is observed by the log, and by an observer if there is one.

    Attributes:
        call: what they see of it.
        headers: are to be sent with the call.
        timed: the headers of the answer are to be told to `answered`.
    """

    __slots__ = ("_first_end", "_mark", "_observer", "call", "headers", "timed")

    def __init__(self, call: CallInfo, observer: Observer | None) -> None:
        self.call: CallInfo = call
        self.headers: tuple[tuple[str, str], ...] = ()
        self.timed: bool = wants_server_timing(observer)
        self._observer = observer
        self._mark: Any = None
        if observer is not None:
            self.headers, self._mark = observer.begin(call)
        # The first end takes it and never gives it back: one thread may read a stream while another one closes it.
        self._first_end = threading.Lock()

    def __del__(self) -> None:
        # A call whose caller dropped it, a stream for one, before its end. Not one that the observer did not begin.
        if hasattr(self, "_first_end"):
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
        if self.timed and error is not None and hasattr(error, "initial_metadata"):
            self.answered(error.initial_metadata())
        if log.isEnabledFor(logging.DEBUG):
            # No token, no metadata, no request, no answer.
            milliseconds = (time.monotonic() - call.started) * 1e3
            line = "%s of %s: %s after %.1f ms, %s, request id %s"
            name = _shown(call.resource)
            attempts = counted(call.attempts, "attempt")
            log.debug(line, call.method, name, call.status, milliseconds, attempts, call.request_id)
        if self._observer is not None:
            self._observer.end(call, self._mark)


def _shown(resource: object) -> str:
    """Return the name that a call is about, for the log: a caller may give any value, and a refused one is told too."""
    if isinstance(resource, str):
        # A subclass may have methods of its own.
        name = str.__str__(resource)
        if name.isprintable() and len(name) <= _LONGEST_NAME:
            return name
    return short(resource)


def wants_server_timing(observer: Observer | None) -> bool:
    """Return whether an observer is told what the server's parts took."""
    return bool(getattr(observer, "server_timing", False))


def _server_timing(headers: Headers) -> dict[str, float]:
    """Return the seconds by component in `server-timing` headers, like "gfet4t7; dur=12, afe; dur=3.5"."""
    values = ",".join(str(value) for key, value in headers if key == "server-timing")
    found = re.findall(r"(gfe|afe)\w*\s*;\s*dur=([0-9]{1,9}(?:\.[0-9]{1,9})?)", values)
    return {name: float(milliseconds) / 1e3 for name, milliseconds in found}


def observe(observer: Observer | None, method: str, resource: str, address: str) -> Observation | None:
    """Return the observation of a call that begins, or None without an observer and a log at DEBUG."""
    if observer is None and not log.isEnabledFor(logging.DEBUG):
        return None
    return Observation(CallInfo(method, resource, address), observer)


class PoolWatch:
    """Tells an observer what happens in one pool, if it is a `PoolObserver`, and logs what it raises.

    Attributes:
        observer: is told; None if there is nothing to tell, or the pool has ended.
    """

    def __init__(self, observer: Observer | None, pool: PoolInfo) -> None:
        self.observer: PoolObserver | None = None
        # The only strong reference: the observer has a weak one.
        self._pool: PoolInfo | None = pool
        self._mark: Any = None
        if isinstance(observer, PoolObserver):
            try:
                self._mark = observer.watch_pool(pool)
                self.observer = observer
            except Exception:  # noqa: BLE001 - an observer of the user must not change what the pool does
                log.exception(_FAILED)

    def tell(self, event: _PoolEvent, *values: float) -> None:
        """Call a method of the observer."""
        observer = self.observer
        if observer is not None:
            try:
                getattr(observer, event)(self._mark, *values)
            except Exception:  # noqa: BLE001 - the same
                log.exception(_FAILED)

    def end(self) -> None:
        """Tell nothing any more. Idempotent."""
        self.observer = self._pool = None
