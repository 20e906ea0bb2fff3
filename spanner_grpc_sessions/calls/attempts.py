"""The attempts of one call: their numbers, their common deadline, and what follows from a failure."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import Final

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID, Metadata
from spanner_grpc_sessions.calls.retry import next_delay
from spanner_grpc_sessions.errors.rpc import NotFound, from_grpc
from spanner_grpc_sessions.observers import ObservedCall
from spanner_grpc_sessions.options import MAX_TIMEOUT, RetryOptions
from spanner_grpc_sessions.service.rpcs import Method

__all__ = ["Attempts"]

_log: Final = logging.getLogger("spanner_grpc_sessions")
_MAY_HAVE_ACTED: Final = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE"})
"""Statuses of which the server may know nothing: it may have answered well, and the answer got lost."""


@dataclass(slots=True)
class Attempts:
    """What outlives an attempt that failed.

    Attributes:
        method: the RPC.
        number: the request id without its last part, the attempt's number.
        options: what is repeated.
        deadline: of the whole call, in seconds of `time.monotonic`; None for no limit.
        count: attempts made so far.
        observed: who watches the call is told of further attempts; None for nobody.
    """

    method: Method
    number: str
    options: RetryOptions
    deadline: float | None
    count: int = 1
    observed: ObservedCall | None = None

    def after(self, error: grpc.RpcError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if an earlier one has done the work after all.

        Raises:
            RpcError: there should be no next attempt; made from `error`.
        """
        failure = from_grpc(error, method=self.method.name, request_id=f"{self.number}{self.count}")
        if self.method.creates and failure.status in _MAY_HAVE_ACTED:
            _log.info("%s may have left a session behind: %s", self.method.name, failure)
        if self.method.gone_is_done and self.count > 1 and isinstance(failure, NotFound):
            return None
        delay = next_delay(
            self.options,
            status=failure.status,
            attempt=self.count,
            remaining=self.remaining(),
            retry_delay=failure.retry_delay,
            fraction=random.random(),  # noqa: S311 - jitter, not a secret
        )
        if delay is None:
            raise failure from error
        self.count += 1
        # Without a deadline a server may ask for more than any clock of Python can wait.
        return min(delay, MAX_TIMEOUT)

    def remaining(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None for no limit."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    def request_id(self) -> Metadata:
        """Return the header that numbers the attempt to make."""
        request_id = f"{self.number}{self.count}"
        if self.observed is not None:
            self.observed.attempt(request_id)
        return ((REQUEST_ID, request_id),)
