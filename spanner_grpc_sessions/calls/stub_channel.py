"""A channel for any stub: each call gets token, headers and deadline, and raises our exceptions.

It makes the calls itself: an interceptor would cost a tenth of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID
from spanner_grpc_sessions.calls.preparation import Preparation, Report, StubCalls
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.transport.connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Self


class StubChannel(grpc.Channel):
    """The channel that `SessionsClient.channel` returns.

    Calls are made once, and raise `RpcError`, which is a `grpc.RpcError` too. The channel ends with the client; closing
    it does nothing.
    """

    def __init__(self, connection: Connection, preparation: Preparation, report: Report | None = None) -> None:
        self._connection = connection
        self._preparation = preparation
        self._report = report

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_unary`."""
        calls = StubCalls(self._preparation, method, self._report)
        return _UnaryUnary(self._connection, calls, lambda channel: channel.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_stream`."""
        calls = StubCalls(self._preparation, method, self._report)
        return _UnaryStream(self._connection, calls, lambda channel: channel.unary_stream(method, *args, **kwargs))

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

    def __exit__(self, *_: object) -> None:
        self.close()


class _Rpc:
    def __init__(self, connection: Connection, calls: StubCalls, multi_callable: Callable[[Any], Any]) -> None:
        self._connection = connection
        self._calls = calls
        self._multi_callable = multi_callable
        self._rpc: Any = None
        self._made_on: Any = self  # which no channel is

    def _begin(
        self, way: str, request: Any, timeout: float | None = None, metadata: Any = None, *others: Any, **named: Any
    ) -> tuple[Any, str]:
        """Return what a way of calling returns, and the request id."""
        headers, left, request_id = self._calls.prepare(request, timeout, metadata)
        deadline = Deadline(left)
        rpc = self._rpc if self._made_on is self._connection.channel else self._ready()
        token = self._connection.tokens.current()
        if token is None:
            token = self._connection.tokens.wait(left)
            left = deadline.left()
        try:
            answer = getattr(rpc, way)(request, left, (*headers, *token, (REQUEST_ID, request_id)), *others, **named)
        except grpc.RpcError as error:
            raise self._failure(error, request_id, request) from error
        except ValueError as error:
            if not self._connection.closing.is_set():
                raise
            raise ClientClosed.during_call() from error
        return answer, request_id

    def _ready(self) -> Any:
        channel = self._connection.open()
        self._rpc = self._multi_callable(channel)
        self._made_on = channel
        return self._rpc

    def _failure(self, error: grpc.RpcError, request_id: str, request: Any) -> SpannerSessionsError:
        return self._calls.failure(error, request_id, request, closed=self._connection.closing.is_set())

    def _in_flight(self, way: str, request: Any, *others: Any, **named: Any) -> _Call:
        call, request_id = self._begin(way, request, *others, **named)
        return _Call(call, lambda error: self._failure(error, request_id, request))


class _UnaryUnary(_Rpc):
    """An RPC that answers with one message; as `grpc.UnaryUnaryMultiCallable`."""

    def __call__(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._begin("__call__", request, *others, **named)[0]

    def with_call(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._begin("with_call", request, *others, **named)[0]

    def future(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._in_flight("future", request, *others, **named)


class _UnaryStream(_Rpc):
    """An RPC that streams its answer; as `grpc.UnaryStreamMultiCallable`."""

    def __call__(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._in_flight("__call__", request, *others, **named)


class _Call(Iterator[Any]):
    """A call in flight: gRPC's own object, but for the exceptions that it raises."""

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
