"""The shapes of the REST bodies of the session methods, for type checkers. Pure: nothing here runs."""

from __future__ import annotations

from typing import TypedDict

__all__ = [
    "BatchCreateSessionsRequest",
    "CreateSessionRequest",
    "ListSessionsBody",
    "Session",
    "SessionTemplate",
    "SessionsBody",
]


class _Always(TypedDict):
    name: str
    createTime: str
    approximateLastUseTime: str


class Session(_Always, total=False):
    """A session as REST gives it.

    `name`, `createTime` and `approximateLastUseTime` are always there; another key is absent where its value is empty
    or false. The times are RFC 3339 text in UTC.
    """

    labels: dict[str, str]
    creatorRole: str
    multiplexed: bool


class SessionsBody(TypedDict, total=False):
    """What `sessions.batchCreate` answers. The key is `session`, though it holds a list."""

    session: list[Session]


class ListSessionsBody(TypedDict, total=False):
    """One page of `sessions.list`. No `nextPageToken`: it was the last."""

    sessions: list[Session]
    nextPageToken: str


class SessionTemplate(TypedDict, total=False):
    """What is asked of a session, in the body of `sessions.create` and `sessions.batchCreate`."""

    labels: dict[str, str]
    creatorRole: str
    multiplexed: bool


class CreateSessionRequest(TypedDict):
    """The body of `sessions.create`. `rest()` takes other mappings too, and answers with `Any` then."""

    session: SessionTemplate


class _SessionCount(TypedDict):
    sessionCount: int


class BatchCreateSessionsRequest(_SessionCount, total=False):
    """The body of `sessions.batchCreate`. `rest()` takes other mappings too, and answers with `Any` then."""

    sessionTemplate: SessionTemplate
