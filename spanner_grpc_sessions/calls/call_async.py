"""A call in asyncio, from its headers to its answer: token, deadline, attempts."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from spanner_grpc_sessions.calls.answers import check_answer
from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata, Metadata, with_headers
from spanner_grpc_sessions.calls.preparation import Preparation, Report
from spanner_grpc_sessions.calls.retry import Attempts
from spanner_grpc_sessions.errors import ClientClosed, checks
from spanner_grpc_sessions.observers import Observation, Observer, observe
from spanner_grpc_sessions.options import DEFAULT, CallMetadata, ClientOptions, RetryOptions, Timeout
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

if TYPE_CHECKING:
    import grpc
    import grpc.aio

    from spanner_grpc_sessions.calls.stream import AsyncStream


class AsyncCaller:
    """Makes the calls of a client. For the tasks of one event loop."""

    def __init__(
        self, connection: AsyncConnection, options: ClientOptions, preparation: Preparation | None = None
    ) -> None:
        self.connection = connection
        self.options = options
        self.preparation: Preparation = preparation or Preparation(options)
        self.retry: RetryOptions = options.retry
        self.observer: Observer | None = options.observer
        self._tokens = connection.tokens
        self._incidents = connection.incidents

    def channel(
        self, report: Report | None = None, retry: RetryOptions | None = None, interceptors: Any = ()
    ) -> grpc.aio.Channel:
        """Return a channel for stubs, whose calls tell their failures to `report`."""
        from spanner_grpc_sessions.calls.stub_channel_async import stub_channel  # noqa: PLC0415 - not every client

        checks.optional("retry", retry, RetryOptions)
        return stub_channel(self, report, retry or self.options.stub_retry, interceptors)

    async def call(
        self,
        rpc: Rpc,
        name: str,
        request: Any,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> Any:
        """Make a call about the database or session `name`, and return the message that answers it."""
        observation = observe(self.observer, rpc.name, name, self.connection.address)
        try:
            if observation is None:
                return await self._call(rpc, name, request, timeout, retry, metadata)
            if observation.headers:
                metadata = with_headers(metadata, observation.headers)
            answer = await self._call(rpc, name, request, timeout, retry, metadata, observation)
        except BaseException as error:
            self.connection.interrupted(error)
            if observation is not None:
                observation.end(error)
            raise
        observation.end()
        return answer

    async def _call(
        self,
        rpc: Rpc,
        name: str,
        request: Any,
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: CallMetadata,
        observation: Observation | None = None,
    ) -> Any:
        headers, left = self.preparation.prepare(rpc, name, request, timeout, metadata)
        options = self.retry if retry is None else checks.instance("retry", retry, RetryOptions)
        # The deadline is an object only if something goes wrong: it would cost the call 0.3%.
        limit, started = left, monotonic()
        call, channel = self.connection.ready(rpc, request)
        token = self._tokens.current()
        if token is None:
            token = await self._tokens.wait_async(left)
            left = Deadline(limit, started).left()
        number = self.preparation.next_number(channel)
        observed = None
        if observation is not None:
            observed = observation.call
            observed.attempt(f"{number}1")
            if observation.timed:
                call = self.connection.telling(call, observation.answered)
        pairs = AsyncMetadata((*headers, *token, (REQUEST_ID, f"{number}1")))
        try:
            answer = await call(request, timeout=left, metadata=pairs)
            if answer is None or (rpc.flaw is not None and rpc.flaw(request, answer)):
                check_answer(rpc, request, answer)
        except self.connection.CALL_ERRORS as error:
            attempts = Attempts(
                rpc, number, options, Deadline(limit, started), observed, incidents=self._incidents, token=token
            )
            answer = await self.retry_or_raise(error, call, request, headers, attempts)
        if self._incidents.lost:
            self._incidents.back()
        return answer

    async def retry_or_raise(
        self, error: BaseException, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        """Make further attempts of a call that failed; return the answer, or raise the last failure."""
        try:
            return await self._repeat(error, call, request, headers, attempts)
        finally:
            attempts.ended()

    async def _repeat(
        self, error: BaseException, call: Callable[..., Any], request: Any, headers: Metadata, attempts: Attempts
    ) -> Any:
        while True:
            pause = attempts.next_delay_after(await self.connection.rpc_error(error))
            if pause is None:
                return attempts.rpc.response_class()
            if await self.connection.closes_within(pause):
                raise ClientClosed.between_attempts() from error
            token = self._tokens.current()
            if token is None:
                token = await self._tokens.wait_async(attempts.deadline.left())
            attempts.token = token
            pairs = AsyncMetadata((*headers, *token, (REQUEST_ID, attempts.request_id())))
            try:
                answer = await call(request, timeout=attempts.deadline.left(), metadata=pairs)
                if answer is None or not attempts.of_stub:
                    check_answer(attempts.rpc, request, answer)
            except self.connection.CALL_ERRORS as next_error:
                error = next_error
            else:
                return answer

    async def stream(
        self,
        rpc: Rpc,
        name: str,
        request: Any,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> AsyncStream:
        """Make a call that streams its answer, and return the stream. Whatever `retry` says, it is not repeated."""
        from spanner_grpc_sessions.calls.stream import AsyncStream  # noqa: PLC0415 - not every client streams

        observation = observe(self.observer, rpc.name, name, self.connection.address)
        try:
            if observation is not None and observation.headers:
                metadata = with_headers(metadata, observation.headers)
            headers, left = self.preparation.prepare(rpc, name, request, timeout, metadata)
            checks.optional("retry", retry, RetryOptions)
            deadline = Deadline(left)
            call, channel = self.connection.ready(rpc, request)
            token = self._tokens.current()
            if token is None:
                token = await self._tokens.wait_async(left)
            number, observed = self.preparation.next_number(channel), observation.call if observation else None
            attempts = Attempts(rpc, number, RetryOptions.none(), deadline, observed, token=token)

            def begin(request_id: str) -> Any:
                pairs = AsyncMetadata((*headers, *token, (REQUEST_ID, request_id)))
                try:
                    return self.connection.begin(call, request, timeout=deadline.left(), metadata=pairs)
                except self.connection.CLOSED_ERROR as error:
                    raise ClientClosed.during_call() from error

            return AsyncStream(begin, attempts, self.connection, observation)
        except BaseException as error:
            self.connection.interrupted(error)
            if observation is not None:
                observation.end(error)
            raise
