"""Streamed answers as iterators of what REST has for each message, in both colours."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import Cancelled, Internal, from_grpc
from spanner_grpc_sessions.observers import Observation
from spanner_grpc_sessions.service.rpcs import Method

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncStream", "Stream", "task_is_cancelled"]


class Stream(Iterator[dict[str, Any]]):
    """The messages of a server-streaming RPC as dicts, each when it arrives; one iterator, to be read once.

    It ends with the RPC, with `close()`, with its `with` block, or when it is dropped: then the server is told to stop.
    Reading raises what a call raises: `RpcError` when the RPC fails, `ClientClosed` when the client is closed.

    Args:
        call: the call in flight.
        method: the RPC.
        request_id: the x-goog-spanner-request-id header that was sent.
        closing: set once the client is closed.
        observation: who watches the call, told when it ends; None for nobody.
    """

    def __init__(
        self,
        call: Any,
        method: Method,
        request_id: str,
        closing: threading.Event,
        observation: Observation | None = None,
    ) -> None:
        self._call = call
        self._method = method
        self._request_id = request_id
        self._closing = closing
        self._observation = observation
        self._closed = False
        # gRPC breaks, and takes the channel with it, when two threads read from one call.
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._method.name}{' closed' if self._closed else ''}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        if self._closed:
            raise StopIteration
        try:
            with self._reading:
                message = next(self._call)
        except StopIteration:
            self._tell()
            raise
        except grpc.RpcError as error:
            if self._closed:
                raise StopIteration from None
            raise self._failure(error) from error
        except BaseException as error:
            # Of a signal handler, in the middle of the wait: gRPC would not let anybody wait again.
            self._call.cancel()
            self._tell(error)
            raise
        answer: dict[str, Any] = self._method.decode(message)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the RPC. Idempotent; whoever waits for a message finds the stream at its end."""
        self._closed = True
        self._call.cancel()
        self._tell(GeneratorExit())

    def __del__(self) -> None:
        # Nobody can read it any more. gRPC tells the server, and this tells whoever watches.
        self._tell(GeneratorExit())

    def _failure(self, error: grpc.RpcError) -> SpannerSessionsError:
        failure: SpannerSessionsError
        if self._closing.is_set():
            failure = ClientClosed("the client was closed during the call")
        else:
            failure = from_grpc(error, method=self._method.name, request_id=self._request_id)
        self._tell(failure)
        return failure

    def _tell(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            self._observation.end(error)


class AsyncStream(AsyncIterator[dict[str, Any]]):
    """The messages of a server-streaming RPC as dicts, each when it arrives; one iterator, to be read once.

    It ends with the RPC, with `close()`, with its `async with` block, or when it is dropped: then the server is told to
    stop. Reading raises what a call raises: `RpcError` when the RPC fails, `ClientClosed` when the client is closed.

    Args:
        call: the call in flight.
        method: the RPC.
        request_id: the x-goog-spanner-request-id header that was sent.
        closing: set once the client is closed.
        observation: who watches the call, told when it ends; None for nobody.
    """

    def __init__(
        self,
        call: Any,
        method: Method,
        request_id: str,
        closing: asyncio.Event,
        observation: Observation | None = None,
    ) -> None:
        self._call = call
        self._method = method
        self._request_id = request_id
        self._closing = closing
        self._observation = observation
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def __del__(self) -> None:
        # gRPC's loop holds the call, so that it does not end by itself.
        if not self._closed and not self._call.done():
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the call with it
                self._loop.call_soon_threadsafe(self._call.cancel)
        self._tell(GeneratorExit())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._method.name}{' closed' if self._closed else ''}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        self._require_loop()
        if self._closed:
            raise StopAsyncIteration
        ended = self._call.done()
        try:
            message = await self._call.read()
        except grpc.RpcError as error:
            if self._closed:
                raise StopAsyncIteration from None
            raise self._failure(error) from error
        except asyncio.CancelledError as error:
            if task_is_cancelled() or not (ended or self._closed or self._closing.is_set()):
                self._tell(error)
                raise
            # gRPC cancels whoever reads from a call that was ended here, not by the task's own cancellation.
            if self._closed:
                raise StopAsyncIteration from None
            raise self._failure(error) from error
        if message is grpc.aio.EOF:
            self._tell()
            raise StopAsyncIteration
        if message is None:
            # What gRPC gives in asyncio for bytes that are no message; outside of it, it raises this.
            unreadable = Internal(
                "Exception deserializing response!", method=self._method.name, request_id=self._request_id
            )
            self._tell(unreadable)
            raise unreadable
        answer: dict[str, Any] = self._method.decode(message)
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the RPC. Idempotent; whoever waits for a message finds the stream at its end."""
        self._require_loop()
        self._closed = True
        self._call.cancel()
        self._tell(GeneratorExit())

    aclose = close
    """The name by which `contextlib.aclosing` asks for it."""

    def _failure(self, error: BaseException) -> SpannerSessionsError:
        failure: SpannerSessionsError
        if self._closing.is_set():
            failure = ClientClosed("the client was closed during the call")
        elif isinstance(error, grpc.RpcError):
            failure = from_grpc(error, method=self._method.name, request_id=self._request_id)
        else:
            why = "an earlier read of the stream was cancelled, and that ended it"
            failure = Cancelled(why, method=self._method.name, request_id=self._request_id)
        self._tell(failure)
        return failure

    def _require_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise ClientClosed("the stream belongs to another event loop: read it where it was begun")

    def _tell(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            self._observation.end(error)


def task_is_cancelled() -> bool:
    """Return whether somebody cancelled the current task, so that a CancelledError in it is theirs."""
    task = asyncio.current_task()
    # Python 3.10 cannot tell; there a closed client is the better guess.
    return bool(task is not None and hasattr(task, "cancelling") and task.cancelling())
