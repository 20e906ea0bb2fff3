"""What a forked child must reset: threads do not follow a fork, and their locks may be held for good.

Gunicorn with `preload_app` and multiprocessing with the start method "fork" import, and use, a client before they fork.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Final, Protocol

from spanner_grpc_sessions.errors import ClientClosed


class _Resets(Protocol):
    def after_fork(self) -> None:
        """Give up, in a child, what only the parent has. No other thread runs yet."""


def reset_after_fork(thing: _Resets) -> None:
    """Have `thing.after_fork()` called in every forked child, as long as the thing lives."""
    _things.add(thing)


def retain_after_fork(thing: Any) -> None:
    """Keep, in a child, an object of the parent: ending it, or dropping it, could block or disturb the parent."""
    _of_the_parent.append(thing)


def mark_grpc_unusable() -> None:
    """Note, in a child, that gRPC does not work: an asyncio channel was open, whose thread does not follow a fork."""
    global _grpc_is_usable  # noqa: PLW0603 - a fact of the process
    _grpc_is_usable = False


def require_grpc_usable() -> None:
    """Raise `ClientClosed` in a child of a process that had an asyncio client open: a call would hang or crash."""
    if not _grpc_is_usable:
        raise ClientClosed(
            "this process was forked while an asyncio client was open, and gRPC does not work in it: "
            "close the client before the fork, or start processes by spawn or forkserver"
        )


def _reset_child() -> None:
    for thing in tuple(_things):
        thing.after_fork()


_things: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_of_the_parent: Final[list[Any]] = []
_grpc_is_usable = True

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_child)
