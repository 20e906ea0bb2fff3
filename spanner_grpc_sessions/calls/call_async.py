"""The way of a call in asyncio: headers, token, deadline, attempts. The mirror image of `call_path`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.attempts import Attempts
from spanner_grpc_sessions.calls.call_setup import CallSetup
from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata, Metadata, check_metadata
from spanner_grpc_sessions.calls.stream import AsyncStream, task_is_cancelled
from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.observers import ObservedCall, observe
from spanner_grpc_sessions.options import RetryOptions, Timeout
from spanner_grpc_sessions.runtime.clock import event_within
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

__all__ = ["AsyncCallPath"]


class AsyncCallPath(CallSetup[AsyncConnection]):
    """What every call of a client goes through. For the tasks of one event loop.

    Args:
        connection: to make the calls on.
        options: of the client.
    """

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
        observation = observe(self._observer, method.name, name, self._address)
        if observation is None:
            return await self._call(method, name, arguments, timeout, retry, metadata)
        try:
            if observation.headers:
                metadata = (*check_metadata(metadata or ()), *observation.headers)
            answer = await self._call(method, name, arguments, timeout, retry, metadata, observation.call)
        except BaseException as error:
            observation.end(error)
            raise
        observation.end()
        return answer

    async def _call(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
        observed: ObservedCall | None = None,
    ) -> Any:
        headers, request, limit = self._ready(method, name, arguments, timeout, retry, metadata)
        started = time.monotonic()
        call = self._calls.get(method)
        if call is None or asyncio.get_running_loop() is not self._connection.loop:
            call = self._connection.prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = await self._tokens.wait_async(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        number = self._request_ids.next()
        if observed is not None:
            observed.attempt(f"{number}1")
        pairs = AsyncMetadata((*headers, *token, (REQUEST_ID, f"{number}1")))
        try:
            answer = _deserialized(await call(request, timeout=left, metadata=pairs))
        except (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError) as error:
            deadline = None if limit is None else started + limit
            attempts = Attempts(method, number, retry or self._options.retry, deadline, observed=observed)
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
        observation = observe(self._observer, method.name, name, self._address)
        try:
            if observation is not None and observation.headers:
                metadata = (*check_metadata(metadata or ()), *observation.headers)
            answers, request_id = await self._begin(method, name, arguments, timeout, retry, metadata)
        except BaseException as error:
            if observation is not None:
                observation.end(error)
            raise
        if observation is not None:
            observation.call.attempt(request_id)
        return AsyncStream(answers, method, request_id, self._connection.closing, observation)

    async def _begin(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> tuple[Any, str]:
        headers, request, limit = self._ready(method, name, arguments, timeout, retry, metadata)
        started = time.monotonic()
        call = self._calls.get(method)
        if call is None or asyncio.get_running_loop() is not self._connection.loop:
            call = self._connection.prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = await self._tokens.wait_async(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        request_id = f"{self._request_ids.next()}1"
        try:
            answers = call(request, timeout=left, metadata=AsyncMetadata((*headers, *token, (REQUEST_ID, request_id))))
        except grpc.aio.UsageError as error:
            raise ClientClosed("the client was closed during the call") from error
        self._connection.streams.add(answers)
        return answers, request_id

    async def _repeat(
        self, error: BaseException, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        while True:
            if isinstance(error, asyncio.CancelledError) and (
                not self._connection.closing.is_set() or task_is_cancelled()
            ):
                raise error
            if self._connection.closing.is_set() or not isinstance(error, grpc.RpcError):
                raise ClientClosed("the client was closed during the call") from error
            pause = attempts.after(error)
            if pause is None:
                return attempts.method.response_class()
            if await self._closes_within(pause):
                raise ClientClosed("the client was closed between two attempts of the call") from error
            token = self._tokens.current()
            if token is None:
                token = await self._tokens.wait_async(attempts.remaining())
            pairs = AsyncMetadata((*headers, *token, *attempts.request_id()))
            try:
                return _deserialized(await call(request, timeout=attempts.remaining(), metadata=pairs))
            except (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError) as again:
                error = again

    async def _closes_within(self, seconds: float) -> bool:
        await event_within(self._connection.closing, seconds)
        return self._connection.closing.is_set()


def _deserialized(answer: Any) -> Any:
    """Return an answer, or raise what gRPC raises outside of asyncio for bytes that are none: here it gives None."""
    if answer is None:
        nothing = grpc.aio.Metadata()
        details = "Exception deserializing response!"
        raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details=details)
    return answer
