"""The attempts of one call, and what follows from a failure: another attempt, and when, or the caller's exception."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import grpc

from spanner_grpc_sessions.auth.token import TokenHeaders
from spanner_grpc_sessions.errors.checks import counted
from spanner_grpc_sessions.errors.connecting import why_final
from spanner_grpc_sessions.errors.origin import is_broken_off, is_over_a_limit, never_connected, was_never_taken_up
from spanner_grpc_sessions.errors.rpc import NotFound, RpcError, from_grpc
from spanner_grpc_sessions.observers import CallInfo
from spanner_grpc_sessions.options import MAX_TIMEOUT, RetryOptions
from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.incidents import Incidents

# Seconds: an attempt with less could only end at the deadline, and hide why those before it failed.
_MIN_ATTEMPT: Final = 0.05
# Resending helps against a connection that ends, not against a server that ends all.
_MAX_RESENT: Final = 20
_FIRST_RESENT_AFTER: Final = 0.001
_LAST_RESENT_AFTER: Final = 0.1
# Statuses after which the server may have done the work, and its answer was lost.
_MAY_HAVE_ACTED: Final = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE"})


def next_delay(
    options: RetryOptions,
    *,
    status: str,
    attempt: int,
    remaining: float | None,
    retry_delay: float | None,
    fraction: float,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there should be none.

    The wait is a `fraction`, from 0 to 1, of the longest one (full jitter), and never shorter than the server's
    `retry_delay`. One that leaves no time for an attempt ends the call at once, as in Google's clients: waits cut to
    the time left would end many calls in a burst of attempts.
    """
    if status not in options.statuses:
        return None
    delay = fraction * backoff(attempt, options.initial_delay, options.max_delay, options.multiplier)
    if retry_delay is not None:
        delay = max(delay, retry_delay)
    if remaining is not None and delay >= remaining - _MIN_ATTEMPT:
        return None
    return delay


@dataclass(slots=True)
class Attempts:
    """The attempts of a call whose first one failed.

    Attributes:
        number: the request id of the call without the number of the attempt.
        count: the number of attempts so far.
        first: the number of the first attempt in the request id. Google's clients may have made some before.
        of_stub: a stub made the call, and gets the server's last word as it is.
        resends: what the server never took up is sent again at once, without regard to `options`, as gRPC does.
        resent: how often that was done.
        incidents: is told each failure.
        token: what the last attempt carried, None if that is not known.
        lost: failures of attempts that may have left a session behind.
    """

    rpc: Rpc
    number: str
    options: RetryOptions
    deadline: Deadline
    observed: CallInfo | None = None
    count: int = 1
    first: int = 1
    of_stub: bool = False
    resends: bool = True
    resent: int = 0
    incidents: Incidents | None = None
    token: TokenHeaders | None = None
    lost: list[RpcError] = field(default_factory=list)

    def next_delay_after(self, error: grpc.RpcError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if an earlier one has done the work.

        Raises `RpcError`, made from the error, if there should be no other attempt.
        """
        failure = from_grpc(error, method=self.rpc.name, request_id=self._id(), attempts=self.count)
        if self.incidents is not None:
            self.incidents.note(failure, self.token)
        done = self.rpc.not_found_means_done and self.count > 1 and not self.of_stub
        if done and isinstance(failure, NotFound):
            return None
        pause = self.pause_after(failure)
        if pause is None:
            try:
                raise failure from error
            finally:
                # With this frame in its traceback, a failure that the frame keeps would keep itself, and with it what
                # the frames of its callers hold, until the garbage collector runs.
                del failure
        # No caller sees this failure, unless it is the last one.
        log.debug("%s: another attempt in %.2f s", failure, pause)
        return pause

    def pause_after(self, failure: RpcError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there should be none."""
        if self.sends_again(failure):
            # At once; later not before gRPC may have left the connection that ends.
            return backoff(self.resent - 1, _FIRST_RESENT_AFTER, _LAST_RESENT_AFTER) if self.resent > 1 else 0.0
        if self.rpc.may_leave_session and failure.status in _MAY_HAVE_ACTED and not never_connected(failure):
            self.lost.append(failure)
        import random  # noqa: PLC0415 - 3 ms that a client without failures does not need

        status = self._status_to_repeat(failure)
        if status is None:
            return None
        delay = next_delay(
            self.options,
            status=status,
            attempt=self.count - self.resent,
            remaining=self.deadline.left(),
            retry_delay=failure.retry_delay,
            fraction=random.random(),  # noqa: S311 - jitter, not a secret
        )
        if delay is None:
            return None
        self.count += 1
        # Without a deadline, a server may ask for more than any clock of Python can wait.
        return min(delay, MAX_TIMEOUT)

    def ended(self) -> None:
        """Log, when the call has ended, that it may have left sessions behind."""
        if self.lost:
            count = counted(len(self.lost), "attempt")
            log.info("%s may have left sessions behind, in %s: %s", self.rpc.name, count, self.lost[-1])
            self.lost.clear()

    def sends_again(self, failure: RpcError) -> bool:
        """Return whether another attempt follows because the server never took up this one; count it."""
        may_resend = self.resends and self.resent < _MAX_RESENT and not self.deadline.has_passed()
        if not may_resend or not was_never_taken_up(failure):
            return False
        self.resent += 1
        self.count += 1
        return True

    def _status_to_repeat(self, failure: RpcError) -> str | None:
        """Return the status by which `RetryOptions` decide on another attempt, or None if there must be none."""
        if is_over_a_limit(failure) or why_final(failure.message) is not None:
            # The call was answered, or can never be sent: another attempt would end the same way.
            return None
        if self.rpc.final_answer and failure.status != "UNAVAILABLE" and failure.retry_delay is None:
            return None
        return "UNAVAILABLE" if is_broken_off(failure) else failure.status

    def request_id(self) -> str:
        """Return the request id of the attempt that is about to be made."""
        request_id = self._id()
        if self.observed is not None:
            self.observed.attempt(request_id)
        return request_id

    def _id(self) -> str:
        return f"{self.number}{self.first + self.count - 1}"
