"""A call of a stub in asyncio: gRPC's own object, but for the exceptions that it raises, and repeated if asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.stub_rpc import CallState, of_call
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.finished_call import as_failed_call
from spanner_grpc_sessions.runtime.clock import let_scope_cancel, task_is_cancelled

if TYPE_CHECKING:
    from typing_extensions import Self

    from spanner_grpc_sessions.observers import Observation

    # They are generic in their stubs alone.
    _UnaryUnaryCall = grpc.aio.UnaryUnaryCall[Any, Any]
    _UnaryStreamCall = grpc.aio.UnaryStreamCall[Any, Any]
    _StreamUnaryCall = grpc.aio.StreamUnaryCall[Any, Any]
    _StreamStreamCall = grpc.aio.StreamStreamCall[Any, Any]
else:
    _UnaryUnaryCall = grpc.aio.UnaryUnaryCall
    _UnaryStreamCall = grpc.aio.UnaryStreamCall
    _StreamUnaryCall = grpc.aio.StreamUnaryCall
    _StreamStreamCall = grpc.aio.StreamStreamCall


def _of_last_call(name: str) -> Callable[..., Any]:
    async def method(self: AsyncStubCall) -> Any:
        if self._task is not None:
            await asyncio.wait((self._task,))
        return await getattr(self._call, name)()

    method.__name__ = name
    return method


class AsyncStubCall(CallState, grpc.aio.Call):
    """What calls of all kinds have."""

    # Makes the attempts of a unary call that may be repeated.
    _task: asyncio.Task[Any] | None = None
    # The pause between two attempts.
    _pausing: asyncio.Task[bool] | None = None

    time_remaining: Callable[..., Any] = of_call("time_remaining")
    details: Callable[..., Any] = _of_last_call("details")
    initial_metadata: Callable[..., Any] = _of_last_call("initial_metadata")
    trailing_metadata: Callable[..., Any] = _of_last_call("trailing_metadata")

    async def wait_for_connection(self) -> None:
        """Wait until the call is connected, as `grpc.aio.Call.wait_for_connection`."""
        if self._task is not None:
            await asyncio.shield(self._task)
            return
        try:
            await self._call.wait_for_connection()
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def cancel(self) -> bool:
        """End the call, as `grpc.aio.Call.cancel`."""
        pausing = self._pausing
        # gRPC's channel cancels calls when it closes. A pause between attempts ends by itself then, and says why.
        if not self._connection.closing.is_set():
            self._gave_up = True
            for task in (pausing, self._task):
                if task is not None:
                    task.cancel()
        cancelled: bool = self._call.cancel()
        self._end(GeneratorExit())
        return cancelled or pausing is not None

    def cancelled(self) -> bool:
        """Return whether the call was cancelled, as `grpc.aio.Call.cancelled`."""
        cancelled: bool = self._cancelled or (self._task or self._call).cancelled()
        return cancelled

    def done(self) -> bool:
        """Return whether the call has ended, as `grpc.aio.Call.done`."""
        done: bool = (self._task or self._call).done()
        return done

    async def _repeat_or_raise(self, error: grpc.RpcError) -> None:
        failure = self._failure(error)
        pause = self._pause_after(failure)
        if pause is not None and await self._closes_within(pause):
            failure, pause = as_failed_call(ClientClosed.between_attempts()), None
        if self._attempts is None or pause is None:
            if self._attempts is not None:
                self._attempts.ended()
            self._settle()
            self._end(failure)
            raise failure from error
        self._repeat(self._attempts)

    async def _closes_within(self, seconds: float) -> bool:
        """Wait before another attempt; return whether the client was closed. Raise if the call was cancelled."""
        self._pausing = asyncio.ensure_future(self._connection.closes_within(seconds))
        try:
            closed: bool = await self._pausing
        except asyncio.CancelledError as error:
            self._cancelled = self._gave_up
            self._settle()
            self._end(error)
            raise
        finally:
            self._pausing = None
        return closed

    async def _raise_cancelled(self, error: asyncio.CancelledError) -> None:
        """Raise what a reader gets whose call was cancelled: by the end of the client, or by its caller."""
        if not self._connection.closing.is_set() or task_is_cancelled():
            self._end(error)
            await let_scope_cancel()
            raise error
        failure = self._failure(error)
        self._end(failure)
        raise failure from error

    async def _note_timing(self, observation: Observation) -> None:
        observation.answered(await self._call.initial_metadata())

    def _end(self, error: BaseException) -> None:
        if self._observation is not None:
            self._observation.end(error)


def _retrieve(task: asyncio.Task[Any]) -> None:
    # Otherwise asyncio warns of the failure of a call that is not awaited.
    if not task.cancelled():
        task.exception()


class _UnaryAnswer(AsyncStubCall):
    """A call that is awaited for its one answer."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self._attempts is not None:
            self._task = asyncio.ensure_future(self._answer())
            self._task.add_done_callback(_retrieve)

    async def code(self) -> grpc.StatusCode:
        """Return the status when the call has ended, as `grpc.aio.Call.code`."""
        if self._task is not None:
            await asyncio.wait((self._task,))
        code: grpc.StatusCode = await self._call.code()
        if self._task is not None and self._task.cancelled():
            return grpc.StatusCode.CANCELLED
        if self._observation is not None or self._rpc.reports:
            # It has ended: this does not wait, and tells who asked to know.
            with contextlib.suppress(SpannerSessionsError, asyncio.CancelledError):
                await self
        return code

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call back with this object when the call has ended, as `grpc.aio.Call.add_done_callback`."""
        if self._task is None:
            super().add_done_callback(fn)
        else:
            self._task.add_done_callback(lambda _: fn(self))

    def __await__(self) -> Generator[Any, Any, Any]:
        return (self._answer() if self._task is None else self._answer_of(self._task)).__await__()

    async def _answer_of(self, task: asyncio.Task[Any]) -> Any:
        try:
            return await task
        except asyncio.CancelledError:
            await let_scope_cancel()
            raise

    async def _answer(self) -> Any:
        while True:
            try:
                answer = await self._call
            except grpc.RpcError as error:  # noqa: PERF203 - once per attempt
                await self._repeat_or_raise(error)
            except asyncio.CancelledError as error:
                await self._raise_cancelled(error)
            else:
                if self._observation is not None:
                    if self._observation.timed:
                        await self._note_timing(self._observation)
                    self._observation.end()
                if self._rpc.incidents.lost:
                    self._rpc.incidents.back()
                return answer


class _StreamedAnswer(AsyncStubCall):
    """A call whose messages are read one after the other."""

    async def code(self) -> grpc.StatusCode:
        """Return the status when the call has ended, as `grpc.aio.Call.code`."""
        code: grpc.StatusCode = grpc.StatusCode.CANCELLED if self._cancelled else await self._call.code()
        return code

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connection.streams.add(self._call)

    def __del__(self) -> None:
        # gRPC's loop holds the call: it would not end by itself.
        if (loop := self._connection.loop) is not None and not self._call.done():
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the call with it
                loop.call_soon_threadsafe(self._call.cancel)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if (message := await self.read()) is grpc.aio.EOF:
            raise StopAsyncIteration
        return message

    async def read(self) -> Any:
        """Return the next message, or `grpc.aio.EOF`."""
        while True:
            try:
                message = await self._call.read()
            except grpc.RpcError as error:  # noqa: PERF203 - once per attempt
                await self._repeat_or_raise(error)
                self._connection.streams.add(self._call)
            except asyncio.CancelledError as error:
                await self._raise_cancelled(error)
            else:
                if self._attempts is not None:
                    self._settle()
                if message is grpc.aio.EOF:
                    if self._observation is not None:
                        if self._observation.timed:
                            await self._note_timing(self._observation)
                        self._observation.end()
                elif self._rpc.incidents.lost:
                    self._rpc.incidents.back()
                return message


class _StreamedRequest(AsyncStubCall):
    """A call that sends messages one after the other."""

    async def write(self, request: Any) -> None:
        """Send a message."""
        await self._writing(lambda: self._call.write(request))

    async def done_writing(self) -> None:
        """Tell the server that there are no more messages."""
        await self._writing(self._call.done_writing)

    async def _writing(self, write: Callable[[], Any]) -> None:
        try:
            await write()
        except grpc.RpcError as error:
            await self._repeat_or_raise(error)
        except asyncio.CancelledError as error:
            await self._raise_cancelled(error)


class UnaryUnary(_UnaryAnswer, _UnaryUnaryCall):
    """As `grpc.aio.UnaryUnaryCall`."""


class UnaryStream(_StreamedAnswer, _UnaryStreamCall):
    """As `grpc.aio.UnaryStreamCall`."""


class StreamUnary(_StreamedRequest, _UnaryAnswer, _StreamUnaryCall):
    """As `grpc.aio.StreamUnaryCall`."""


class StreamStream(_StreamedRequest, _StreamedAnswer, _StreamStreamCall):
    """As `grpc.aio.StreamStreamCall`."""
