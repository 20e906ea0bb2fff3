"""The client for asyncio: session RPCs as coroutines that answer as the REST API does. The mirror image of `client`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
from google.auth.credentials import Credentials
from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.auth.credentials import CallCredentials, token_source
from spanner_grpc_sessions.calls.call_async import AsyncCallPath
from spanner_grpc_sessions.calls.stub_channel_async import AsyncStubChannel
from spanner_grpc_sessions.errors import InvalidType
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.rest.routes import route
from spanner_grpc_sessions.session_rpcs_async import AsyncSessionRpcs
from spanner_grpc_sessions.transport.channel import resolve
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncSessionsClient"]


class AsyncSessionsClient(AsyncSessionRpcs):
    """Cloud Spanner sessions over gRPC, with the bodies of the REST API. Safe to share between tasks of one loop.

    A context manager. It opens at the first call if it was not opened before, and should be closed.

    All methods that call the server take
        timeout: seconds for the whole call, attempts and waits included; None for no limit; by default what Google
            publishes for the RPC (30 s, BatchCreateSessions 60 s, ListSessions 3600 s).
        retry: what to repeat instead of what the client's options say; `RetryOptions.none()` for nothing.
        metadata: further request headers, pairs of key and value.
    and raise
        InvalidValue, InvalidType: an argument breaks its rule; nothing was sent.
        CredentialsError: there is no token to send.
        RpcError: the call failed; there is a subclass for each status.
        ClientClosed: the client is closed.

    Args:
        credentials: any google.auth credentials; None for application default credentials. Those without scopes get
            the ones of the options. On the emulator (`SPANNER_EMULATOR_HOST`) no token is ever sent.
        options: where to connect and how.

    Raises:
        CredentialsError: credentials were given for a plaintext connection that leaves this machine.
        InvalidType: `credentials` or `options` are something else.
    """

    def __init__(self, credentials: Credentials | None = None, *, options: ClientOptions | None = None) -> None:
        if options is not None and not isinstance(options, ClientOptions):
            raise InvalidType(f"options must be ClientOptions or None, got {type(options).__name__}")
        options = options or ClientOptions()
        target = resolve(options, credentials)
        self._tokens = token_source(target, credentials, options)
        self._connection = AsyncConnection(target, options, self._tokens)
        super().__init__(AsyncCallPath(self._connection, options))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None and connection.state == "open":
            connection.abandon()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Self:
        """Make the channel and start to fetch the token, without waiting for either. Idempotent.

        Raises:
            ClientClosed: the client was closed.
        """
        self._connection.open()
        return self

    async def close(self) -> None:
        """Close the connection and end the client's thread. Idempotent; calls in flight end as `ClientClosed`."""
        await self._connection.close()

    async def warm_up(self, timeout: float | None = 30.0) -> None:
        """Connect, and have a token, side by side: then the first call costs no more than any other.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: there was no connection in time.
            CredentialsError: there was no token in time.
            ClientClosed: the client is, or was meanwhile, closed.
        """
        await self._connection.warm_up(check_timeout(timeout))

    def channel(self) -> grpc.aio.Channel:
        """Return a channel for stubs of google.spanner.v1, ours or your own, on the client's connections.

        Their calls get the client's token and headers, and Google's published deadline where they give none. They are
        not repeated, and raise what the client's own calls raise. It ends with the client; closing it does nothing.
        """
        return AsyncStubChannel(self._connection, self._path.outfitter())

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The service's stub on such a channel."""
        return spanner_pb2_grpc.SpannerStub(self.channel())

    def call_credentials(self) -> grpc.CallCredentials:
        """Return call credentials of the client's own token source, for channels that you build.

        gRPC asks them for each call on a thread of its own, which costs about as much again as the call; it sends
        them over TLS and local channels only. They serve until the client is closed.
        """
        return grpc.metadata_call_credentials(CallCredentials(self._tokens), "spanner-grpc-sessions")

    async def rest(
        self,
        http_method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Any:
        """Make a REST call of Cloud Spanner's data API (`spanner.projects.instances.databases.sessions`), over gRPC.

        Args:
            http_method: "GET", "POST" or "DELETE".
            path: `/v1/projects/…`, as the REST reference gives it; it may end in a query.
            body: the JSON object of the request; None for none.
            query: query parameters, name to value or list of values; None stands for an absent one.

        Returns:
            The body that REST answers, a dict. Of a method that streams, an iterator of such bodies, each as soon as it
            arrives; a `streams.Stream`, or its asynchronous twin. Read it to its end, or `close()` it as its block with
            `with` does: it holds the server's work. It is never repeated; `timeout` bounds the whole of it.

        Raises:
            InvalidRequest: query or body have something that the method does not take; the text says where.
            UnknownPath: the API has no such method.
        """
        method, name, arguments = route(http_method, path, query, body)
        call = self._path.stream if method.streams else self._path.call
        return await call(method, name, arguments, timeout, retry, metadata)
