"""A channel for any stub: each call gets token, headers and deadline, and raises our exceptions.

It makes the calls itself: an interceptor would cost a tenth of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID, Metadata
from spanner_grpc_sessions.calls.preparation import Report
from spanner_grpc_sessions.calls.stub_call import StubCall
from spanner_grpc_sessions.calls.stub_future import StubFuture
from spanner_grpc_sessions.calls.stub_rpc import Attempt, StubRpc, waiting_for_token
from spanner_grpc_sessions.errors import ClientClosed, InvalidType, SpannerSessionsError, checks
from spanner_grpc_sessions.errors.finished_call import as_failed_call
from spanner_grpc_sessions.observers import Observation
from spanner_grpc_sessions.options import CallMetadata, RetryOptions
from spanner_grpc_sessions.runtime.deadline import Deadline

if TYPE_CHECKING:
    from typing_extensions import Self

    from spanner_grpc_sessions.calls.call import Caller


_INTERCEPTORS: Final = (
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
)


class StubChannel(grpc.Channel):
    """The channel that `SessionsClient.channel` returns. It ends with the client; closing it does nothing."""

    def __init__(self, caller: Caller, report: Report | None, retry: RetryOptions) -> None:
        self._caller = caller
        self._report = report
        self._retry = retry

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._caller.connection!r}>"

    def unary_unary(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_unary`."""
        return _UnaryUnary(
            self._caller,
            self._rpc(method, request_serializer),
            lambda channel: channel.unary_unary(method, None, *args, **kwargs),
        )

    def unary_stream(
        self, method: str, request_serializer: Callable[[Any], bytes] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.unary_stream`."""
        return _UnaryStream(
            self._caller,
            self._rpc(method, request_serializer),
            lambda channel: channel.unary_stream(method, None, *args, **kwargs),
        )

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.stream_unary`. Spanner has none of this kind."""
        return _StreamUnary(
            self._caller,
            self._rpc(method, one_request=False),
            lambda channel: channel.stream_unary(method, *args, **kwargs),
        )

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as something to call; as `grpc.Channel.stream_stream`. Spanner has none of this kind."""
        return _StreamStream(
            self._caller,
            self._rpc(method, one_request=False),
            lambda channel: channel.stream_stream(method, *args, **kwargs),
        )

    def _rpc(
        self, method: str, serialize: Callable[[Any], bytes] | None = None, *, one_request: bool = True
    ) -> StubRpc:
        return StubRpc(self._caller, method, self._report, self._retry, serialize, one_request=one_request)

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool | None = False) -> None:
        """Call back with the connection's states; as `grpc.Channel.subscribe`."""
        self._caller.connection.open().subscribe(callback, try_to_connect=bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Stop calling back."""
        if not self._caller.connection.closing.is_set():
            self._caller.connection.open().unsubscribe(callback)

    def close(self) -> None:
        """Do nothing: the client closes its connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stub_channel(
    caller: Caller, report: Report | None, retry: RetryOptions, interceptors: Iterable[Any]
) -> grpc.Channel:
    """Return a channel for stubs, with client interceptors of gRPC, of which the first one is outermost."""
    chosen = tuple(checks.iterable("interceptors", interceptors, "client interceptors"))
    for interceptor in chosen:
        if not isinstance(interceptor, _INTERCEPTORS):
            raise InvalidType(f"interceptors must be client interceptors of gRPC, got {type(interceptor).__name__}")
    return grpc.intercept_channel(StubChannel(caller, report, retry), *chosen)


class _MultiCallable:
    """An RPC as something to call."""

    def __init__(self, caller: Caller, rpc: StubRpc, make: Callable[[Any], Any]) -> None:
        self._caller = caller
        self._connection = caller.connection
        self._rpc = rpc
        self._make = make
        self._made: Any = None
        self._made_on: Any = self  # which no channel is

    def _ready(self, request: Any) -> tuple[Any, int]:
        """Return what makes a call, opening the connection if need be, and the number of its channel."""
        channel = self._connection.channel
        if self._made_on is not channel or channel is None:
            channel = self._connection.open()
            self._made = self._make(channel)
            self._made_on = channel
        return self._connection.choose(self._made, request)

    def _begin(
        self,
        way: str,
        request: Any,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        *others: Any,
        **named: Any,
    ) -> StubCall:
        """Make a call that goes on when this returns."""
        name = self._rpc.name_of(request)
        observation = self._rpc.observe(name)
        try:
            sent, headers, left, request_id = self._rpc.prepare(request, name, timeout, metadata, observation)
            ready, channel = self._ready(request)
            request_id = request_id or self._rpc.next_request_id(channel)
            if observation is not None:
                observation.call.attempt(request_id)
            again = partial(self._attempt, getattr(ready, way), sent, headers, credentials, others, named)
            # An iterator of requests is used up by the first attempt.
            make = StubFuture if way == "future" and self._rpc.one_request else StubCall
            attempt, waits = again(request_id, left), way != "future"
            call = make(attempt, self._rpc, name, request_id, self._connection, observation, left, waits, again)
        except BaseException as error:
            self._connection.interrupted(error)
            if observation is not None:
                observation.end(error)
            raise
        if way == "future" and (observation is not None or self._rpc.reports):
            call.observe_end()
        return call

    def _attempt(
        self,
        call: Callable[..., Any],
        request: Any,
        headers: Metadata,
        credentials: grpc.CallCredentials | None,
        others: tuple[Any, ...],
        named: dict[str, Any],
        request_id: str,
        left: float | None,
    ) -> Attempt:
        token = self._connection.tokens.current()
        if token is None:
            # The caller does not wait.
            credentials = waiting_for_token(self._connection.tokens, credentials)
        try:
            pairs = (*headers, *(token or ()), (REQUEST_ID, request_id))
            return self._connection.begin(call, request, left, pairs, credentials, *others, **named), token
        except self._connection.CALL_ERRORS as error:
            if not self._connection.closing.is_set():
                raise
            raise as_failed_call(ClientClosed.during_call()) from error


class _UnaryAnswer(_MultiCallable):
    """An RPC that answers with one message."""

    def _blocking(
        self,
        way: str,
        request: Any,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        *others: Any,
        **named: Any,
    ) -> Any:
        """Make a call, and return when it has ended."""
        name = self._rpc.name_of(request)
        observation = self._rpc.observe(name)
        try:
            if observation is None:
                return self._attempts(None, way, request, name, timeout, metadata, *others, **named)
            its_way = "with_call" if observation.timed else way
            answer = self._attempts(observation, its_way, request, name, timeout, metadata, *others, **named)
        except BaseException as error:
            self._connection.interrupted(error)
            if observation is not None:
                observation.end(error)
            raise
        if observation.timed:
            observation.answered(answer[1].initial_metadata())
            answer = answer if way == "with_call" else answer[0]
        observation.end()
        return answer

    def _attempts(
        self,
        observation: Observation | None,
        way: str,
        request: Any,
        name: str,
        timeout: float | None,
        metadata: CallMetadata | None,
        *others: Any,
        **named: Any,
    ) -> Any:
        sent, headers, left, request_id = self._rpc.prepare(request, name, timeout, metadata, observation)
        limit, started = left, monotonic()
        ready, channel = self._ready(request)
        request_id = request_id or self._rpc.next_request_id(channel)
        token = self._connection.tokens.current()
        if token is None:
            token, left = self._token_within(left)
        if observation is not None:
            observation.call.attempt(request_id)
        try:
            answer = getattr(ready, way)(sent, left, (*headers, *token, (REQUEST_ID, request_id)), *others, **named)
        except self._connection.CALL_ERRORS as error:
            if not isinstance(error, grpc.RpcError) and not self._connection.closing.is_set():
                raise
            observed = observation.call if observation else None
            attempts = self._rpc.attempts(request_id, Deadline(limit, started), observed)
            attempts.token = token

            def again(request: Any, timeout: float | None, metadata: Metadata) -> Any:
                return getattr(ready, way)(request, timeout, metadata, *others, **named)

            try:
                answer = self._caller.retry_or_raise(error, again, sent, headers, attempts)
            except SpannerSessionsError as failure:
                self._rpc.tell(failure, name)
                raise as_failed_call(failure) from failure.__cause__
        if self._rpc.incidents.lost:
            self._rpc.incidents.back()
        return answer

    def _token_within(self, seconds: float | None) -> tuple[Any, float | None]:
        deadline = Deadline(seconds)
        try:
            return self._connection.tokens.wait(seconds), deadline.left()
        except SpannerSessionsError as error:
            raise as_failed_call(error) from error.__cause__


class _UnaryUnary(_UnaryAnswer, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    def __call__(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._blocking("__call__", request, *others, **named)

    def with_call(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._blocking("with_call", request, *others, **named)

    def future(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._begin("future", request, *others, **named)


class _StreamUnary(_UnaryAnswer, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    def __call__(self, request_iterator: Any, *others: Any, **named: Any) -> Any:
        return self._blocking("__call__", request_iterator, *others, **named)

    def with_call(self, request_iterator: Any, *others: Any, **named: Any) -> Any:
        return self._blocking("with_call", request_iterator, *others, **named)

    def future(self, request_iterator: Any, *others: Any, **named: Any) -> Any:
        return self._begin("future", request_iterator, *others, **named)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    def __call__(self, request: Any, *others: Any, **named: Any) -> Any:
        return self._begin("__call__", request, *others, **named)


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]  # generic in its stubs alone
    def __call__(self, request_iterator: Any, *others: Any, **named: Any) -> Any:
        return self._begin("__call__", request_iterator, *others, **named)
