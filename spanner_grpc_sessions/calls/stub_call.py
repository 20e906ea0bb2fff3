"""A call of a stub that goes on while its caller does something else: a future, or a stream of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from spanner_grpc_sessions.calls.preparation import cancel, initial_metadata
from spanner_grpc_sessions.calls.stub_rpc import CallState
from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.errors.finished_call import as_failed_call


def _of_call(name: str) -> Callable[..., Any]:
    def method(self: StubCall, *args: Any) -> Any:
        return getattr(self._call, name)(*args)

    method.__name__ = name
    return method


class StubCall(CallState, grpc.Call, grpc.Future, Iterator[Any]):  # type: ignore[type-arg]  # generic in its stubs alone
    """gRPC's own object for a call, but for the exceptions that it raises, and repeated as the channel says."""

    code = _of_call("code")
    details = _of_call("details")
    initial_metadata = _of_call("initial_metadata")
    trailing_metadata = _of_call("trailing_metadata")
    is_active = _of_call("is_active")
    time_remaining = _of_call("time_remaining")
    add_callback = _of_call("add_callback")
    cancelled = _of_call("cancelled")
    running = _of_call("running")
    done = _of_call("done")
    traceback = _of_call("traceback")

    def __next__(self) -> Any:
        while True:
            try:
                message = next(self._call)
            except StopIteration:  # noqa: PERF203 - once per attempt
                self._end()
                raise
            except grpc.RpcError as error:
                self._repeat_or_raise(error)
            else:
                self._attempts = None
                if self._rpc.incidents.lost:
                    self._rpc.incidents.back()
                return message

    def cancel(self) -> bool:
        """End the call, as `grpc.Future.cancel`."""
        cancelled = cancel(self._call)
        self._end(GeneratorExit())
        return cancelled

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

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call back with this object when the call has ended, as `grpc.Future.add_done_callback`."""
        self._call.add_done_callback(lambda _: fn(self))

    def observe_end(self) -> None:
        """End the observation with the call, of which only the future is used."""
        self._call.add_done_callback(lambda call: self._end(GeneratorExit() if call.cancelled() else self.exception()))

    def _repeat_or_raise(self, error: grpc.RpcError) -> None:
        failure = self._failure(error)
        pause = self._pause_after(failure)
        if pause is not None and self._connection.closes_within(pause):
            failure, pause = as_failed_call(ClientClosed.between_attempts()), None
        if self._attempts is None or pause is None:
            self._end(failure)
            raise failure from error
        self._repeat(self._attempts)

    def _end(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            if error is None and self._observation.timed:
                self._observation.answered(initial_metadata(self._call))
            self._observation.end(error)
