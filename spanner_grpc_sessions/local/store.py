"""The sessions that a server knows, and Spanner's rules for them. No gRPC; the time is always handed in.

The rules are those that Spanner documents for sessions.create, batchCreate, get, list and delete. Where the documents
are silent the behaviour is the one of Google's emulator, and the docstring says so.
"""

from __future__ import annotations

import base64
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Final, NamedTuple, NoReturn

from spanner_grpc_sessions.errors import InvalidName, InvalidValue
from spanner_grpc_sessions.local.filters import parse_filter
from spanner_grpc_sessions.local.status import Refusal, resource_not_found
from spanner_grpc_sessions.service.names import check_database, database_of

__all__ = ["Page", "Session", "SessionStore"]

SESSION_TYPE: Final = "google.spanner.v1.Session"
DATABASE_TYPE: Final = "google.spanner.admin.database.v1.Database"

MAX_IDLE: Final = 3600.0
MAX_AGE: Final = 28 * 86400.0
MAX_BATCH: Final = 100
MAX_PAGE: Final = 1000
MAX_LABELS: Final = 64
MAX_LABEL_TEXT: Final = 63

_NAME = attrgetter("name")
_LABEL_KEY = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([a-z]([-a-z0-9]*[a-z0-9])?)?")


class Session(NamedTuple):
    """A session as the server keeps it. Times are seconds since the epoch."""

    name: str
    labels: Mapping[str, str]
    creator_role: str
    multiplexed: bool
    create_time: float
    last_use_time: float

    def expired(self, now: float) -> bool:
        """Tell whether the server drops the session: too old, or, unless it is multiplexed, too long unused."""
        idle = not self.multiplexed and now - self.last_use_time > MAX_IDLE
        return idle or now - self.create_time > MAX_AGE


class Page(NamedTuple):
    """A page of ListSessions."""

    sessions: list[Session]
    next_page_token: str


