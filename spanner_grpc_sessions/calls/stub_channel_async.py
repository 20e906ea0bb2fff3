"""A channel for any stub in asyncio: each call gets token, headers and deadline, and raises our exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata
from spanner_grpc_sessions.calls.preparation import Preparation, Report, StubCalls
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.runtime.clock import task_is_cancelled
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncStubChannel(grpc.aio.Channel):
    """The channel that `AsyncSessionsClient.channel` returns.

    Calls are made once, and raise `RpcError`, which is a `grpc.RpcError` too. The channel ends with the client; closing
    it does nothing.
    """

    def __init__(self, connection: AsyncConnection, preparation: Preparation, report: Report | None = None) -> None:
        self._connection = connection
        self._preparation = preparation
        self._report = report

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.unary_unary`."""
        calls = StubCalls(self._preparation, method, self._report)
        return _Rpc(self._connection, calls, lambda channel: channel.unary_unary(method, *args, **kwargs), _UnaryCall)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.unary_stream`."""
        calls = StubCalls(self._preparation, method, self._report)
        return _Rpc(self._connection, calls, lambda channel: channel.unary_stream(method, *args, **kwargs), _StreamCall)

    def stream_unary(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: Spanner has no RPC that streams to the server."""
        raise NotImplementedError("Spanner has no RPC that streams to the server")

    stream_stream = stream_unary

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the connection's state; as `grpc.aio.Channel.get_state`."""
        state: grpc.ChannelConnectivity = self._connection.open().get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the connection has another state."""
        await self._connection.open().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the connection is there."""
        await self._connection.open().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Do nothing: the client closes its connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Rpc:
    """An RPC, as `grpc.aio.UnaryUnaryMultiCallable` and `grpc.aio.UnaryStreamMultiCallable`."""

    def __init__(
        self,
        connection: AsyncConnection,
        calls: StubCalls,
        multi_callable: Callable[[Any], Any],
        call_class: type[_Call],
    ) -> None:
        self._connection = connection
        self._calls = calls
        self._multi_callable = multi_callable
        self._rpc: Any = None
        self._made_on: Any = self  # which no channel is
        self._call_class = call_class

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        **named: Any,
    ) -> Any:
        headers, left, request_id = self._calls.prepare(request, timeout, metadata)
        token = self._connection.tokens.current()
        if token is None:
            # A call cannot wait before it is made: gRPC waits for this token itself, off the loop.
            token, credentials = (), self._waiting_for_token(credentials)
        pairs = AsyncMetadata((*headers, *token, (REQUEST_ID, request_id)))
        try:
            begun = self._ready()(request, timeout=left, metadata=pairs, credentials=credentials, **named)
        except grpc.aio.UsageError as error:
            raise ClientClosed.during_call() from error
        if self._call_class is _StreamCall:
            self._connection.streams.add(begun)
        closing = self._connection.closing
        return self._call_class(
            begun, closing, lambda error: self._calls.failure(error, request_id, request, closed=closing.is_set())
        )

    def _ready(self) -> Any:
        connection = self._connection
        if self._made_on is not connection.channel or asyncio.get_running_loop() is not connection.loop:
            self._made_on = connection.open()
            self._rpc = self._multi_callable(self._made_on)
        return self._rpc

    def _waiting_for_token(self, credentials: grpc.CallCredentials | None) -> grpc.CallCredentials:
        from spanner_grpc_sessions.auth.call_credentials import call_credentials  # noqa: PLC0415 - seldom needed

        ours = call_credentials(self._connection.tokens)
        return ours if credentials is None else grpc.composite_call_credentials(ours, credentials)


class _Call:
    """A call in flight: gRPC's own object, but for the exceptions that it raises."""

    def __init__(
        self, call: Any, closing: asyncio.Event, failure: Callable[[grpc.RpcError], SpannerSessionsError]
    ) -> None:
        self._call = call
        self._closing = closing
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def _with_our_exceptions(self, wait: Callable[[], Any]) -> Any:
        try:
            return await wait()
        except grpc.RpcError as error:
            raise self._failure(error) from error
        except asyncio.CancelledError as error:
            if not self._closing.is_set() or task_is_cancelled():
                raise
            raise ClientClosed.during_call() from error


class _UnaryCall(_Call):
    """As `grpc.aio.UnaryUnaryCall`."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._with_our_exceptions(self._answer).__await__()

    async def _answer(self) -> Any:
        return await self._call


class _StreamCall(_Call):
    """As `grpc.aio.UnaryStreamCall`."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate()

    async def read(self) -> Any:
        """Return the next message, or `grpc.aio.EOF`."""
        return await self._with_our_exceptions(self._call.read)

    async def _iterate(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message
