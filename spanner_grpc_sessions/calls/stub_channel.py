"""A channel for stubs that anybody made: each call gets token, headers and deadline. `stub_channel_async` mirrors it.

It is no interceptor, which would cost a tenth of the call: it makes the calls itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID
from spanner_grpc_sessions.calls.outfit import Outfit, Outfitter
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.transport.connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["StubChannel"]


class StubChannel(grpc.Channel):
    """What `SessionsClient.channel` returns.

    Calls are made once, not repeated. They raise what the client's own calls do: `RpcError` and its subclasses, which
    are `grpc.RpcError` too. Closing it closes nothing: it ends with the client.

    Args:
        connection: to make the calls on.
        outfitter: what they get.
    """

    def __init__(self, connection: Connection, outfitter: Outfitter) -> None:
        self._connection = connection
        self._outfitter = outfitter

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_unary`."""
        return _UnaryUnary(
            self._connection,
            self._outfitter.rpc(method),
            lambda channel: channel.unary_unary(method, request_serializer, response_deserializer),
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_stream`."""
        return _UnaryStream(
            self._connection,
            self._outfitter.rpc(method),
            lambda channel: channel.unary_stream(method, request_serializer, response_deserializer),
        )

    def stream_unary(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: Spanner has no RPC that streams to the server."""
        raise NotImplementedError("Spanner has no RPC that streams to the server")

    stream_stream = stream_unary

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool | None = False) -> None:
        """Call back with the connection's states; as `grpc.Channel.subscribe`."""
        self._connection.open().subscribe(callback, try_to_connect=bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Stop calling back."""
        self._connection.open().unsubscribe(callback)

    def close(self) -> None:
        """Do nothing: the client closes its connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Rpc:
    def __init__(self, connection: Connection, outfit: Outfit, prepare: Callable[[Any], Any]) -> None:
        self._connection = connection
        self._outfit = outfit
        self._prepare = prepare
        self._call: Any = None
        self._made_on: Any = self  # which no channel is

    def _begin(self, way: str, request: Any, timeout: float | None, metadata: Any, others: Any) -> tuple[Any, str]:
        """Return what a way of calling gives, and the request id; raise our exceptions."""
        headers = self._outfit.headers(request, metadata)
        left = self._outfit.timeout(timeout)
        started = time.monotonic()
        call = self._call if self._made_on is self._connection.channel else self._ready()
        token = self._connection.tokens.current()
        if token is None:
            token = self._connection.tokens.wait(left)
            left = None if left is None else max(started + left - time.monotonic(), 0.0)
        request_id = self._outfit.request_id()
        try:
            answer = getattr(call, way)(request, left, (*headers, *token, (REQUEST_ID, request_id)), *others)
        except grpc.RpcError as error:
            raise self._failure(error, request_id, request) from error
        except ValueError as error:
            if not self._connection.closing.is_set():
                raise
            raise ClientClosed("the client was closed during the call") from error
        return answer, request_id

    def _ready(self) -> Any:
        channel = self._connection.open()
        call = self._call = self._prepare(channel)
        self._made_on = channel
        return call

    def _failure(self, error: grpc.RpcError, request_id: str, request: Any) -> SpannerSessionsError:
        if self._connection.closing.is_set():
            return ClientClosed("the client was closed during the call")
        return self._outfit.failure(error, request_id, request)


class _UnaryUnary(_Rpc):
    """An RPC that answers with one message; as `grpc.UnaryUnaryMultiCallable`."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        others = (credentials, wait_for_ready, compression)
        return self._begin("__call__", request, timeout, metadata, others)[0]

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        others = (credentials, wait_for_ready, compression)
        return self._begin("with_call", request, timeout, metadata, others)[0]

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        others = (credentials, wait_for_ready, compression)
        call, request_id = self._begin("future", request, timeout, metadata, others)
        return _Call(call, lambda error: self._failure(error, request_id, request))


class _UnaryStream(_Rpc):
    """An RPC that streams its answer; as `grpc.UnaryStreamMultiCallable`."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        others = (credentials, wait_for_ready, compression)
        call, request_id = self._begin("__call__", request, timeout, metadata, others)
        return _Call(call, lambda error: self._failure(error, request_id, request))


class _Call(Iterator[Any]):
    """A call in flight: gRPC's own object in all, but for the exceptions that it raises."""

    def __init__(self, call: Any, failure: Callable[[grpc.RpcError], SpannerSessionsError]) -> None:
        self._call = call
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def result(self, timeout: float | None = None) -> Any:
        """Return the answer, as `grpc.Future.result`."""
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception, as `grpc.Future.exception`."""
        error: BaseException | None = self._call.exception(timeout)
        return self._failure(error) if isinstance(error, grpc.RpcError) else error
