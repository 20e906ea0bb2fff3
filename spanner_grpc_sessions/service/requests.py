"""Requests of the session RPCs, built from checked arguments. Pure.

What the documentation rules out is refused here, before anything is sent. What only the server can know is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.service.limits import MAX_LABELS
from spanner_grpc_sessions.service.names import check_database, check_session

# The rules of labels are those of the resource `Session` in the REST reference.
LABEL_KEY: Final = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
LABEL_VALUE: Final = rf"({LABEL_KEY})?"
_LABEL_RULE: Final = "1 to 63 characters a-z, 0-9 or '-', starting with a letter and not ending with '-'"
_MAX_INT32: Final = 2**31 - 1
_MAX_KEPT: Final = 1024


def create_session(
    database: str, labels: Mapping[str, str] | None = None, creator_role: str | None = None, multiplexed: bool = False
) -> spanner_pb2.CreateSessionRequest:
    """Return the request for one session. An empty Session message is left out, as in Google's clients."""
    if labels is None and creator_role is None and multiplexed is False:
        return _plain_session(check_database(database))
    session = session_template(labels, creator_role)
    if checks.boolean("multiplexed", multiplexed) and session.labels:
        raise InvalidValue("a multiplexed session has no labels: Spanner refuses them")
    session.multiplexed = multiplexed
    request = spanner_pb2.CreateSessionRequest(database=check_database(database))
    if session.ByteSize():
        request.session.CopyFrom(session)
    return request


# Kept, because it is the most frequent request by far, and the same each time. Callers do not change it.
@lru_cache(maxsize=_MAX_KEPT)
def _plain_session(database: str) -> spanner_pb2.CreateSessionRequest:
    return spanner_pb2.CreateSessionRequest(database=database)


def batch_create_sessions(
    database: str, session_count: int, labels: Mapping[str, str] | None = None, creator_role: str | None = None
) -> spanner_pb2.BatchCreateSessionsRequest:
    """Return the request for several sessions, all with the same labels and role."""
    request = spanner_pb2.BatchCreateSessionsRequest(
        database=check_database(database), session_count=checks.whole("session_count", session_count, 1, _MAX_INT32)
    )
    template = session_template(labels, creator_role)
    if template.ByteSize():
        request.session_template.CopyFrom(template)
    return request


def get_session(name: str) -> spanner_pb2.GetSessionRequest:
    """Return the request for the resource of one session."""
    return spanner_pb2.GetSessionRequest(name=check_session(name))


def list_sessions(
    database: str,
    page_size: int = 0,
    page_token: str = "",
    filter: str = "",  # noqa: A002 - the name in REST
) -> spanner_pb2.ListSessionsRequest:
    """Return the request for one page of the sessions of a database."""
    return spanner_pb2.ListSessionsRequest(
        database=check_database(database),
        page_size=checks.whole("page_size", page_size, -_MAX_INT32 - 1, _MAX_INT32),
        page_token=checks.text("page_token", page_token),
        filter=checks.text("filter", filter),
    )


def delete_session(name: str) -> spanner_pb2.DeleteSessionRequest:
    """Return the request that deletes a session."""
    return spanner_pb2.DeleteSessionRequest(name=check_session(name))


def ping_session(name: str) -> spanner_pb2.ExecuteSqlRequest:
    """Return the query that keeps a session alive, as the REST reference advises."""
    return spanner_pb2.ExecuteSqlRequest(session=check_session(name), sql="SELECT 1")


def session_template(labels: Mapping[str, str] | None, creator_role: str | None) -> spanner_pb2.Session:
    """Return a session with what a caller may choose of it."""
    session = spanner_pb2.Session()
    if labels is not None:
        session.labels.update(_checked_labels(labels))
    if creator_role is not None:
        session.creator_role = checks.header_text("creator_role", creator_role)
    return session


def _checked_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(labels, Mapping):
        raise InvalidType(f"labels must be a mapping of str to str, got {type(labels).__name__}")
    if len(labels) > MAX_LABELS:
        raise InvalidValue(f"a session has at most {MAX_LABELS} labels, got {len(labels)}")
    for key, value in labels.items():
        if not re.fullmatch(LABEL_KEY, checks.text("label key", key)):
            raise InvalidValue(f"invalid label key {key!r}: use {_LABEL_RULE}")
        if not re.fullmatch(LABEL_VALUE, checks.text(f"value of label {key!r}", value)):
            raise InvalidValue(f"invalid value {value!r} of label {key!r}: leave it empty or use {_LABEL_RULE}")
    return labels