class SessionStore:
    """Sessions in memory. Safe to share between threads.

    Args:
        new_id: makes the id of a new session; ids must never repeat.
        databases: names of the databases that exist; None lets every well-formed name be one.

    Every method that takes part in an RPC raises `Refusal`: INVALID_ARGUMENT for a malformed name or a broken rule,
    NOT_FOUND (with ResourceInfo) for a session or database that is not there.
    """

    def __init__(self, new_id: Callable[[], str], databases: Iterable[str] | None = None) -> None:
        self._new_id = new_id
        self._databases = None if databases is None else frozenset(map(check_database, databases))
        self._dropped: set[str] = set()
        self._sessions: dict[str, dict[str, Session]] = {}
        self._lock = threading.Lock()

    def create(
        self, database: str, *, labels: Mapping[str, str], creator_role: str, multiplexed: bool, now: float
    ) -> Session:
        """Make a session. A multiplexed one takes no labels."""
        _check_labels(labels)
        if multiplexed and labels:
            raise Refusal("INVALID_ARGUMENT", "Multiplexed sessions do not support labels.")
        with self._lock:
            sessions = self._sessions_of(database)
            return self._add(sessions, database, labels, creator_role, multiplexed, now)

    def batch_create(
        self, database: str, count: int, *, labels: Mapping[str, str], creator_role: str, multiplexed: bool, now: float
    ) -> list[Session]:
        """Make `count` sessions, silently no more than 100; none for 0, as the emulator does."""
        _check_labels(labels)
        if multiplexed:
            raise Refusal("INVALID_ARGUMENT", "Multiplexed sessions cannot be created in a batch.")
        if count < 0:
            raise Refusal("INVALID_ARGUMENT", f"Invalid number of sessions {count}: it must not be negative.")
        with self._lock:
            sessions = self._sessions_of(database)
            return [
                self._add(sessions, database, labels, creator_role, False, now) for _ in range(min(count, MAX_BATCH))
            ]

    def use(self, name: str, now: float) -> Session:
        """Return a session and mark it as used.

        ExecuteSql and GetSession both count as use; that GetSession does is seen on the emulator.
        """
        with self._lock:
            sessions = self._sessions_of(_database_of(name))
            used = _find(sessions, name, now)._replace(last_use_time=now)
            sessions[name] = used
            return used

    def page(self, database: str, *, page_size: int, page_token: str, filter_text: str, now: float) -> Page:
        """Return regular sessions in order of their names; multiplexed ones are never listed.

        A page size that is not positive, or above 1000, means 1000.
        """
        after = _read_page_token(page_token, database)
        wanted = parse_filter(filter_text)
        with self._lock:
            sessions = _alive(self._sessions_of(database), now)
        listed = [session for session in sessions if not session.multiplexed and wanted.matches(session.labels)]
        listed.sort(key=_NAME)
        start = bisect_right(listed, after, key=_NAME)
        size = min(page_size, MAX_PAGE) if page_size > 0 else MAX_PAGE
        page = listed[start : start + size]
        return Page(page, _page_token(page[-1].name) if start + size < len(listed) else "")

    def delete(self, name: str, now: float) -> None:
        """End a session. A multiplexed one may not be deleted."""
        with self._lock:
            sessions = self._sessions_of(_database_of(name))
            if _find(sessions, name, now).multiplexed:
                raise Refusal("INVALID_ARGUMENT", f"Multiplexed sessions may not be deleted: {name}")
            del sessions[name]

    def alive(self, now: float) -> list[Session]:
        """Return every session alive, multiplexed ones included, in the order they were made."""
        with self._lock:
            return [session for sessions in self._sessions.values() for session in _alive(sessions, now)]

    def forget(self, name: str) -> None:
        """Drop a session, as a server may do at any time. No RPC.

        Raises:
            InvalidName: `name` is not a session name.
            InvalidValue: there is no such session.
        """
        with self._lock:
            if self._sessions.get(database_of(name), {}).pop(name, None) is None:
                raise InvalidValue(f"there is no session {name!r} to forget")

    def drop_database(self, name: str) -> None:
        """Drop a database with its sessions. No RPC.

        From then on a call about one of those sessions meets "Database not found": what the real service comes to
        answer, as the integration test `databaseDeletedTest` of java-spanner expects. The emulator says "Session not
        found" instead.

        Raises:
            InvalidName: `name` is not a database name.
        """
        with self._lock:
            self._dropped.add(check_database(name))
            self._sessions.pop(name, None)

    def _sessions_of(self, database: str) -> dict[str, Session]:
        sessions = self._sessions.get(database)
        if sessions is not None:
            return sessions
        _check(check_database, database)
        if database in self._dropped or (self._databases is not None and database not in self._databases):
            raise resource_not_found(DATABASE_TYPE, database)
        return self._sessions.setdefault(database, {})

    def _add(
        self,
        sessions: dict[str, Session],
        database: str,
        labels: Mapping[str, str],
        creator_role: str,
        multiplexed: bool,
        now: float,
    ) -> Session:
        name = f"{database}/sessions/{self._new_id()}"
        sessions[name] = session = Session(name, labels, creator_role, multiplexed, now, now)
        return session


def _find(sessions: dict[str, Session], name: str, now: float) -> Session:
    session = sessions.get(name)
    if session is None:
        raise resource_not_found(SESSION_TYPE, name)
    if session.expired(now):
        del sessions[name]
        raise resource_not_found(SESSION_TYPE, name)
    return session


def _alive(sessions: dict[str, Session], now: float) -> list[Session]:
    for session in [session for session in sessions.values() if session.expired(now)]:
        del sessions[session.name]
    return list(sessions.values())


def _database_of(name: str) -> str:
    return _check(database_of, name)


def _check(check: Callable[[str], str], name: str) -> str:
    try:
        return check(name)
    except InvalidName as error:
        raise Refusal("INVALID_ARGUMENT", str(error)) from error


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise Refusal("INVALID_ARGUMENT", f"Too many labels: {len(labels)}. A session has at most {MAX_LABELS}.")
    for key, value in labels.items():
        _check_label("key", key, _LABEL_KEY)
        _check_label(f"value of {key!r}", value, _LABEL_VALUE)


def _check_label(what: str, text: str, rule: re.Pattern[str]) -> None:
    if len(text) > MAX_LABEL_TEXT or not rule.fullmatch(text):
        raise Refusal(
            "INVALID_ARGUMENT",
            f"Invalid label {what}: {text!r} is not at most {MAX_LABEL_TEXT} characters of the form {rule.pattern}",
        )


def _page_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _read_page_token(token: str, database: str) -> str:
    """Return the name after which the page starts."""
    if not token:
        return ""
    try:
        last = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        _refuse_page_token(token)
    if not last.startswith(f"{database}/sessions/"):
        _refuse_page_token(token)
    return last


def _refuse_page_token(token: str) -> NoReturn:
    raise Refusal("INVALID_ARGUMENT", f"Invalid page token {token!r}: it is not from a list of this database.")
