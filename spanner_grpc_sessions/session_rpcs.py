"""The session RPCs as methods that answer as the REST API does. `session_rpcs_async` is its mirror image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spanner_grpc_sessions.calls.call import CallPath
from spanner_grpc_sessions.calls.headers import check_metadata
from spanner_grpc_sessions.options import DEFAULT, RetryOptions, Timeout
from spanner_grpc_sessions.service import rpcs as methods
from spanner_grpc_sessions.service.types import ListSessionsBody, Session, SessionsBody

__all__ = ["SessionRpcs"]


class SessionRpcs:
    """The part of a client that calls session RPCs. What all of its methods take and raise, the client says.

    Args:
        path: the way that the calls go.
    """

    def __init__(self, path: CallPath) -> None:
        self._path = path

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
