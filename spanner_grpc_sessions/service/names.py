"""The names of databases and sessions. Pure.

The forms are those of the resources `spanner.googleapis.com/Database` and `spanner.googleapis.com/Session`:

    projects/{project}/instances/{instance}/databases/{database}
    projects/{project}/instances/{instance}/databases/{database}/sessions/{session}

Only the form is checked, and that a header can carry the name. The server chooses session ids, and they are opaque:
they are never parsed, sorted or measured.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spanner_grpc_sessions.errors import InvalidName, InvalidType

# Visible ASCII without the slash: in a header, a control character could begin another header.
_ID: Final = r"[!-.0-~]+"
# A name travels in two headers, and gRPC limits the size of all headers together.
_MAX_LENGTH: Final = 2048
_DATABASE_FORM: Final = "projects/{project}/instances/{instance}/databases/{database}"
_SESSION_FORM: Final = _DATABASE_FORM + "/sessions/{session}"
_DATABASE: Final = rf"projects/{_ID}/instances/{_ID}/databases/{_ID}"
_SESSION: Final = rf"{_DATABASE}/sessions/{_ID}"
_MAX_KEPT: Final = 4096
_match_id: Final = re.compile(_ID).fullmatch


def check_database(name: str) -> str:
    """Return the name of a database as a plain str, or raise `InvalidName` or `InvalidType`."""
    return _checked_database(_plain("database", name, _DATABASE_FORM))


def check_session(name: str) -> str:
    """Return the name of a session as a plain str, or raise `InvalidName` or `InvalidType`."""
    return _checked_session(_plain("session", name, _SESSION_FORM))


def is_session_of(database: str, name: str) -> bool:
    """Return whether a name that a server gave is the one of a session of this database."""
    prefix = f"{database}/sessions/"
    return name.startswith(prefix) and len(name) <= _MAX_LENGTH and _match_id(name, len(prefix)) is not None


def database_of(session: str) -> str:
    """Return the name of the database of a session, or raise as `check_session` does."""
    return check_session(session).rpartition("/sessions/")[0]


def _plain(kind: str, name: object, form: str) -> str:
    if not isinstance(name, str):
        raise InvalidType(f"{kind} name must be a str like {form}, got {type(name).__name__}")
    return str.__str__(name)


# Kept, because every call checks a name and few names are in use. Errors are not kept.
@lru_cache(maxsize=_MAX_KEPT)
def _checked_database(name: str) -> str:
    return _matched("database", name, _DATABASE, _DATABASE_FORM)


@lru_cache(maxsize=_MAX_KEPT)
def _checked_session(name: str) -> str:
    return _matched("session", name, _SESSION, _SESSION_FORM)


def _matched(kind: str, name: str, pattern: str, form: str) -> str:
    if len(name) > _MAX_LENGTH:
        raise InvalidName(f"{kind} name must be at most {_MAX_LENGTH} characters long, got {len(name)}")
    if not re.fullmatch(pattern, name):
        raise InvalidName(f"{name!r} is not a {kind} name: expected {form}, ids in visible ASCII")
    return name
