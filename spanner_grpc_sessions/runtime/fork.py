"""What has to begin anew in a forked child: threads do not follow a fork, and locks may be held by those that did not.

Gunicorn with `preload_app` and multiprocessing with the start method "fork" import, and use, a client before they fork.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Final, Protocol

from spanner_grpc_sessions.errors import ClientClosed

__all__ = ["begin_anew_after_fork", "leave_to_the_parent", "require_usable", "set_unusable"]


class _BeginsAnew(Protocol):
    def after_fork(self) -> None:
        """Give up, in a child, all that only the parent has. No other thread runs yet."""


def begin_anew_after_fork(thing: _BeginsAnew) -> None:
    """Have `thing.after_fork()` called in every forked child, as long as the thing lives."""
    _things.add(thing)


def leave_to_the_parent(thing: Any) -> None:
    """Keep, in a child, what is the parent's to end: to end it here, or drop it, could disturb or block."""
    _the_parents.append(thing)


def set_unusable() -> None:
    """Note, in a child, that gRPC does not work in it: an asyncio channel was open, whose thread gRPC cannot fork."""
    global _usable  # noqa: PLW0603 - a fact of the process
    _usable = False


def require_usable() -> None:
    """Do nothing where gRPC works.

    Raises:
        ClientClosed: this is a child of a process that had an asyncio client open. A call would hang or crash.
    """
    if not _usable:
        raise ClientClosed(
            "this process was forked while an asyncio client was open, and gRPC does not work in it: "
            "close the client before the fork, or start processes by spawn or forkserver"
        )


def _in_the_child() -> None:
    for thing in tuple(_things):
        thing.after_fork()


_things: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_the_parents: Final[list[Any]] = []
_usable = True

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
