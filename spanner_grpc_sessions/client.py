# Generated from client_async.py by scripts/unasync.py. Do not edit: edit that file and run `make sync`.
"""The client: session RPCs as calls that return REST bodies."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.calls.answers import rest_of
from spanner_grpc_sessions.calls.call import Caller
from spanner_grpc_sessions.calls.headers import check_metadata
from spanner_grpc_sessions.errors import checks
from spanner_grpc_sessions.options import DEFAULT, CallMetadata, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.service import requests, rpcs
from spanner_grpc_sessions.transport.channel import resolve
from spanner_grpc_sessions.transport.connection import Connection

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    import grpc
    from google.auth.credentials import Credentials
    from spanner_grpc_sessions_pb import spanner_pb2_grpc
    from typing_extensions import Self, Unpack

    from spanner_grpc_sessions.service.types import (
        BatchCreateSessionsRequest,
        CreateSessionRequest,
        ListSessionsBody,
        Session,
        SessionsBody,
    )

    class _RestOptions(TypedDict, total=False):
        query: Mapping[str, Any] | None
        timeout: Timeout
        retry: RetryOptions | None
        metadata: CallMetadata


class SessionsClient:
    """Cloud Spanner sessions over gRPC, as REST bodies. Safe to share between threads.

    A context manager. It opens at its first call, if it was not opened before. Close it when you are done.

    All methods that call the server take

    - `timeout`: seconds for the whole call, all attempts included; None for no limit. The default is the one that
      Google publishes for the RPC (30 s, BatchCreateSessions 60 s, ListSessions 3600 s).
    - `retry`: which failures are retried, instead of the client's options; `RetryOptions.none()` for none.
    - `metadata`: additional request headers, pairs of key and value.

    and raise

    - `InvalidValue`, `InvalidType`: an argument is invalid; nothing was sent.
    - `CredentialsError`: no token could be obtained.
    - `RpcError`: the call failed; there is a subclass for each status.
    - `ClientClosed`: the client is closed.

    Args:
        credentials: any google.auth credentials; None for application default credentials. Credentials without scopes
            get those of the options. On the emulator (`SPANNER_EMULATOR_HOST`) no token is sent.
        options: where the client connects and how.

    Raises:
        CredentialsError: the credentials would travel in plaintext to another machine.
        InvalidType: `credentials` or `options` have the wrong type.
    """

    def __init__(self, credentials: Credentials | None = None, *, options: ClientOptions | None = None) -> None:
        options = checks.optional("options", options, ClientOptions) or ClientOptions()
        target = resolve(options, credentials)
        tokens = tokens_for(credentials, options, address=target.address, authenticated=target.authenticated)
        self._connection = Connection(target, options, tokens)
        self._caller = Caller(self._connection, options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None and connection.state == "open":
            connection.abandon()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)

    __reduce_ex__: Any = checks.uncopyable("share it, or create one in each process with the same arguments")

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Self:
        """Create the channel and start fetching a token, without waiting for either. Idempotent.

        Raises:
            ClientClosed: the client is closed.
        """
        self._connection.open()
        return self

    def close(self) -> None:
        """Close the connection and end the client's thread. Idempotent; calls in flight raise `ClientClosed`."""
        self._connection.close()

    def warm_up(self, timeout: float | None = 30.0) -> None:
        """Connect and fetch a token at the same time, so that the first call is as fast as any other.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: the client could not connect in time; the text says why.
            Unavailable: it never will: the certificate of the server is not trusted, or of another host.
            CredentialsError: no token could be obtained in time.
            ClientClosed: the client is closed.
        """
        self._connection.warm_up(check_timeout(timeout))

    def create_session(
        self,
        database: str,
        *,
        labels: Mapping[str, str] | None = None,
        creator_role: str | None = None,
        multiplexed: bool = False,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> Session:
        """Create a session; return the body of REST's `sessions.create`.

        A session runs one transaction at a time, and the server drops it after an hour without use. Keep and reuse
        it, and delete it when you no longer need it. If an answer is lost, its session stays behind for that hour.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            labels: at most 64. Keys have 1 to 63 characters a-z, 0-9 and '-', start with a letter and do not end with
                '-'; values are empty or follow the same rule (the rules of the REST resource `Session`).
            creator_role: the database role of the session (fine-grained access control).
            multiplexed: create a session for any number of transactions at a time. It has no labels, cannot be listed
                or deleted, and lives 28 days.
        """
        request = requests.create_session(database, labels, creator_role, multiplexed)
        answer = self._caller.call(rpcs.CREATE_SESSION, database, request, timeout, retry, metadata)
        session: Session = rest_of(rpcs.CREATE_SESSION, answer)
        return session

    def batch_create_sessions(
        self,
        database: str,
        session_count: int,
        *,
        labels: Mapping[str, str] | None = None,
        creator_role: str | None = None,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> SessionsBody:
        """Create several sessions in one call; return the body of REST's `sessions.batchCreate`.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            session_count: the number of sessions, at least 1. The server may create fewer, and at most 100.
            labels: of each session; see `create_session`.
            creator_role: of each session; see `create_session`.
        """
        request = requests.batch_create_sessions(database, session_count, labels, creator_role)
        answer = self._caller.call(rpcs.BATCH_CREATE_SESSIONS, database, request, timeout, retry, metadata)
        sessions: SessionsBody = rest_of(rpcs.BATCH_CREATE_SESSIONS, answer)
        return sessions

    def get_session(
        self, name: str, *, timeout: Timeout = DEFAULT, retry: RetryOptions | None = None, metadata: CallMetadata = ()
    ) -> Session:
        """Return a session, as the body of REST's `sessions.get`.

        Args:
            name: the name of the session, as it was returned when the session was created.

        Raises:
            SessionNotFound: the session no longer exists.
        """
        request = requests.get_session(name)
        answer = self._caller.call(rpcs.GET_SESSION, name, request, timeout, retry, metadata)
        session: Session = rest_of(rpcs.GET_SESSION, answer)
        return session

    def list_sessions(
        self,
        database: str,
        *,
        page_size: int = 0,
        page_token: str = "",
        filter: str = "",  # noqa: A002 - the name of the REST parameter
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> ListSessionsBody:
        """Return one page of the sessions of a database, as the body of REST's `sessions.list`.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            page_size: the largest number of sessions to return; 0 lets the server choose.
            page_token: the `nextPageToken` of the previous page.
            filter: `labels.<key>:*` for sessions with that label, `labels.<key>:<text>` for those whose value contains
                the text. Google's emulator ignores it and lists all sessions.
        """
        request = requests.list_sessions(database, page_size, page_token, filter)
        answer = self._caller.call(rpcs.LIST_SESSIONS, database, request, timeout, retry, metadata)
        page: ListSessionsBody = rest_of(rpcs.LIST_SESSIONS, answer)
        return page

    def iter_sessions(
        self,
        database: str,
        *,
        page_size: int = 0,
        filter: str = "",  # noqa: A002 - the name of the REST parameter
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> Iterator[Session]:
        """Iterate over all sessions of a database, fetching page after page.

        It ends at the last page, or at an empty page that repeats its own token. The list is no snapshot: sessions
        that are created or deleted during the iteration may be missing.

        Args:
            database: `projects/{project}/instances/{instance}/databases/{database}`.
            page_size: the largest number of sessions to fetch in one call; 0 lets the server choose.
            filter: see `list_sessions`.
            timeout: seconds for each page.
        """
        # A generator would be used up by the first page.
        kept = check_metadata(metadata)
        token = ""
        while True:
            request = requests.list_sessions(database, page_size, token, filter)
            answer = self._caller.call(rpcs.LIST_SESSIONS, database, request, timeout, retry, kept)
            page: ListSessionsBody = rest_of(rpcs.LIST_SESSIONS, answer)
            sessions = page.get("sessions", [])
            yield from sessions
            next_token = page.get("nextPageToken", "")
            if not next_token or (not sessions and next_token == token):
                return
            token = next_token

    def delete_session(
        self, name: str, *, timeout: Timeout = DEFAULT, retry: RetryOptions | None = None, metadata: CallMetadata = ()
    ) -> dict[str, Any]:
        """Delete a session and end what runs on it; return the empty body of REST's `sessions.delete`.

        Args:
            name: the name of the session.

        Raises:
            SessionNotFound: the session did not exist when the call began.
        """
        request = requests.delete_session(name)
        answer = self._caller.call(rpcs.DELETE_SESSION, name, request, timeout, retry, metadata)
        empty: dict[str, Any] = rest_of(rpcs.DELETE_SESSION, answer)
        return empty

    def ping_session(
        self, name: str, *, timeout: Timeout = DEFAULT, retry: RetryOptions | None = None, metadata: CallMetadata = ()
    ) -> None:
        """Keep a session alive for another hour by running `SELECT 1`, as the REST reference advises.

        Args:
            name: the name of the session. Ping idle sessions only: the query uses the session's one transaction.

        Raises:
            SessionNotFound: the session no longer exists.
        """
        request = requests.ping_session(name)
        self._caller.call(rpcs.EXECUTE_SQL, name, request, timeout, retry, metadata)

    def channel(self, *, interceptors: Iterable[Any] = (), retry: RetryOptions | None = None) -> grpc.Channel:
        """Return a channel for stubs of google.spanner.v1, ours or yours, on the client's connections.

        Their calls carry the client's token and headers, and Google's published deadline if they set none. Headers of
        their own take the place of the client's, but for `authorization`. They raise the exceptions of the client's own
        calls, which are gRPC's too, and the client's observer is told of them. The channel ends with the client;
        closing it does nothing.

        Args:
            interceptors: gRPC's client interceptors, the first one outermost.
            retry: which failures are retried: of calls with one answer, and of streams before their first message.
                None is `ClientOptions.stub_retry`, by default no retry. Retry only what may be done twice: reads, and
                a commit of a transaction by its id.

        Raises:
            InvalidType: an interceptor or `retry` has the wrong type.
        """
        return self._caller.channel(retry=retry, interceptors=interceptors)

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The stub of the service, on the channel that `channel` returns."""
        from spanner_grpc_sessions_pb import spanner_pb2_grpc  # noqa: PLC0415 - not needed without stubs

        return spanner_pb2_grpc.SpannerStub(self.channel())

    def call_credentials(self) -> grpc.CallCredentials:
        """Return gRPC call credentials with the client's tokens, for channels that you build.

        gRPC runs them on a new thread for each call, which costs about as much as the call itself, and sends them over
        TLS and local channels only. They work until the client is closed.
        """
        from spanner_grpc_sessions.auth.call_credentials import call_credentials  # noqa: PLC0415 - seldom needed

        return call_credentials(self._connection.tokens)

    # Type checkers cannot tell from a path which method it names, but some bodies fit only one.
    @overload
    def rest(
        self, http_method: Literal["POST"], path: str, body: CreateSessionRequest, **options: Unpack[_RestOptions]
    ) -> Session: ...

    @overload
    def rest(
        self, http_method: Literal["POST"], path: str, body: BatchCreateSessionsRequest, **options: Unpack[_RestOptions]
    ) -> SessionsBody: ...

    @overload
    def rest(
        self, http_method: Literal["DELETE"], path: str, body: None = None, **options: Unpack[_RestOptions]
    ) -> dict[str, Any]: ...

    @overload
    def rest(
        self, http_method: str, path: str, body: Mapping[str, Any] | None = None, **options: Unpack[_RestOptions]
    ) -> Any: ...

    def rest(
        self,
        http_method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: CallMetadata = (),
    ) -> Any:
        """Make a REST call of the resource `spanner.projects.instances.databases.sessions`, over gRPC.

        Args:
            http_method: "GET", "POST" or "DELETE".
            path: `/v1/projects/…`, as in the REST reference; it may end in a query.
            body: the JSON object of the request, or None.
            query: query parameters, name to value or list of values; None is an absent parameter.

        Returns:
            The body that REST answers, a dict. A method that streams returns an iterator of bodies, each as soon as it
            arrives: a `streams.Stream`, or its asynchronous twin. Read it to its end, close it, or use it in a `with`
            block: until then the server works for it. It is never retried, and `timeout` is for all of it.

        Raises:
            InvalidRequest: the query or body is invalid; the message says where.
            UnknownPath: the API has no such method.
        """
        # Most clients make no REST call, and need neither the paths nor the decoders.
        from spanner_grpc_sessions.rest.routes import route  # noqa: PLC0415

        rpc, name, request = route(http_method, path, query, body)
        if rpc.streams:
            return self._caller.stream(rpc, name, request, timeout, retry, metadata)
        return rest_of(rpc, self._caller.call(rpc, name, request, timeout, retry, metadata))
