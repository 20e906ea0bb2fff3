"""Requests of the session RPCs, built from checked arguments. Pure: no I/O.

What the documents rule out is refused here, before anything is sent; what only the server can know is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short

__all__ = ["batch_create_sessions", "create_session", "delete_session", "get_session", "list_sessions", "ping_session"]

# The label rules of the Session resource in the REST reference.
_LABEL_KEY: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([a-z]([-a-z0-9]{0,61}[a-z0-9])?)?")
_MOST_LABELS: Final = 64
_INT32: Final = range(-(2**31), 2**31)


def create_session(
    database: str, labels: Mapping[str, str] | None, creator_role: str | None, multiplexed: bool
) -> spanner_pb2.CreateSessionRequest | bytes:
    """Return the request for one session; an empty Session message is left out, as Google's clients do.

    The plain one comes as bytes: it is the most frequent by far, and the same every time.
    """
    if labels is None and creator_role is None and multiplexed is False:
        return _plain_session(database)
    if not isinstance(multiplexed, bool):
        raise InvalidType(f"multiplexed must be a bool, got {short(multiplexed)}")
    session = _template(labels, creator_role)
    if multiplexed and session.labels:
        raise InvalidValue("a multiplexed session has no labels: Spanner refuses them")
    session.multiplexed = multiplexed
    return spanner_pb2.CreateSessionRequest(database=database, session=session if session.ByteSize() else None)


@lru_cache(maxsize=1024)
def _plain_session(database: str) -> bytes:
    return spanner_pb2.CreateSessionRequest(database=database).SerializeToString()


def batch_create_sessions(
    database: str, session_count: int, labels: Mapping[str, str] | None, creator_role: str | None
) -> spanner_pb2.BatchCreateSessionsRequest:
    """Return the request for many sessions, all with the same labels and role."""
    _require_int32("session_count", session_count)
    if session_count < 1:
        raise InvalidValue(f"session_count must be at least 1, got {session_count}")
    request = spanner_pb2.BatchCreateSessionsRequest(database=database, session_count=session_count)
    template = _template(labels, creator_role)
    if template.ByteSize():
        request.session_template.CopyFrom(template)
    return request


def get_session(name: str) -> spanner_pb2.GetSessionRequest:
    """Return the request for one session's resource."""
    return spanner_pb2.GetSessionRequest(name=name)


def list_sessions(database: str, page_size: int, page_token: str, filter_: str) -> spanner_pb2.ListSessionsRequest:
    """Return the request for one page of a database's sessions."""
    _require_int32("page_size", page_size)
    return spanner_pb2.ListSessionsRequest(
        database=database,
        page_size=page_size,
        page_token=_text("page_token", page_token),
        filter=_text("filter", filter_),
    )


def delete_session(name: str) -> spanner_pb2.DeleteSessionRequest:
    """Return the request that ends a session."""
    return spanner_pb2.DeleteSessionRequest(name=name)


def ping_session(name: str) -> spanner_pb2.ExecuteSqlRequest:
    """Return the query that the REST reference names for keeping a session alive."""
    return spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")


def _template(labels: Mapping[str, str] | None, creator_role: str | None) -> spanner_pb2.Session:
    session = spanner_pb2.Session()
    if labels is not None:
        session.labels.update(_checked_labels(labels))
    if creator_role is not None:
        role = _text("creator_role", creator_role)
        if not (role and role.isascii() and role.isprintable()):
            raise InvalidValue(f"creator_role must be non-empty printable ASCII, got {role!r}")
        session.creator_role = role
    return session


def _checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(labels, Mapping):
        raise InvalidType(f"labels must be a mapping of str to str, got {type(labels).__name__}")
    if len(labels) > _MOST_LABELS:
        raise InvalidValue(f"a session has at most {_MOST_LABELS} labels, got {len(labels)}")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(_text("label key", key)):
            raise InvalidValue(
                f"label key {key!r} breaks the rule: 1 to 63 of a-z, 0-9 and -, first a letter, last no hyphen"
            )
        if not _LABEL_VALUE.fullmatch(_text(f"value of label {key!r}", value)):
            raise InvalidValue(
                f"value {value!r} of label {key!r} breaks the rule: empty, or 1 to 63 of a-z, 0-9 and -, "
                "first a letter, last no hyphen"
            )
    return dict(labels)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidType(f"{what} must be a str, got {short(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{what} must be text that UTF-8 can hold, got {value!r}") from error
    return value


def _require_int32(what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{what} must be an int, got {short(value)}")
    if value not in _INT32:
        raise InvalidValue(f"{what} must fit in 32 bits, got {short(value)}")
