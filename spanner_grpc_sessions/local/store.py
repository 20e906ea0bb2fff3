"""The sessions that a server knows, and Spanner's rules for them. No gRPC; the time is always passed in.

The rules are the documented ones of sessions.create, batchCreate, get, list and delete. Where the documentation is
silent, the store does what Google's emulator does, and the docstring says so.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Final

from google.protobuf.empty_pb2 import Empty
from spanner_grpc_sessions_pb import spanner_pb2 as pb

from spanner_grpc_sessions.errors import InvalidName, InvalidValue
from spanner_grpc_sessions.local.status import RpcStatus, resource_not_found
from spanner_grpc_sessions.service.filters import label_filter
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, LIFETIME_LIMIT, MAX_BATCH, MAX_LABELS
from spanner_grpc_sessions.service.names import check_database, database_of
from spanner_grpc_sessions.service.requests import LABEL_KEY, LABEL_VALUE

_MAX_PAGE: Final = 1000
_Sessions = dict[str, pb.Session]


class SessionStore:
    """Sessions in memory, and what the session RPCs do with them. Safe to share between threads.

    The methods for RPCs raise `RpcStatus`: INVALID_ARGUMENT for a malformed name or a broken rule, NOT_FOUND (with
    ResourceInfo) for a session or database that does not exist. A session message never changes after it was returned.

    Args:
        new_id: makes the id of a new session; ids must never repeat.
        databases: names of the databases that exist; None if every well-formed name is one.
    """

    def __init__(self, new_id: Callable[[], str], databases: Iterable[str] | None = None) -> None:
        self._new_id = new_id
        self._databases = None if databases is None else frozenset(map(check_database, databases))
        self._dropped: set[str] = set()
        self._sessions: dict[str, _Sessions] = {}
        self._lock = threading.Lock()

    def create(self, request: pb.CreateSessionRequest, now: float) -> pb.Session:
        """Create a session. A multiplexed one takes no labels."""
        template = request.session
        _check_labels(template.labels)
        if template.multiplexed and template.labels:
            raise RpcStatus("INVALID_ARGUMENT", "Multiplexed sessions do not support labels.")
        with self._lock:
            return self._add(request.database, 1, template, now)[0]

    def batch_create(self, request: pb.BatchCreateSessionsRequest, now: float) -> pb.BatchCreateSessionsResponse:
        """Create sessions, but silently no more than 100; none if none are asked for, as the emulator does."""
        count, template = request.session_count, request.session_template
        _check_labels(template.labels)
        if template.multiplexed:
            raise RpcStatus("INVALID_ARGUMENT", "Multiplexed sessions cannot be created in a batch.")
        if count < 0:
            raise RpcStatus("INVALID_ARGUMENT", f"Invalid number of sessions {count}: it must not be negative.")
        with self._lock:
            sessions = self._add(request.database, min(count, MAX_BATCH), template, now)
        return pb.BatchCreateSessionsResponse(session=sessions)

    def get(self, request: pb.GetSessionRequest, now: float) -> pb.Session:
        """Return a session. This counts as use, as on the emulator."""
        return self.use(request.name, now)

    def use(self, name: str, now: float) -> pb.Session:
        """Return a session and mark it as used. No RPC by itself."""
        with self._lock:
            sessions = self._sessions_of(_checked(database_of, name))
            used = pb.Session()
            used.CopyFrom(_find(sessions, name, now))
            used.approximate_last_use_time.FromMicroseconds(_micros(now))
            sessions[name] = used
            return used

    def page(self, request: pb.ListSessionsRequest, now: float) -> pb.ListSessionsResponse:
        """Return regular sessions in the order of their names; multiplexed ones are never listed.

        A page size that is not positive, or above 1000, means 1000.
        """
        after = _read_page_token(request.page_token, request.database)
        matches = parse_filter(request.filter)
        with self._lock:
            sessions = _alive(self._sessions_of(request.database), now)
        listed = [each for each in sessions if not each.multiplexed and matches(each.labels) and each.name > after]
        listed.sort(key=attrgetter("name"))
        size = min(request.page_size, _MAX_PAGE) if request.page_size > 0 else _MAX_PAGE
        page = pb.ListSessionsResponse(sessions=listed[:size])
        if size < len(listed):
            page.next_page_token = base64.urlsafe_b64encode(listed[size - 1].name.encode()).decode()
        return page

    def delete(self, request: pb.DeleteSessionRequest, now: float) -> Empty:
        """Delete a session, which must not be a multiplexed one."""
        name = request.name
        with self._lock:
            sessions = self._sessions_of(_checked(database_of, name))
            if _find(sessions, name, now).multiplexed:
                raise RpcStatus("INVALID_ARGUMENT", f"Multiplexed sessions may not be deleted: {name}")
            del sessions[name]
        return Empty()

    def alive(self, now: float) -> list[pb.Session]:
        """Return every session alive, multiplexed ones included, in the order of their creation."""
        with self._lock:
            return [session for sessions in self._sessions.values() for session in _alive(sessions, now)]

    def forget(self, name: str) -> None:
        """Drop a session, as a server may do at any time. Raises InvalidValue if there is none. No RPC."""
        with self._lock:
            if self._sessions.get(database_of(name), {}).pop(name, None) is None:
                raise InvalidValue(f"there is no session {name!r} to forget")

    def drop_database(self, name: str) -> None:
        """Drop a database with its sessions. No RPC.

        Calls about one of its sessions are then answered with "Database not found", as the integration test
        `databaseDeletedTest` of java-spanner expects of Spanner. The emulator says "Session not found" instead.
        """
        with self._lock:
            self._dropped.add(check_database(name))
            self._sessions.pop(name, None)

    def _sessions_of(self, database: str) -> _Sessions:
        if database not in self._sessions:
            _checked(check_database, database)
            if database in self._dropped or (self._databases is not None and database not in self._databases):
                raise resource_not_found("google.spanner.admin.database.v1.Database", database)
            self._sessions[database] = {}
        return self._sessions[database]

    def _add(self, database: str, count: int, template: pb.Session, now: float) -> list[pb.Session]:
        sessions = self._sessions_of(database)
        added = []
        for _ in range(count):
            session = pb.Session()
            session.CopyFrom(template)
            session.name = f"{database}/sessions/{self._new_id()}"
            session.create_time.FromMicroseconds(_micros(now))
            session.approximate_last_use_time.FromMicroseconds(_micros(now))
            sessions[session.name] = session
            added.append(session)
        return added


def _find(sessions: _Sessions, name: str, now: float) -> pb.Session:
    session = sessions.get(name)
    if session is None or _expired(session, now):
        sessions.pop(name, None)
        raise resource_not_found("google.spanner.v1.Session", name)
    return session


def _alive(sessions: _Sessions, now: float) -> list[pb.Session]:
    for name in [name for name, session in sessions.items() if _expired(session, now)]:
        del sessions[name]
    return list(sessions.values())


def _expired(session: pb.Session, now: float) -> bool:
    idle = _micros(now) - session.approximate_last_use_time.ToMicroseconds()
    age = _micros(now) - session.create_time.ToMicroseconds()
    return age > _micros(LIFETIME_LIMIT) or (idle > _micros(IDLE_LIMIT) and not session.multiplexed)


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _checked(check: Callable[[str], str], name: str) -> str:
    try:
        return check(name)
    except InvalidName as error:
        raise RpcStatus("INVALID_ARGUMENT", str(error)) from error


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise RpcStatus("INVALID_ARGUMENT", f"Too many labels: {len(labels)}. A session has at most {MAX_LABELS}.")
    for key, value in labels.items():
        for what, text, rule in (("key", key, LABEL_KEY), (f"value of {key!r}", value, LABEL_VALUE)):
            if not re.fullmatch(rule, text):
                raise RpcStatus("INVALID_ARGUMENT", f"Invalid label {what}: {text!r} is not of the form {rule}")


def _read_page_token(token: str, database: str) -> str:
    """Return the name after which the page starts, "" for the first page."""
    with suppress(ValueError):
        last = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        if not token or last.startswith(f"{database}/sessions/"):
            return last
    raise RpcStatus("INVALID_ARGUMENT", f"Invalid page token {token!r}: it is not from a list of this database.")


def parse_filter(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a function that tells if labels match a filter of ListSessions; see `label_filter`."""
    try:
        return label_filter(text)
    except InvalidValue as error:
        raise RpcStatus("INVALID_ARGUMENT", f"I{str(error)[1:]}") from None
