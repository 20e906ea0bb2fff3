"""The way of a call: headers, token, deadline, attempts. `call_path_async` is its mirror image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from spanner_grpc_sessions.calls.attempts import Attempts
from spanner_grpc_sessions.calls.call_setup import CallSetup
from spanner_grpc_sessions.calls.headers import REQUEST_ID, Metadata, check_metadata
from spanner_grpc_sessions.calls.stream import Stream
from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.observers import ObservedCall, observe
from spanner_grpc_sessions.options import RetryOptions, Timeout
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.connection import Connection

__all__ = ["CallPath"]


class CallPath(CallSetup[Connection]):
    """What every call of a client goes through. Safe to share between threads.

    Args:
        connection: to make the calls on.
        options: of the client.
    """

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
        observation = observe(self._observer, method.name, name, self._address)
        if observation is None:
            return self._call(method, name, arguments, timeout, retry, metadata)
        try:
            if observation.headers:
                metadata = (*check_metadata(metadata or ()), *observation.headers)
            answer = self._call(method, name, arguments, timeout, retry, metadata, observation.call)
        except BaseException as error:
            observation.end(error)
            raise
        observation.end()
        return answer

    def _call(
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
        call = self._calls.get(method) or self._connection.prepare(method)
        left = limit
        token = self._tokens.current()
        if token is None:
            token = self._tokens.wait(limit)
            left = None if limit is None else max(started + limit - time.monotonic(), 0.0)
        number = self._request_ids.next()
        if observed is not None:
            observed.attempt(f"{number}1")
        try:
            answer = call(request, left, (*headers, *token, (REQUEST_ID, f"{number}1")))
        except (grpc.RpcError, ValueError) as error:
            deadline = None if limit is None else started + limit
            attempts = Attempts(method, number, retry or self._options.retry, deadline, observed=observed)
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
        observation = observe(self._observer, method.name, name, self._address)
        try:
            if observation is not None and observation.headers:
                metadata = (*check_metadata(metadata or ()), *observation.headers)
            answers, request_id = self._begin(method, name, arguments, timeout, retry, metadata)
        except BaseException as error:
            if observation is not None:
                observation.end(error)
            raise
        if observation is not None:
            observation.call.attempt(request_id)
        return Stream(answers, method, request_id, self._connection.closing, observation)

    def _begin(
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
        call = self._calls.get(method) or self._connection.prepare(method)
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
        return answers, request_id

    def _repeat(
        self, error: Exception, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        while True:
            if self._connection.closing.is_set() or not isinstance(error, grpc.RpcError):
                raise ClientClosed("the client was closed during the call") from error
            pause = attempts.after(error)
            if pause is None:
                return attempts.method.response_class()
            if self._connection.closing.wait(pause):
                raise ClientClosed("the client was closed between two attempts of the call") from error
            token = self._tokens.current()
            if token is None:
                token = self._tokens.wait(attempts.remaining())
            try:
                return call(request, attempts.remaining(), (*headers, *token, *attempts.request_id()))
            except (grpc.RpcError, ValueError) as again:
                error = again
