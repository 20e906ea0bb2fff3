"""What a fork asks of us: gRPC at rest before it; in the child, locks and threads of its own.

Gunicorn with `preload_app` and multiprocessing with the start method "fork" import, and use, a client before they fork.
Threads do not follow a fork, and the locks that they held stay held. gRPC's own handlers do nothing while a thread is
inside gRPC: a call in such a child may hang or crash, and, with what the two share, crash the parent.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from types import FrameType
from typing import Any, Final, Protocol

from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.runtime.deadline import Deadline

# Seconds that a fork waits for calls in flight to end.
_REST_TIMEOUT: Final = 0.5
# A thread that stands here is inside gRPC, for a call or to serve, or is about to enter it.
_IN_GRPC: Final = ("grpc._", "spanner_grpc_sessions.transport.connectivity", "spanner_grpc_sessions.calls.")
_FORK_SUPPORT: Final = "GRPC_ENABLE_FORK_SUPPORT"

_CALL_IN_FLIGHT: Final = (
    "this process was forked while another thread was in a gRPC call, and gRPC does not work in it: "
    "fork while no call is in flight, or create the client after the fork in a process started by spawn or forkserver"
)
_UNPREPARED: Final = (
    "this process was forked without Python's hooks while a client was open, and a gRPC call is in flight that may be "
    "the parent's, so gRPC may not work in it: set py-call-uwsgi-fork-hooks = true, where it is uWSGI that forks, "
    "or open the client after the fork"
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
    _register_rest()


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
            _reset_child()
    return forked


def forks_without_hooks() -> bool:
    """Return whether this process may be forked without Python's hooks: uWSGI, which alone has its module, does so."""
    return "uwsgi" in sys.modules


def _register_rest() -> None:
    """Have forks wait, from the first channel on.

    Hooks before a fork run in the reverse order of their registration, and gRPC registers its own with its first
    channel: calls must be held before gRPC waits for its threads to end, or others begin meanwhile.
    """
    global _registered  # noqa: PLW0603 - a fact of the process
    with _noticing:
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_rest, after_in_parent=_resume)
            _registered = True


def _rest() -> None:
    """Wait until no thread is inside gRPC, and note whether that came in time."""
    global _doubts, _rested
    deadline = Deadline(_REST_TIMEOUT)
    for user in tuple(_users):
        user.hold(deadline)
    while _users and _is_grpc_busy() and not deadline.has_passed():
        time.sleep(0.001)
    _doubts, _rested = _doubt(), True
    if _doubts is not None:
        for user in tuple(_users):
            user.disown()


def _resume() -> None:
    global _rested  # noqa: PLW0603 - a fact of the process
    _rested = False
    for user in tuple(_users):
        user.resume()


def _doubt() -> str | None:
    """Return why gRPC would not work in a child of this moment."""
    return _CALL_IN_FLIGHT if _is_grpc_busy() else _support_doubt()


def _unprepared_doubt() -> str | None:
    """Return why gRPC may not work in a child of a fork before which it was not brought to rest."""
    return (_support_doubt() or (_UNPREPARED if _has_call_in_flight() else None)) if _users else None


def _has_call_in_flight() -> bool:
    """Return whether gRPC's objects for calls say so: to look where the parent's threads stood would crash."""
    state = getattr(sys.modules.get("grpc._channel"), "_RPCState", None)
    return state is None or any(type(each) is state and each.code is None for each in gc.get_objects())


def _support_doubt() -> str | None:
    if _users and os.environ.get(_FORK_SUPPORT, "1").lower() in {"0", "false", "f", "no", "n"}:
        return _NO_FORK_SUPPORT
    return None


def _is_grpc_busy() -> bool:
    here = threading.get_ident()
    return any(
        _module(frame).startswith(_IN_GRPC)
        for thread, frame in sys._current_frames().items()  # noqa: SLF001 - documented
        if thread != here
    )


def _module(frame: FrameType | None) -> str:
    """Return the name of the module that runs: gRPC may have, or wait for, a lock of Python."""
    while frame is not None and (name := str(frame.f_globals.get("__name__"))) == "threading":
        frame = frame.f_back
    return "" if frame is None else name


def _reset_child() -> None:
    global _process, _rested, _unusable  # noqa: PLW0603 - facts of the process
    _unusable = _unusable or (_doubts if _rested else _unprepared_doubt())
    for thing in tuple(_things):
        thing.after_fork()
    _process, _rested = os.getpid(), False


_things: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_users: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_of_the_parent: Final[list[Any]] = []
_noticing: Final = threading.Lock()
_process = os.getpid()
_registered = _rested = False
_doubts: str | None = None
_unusable: str | None = None

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_child)
