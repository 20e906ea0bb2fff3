"""The client for asyncio: session RPCs as coroutines that return REST bodies."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.calls.call_async import AsyncCaller
from spanner_grpc_sessions.calls.headers import check_metadata
from spanner_grpc_sessions.errors import checks
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.rest import to_rest
from spanner_grpc_sessions.service import requests, rpcs
from spanner_grpc_sessions.transport.channel import resolve
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

if TYPE_CHECKING:
    import grpc
    from google.auth.credentials import Credentials
    from spanner_grpc_sessions_pb import spanner_pb2_grpc
    from typing_extensions import Self

    from spanner_grpc_sessions.service.types import ListSessionsBody, Session, SessionsBody


class AsyncSessionsClient:
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
        options = checks.optional("options", options, ClientOptions) or ClientOptions()
        target = resolve(options, credentials)
        tokens = tokens_for(credentials, options, address=target.address, authenticated=target.authenticated)
        self._connection = AsyncConnection(target, options, tokens)
        self._caller = AsyncCaller(self._connection, options)

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

    async def create_session(
        self,
        database: str,
        *,
        labels: Mapping[str, str] | None = None,
        creator_role: str | None = None,
        multiplexed: bool = False,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Session:
        """Create a session; the answer is the body of REST's `sessions.create`.

        A session runs one transaction at a time, and the server drops it after an hour without use: keep and reuse
        it, and delete it when it is not needed any more. An attempt whose answer got lost leaves such a session.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            labels: at most 64; keys of 1 to 63, values of 0 to 63 characters a-z, 0-9 and '-', first a letter, last no
                hyphen (the rules of the REST resource `Session`).
            creator_role: the database role that the session runs with (fine-grained access control).
            multiplexed: a session for any number of transactions at a time. It takes no labels, and is neither listed
                nor deleted; it lives 28 days.
        """
        request = requests.create_session(database, labels, creator_role, multiplexed)
        answer = await self._caller.call(rpcs.CREATE_SESSION, database, request, timeout, retry, metadata)
        session: Session = to_rest(answer)
        return session

    async def batch_create_sessions(
        self,
        database: str,
        session_count: int,
        *,
        labels: Mapping[str, str] | None = None,
        creator_role: str | None = None,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> SessionsBody:
        """Create several sessions in one call; the answer is the body of REST's `sessions.batchCreate`.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            session_count: how many, at least 1. The server may create fewer, and never more than 100.
            labels: of each session; see `create_session`.
            creator_role: of each session; see `create_session`.
        """
        request = requests.batch_create_sessions(database, session_count, labels, creator_role)
        answer = await self._caller.call(rpcs.BATCH_CREATE_SESSIONS, database, request, timeout, retry, metadata)
        sessions: SessionsBody = to_rest(answer)
        return sessions

    async def get_session(
        self,
        name: str,
        *,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Session:
        """Look a session up; the answer is the body of REST's `sessions.get`.

        Args:
            name: the session's name, as it was given when it was created.

        Raises:
            SessionNotFound: the session does not exist any more.
        """
        request = requests.get_session(name)
        answer = await self._caller.call(rpcs.GET_SESSION, name, request, timeout, retry, metadata)
        session: Session = to_rest(answer)
        return session

    async def list_sessions(
        self,
        database: str,
        *,
        page_size: int = 0,
        page_token: str = "",
        filter: str = "",  # noqa: A002 - the name of the REST parameter
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> ListSessionsBody:
        """List one page of a database's sessions; the answer is the body of REST's `sessions.list`.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            page_size: most sessions to return; 0 for as many as the server gives.
            page_token: `nextPageToken` of the page before.
            filter: `labels.<key>:*` for sessions with that label, `labels.<key>:<text>` for those whose value has the
                text in it.
        """
        request = requests.list_sessions(database, page_size, page_token, filter)
        answer = await self._caller.call(rpcs.LIST_SESSIONS, database, request, timeout, retry, metadata)
        page: ListSessionsBody = to_rest(answer)
        return page

    async def iter_sessions(
        self,
        database: str,
        *,
        page_size: int = 0,
        filter: str = "",  # noqa: A002 - the name of the REST parameter
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> AsyncIterator[Session]:
        """Iterate over all sessions of a database, page after page.

        Ends at the last page, or at an empty one whose token is the one that asked for it. Sessions that come and go
        meanwhile may be missing: the server promises no snapshot.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            page_size: most sessions to fetch in one call; 0 for as many as the server gives.
            filter: see `list_sessions`.
            timeout: seconds for each page.
        """
        # Kept whole: a generator would be used up by the first page.
        kept = check_metadata(metadata)
        token = ""
        while True:
            request = requests.list_sessions(database, page_size, token, filter)
            answer = await self._caller.call(rpcs.LIST_SESSIONS, database, request, timeout, retry, kept)
            page: ListSessionsBody = to_rest(answer)
            sessions = page.get("sessions", [])
            for session in sessions:
                yield session
            next_token = page.get("nextPageToken", "")
            if not next_token or (not sessions and next_token == token):
                return
            token = next_token

    async def delete_session(
        self,
        name: str,
        *,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> dict[str, Any]:
        """End a session and what runs on it; the answer is the empty body of REST's `sessions.delete`.

        Args:
            name: the session's name.

        Raises:
            SessionNotFound: the session does not exist any more, and no attempt of this call deleted it.
        """
        request = requests.delete_session(name)
        answer = await self._caller.call(rpcs.DELETE_SESSION, name, request, timeout, retry, metadata)
        empty: dict[str, Any] = to_rest(answer)
        return empty

    async def ping_session(
        self,
        name: str,
        *,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> None:
        """Keep a session alive for another hour by running `SELECT 1` on it, as the REST reference advises.

        Args:
            name: the session's name. Ping idle sessions only: the query uses the session's one transaction.

        Raises:
            SessionNotFound: the session does not exist any more.
        """
        request = requests.ping_session(name)
        await self._caller.call(rpcs.EXECUTE_SQL, name, request, timeout, retry, metadata)

    def channel(self) -> grpc.aio.Channel:
        """Return a channel for stubs of google.spanner.v1, ours or your own, on the client's connections.

        Their calls get the client's token and headers, and Google's published deadline where they give none. They are
        not repeated, and raise what the client's own calls raise. It ends with the client; closing it does nothing.
        """
        return self._caller.channel()

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The service's stub on such a channel."""
        from spanner_grpc_sessions_pb import spanner_pb2_grpc  # noqa: PLC0415 - not needed without stubs

        return spanner_pb2_grpc.SpannerStub(self.channel())

    def call_credentials(self) -> grpc.CallCredentials:
        """Return call credentials of the client's own token source, for channels that you build.

        gRPC asks them for each call on a thread of its own, which costs about as much again as the call; it sends
        them over TLS and local channels only. They serve until the client is closed.
        """
        from spanner_grpc_sessions.auth.call_credentials import call_credentials  # noqa: PLC0415 - seldom needed

        return call_credentials(self._connection.tokens)

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
        # Most clients make no REST call, and need neither the paths nor the decoders.
        from spanner_grpc_sessions.rest.routes import route  # noqa: PLC0415

        rpc, name, request = route(http_method, path, query, body)
        if rpc.streams:
            return await self._caller.stream(rpc, name, request, timeout, retry, metadata)
        return to_rest(await self._caller.call(rpc, name, request, timeout, retry, metadata))
