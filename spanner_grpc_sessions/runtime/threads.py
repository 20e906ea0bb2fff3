"""Threads: whether one can be started, and what is not to be interrupted by a signal.

None can be started at the system's limit, nor, in Python 3.12, once the main thread has ended.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from threading import Event, get_ident, main_thread
from typing import Any, Final

from spanner_grpc_sessions.errors.rpc import ResourceExhausted

# "can't start new thread", "can't create new thread at interpreter shutdown"
_NO_THREAD: Final = "new thread"
_MOMENT: Final = 1.0

_failed: Final = Event()


def can_start_thread() -> bool:
    """Return whether a thread can be started. A trial costs as much as a call: only where it may fail there is one."""
    if main_thread().is_alive() and not _failed.is_set():
        return True
    try:
        start_new_thread(_nothing, ())
    except RuntimeError:
        return False
    _failed.clear()
    return True


def note_no_thread(error: RuntimeError) -> None:
    """Have the next call try first, since a thread could not be started; raise an error that says something else."""
    if _NO_THREAD not in str(error):
        raise error
    _failed.set()


def no_thread() -> ResourceExhausted:
    """Return the error of what needs a thread."""
    return ResourceExhausted(
        "no thread can be started: the system's limit, or the end of the interpreter", method="open"
    )


def is_interruptible() -> bool:
    """Return whether a signal handler may raise in this thread: Python runs them in the main thread alone."""
    return get_ident() == main_thread().ident


def run_uninterrupted(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a function in a thread of its own, so that a signal handler that raises does not cut it short.

    What it raises is raised here; so is, once it has ended, what the handler raised. It takes no lock of this thread.
    """
    ended, outcome = allocate_lock(), _Outcome()
    ended.acquire()

    def run() -> None:
        try:
            outcome.result = function(*args, **named)
        except BaseException as error:  # noqa: BLE001 - raised in the caller
            outcome.error = error
        finally:
            ended.release()

    if sys.is_finalizing():
        return function(*args, **named)
    try:
        start_new_thread(run, ())
        ended.acquire()
    except BaseException as error:
        if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
            return function(*args, **named)
        # Whether what was begun has ended matters to what the caller does next. It takes a moment.
        ended.acquire(timeout=_MOMENT)
        raise
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


def keep_until_exit(thing: object) -> None:
    """Never free an object, not even when the interpreter ends: its destructor would wait without end."""
    import ctypes  # noqa: PLC0415 - seldom needed

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class _Outcome:
    result: Any = None
    error: BaseException | None = None


def _nothing() -> None:
    pass
