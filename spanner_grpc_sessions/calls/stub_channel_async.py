"""A channel for any stub in asyncio: each call gets token, headers and deadline, and raises our exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata, Metadata
from spanner_grpc_sessions.calls.preparation import Report
from spanner_grpc_sessions.calls.stub_call_async import (
    AsyncStubCall,
    StreamStream,
    StreamUnary,
    UnaryStream,
    UnaryUnary,
)
from spanner_grpc_sessions.calls.stub_rpc import Attempt, StubRpc, waiting_for_token
from spanner_grpc_sessions.errors import ClientClosed, InvalidType, checks
from spanner_grpc_sessions.errors.finished_call import as_failed_call
from spanner_grpc_sessions.options import CallMetadata, RetryOptions

if TYPE_CHECKING:
    from typing_extensions import Self

    from spanner_grpc_sessions.calls.call_async import AsyncCaller
    from spanner_grpc_sessions.transport.connection_async import AsyncConnection


class AsyncStubChannel(grpc.aio.Channel):
    """The channel that `AsyncSessionsClient.channel` returns. It ends with the client; closing it does nothing."""

    def __init__(
        self,
        caller: AsyncCaller,
        report: Report | None,
        retry: RetryOptions,
        interceptors: Iterable[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self.connection: AsyncConnection = caller.connection
        self._caller = caller
        self._report = report
        self._retry = retry
        # Named as in gRPC's own channel: Google's generated clients append to these lists.
        self._unary_unary_interceptors: list[Any] = []
        self._unary_stream_interceptors: list[Any] = []
        self._stream_unary_interceptors: list[Any] = []
        self._stream_stream_interceptors: list[Any] = []
        for interceptor in checks.iterable("interceptors", interceptors, "client interceptors"):
            self._add(interceptor)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.connection!r}>"

    def _add(self, interceptor: object) -> None:
        kinds = (
            (grpc.aio.UnaryUnaryClientInterceptor, self._unary_unary_interceptors),
            (grpc.aio.UnaryStreamClientInterceptor, self._unary_stream_interceptors),
            (grpc.aio.StreamUnaryClientInterceptor, self._stream_unary_interceptors),
            (grpc.aio.StreamStreamClientInterceptor, self._stream_stream_interceptors),
        )
        lists = [interceptors for kind, interceptors in kinds if isinstance(interceptor, kind)]
        if not lists:
            raise InvalidType(f"interceptors must be client interceptors of grpc.aio, got {type(interceptor).__name__}")
        for interceptors in lists:
            interceptors.append(interceptor)

    def unary_unary(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.unary_unary`."""
        return _UnaryUnary(self, method, self._unary_unary_interceptors, request_serializer, args, kwargs)

    def unary_stream(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.unary_stream`."""
        return _UnaryStream(self, method, self._unary_stream_interceptors, request_serializer, args, kwargs)

    def stream_unary(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.stream_unary`. Spanner has none of this kind."""
        return _StreamUnary(self, method, self._stream_unary_interceptors, request_serializer, args, kwargs)

    def stream_stream(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.aio.Channel.stream_stream`. Spanner has none of this kind."""
        return _StreamStream(self, method, self._stream_stream_interceptors, request_serializer, args, kwargs)

    def rpc(self, method: str, serialize: Callable[[Any], bytes] | None, *, one_request: bool) -> StubRpc:
        """Return what the calls of the RPC with this path have in common."""
        return StubRpc(self._caller, method, self._report, self._retry, serialize, one_request=one_request)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the connection's state; as `grpc.aio.Channel.get_state`."""
        if self.connection.closing.is_set():
            return grpc.ChannelConnectivity.SHUTDOWN
        state: grpc.ChannelConnectivity = self.connection.open().get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the connection has another state."""
        await self.connection.open().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the connection is there."""
        await self.connection.open().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Do nothing: the client closes its connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def stub_channel(
    caller: AsyncCaller, report: Report | None, retry: RetryOptions, interceptors: Iterable[grpc.aio.ClientInterceptor]
) -> grpc.aio.Channel:
    """Return a channel for stubs, with interceptors of grpc.aio, of which the first one is outermost."""
    return AsyncStubChannel(caller, report, retry, interceptors)


class _MultiCallable:
    """An RPC as something to call."""

    kind: str
    call_class: type[AsyncStubCall]

    def __init__(
        self,
        channel: AsyncStubChannel,
        method: str,
        interceptors: list[Any],
        serialize: Callable[[Any], bytes] | None,
        args: Any,
        kwargs: dict[str, Any],
    ) -> None:
        self._channel = channel
        self._connection = channel.connection
        self._rpc = channel.rpc(method, serialize, one_request=self.kind.startswith("unary"))
        self._interceptors = interceptors
        self._args, self._kwargs = args, kwargs
        self._made: Any = None
        self._made_on: Any = self  # which no channel is

    def _call(self, request: Any, details: Any, compression: grpc.Compression | None) -> Any:
        """Make a call, through the interceptors if there are some. `details` are those of an interceptor."""
        if not self._interceptors:
            return self.begin(request, details, compression)
        from spanner_grpc_sessions.calls.interception import intercepted  # noqa: PLC0415 - seldom needed

        def begin(method: str, request: Any, details: Any) -> Any:
            # An interceptor may have chosen another RPC of the same kind.
            chosen = (
                self
                if method == self._rpc.path
                else getattr(self._channel, self.kind)(method, self._rpc.serialize, *self._args, **self._kwargs)
            )
            return chosen.begin(request, details, compression)

        return intercepted(self.kind, self._interceptors, begin, self._rpc.path, request, details)

    def begin(self, request: Any, details: Any, compression: grpc.Compression | None) -> AsyncStubCall:
        """Make a call, which goes on when this returns."""
        timeout, metadata, credentials, wait_for_ready = details
        rpc = self._rpc
        name = rpc.name_of(request)
        observation = rpc.observe(name)
        try:
            sent, headers, left, request_id = rpc.prepare(request, name, timeout, metadata, observation)
            call, channel = self._ready(request)
            request_id = request_id or rpc.next_request_id(channel)
            again = partial(self._attempt, call, sent, headers, credentials, wait_for_ready, compression)
            if observation is not None:
                observation.call.attempt(request_id)
            return self.call_class(
                again(request_id, left), rpc, name, request_id, self._connection, observation, left, True, again
            )
        except BaseException as error:
            if observation is not None:
                observation.end(error)
            raise

    def _attempt(
        self,
        call: Callable[..., Any],
        request: Any,
        headers: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
        request_id: str,
        left: float | None,
    ) -> Attempt:
        token = self._connection.tokens.current()
        if token is None:
            # A call cannot wait before it is made: gRPC waits for this token itself, off the loop.
            credentials = waiting_for_token(self._connection.tokens, credentials)
        pairs = AsyncMetadata((*headers, *(token or ()), (REQUEST_ID, request_id)))
        try:
            made = call(
                request,
                timeout=left,
                metadata=pairs,
                credentials=credentials,
                wait_for_ready=wait_for_ready,
                compression=compression,
            )
        except grpc.aio.UsageError as error:
            if not self._connection.closing.is_set():
                raise
            raise as_failed_call(ClientClosed.during_call()) from error
        return made, token

    def _ready(self, request: Any) -> tuple[Any, int]:
        """Return what makes a call, opening the connection if need be, and the number of its channel."""
        connection = self._connection
        if self._made_on is not connection.channel or asyncio.get_running_loop() is not connection.loop:
            self._made_on = connection.open()
            make = getattr(self._made_on, self.kind)
            serialize = None if self._rpc.one_request else self._rpc.serialize
            self._made = make(self._rpc.path, serialize, *self._args, **self._kwargs)
        return connection.choose(self._made, request)


class _OneRequest(_MultiCallable):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        return self._call(request, (timeout, metadata, credentials, wait_for_ready), compression)


class _ManyRequests(_MultiCallable):
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        return self._call(request_iterator, (timeout, metadata, credentials, wait_for_ready), compression)


class _UnaryUnary(_OneRequest, grpc.aio.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    kind, call_class = "unary_unary", UnaryUnary


class _UnaryStream(_OneRequest, grpc.aio.UnaryStreamMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    kind, call_class = "unary_stream", UnaryStream


class _StreamUnary(_ManyRequests, grpc.aio.StreamUnaryMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    kind, call_class = "stream_unary", StreamUnary


class _StreamStream(_ManyRequests, grpc.aio.StreamStreamMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    kind, call_class = "stream_stream", StreamStream
