"""Faults on request: what the next calls of a method meet instead of, or before, their answer."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.local.status import Refusal, retry_info

__all__ = ["METHODS", "Fault", "Faults", "TokenFault"]

METHODS: Final = tuple(method.name for method in spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].methods)
"""The bare names of the RPCs of the service."""

_STATUSES: Final = frozenset(
    {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """What a call meets. See `Faults.add`."""

    method: str | None
    status: str | None
    message: str
    details: tuple[Message, ...]
    delay: float
    drop: bool

    def refusal(self) -> Refusal | None:
        """Return the error that the call is answered with, or None if it is only slow."""
        return None if self.status is None else Refusal(self.status, self.message, *self.details)


@dataclass(frozen=True, slots=True)
class TokenFault:
    """What a request of the token endpoint meets. See `Faults.add_token`."""

    status: int | None
    body: bytes | None
    delay: float
    drop: bool


_F = TypeVar("_F")


class _Plan(Generic[_F]):
    """Faults in the order they were added, each with the number of times it is still to be met."""

    def __init__(self) -> None:
        self._entries: list[tuple[_F, float]] = []
        self._lock = threading.Lock()

    def add(self, fault: _F, times: int | None) -> None:
        if times is not None and times < 1:
            raise InvalidValue(f"times must be at least 1, or None for every call, got {times!r}")
        with self._lock:
            self._entries.append((fault, math.inf if times is None else times))

    def take(self, fits: Callable[[_F], bool] = lambda _: True) -> _F | None:
        if not self._entries:  # the usual case needs no lock
            return None
        with self._lock:
            for index, (fault, left) in enumerate(self._entries):
                if fits(fault):
                    self._entries[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
            return None

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


class Faults:
    """The faults still to come. Safe to share between threads; may be filled before the server starts.

    A fault comes after the check of the token: a call that is not authorised does not use one up. Several faults that
    fit a call are met one per call, in the order they were added.
    """

    def __init__(self) -> None:
        self._calls = _Plan[Fault]()
        self._tokens = _Plan[TokenFault]()

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
            method: the bare name of an RPC, such as "CreateSession"; None is any RPC.
            status: canonical name of the status to answer with; None lets the call go on after the delay.
            message: text of that status.
            delay: seconds to wait first. A call that ends meanwhile is not carried out.
            drop: never answer: the call ends with its deadline, its cancellation, or the server.
            retry_delay: seconds for a RetryInfo in the details.
            details: further google.rpc messages for the details.
            times: how many calls meet it; None is every call until `clear`.

        Raises:
            InvalidValue: an unknown method or status, a number out of its range, or details without a status.
        """
        if method is not None and method not in METHODS:
            raise InvalidValue(f"{method!r} is no RPC of Spanner; those are {', '.join(METHODS)}")
        if status is not None and status not in _STATUSES:
            raise InvalidValue(f"status must be the name of a gRPC error such as 'UNAVAILABLE', got {status!r}")
        attached = tuple(details)
        if retry_delay is not None:
            _check_seconds("retry_delay", retry_delay)
            attached = (retry_info(retry_delay), *attached)
        if status is None and attached:
            raise InvalidValue("retry_delay and details are sent with an error: status is missing")
        _check_seconds("delay", delay)
        self._calls.add(Fault(method, status, message, attached, delay, drop), times)

    def add_token(
        self,
        *,
        status: int | None = None,
        body: bytes | None = None,
        delay: float = 0.0,
        drop: bool = False,
        times: int | None = 1,
    ) -> None:
        """Plan a fault for the next requests of the token endpoint.

        Args:
            status: HTTP status to answer with; None is 200 if there is a `body`, else the right answer after the delay.
            body: what to answer instead of JSON; None is an OAuth error for a `status`.
            delay: seconds to wait first.
            drop: never answer: the request ends with its client's patience, or the server.
            times: how many requests meet it; None is every request until `clear`.

        Raises:
            InvalidValue: a number out of its range.
        """
        if status is not None and not 200 <= status <= 599:
            raise InvalidValue(f"status must be an HTTP status from 200 to 599, got {status!r}")
        _check_seconds("delay", delay)
        self._tokens.add(TokenFault(status, body, delay, drop), times)

    def clear(self) -> None:
        """Forget every planned fault. Calls that are meeting one are not affected."""
        self._calls.clear()
        self._tokens.clear()

    def take(self, method: str) -> Fault | None:
        """Return the fault that a call meets, if any, and count it. For the server."""
        return self._calls.take(lambda fault: fault.method is None or fault.method == method)

    def take_token(self) -> TokenFault | None:
        """Return the fault that a request of the token endpoint meets, if any, and count it. For the server."""
        return self._tokens.take()


def _check_seconds(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidValue(f"{name} must be a finite number of seconds >= 0, got {value!r}")
