"""Names of databases and sessions: parse and check. Pure: no I/O, no gRPC.

The forms are those of the resources `spanner.googleapis.com/Database` and `spanner.googleapis.com/Session`:

    projects/{project}/instances/{instance}/databases/{database}
    projects/{project}/instances/{instance}/databases/{database}/sessions/{session}

Only the form is checked, and that it can travel in a header; which ids exist is for the server to say. Session ids
are chosen by the server and are opaque: they are never parsed, sorted or measured.
"""

from __future__ import annotations

import re

from spanner_grpc_sessions.errors import InvalidName, InvalidType

__all__ = ["check_database", "check_session", "database_of"]

# Visible ASCII but the slash: the name becomes a header value, where a control character could begin a new header.
_ID = r"[!-.0-~]+"
_LONGEST = 2048
_DATABASE_FORM = "projects/{project}/instances/{instance}/databases/{database}"
_SESSION_FORM = _DATABASE_FORM + "/sessions/{session}"
_DATABASE = re.compile(rf"projects/{_ID}/instances/{_ID}/databases/{_ID}")
_SESSION = re.compile(rf"({_DATABASE.pattern})/sessions/{_ID}")


def check_database(name: str) -> str:
    """Return `name` if it has the form of a database name.

    Args:
        name: `projects/{project}/instances/{instance}/databases/{database}`; each id at least one visible ASCII
            character, none of them a slash.

    Raises:
        InvalidName: the text has another form, or more than 2,048 characters.
        InvalidType: it is not a string.
    """
    _require_text(name, "database", _DATABASE_FORM)
    if not _DATABASE.fullmatch(name):
        raise InvalidName(f"{name!r} is not a database name: expected {_DATABASE_FORM}, ids in visible ASCII")
    return name


def check_session(name: str) -> str:
    """Return `name` if it has the form of a session name.

    Args:
        name: a database name followed by `/sessions/{session}`.

    Raises:
        InvalidName: the text has another form, or more than 2,048 characters.
        InvalidType: it is not a string.
    """
    _match_session(name)
    return name


def database_of(session: str) -> str:
    """Return the name of the database that a session belongs to.

    Raises:
        InvalidName: `session` is not a session name, or has more than 2,048 characters.
        InvalidType: it is not a string.
    """
    return _match_session(session)[1]


def _match_session(name: str) -> re.Match[str]:
    _require_text(name, "session", _SESSION_FORM)
    match = _SESSION.fullmatch(name)
    if not match:
        raise InvalidName(f"{name!r} is not a session name: expected {_SESSION_FORM}, ids in visible ASCII")
    return match


def _require_text(name: object, kind: str, form: str) -> None:
    if not isinstance(name, str):
        raise InvalidType(f"{kind} name must be a str like {form}, got {type(name).__name__}")
    if len(name) > _LONGEST:
        # It travels in two headers and gRPC bounds them all: the call would fail, and be repeated until its deadline.
        raise InvalidName(f"{kind} name must be at most {_LONGEST} characters long, got {len(name)}")
