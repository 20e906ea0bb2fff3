"""A call of a stub that was begun by `future`: what the server never took up is sent again, as gRPC itself would."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import grpc

from spanner_grpc_sessions.calls.stub_call import StubCall
from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.log import log


def _of_last(name: str) -> Callable[..., Any]:
    """Return the method of this name of the last attempt."""

    def method(self: StubFuture) -> Any:
        while True:
            call = self._call
            answer = getattr(call, name)()
            if not call.done() or not self._sends_again(call):
                return answer

    method.__name__ = name
    return method


class StubFuture(StubCall):
    """gRPC's own object for a call, but for the exceptions that it raises and the attempts that follow.

    They begin on gRPC's thread, or on that of a caller who asks first. An attempt holds this object only while it has
    callbacks of the caller's: gRPC cancels a call that is dropped.
    """

    details: Callable[..., Any] = _of_last("details")
    initial_metadata: Callable[..., Any] = _of_last("initial_metadata")
    trailing_metadata: Callable[..., Any] = _of_last("trailing_metadata")
    is_active: Callable[..., Any] = _of_last("is_active")
    running: Callable[..., Any] = _of_last("running")
    done: Callable[..., Any] = _of_last("done")
    code: Callable[..., Any] = _of_last("code")
    cancelled: Callable[..., Any] = _of_last("cancelled")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Is held for each decision on another attempt, which itself may end at once.
        self._deciding = threading.RLock()
        self._is_last = self._settled = False
        self._attend()

    def cancel(self) -> bool:
        """End the call, as `grpc.Future.cancel`."""
        with self._deciding:
            return super().cancel()

    def result(self, timeout: float | None = None) -> Any:
        """Return the answer, as `grpc.Future.result`."""
        error = self.exception(timeout)
        if error is not None:
            raise error from error.__cause__
        return self._call.result()

    def exception(self, timeout: float | None = None) -> Any:
        """Return the exception, as `grpc.Future.exception`."""
        deadline = Deadline(timeout)
        while True:
            call = self._call
            error = call.exception(deadline.left())
            if error is None or not self._sends_again(call):
                return self._failure(error) if isinstance(error, grpc.RpcError) else error

    def traceback(self, timeout: float | None = None) -> Any:
        """Return the traceback of the exception, as `grpc.Future.traceback`."""
        self.exception(timeout)
        return self._call.traceback()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call back when the call has ended, as `grpc.RpcContext.add_callback`."""
        return not self.done() and self._keep(lambda _: callback())

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call back with this object when the call has ended, as `grpc.Future.add_done_callback`."""
        if not self._keep(fn):
            fn(self)

    def observe_end(self) -> None:
        """End the observation with the call, of which only the future is used."""
        self.add_done_callback(lambda _: self._end(GeneratorExit() if self.cancelled() else self.exception()))

    def _keep(self, fn: Callable[[Any], None]) -> bool:
        """Keep a callback; return False if the last attempt has ended."""
        with self._deciding:
            if self._settled:
                return False
            self._callbacks += (fn,)
        self._attend()
        return True

    def _attend(self) -> None:
        """Have the end of the attempt noted."""
        ended = self._attempt_ended if self._callbacks else _Weakly(self)
        if not self._call.add_callback(ended):
            self._attempt_ended()

    def _attempt_ended(self) -> None:
        call = self._call
        if not call.done() or self._sends_again(call):
            return
        with self._deciding:
            self._settled = True
            callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            try:
                callback(self)
            except Exception:  # noqa: BLE001, PERF203 - as in gRPC, the others are called all the same
                log.exception("a callback of a future of %s failed", self._rpc.rpc.name)

    def _sends_again(self, call: Any) -> bool:
        """Return whether another attempt follows this one, which has ended; begin it, unless that was done."""
        with self._deciding:
            if self._call is not call:
                return True
            if not self._is_last:
                self._is_last = not self._may_send_again(call) or not self._send_again()
            if self._is_last:
                return False
        self._attend()
        return True

    def _may_send_again(self, call: Any) -> bool:
        if self._gave_up or call.code() is not grpc.StatusCode.UNAVAILABLE:
            return False
        failure = self._failure(call)
        self._attempts = self._attempts or self._begin_attempts()
        return isinstance(failure, RpcError) and self._attempts.sends_again(failure)

    def _send_again(self) -> bool:
        assert self._attempts is not None  # noqa: S101 - for mypy
        try:
            self._repeat(self._attempts)
        except SpannerSessionsError as error:
            self._failed = error
            return False
        return True


class _Weakly:
    """Notes the end of an attempt of a future, which it does not keep alive."""

    def __init__(self, future: StubFuture) -> None:
        self._future = weakref.ref(future)

    def __call__(self) -> None:
        future = self._future()
        if future is not None:
            future._attempt_ended()  # noqa: SLF001 - of this module
