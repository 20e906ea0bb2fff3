"""The answer of a streaming RPC, as an iterator of REST bodies."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.answers import rest_of
from spanner_grpc_sessions.calls.preparation import cancel, failure_of, initial_metadata
from spanner_grpc_sessions.calls.retry import Attempts
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import Cancelled, Internal, RpcError, from_grpc
from spanner_grpc_sessions.observers import Observation
from spanner_grpc_sessions.runtime.clock import task_is_cancelled

if TYPE_CHECKING:
    from typing_extensions import Self

    from spanner_grpc_sessions.transport.connection import Connection
    from spanner_grpc_sessions.transport.connection_async import AsyncConnection


class Stream(Iterator[dict[str, Any]]):
    """The messages of a streaming RPC as REST bodies, each as soon as it arrives. Read it once.

    It ends with the RPC, with `close()`, with its `with` block, or when it is dropped: then the server is told to stop.
    Reading raises `RpcError` when the RPC fails and `ClientClosed` when the client is closed.
    """

    def __init__(
        self,
        begin: Callable[[str], Any],
        attempts: Attempts,
        connection: Connection,
        observation: Observation | None = None,
    ) -> None:
        self._begin = begin
        self._attempts = attempts
        self._rpc = attempts.rpc
        self._connection = connection
        self._observation = observation
        self._closed = False
        self._send()
        # Two threads that read from one call break gRPC, and its channel.
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._rpc.name}{' closed' if self._closed else ''}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        if self._closed:
            raise StopIteration
        try:
            with self._reading:
                message = next(self._call)
        except StopIteration:
            if self._observation is not None and self._observation.timed:
                self._observation.answered(initial_metadata(self._call))
            self._tell()
            raise
        except grpc.RpcError as error:
            if self._closed:
                raise StopIteration from None
            failure = self._failure(error)
            if self._sends_again(failure):
                return next(self)
            self._tell(failure)
            raise failure from error
        except BaseException as error:
            # A signal handler raised during the wait. gRPC does not allow another wait on this call.
            self._connection.interrupted(error)
            cancel(self._call)
            self._tell(error)
            raise
        answer: dict[str, Any] = rest_of(self._rpc, message, self._request_id)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the RPC. Idempotent; a reader that waits for a message gets the end of the stream."""
        self._closed = True
        cancel(self._call)
        self._tell(GeneratorExit())

    def _send(self) -> None:
        self._request_id = self._attempts.request_id()
        self._call = self._begin(self._request_id)

    def _sends_again(self, failure: SpannerSessionsError) -> bool:
        """Send the request again if the server never took it up, and return whether that was so."""
        again = isinstance(failure, RpcError) and self._attempts.pause_after(failure) is not None
        if again:
            self._send()
        return again

    def _tell(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            self._observation.end(error)

    def _failure(self, error: grpc.RpcError) -> SpannerSessionsError:
        closed = self._connection.closing.is_set()
        failure = failure_of(error, method=self._rpc.name, request_id=self._request_id, closed=closed)
        if isinstance(failure, RpcError):
            self._connection.incidents.note(failure, self._attempts.token)
        return failure


class AsyncStream(AsyncIterator[dict[str, Any]]):
    """The messages of a streaming RPC as REST bodies, each as soon as it arrives. Read it once.

    It ends with the RPC, with `close()`, with its `async with` block, or when it is dropped: then the server is told to
    stop. Reading raises `RpcError` when the RPC fails and `ClientClosed` when the client is closed.
    """

    def __init__(
        self,
        begin: Callable[[str], Any],
        attempts: Attempts,
        connection: AsyncConnection,
        observation: Observation | None = None,
    ) -> None:
        self._begin = begin
        self._attempts = attempts
        self._rpc = attempts.rpc
        self._connection = connection
        self._observation = observation
        self._closed = False
        self._send()
        self._loop = asyncio.get_running_loop()

    def __del__(self) -> None:
        # gRPC's loop holds the call: it would not end by itself.
        if not self._closed and not self._call.done():
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the call with it
                self._loop.call_soon_threadsafe(self._call.cancel)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._rpc.name}{' closed' if self._closed else ''}>"

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
            failure = self._failure(error)
            if self._sends_again(failure):
                return await anext(self)
            self._tell(failure)
            raise failure from error
        except asyncio.CancelledError as error:
            if task_is_cancelled() or not (ended or self._closed or self._connection.closing.is_set()):
                self._tell(error)
                raise
            # gRPC cancels the readers of a call that ended here; the task itself was not cancelled.
            if self._closed:
                raise StopAsyncIteration from None
            failure = self._failure(error)
            self._tell(failure)
            raise failure from error
        if message is grpc.aio.EOF:
            if self._observation is not None and self._observation.timed:
                self._observation.answered(await self._call.initial_metadata())
            self._tell()
            raise StopAsyncIteration
        if message is None:
            # In asyncio gRPC answers None for bytes that it cannot deserialize; otherwise it raises this.
            unreadable = Internal(
                "Exception deserializing response!", method=self._rpc.name, request_id=self._request_id
            )
            self._tell(unreadable)
            raise unreadable
        answer: dict[str, Any] = rest_of(self._rpc, message, self._request_id)
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the RPC. Idempotent; a reader that waits for a message gets the end of the stream."""
        self._require_loop()
        self._closed = True
        self._call.cancel()
        self._tell(GeneratorExit())

    # The name by which `contextlib.aclosing` asks for it.
    aclose = close

    def _send(self) -> None:
        self._request_id = self._attempts.request_id()
        self._call = self._begin(self._request_id)
        self._connection.streams.add(self._call)

    def _sends_again(self, failure: SpannerSessionsError) -> bool:
        """Send the request again if the server never took it up, and return whether that was so."""
        again = isinstance(failure, RpcError) and self._attempts.pause_after(failure) is not None
        if again:
            self._send()
        return again

    def _tell(self, error: BaseException | None = None) -> None:
        if self._observation is not None:
            self._observation.end(error)

    def _failure(self, error: BaseException) -> SpannerSessionsError:
        failure: SpannerSessionsError
        if self._connection.closing.is_set():
            failure = ClientClosed.during_call()
        elif isinstance(error, grpc.RpcError):
            failure = from_grpc(error, method=self._rpc.name, request_id=self._request_id)
            self._connection.incidents.note(failure, self._attempts.token)
        else:
            why = "an earlier read of the stream was cancelled, and that ended it"
            failure = Cancelled(why, method=self._rpc.name, request_id=self._request_id)
        return failure

    def _require_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise ClientClosed("the stream belongs to another event loop: read it where it was begun")
