"""The client: session RPCs as plain calls that answer as the REST API does. `client_async` is its mirror image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
from google.auth.credentials import Credentials

from spanner_grpc_sessions import methods
from spanner_grpc_sessions.call_path import CallPath
from spanner_grpc_sessions.credentials import CallCredentials, token_source
from spanner_grpc_sessions.errors import InvalidType
from spanner_grpc_sessions.headers import check_metadata
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout
from spanner_grpc_sessions.resources import ListSessionsBody, Session, SessionsBody
from spanner_grpc_sessions.transport import resolve

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SessionsClient"]


class SessionsClient:
    """Cloud Spanner sessions over gRPC, with the bodies of the REST API. Safe to share between threads.

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
        self._path = CallPath(target, options, self._tokens)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path!r}>"

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> Self:
        """Make the channel and start to fetch the token, without waiting for either. Idempotent.

        Raises:
            ClientClosed: the client was closed.
        """
        self._path.open()
        return self

    def close(self) -> None:
        """Close the connection and end the client's thread. Idempotent; calls in flight end as `ClientClosed`."""
        self._path.close()

    def call_credentials(self) -> grpc.CallCredentials:
        """Return call credentials of the client's own token source, for channels that you build.

        gRPC asks them for each call on a thread of its own, which costs about as much again as the call; it sends
        them over TLS and local channels only. They serve until the client is closed.
        """
        return grpc.metadata_call_credentials(CallCredentials(self._tokens), "spanner-grpc-sessions")

    def create_session(
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
        arguments = (labels, creator_role, multiplexed)
        answer: Session = self._path.call(methods.CREATE_SESSION, database, arguments, timeout, retry, metadata)
        return answer

    def batch_create_sessions(
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
        arguments = (session_count, labels, creator_role)
        answer: SessionsBody = self._path.call(
            methods.BATCH_CREATE_SESSIONS, database, arguments, timeout, retry, metadata
        )
        return answer

    def get_session(
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
        answer: Session = self._path.call(methods.GET_SESSION, name, (), timeout, retry, metadata)
        return answer

    def list_sessions(
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
        arguments = (page_size, page_token, filter)
        answer: ListSessionsBody = self._path.call(methods.LIST_SESSIONS, database, arguments, timeout, retry, metadata)
        return answer

    def iter_sessions(
        self,
        database: str,
        *,
        page_size: int = 0,
        filter: str = "",  # noqa: A002 - the name of the REST parameter
        timeout: Timeout = DEFAULT,
        retry: RetryOptions | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Iterator[Session]:
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
            page = self.list_sessions(
                database,
                page_size=page_size,
                page_token=token,
                filter=filter,
                timeout=timeout,
                retry=retry,
                metadata=kept,
            )
            sessions = page.get("sessions", [])
            yield from sessions
            next_token = page.get("nextPageToken", "")
            if not next_token or (not sessions and next_token == token):
                return
            token = next_token

    def delete_session(
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
        answer: dict[str, Any] = self._path.call(methods.DELETE_SESSION, name, (), timeout, retry, metadata)
        return answer

    def ping_session(
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
        self._path.call(methods.PING_SESSION, name, (), timeout, retry, metadata)
