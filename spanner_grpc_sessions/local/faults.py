"""Faults on request: what the next calls meet before or instead of their answer, and the gate where slow calls wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Final, TypeVar

from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidValue, checks
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.statuses import HTTP_CODES
from spanner_grpc_sessions.local.status import retry_info
from spanner_grpc_sessions.options import MAX_TIMEOUT

# The names of the RPCs of the service.
METHODS: Final = tuple(method.name for method in spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].methods)


@dataclass(slots=True, eq=False)
class Fault:
    """What a call meets, and how many more calls meet it. See `Faults.add`."""

    method: str | None
    status: str | None
    message: str
    details: tuple[Message, ...]
    delay: float
    drop: bool
    times: float


@dataclass(slots=True, eq=False)
class TokenFault:
    """What a request to the token endpoint meets, and how many more requests meet it. See `Faults.add_token`."""

    status: int | None
    body: bytes | None
    delay: float
    drop: bool
    times: float


_F = TypeVar("_F", Fault, TokenFault)


class Faults:
    """The faults still to come. Safe to share between threads; can be filled before the server starts.

    A call meets a fault after its token has been checked: a call that is not authorized uses up no fault. If several
    faults fit, each call meets one of them, in the order they were added.
    """

    def __init__(self) -> None:
        self._calls: deque[Fault] = deque()
        self._tokens: deque[TokenFault] = deque()
        self._lock = threading.Lock()

    def add(
        self,
        method: str | None = None,
        *,
        status: str | None = None,
        message: str = "a fault of LocalSpanner",
        delay: float = 0.0,
        drop: bool = False,
        retry_delay: float | None = None,
        details: Iterable[Message] = (),
        times: int | None = 1,
    ) -> None:
        """Plan a fault for the next calls of a method.

        Args:
            method: the name of an RPC, such as "CreateSession"; None for any RPC.
            status: canonical name of the status to answer with; None to answer normally after the delay.
            message: the text of that status.
            delay: seconds to wait first. A call that ends during the wait is not carried out.
            drop: never answer; the call ends by its deadline, its cancellation, or the stop of the server.
            retry_delay: seconds for a RetryInfo in the details.
            details: more google.rpc messages for the details.
            times: how many calls meet it; None for every call until `clear`.

        Raises:
            InvalidValue: an unknown method or status, a number out of range, or details without a status.
            InvalidType: a value has the wrong type.
        """
        fault = checked_fault(method, status, message, delay, drop, retry_delay, details, times)
        with self._lock:
            self._calls.append(fault)

    def add_token(
        self,
        *,
        status: int | None = None,
        body: bytes | None = None,
        delay: float = 0.0,
        drop: bool = False,
        times: int | None = 1,
    ) -> None:
        """Plan a fault for the next requests to the token endpoint.

        Args:
            status: HTTP status to answer with; None for 200 if there is a `body`, otherwise for a normal answer.
            body: what to answer instead of JSON; None for an OAuth error if there is a `status`.
            delay: seconds to wait first.
            drop: never answer; the request ends when its client gives up or the server stops.
            times: how many requests meet it; None for every request until `clear`.

        Raises:
            InvalidValue: a number is out of range.
            InvalidType: a value has the wrong type.
        """
        if status is not None:
            checks.whole("status", status, 200, 599)
        checks.optional("body", body, bytes)
        checks.number("delay", delay, 0, MAX_TIMEOUT)
        with self._lock:
            self._tokens.append(TokenFault(status, body, delay, drop, _checked_times(times)))

    def clear(self) -> None:
        """Remove every planned fault. Calls that are meeting one are not affected."""
        with self._lock:
            self._calls.clear()
            self._tokens.clear()

    def take(self, method: str) -> Fault | None:
        """Return the fault that a call meets, if any, and count it. For the server."""
        return self._take(self._calls, lambda fault: fault.method in {None, method})

    def take_token(self) -> TokenFault | None:
        """Return the fault that a request to the token endpoint meets, if any, and count it. For the server."""
        return self._take(self._tokens, lambda _: True)

    def _take(self, planned: deque[_F], fits: Callable[[_F], bool]) -> _F | None:
        with self._lock:
            fault = next(filter(fits, planned), None)
            if fault is not None:
                fault.times -= 1
                if not fault.times:
                    planned.remove(fault)
            return fault


def checked_fault(
    method: str | None,
    status: str | None,
    message: str,
    delay: float,
    drop: bool,
    retry_delay: float | None,
    details: Iterable[Message],
    times: int | None,
) -> Fault:
    """Return a fault of these; see `Faults.add`."""
    _check_names(method, status)
    attached = _checked_messages(details)
    if retry_delay is not None:
        attached = (retry_info(checks.number("retry_delay", retry_delay, 0, MAX_TIMEOUT)), *attached)
    if status is None and attached:
        raise InvalidValue("retry_delay and details are sent with an error: status is missing")
    checks.number("delay", delay, 0, MAX_TIMEOUT)
    return Fault(method, status, checks.text("message", message), attached, delay, drop, _checked_times(times))


def _check_names(method: str | None, status: str | None) -> None:
    if method is not None and checks.text("method", method) not in METHODS:
        raise InvalidValue(f"{short(method)} is not an RPC of Spanner; the RPCs are {', '.join(METHODS)}")
    if status is not None and checks.text("status", status) not in HTTP_CODES:
        raise InvalidValue(f"status must be the name of a gRPC error such as 'UNAVAILABLE', got {short(status)}")


def _checked_messages(details: Iterable[Message]) -> tuple[Message, ...]:
    messages = checks.iterable("details", details, "messages")
    return tuple(checks.instance("each of details", message, Message) for message in messages)


def _checked_times(times: int | None) -> float:
    return inf if times is None else checks.whole("times (None for every call)", times, 1)


class Gate:
    """Holds slow calls back while the server runs, and lets all of them pass once it stops."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed = False

    def close(self) -> None:
        """Hold calls back from now on."""
        self._closed = True

    def open(self) -> None:
        """End every wait, now and in future."""
        with self._condition:
            self._closed = False
            self._condition.notify_all()

    def hold(self, fault: Fault | TokenFault, over: Callable[[], bool] = lambda: False) -> bool:
        """Wait as a fault says, or until `over` is true after a `wake`; return False if the server stops."""
        if not (fault.drop or fault.delay):
            return True
        with self._condition:
            self._condition.wait_for(lambda: not self._closed or over(), None if fault.drop else fault.delay)
            return self._closed

    def wake(self) -> None:
        """Make every waiting call check again if it is over."""
        with self._condition:
            self._condition.notify_all()
