"""A call of a stub that goes on while its caller does something else: a future, or a stream of answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from spanner_grpc_sessions.calls.preparation import cancel, initial_metadata
from spanner_grpc_sessions.calls.stub_rpc import CallState, of_call
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.finished_call import as_failed_call
from spanner_grpc_sessions.errors.rpc import Cancelled

if TYPE_CHECKING:
    _Future = grpc.Future[Any]  # generic in its stubs alone
else:
    _Future = grpc.Future


class StubCall(CallState, grpc.Call, _Future, Iterator[Any]):
    """gRPC's own object for a call, but for the exceptions that it raises, and repeated as the channel says."""

    # Ends a pause between two attempts.
    _interrupt: threading.Event | None = None

    details: Callable[..., Any] = of_call("details")
    initial_metadata: Callable[..., Any] = of_call("initial_metadata")
    trailing_metadata: Callable[..., Any] = of_call("trailing_metadata")
    is_active: Callable[..., Any] = of_call("is_active")
    time_remaining: Callable[..., Any] = of_call("time_remaining")
    running: Callable[..., Any] = of_call("running")
    done: Callable[..., Any] = of_call("done")
    traceback: Callable[..., Any] = of_call("traceback")

    def __next__(self) -> Any:
        while True:
            try:
                message = next(self._call)
            except StopIteration:  # noqa: PERF203 - once per attempt
                self._settle()
                self._end()
                raise
            except grpc.RpcError as error:
                self._repeat_or_raise(error)
            except BaseException as error:
                self._connection.interrupted(error)
                raise
            else:
                if self._attempts is not None:
                    self._settle()
                if self._rpc.incidents.lost:
                    self._rpc.incidents.back()
                return message

    def code(self) -> Any:
        """Return the status, as `grpc.Call.code`."""
        return grpc.StatusCode.CANCELLED if self._cancelled else self._call.code()

    def cancelled(self) -> bool:
        """Return whether the caller cancelled the call, as `grpc.Future.cancelled`."""
        return self._cancelled or bool(self._call.cancelled())

    def cancel(self) -> bool:
        """End the call, as `grpc.Future.cancel`."""
        self._gave_up, pausing = True, self._interrupt
        if pausing is not None:
            pausing.set()
        cancelled = cancel(self._call)
        self._end(GeneratorExit())
        return cancelled or pausing is not None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call back when the call has ended, as `grpc.RpcContext.add_callback`."""
        if self._attempts is None:
            return bool(self._call.add_callback(callback))
        self._callbacks += (lambda _: callback(),)
        return True

    def result(self, timeout: float | None = None) -> Any:
        """Return the answer, as `grpc.Future.result`."""
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def exception(self, timeout: float | None = None) -> Any:
        """Return the exception, as `grpc.Future.exception`."""
        error = self._call.exception(timeout)
        return self._failure(error) if isinstance(error, grpc.RpcError) else error

    def observe_end(self) -> None:
        """End the observation with the call, of which only the future is used."""
        self._call.add_done_callback(lambda call: self._end(GeneratorExit() if call.cancelled() else self.exception()))

    def _repeat_or_raise(self, error: grpc.RpcError) -> None:
        failure = self._failure(error)
        pause = self._pause_after(failure)
        if pause is not None:
            failure = self._ended_within(pause) or failure
        if self._attempts is None or pause is None or self._failed is not failure:
            self._settle()
            self._end(failure)
            raise failure from error
        self._repeat(self._attempts)
        if self._gave_up:
            cancel(self._call)

    def _ended_within(self, seconds: float) -> SpannerSessionsError | None:
        """Wait before another attempt; return what ends the call instead, if something does."""
        self._interrupt = interrupt = threading.Event()
        if self._gave_up:
            interrupt.set()
        closed = self._connection.closes_within(seconds, interrupt)
        self._interrupt = None
        if closed:
            return as_failed_call(ClientClosed.between_attempts())
        if self._gave_up:
            self._cancelled = True
            text = "the call was cancelled between two attempts"
            return Cancelled(text, method=self._rpc.rpc.name, request_id=self.request_id)
        return None

    def _end(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            if error is None and self._observation.timed:
                self._observation.answered(initial_metadata(self._call))
            self._observation.end(error)
