"""Whether a thread can be started: not at the system's limit, nor, in Python 3.12, once the main thread has ended."""

from __future__ import annotations

from _thread import start_new_thread
from threading import Event, main_thread
from typing import Final

from spanner_grpc_sessions.errors.rpc import ResourceExhausted

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
    # "can't start new thread", "can't create new thread at interpreter shutdown"
    if "new thread" not in str(error):
        raise error
    _failed.set()


def no_thread() -> ResourceExhausted:
    """Return the error of what needs a thread."""
    return ResourceExhausted(
        "no thread can be started: the system's limit, or the end of the interpreter", method="open"
    )


def keep_until_exit(thing: object) -> None:
    """Never free an object, not even when the interpreter ends: its destructor would wait without end."""
    import ctypes  # noqa: PLC0415 - seldom needed

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _nothing() -> None:
    pass
