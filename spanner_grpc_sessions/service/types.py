"""The shapes of the REST bodies that the session methods return, for type checkers. Pure: nothing here runs."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ListSessionsBody", "Session", "SessionsBody"]


class Session(TypedDict, total=False):
    """A session as REST gives it; a key is absent where the value is empty or false.

    `createTime` and `approximateLastUseTime` are RFC 3339 text in UTC. `multiplexed` appears only when true.
    """

    name: str
    labels: dict[str, str]
    createTime: str
    approximateLastUseTime: str
    creatorRole: str
    multiplexed: bool


class SessionsBody(TypedDict, total=False):
    """What `sessions.batchCreate` answers. The key is `session`, though it holds a list."""

    session: list[Session]


class ListSessionsBody(TypedDict, total=False):
    """One page of `sessions.list`. No `nextPageToken`: it was the last."""

    sessions: list[Session]
    nextPageToken: str
