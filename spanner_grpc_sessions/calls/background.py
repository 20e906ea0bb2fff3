"""Calls in the background of an object, on its client's connection, that can be ended apart from all others."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from functools import partial
from threading import Event, get_ident
from typing import Any, Final

import grpc

from spanner_grpc_sessions.auth.token import TokenHeaders
from spanner_grpc_sessions.calls.answers import check_answer
from spanner_grpc_sessions.calls.call import Caller
from spanner_grpc_sessions.calls.headers import REQUEST_ID, Metadata
from spanner_grpc_sessions.calls.retry import Attempts
from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import DeadlineExceeded
from spanner_grpc_sessions.observers import Observation, observe
from spanner_grpc_sessions.options import RetryOptions
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.runtime.threads import can_start_thread
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.connection import Connection
from spanner_grpc_sessions.transport.incidents import NewestFailure

_ONCE: Final = RetryOptions.none()

# Seconds after its deadline within which gRPC ends a call.
_GRACE: Final = 1.0


class BackgroundCalls:
    """The calls of one object, as gRPC futures: a call that blocks cannot be ended from another thread.

    It stands in for the connection, and for its tokens, of a `Caller` that makes blocking calls.

    Attributes:
        incidents: has the newest failure of these calls.
    """

    CALL_ERRORS: Final = Connection.CALL_ERRORS
    CLOSED_ERROR: Final = Connection.CLOSED_ERROR

    def __init__(self, caller: Caller) -> None:
        self.tokens = self
        self.address: str = caller.connection.address
        self.rpc_error: Callable[[BaseException], grpc.RpcError] = caller.connection.rpc_error
        self.closes_within: Callable[..., bool] = caller.connection.closes_within
        self.interrupted: Callable[[BaseException], None] = caller.connection.interrupted
        self.incidents: NewestFailure = NewestFailure(caller.connection.incidents)
        self._caller = caller
        self._in_flight: set[Any] = set()
        # The threads of gRPC that are telling an object the outcome of a call.
        self._telling: set[int] = set()
        self._end: concurrent.futures.Future[None] = concurrent.futures.Future()

    def end(self) -> None:
        """End the calls in flight, and those that wait for a token. Later ones are not affected."""
        end, self._end = self._end, concurrent.futures.Future()
        end.set_result(None)
        for call in tuple(self._in_flight):
            call.cancel()

    def own_this_thread(self) -> bool:
        """Return whether this thread tells outcomes: calls do not end while it waits for them."""
        return get_ident() in self._telling

    def caller(self) -> Caller:
        """Return a caller like the client's, whose calls `end` ends."""
        connection: Any = self
        return Caller(connection, self._caller.options, self._caller.preparation)

    def begin(self, rpc: Rpc, name: str, request: Any, timeout: float, done: Callable[[Any], None]) -> None:
        """Begin a call, which is repeated only if the server never took it up.

        `done` gets its answer or its exception, most often on a thread of gRPC.
        """
        connection, preparation = self._caller.connection, self._caller.preparation
        observation = observe(self._caller.observer, rpc.name, name, self.address)
        observed = None if observation is None else observation.call
        attempts = Attempts(rpc, "", _ONCE, Deadline(timeout), observed, incidents=connection.incidents)
        finish = partial(_finish, observation, done)
        try:
            metadata = () if observation is None else observation.headers
            headers, _ = preparation.prepare(rpc, name, request, timeout, metadata)
            call, channel = connection.ready(rpc, request)
            attempts.number = preparation.next_number(channel)
        except SpannerSessionsError as error:
            finish(error)
        else:
            self._send(attempts, call, request, headers, finish)

    def _send(
        self, attempts: Attempts, call: Any, request: Any, headers: Metadata, finish: Callable[[Any], None]
    ) -> None:
        again = partial(self._send, attempts, call, request, headers, finish)
        try:
            token = self.current()
            if token is None:
                token = self.wait(attempts.deadline.left())
            attempts.token = token
            pairs = (*headers, *token, (REQUEST_ID, attempts.request_id()))
            future = self._future(call, request, attempts.deadline.left(), pairs)
        except SpannerSessionsError as error:
            finish(error)
        except self.CALL_ERRORS as error:
            _conclude(self._failure(attempts, error), finish, again)
        else:
            self._in_flight.add(future)
            answer = partial(self._answer, attempts, request)
            future.add_done_callback(partial(self._tell, answer, finish, again))

    def _tell(
        self, answer: Callable[[Any], Any], finish: Callable[[Any], None], again: Callable[[], None], future: Any
    ) -> None:
        thread = get_ident()
        self._telling.add(thread)
        try:
            _conclude(answer(future), finish, again)
        finally:
            self._telling.discard(thread)

    def _answer(self, attempts: Attempts, request: Any, future: Any) -> Any:
        self._in_flight.discard(future)
        # `result` raises an exception without status for CANCELLED, also for a server's.
        if future.code() is not grpc.StatusCode.OK:
            return self._failure(attempts, future)
        if self.incidents.lost:
            self.incidents.back()
        answer = future.result()
        try:
            check_answer(attempts.rpc, request, answer)
        except self.CALL_ERRORS as error:
            return self._failure(attempts, error)
        return answer

    def _failure(self, attempts: Attempts, error: BaseException) -> Any:
        """Return what becomes of a call whose attempt failed: its outcome, or None for another attempt."""
        try:
            pause = attempts.next_delay_after(self.rpc_error(error))
        except SpannerSessionsError as failure:
            attempts.ended()
            return failure
        return attempts.rpc.response_class() if pause is None else None

    def current(self) -> TokenHeaders | None:
        """Return the headers of a valid token, or None if there is none."""
        return self._caller.connection.tokens.current()

    def wait(self, timeout: float | None) -> TokenHeaders:
        """Return the headers of a valid token, waiting for one."""
        return self._caller.connection.tokens.wait(timeout, unless=self._end)

    @property
    def closing(self) -> Event:
        """Set once the client is closed."""
        return self._caller.connection.closing

    @staticmethod
    def telling(call: Any, _: Any) -> Any:
        """Return the call: of the answers of background calls only the outcome is told."""
        return call

    def ready(self, rpc: Rpc, request: Any) -> Any:
        """Return what makes a blocking call, and the number of its channel."""
        call, channel = self._caller.connection.ready(rpc, request)
        return partial(self._blocking, call), channel

    def _blocking(self, call: Any, request: Any, *, timeout: float | None, metadata: Any) -> Any:
        future = self._future(call, request, timeout, metadata)
        self._in_flight.add(future)
        ended = Event()
        future.add_done_callback(lambda _: ended.set())
        try:
            if not ended.wait(None if timeout is None else timeout + _GRACE):
                raise DeadlineExceeded("gRPC did not end the call at its deadline", method="background call")
            if future.code() is grpc.StatusCode.OK:
                return future.result()
            raise future
        finally:
            self._in_flight.discard(future)

    def _future(self, call: Any, request: Any, timeout: float | None, metadata: Any) -> Any:
        if can_start_thread():
            try:
                return call.future(request, timeout, metadata)
            except RuntimeError as error:
                self._caller.connection.retire_channel(error)
        answered = _Answered()
        answered.set_result(call(request, timeout, metadata))
        return answered


class _Answered(concurrent.futures.Future[Any]):
    """In the place of a gRPC future, a call that is over."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK


def _conclude(outcome: Any, finish: Callable[[Any], None], again: Callable[[], None]) -> None:
    if outcome is None:
        again()
    else:
        finish(outcome)


def _finish(observation: Observation | None, done: Callable[[Any], None], answer: Any) -> None:
    if observation is not None:
        try:
            observation.end(answer if isinstance(answer, BaseException) else None)
        except BaseException:  # noqa: BLE001 - an observer of the user must not change what the pool knows
            log.exception("the observer failed at the end of a background call")
    done(answer)
