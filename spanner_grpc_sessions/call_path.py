"""The way of a call: headers, token, deadline, attempts. `call_path_async` is its mirror image."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from spanner_grpc_sessions.attempts import Attempts
from spanner_grpc_sessions.errors import ClientClosed, InvalidType
from spanner_grpc_sessions.headers import REQUEST_ID, Headers, Metadata, RequestIds, check_metadata
from spanner_grpc_sessions.methods import Method
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.streams import Stream
from spanner_grpc_sessions.token_source import TokenSource
from spanner_grpc_sessions.transport import Target, open_channel

__all__ = ["CallPath"]


class CallPath:
    """A channel, a token source, and what every call of a client goes through. Safe to share between threads.

    Args:
        target: where to connect.
        options: of the client.
        tokens: where the token of each call comes from. Closed with the path.
    """

    def __init__(self, target: Target, options: ClientOptions, tokens: TokenSource) -> None:
        self._target = target
        self._options = options
        self._tokens = tokens
        self._headers = Headers(leader_aware_routing=options.leader_aware_routing)
        self._request_ids = RequestIds()
        self._calls: dict[Method, Callable[..., Any]] = {}
        self._channel: grpc.Channel | None = None
        # Reentrant, for a signal handler may close the client while its thread opens it.
        self._changing = threading.RLock()
        self._closing = threading.Event()

    def __repr__(self) -> str:
        state = "closed" if self._closing.is_set() else "open" if self._channel else "new"
        return f"{self._target.address} {self._target.security.value} {state}"

    def open(self) -> None:
        """Make the channel and start to fetch the token, without waiting for either. Idempotent.

        Raises:
            ClientClosed: the path was closed.
        """
        with self._changing:
            self._open()

    def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        with self._changing:
            self._closing.set()
            channel, self._channel = self._channel, None
            self._calls.clear()
        if channel is not None:
            channel.close()
        self._tokens.close()

    def call(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> Any:
        """Call an RPC on the resource `name` and return its decoded answer.

        Args:
            method: the RPC.
            name: of the database or session that it is about.
            arguments: the others that `method.build` takes.
            timeout: seconds, None for no limit.
            retry: what to repeat; None for what the options of the client say.
            metadata: further request headers.
        """
        headers, request, limit = self._ready(method, name, arguments, timeout, retry, metadata)
        started = time.monotonic()
        call = self._calls.get(method) or self._prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = self._tokens.wait(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        number = self._request_ids.next()
        try:
            answer = call(request, left, (*headers, *token, (REQUEST_ID, f"{number}1")))
        except (grpc.RpcError, ValueError) as error:
            deadline = None if limit is None else started + limit
            attempts = Attempts(method, number, retry or self._options.retry, deadline)
            answer = self._repeat(error, call, request, headers, attempts)
        return method.decode(answer)

    def stream(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> Stream:
        """Call an RPC that streams its answer, and return the stream of its decoded messages. It is never repeated.

        The arguments are those of `call`.
        """
        headers, request, limit = self._ready(method, name, arguments, timeout, retry, metadata)
        started = time.monotonic()
        call = self._calls.get(method) or self._prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = self._tokens.wait(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        request_id = f"{self._request_ids.next()}1"
        try:
            answers = call(request, left, (*headers, *token, (REQUEST_ID, request_id)))
        except ValueError as error:
            raise ClientClosed("the client was closed during the call") from error
        return Stream(answers, method, request_id, self._closing)

    def _ready(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> tuple[Metadata, Any, float | None]:
        headers = self._headers.of(method, name)
        request = method.build(name, *arguments)
        if method.writes is not None and method.writes(request):
            headers = self._headers.to_leader(headers)
        if retry is not None and not isinstance(retry, RetryOptions):
            raise InvalidType(f"retry must be RetryOptions or None, got {retry!r}")
        if metadata:
            headers += check_metadata(metadata)
        return headers, request, method.timeout if timeout is DEFAULT else check_timeout(timeout)

    def _repeat(
        self, error: Exception, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        while True:
            if self._closing.is_set() or not isinstance(error, grpc.RpcError):
                raise ClientClosed("the client was closed during the call") from error
            pause = attempts.after(error)
            if pause is None:
                return attempts.method.response_class()
            if self._closing.wait(pause):
                raise ClientClosed("the client was closed between two attempts of the call") from error
            token = self._tokens.current()
            if token is None:
                token = self._tokens.wait(attempts.remaining())
            try:
                return call(request, attempts.remaining(), (*headers, *token, *attempts.request_id()))
            except (grpc.RpcError, ValueError) as again:
                error = again

    def _prepare(self, method: Method) -> Callable[..., Any]:
        with self._changing:
            channel = self._open()
            prepare = channel.unary_stream if method.streams else channel.unary_unary
            call = self._calls[method] = prepare(
                method.path,
                request_serializer=method.request_class.SerializeToString,
                response_deserializer=method.response_class.FromString,
            )
        return call

    def _open(self) -> grpc.Channel:
        if self._closing.is_set():
            raise ClientClosed("the client is closed: make a new one")
        if self._channel is None:
            channel = open_channel(self._target, self._options)
            if self._closing.is_set():
                channel.close()
                raise ClientClosed("the client was closed while it was opened")
            self._channel = channel
            self._tokens.start()
        return self._channel
