"""What a fork asks of us: gRPC at rest before it; in the child, locks and threads of its own.

Gunicorn with `preload_app` and multiprocessing with the start method "fork" import, and use, a client before they fork.
Threads do not follow a fork, and the locks that they held stay held. gRPC's own handlers do nothing while a thread is
inside gRPC: a call in such a child may hang or crash, and, with what the two share, crash the parent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import Any, Final, Protocol

from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.runtime.deadline import Deadline

# Seconds that a fork waits for calls in flight to end.
_REST_TIMEOUT: Final = 0.5
# A thread that stands here waits inside gRPC, which it may do for a call or to serve.
_IN_GRPC: Final = frozenset({"grpc._channel", "grpc._server", "spanner_grpc_sessions.transport.connectivity"})
_FORK_SUPPORT: Final = "GRPC_ENABLE_FORK_SUPPORT"

_CALL_IN_FLIGHT: Final = (
    "this process was forked while another thread was in a gRPC call, and gRPC does not work in it: "
    "fork while no call is in flight, or create the client after the fork in a process started by spawn or forkserver"
)
_NO_FORK_SUPPORT: Final = (
    f"this process was forked while a client was open and {_FORK_SUPPORT} is off, so gRPC does not work in it: "
    f"unset {_FORK_SUPPORT} or set it to 1, or open the client after the fork"
)
_ASYNCIO_OPEN: Final = (
    "this process was forked while an asyncio client was open, and gRPC does not work in it: "
    "close the client before the fork, or start processes by spawn or forkserver"
)


class _Resets(Protocol):
    def after_fork(self) -> None:
        """Give up, in a child, what only the parent has. No other thread runs yet."""


class _Rests(Protocol):
    def hold(self, deadline: Deadline) -> None:
        """Let no call begin until `resume`, before a fork."""

    def disown(self) -> None:
        """Keep gRPC's handlers in the child away from calls that did not end in time."""

    def resume(self) -> None:
        """Let calls begin again, in the parent."""


def reset_after_fork(thing: _Resets) -> None:
    """Have `thing.after_fork()` called in every forked child, as long as the thing lives."""
    _things.add(thing)


def rest_for_fork(user: _Rests) -> None:
    """Have an open connection hold its calls at a fork, until `end_of_use`."""
    _users.add(user)


def end_of_use(user: _Rests) -> None:
    """Note that a connection is closed, or was left to the parent."""
    _users.discard(user)


def retain_after_fork(thing: Any) -> None:
    """Keep, in a child, an object of the parent: ending it, or dropping it, could block or disturb the parent."""
    _of_the_parent.append(thing)


def mark_grpc_unusable() -> None:
    """Note, in a child, that gRPC does not work: an asyncio channel was open, whose thread does not follow a fork."""
    global _unusable  # noqa: PLW0603 - a fact of the process
    _unusable = _ASYNCIO_OPEN


def require_grpc_usable() -> None:
    """Raise `ClientClosed` in a child in which gRPC does not work: a call would hang or crash."""
    if _unusable is not None:
        raise ClientClosed(_unusable)


def notice_fork() -> bool:
    """Reset this process if it was forked without Python's hooks, as uWSGI does by default; return whether it was."""
    if os.getpid() == _process:
        return False
    with _noticing:
        if forked := os.getpid() != _process:
            # Python still lists the parent's threads here, but to look where they stood would crash.
            _reset_child(_support_doubt())
    return forked


def forks_without_hooks() -> bool:
    """Return whether this process may be forked without Python's hooks: uWSGI, which alone has its module, does so."""
    return "uwsgi" in sys.modules


def _rest() -> None:
    """Wait until no thread is inside gRPC, and note whether that came in time."""
    global _doubts  # noqa: PLW0603 - a fact of the process
    deadline = Deadline(_REST_TIMEOUT)
    for user in tuple(_users):
        user.hold(deadline)
    while _users and _is_grpc_busy() and not deadline.has_passed():
        time.sleep(0.001)
    _doubts = _doubt()
    if _doubts is not None:
        for user in tuple(_users):
            user.disown()


def _resume() -> None:
    for user in tuple(_users):
        user.resume()


def _doubt() -> str | None:
    """Return why gRPC would not work in a child of this moment."""
    return _CALL_IN_FLIGHT if _is_grpc_busy() else _support_doubt()


def _support_doubt() -> str | None:
    if _users and os.environ.get(_FORK_SUPPORT, "1").lower() in {"0", "false", "f", "no", "n"}:
        return _NO_FORK_SUPPORT
    return None


def _is_grpc_busy() -> bool:
    here = threading.get_ident()
    return any(
        frame.f_globals.get("__name__") in _IN_GRPC
        for thread, frame in sys._current_frames().items()  # noqa: SLF001 - documented
        if thread != here
    )


def _reset_child(doubt: str | None) -> None:
    global _process, _unusable  # noqa: PLW0603 - facts of the process
    _unusable = _unusable or doubt
    for thing in tuple(_things):
        thing.after_fork()
    _process = os.getpid()


_things: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_users: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_of_the_parent: Final[list[Any]] = []
_noticing: Final = threading.Lock()
_process = os.getpid()
_doubts: str | None = None
_unusable: str | None = None

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_rest, after_in_parent=_resume, after_in_child=lambda: _reset_child(_doubts))
