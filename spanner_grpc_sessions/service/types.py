"""The shapes of the REST bodies that the session methods return, for type checkers. Pure: nothing here runs."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ListSessionsBody", "Session", "SessionsBody"]


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
