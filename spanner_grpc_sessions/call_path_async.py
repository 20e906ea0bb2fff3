"""The way of a call in asyncio: headers, token, deadline, attempts. The mirror image of `call_path`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import grpc.aio

from spanner_grpc_sessions.attempts import Attempts
from spanner_grpc_sessions.errors import ClientClosed, InvalidType
from spanner_grpc_sessions.headers import REQUEST_ID, Headers, Metadata, RequestIds, check_metadata
from spanner_grpc_sessions.methods import Method
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.streams import AsyncStream, task_is_cancelled
from spanner_grpc_sessions.token_source import TokenSource
from spanner_grpc_sessions.transport import Target, open_async_channel

__all__ = ["AsyncCallPath"]


class AsyncCallPath:
    """A channel, a token source, and what every call of a client goes through. For the tasks of one event loop.

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
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()

    def __repr__(self) -> str:
        state = "closed" if self._closing.is_set() else "open" if self._channel else "new"
        return f"{self._target.address} {self._target.security.value} {state}"

    async def open(self) -> None:
        """Make the channel and start to fetch the token, without waiting for either. Idempotent.

        Raises:
            ClientClosed: the path was closed, or opened in another event loop.
        """
        self._open()

    async def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        self._closing.set()
        channel, self._channel = self._channel, None
        self._calls.clear()
        if channel is not None:
            await channel.close()
        await self._tokens.close_async()

    async def call(
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
        call = self._calls.get(method)
        if call is None or asyncio.get_running_loop() is not self._loop:
            call = self._prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = await self._tokens.wait_async(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        number = self._request_ids.next()
        pairs = _Pairs((*headers, *token, (REQUEST_ID, f"{number}1")))
        try:
            answer = await call(request, timeout=left, metadata=pairs)
        except (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError) as error:
            deadline = None if limit is None else started + limit
            attempts = Attempts(method, number, retry or self._options.retry, deadline)
            answer = await self._repeat(error, call, request, headers, attempts)
        return method.decode(answer)

    async def stream(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> AsyncStream:
        """Call an RPC that streams its answer, and return the stream of its decoded messages. It is never repeated.

        The arguments are those of `call`.
        """
        headers, request, limit = self._ready(method, name, arguments, timeout, retry, metadata)
        started = time.monotonic()
        call = self._calls.get(method)
        if call is None or asyncio.get_running_loop() is not self._loop:
            call = self._prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = await self._tokens.wait_async(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        request_id = f"{self._request_ids.next()}1"
        try:
            answers = call(request, timeout=left, metadata=_Pairs((*headers, *token, (REQUEST_ID, request_id))))
        except grpc.aio.UsageError as error:
            raise ClientClosed("the client was closed during the call") from error
        return AsyncStream(answers, method, request_id, self._closing)

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

    async def _repeat(
        self, error: BaseException, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        while True:
            if isinstance(error, asyncio.CancelledError) and (not self._closing.is_set() or task_is_cancelled()):
                raise error
            if self._closing.is_set() or not isinstance(error, grpc.RpcError):
                raise ClientClosed("the client was closed during the call") from error
            pause = attempts.after(error)
            if pause is None:
                return attempts.method.response_class()
            if await self._closes_within(pause):
                raise ClientClosed("the client was closed between two attempts of the call") from error
            token = self._tokens.current()
            if token is None:
                token = await self._tokens.wait_async(attempts.remaining())
            pairs = _Pairs((*headers, *token, *attempts.request_id()))
            try:
                return await call(request, timeout=attempts.remaining(), metadata=pairs)
            except (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError) as again:
                error = again

    async def _closes_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()

    def _prepare(self, method: Method) -> Callable[..., Any]:
        channel = self._open()
        prepare = channel.unary_stream if method.streams else channel.unary_unary
        call = self._calls[method] = prepare(
            method.path,
            request_serializer=method.request_class.SerializeToString,
            response_deserializer=method.response_class.FromString,
        )
        return call

    def _open(self) -> grpc.aio.Channel:
        if self._closing.is_set():
            raise ClientClosed("the client is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._channel is None:
            self._loop = loop
            self._channel = open_async_channel(self._target, self._options)
            self._tokens.start()
        if self._loop is not loop:
            raise ClientClosed("the client belongs to another event loop: make one per loop")
        return self._channel


class _Pairs(grpc.aio.Metadata):
    """Metadata that is only iterated once: gRPC's own would sort the pairs into a dict of lists first."""

    def __init__(self, pairs: Metadata) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        return iter(self._pairs)
