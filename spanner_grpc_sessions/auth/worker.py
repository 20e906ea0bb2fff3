"""The thread on which a token source asks for tokens, and the wait of a fork for what it is doing."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Final, Protocol

from spanner_grpc_sessions.runtime.deadline import Deadline

# Seconds that a fork waits for a fetch: what takes longer is the network, which the child can ask again.
_FORK_WAIT: Final = 2.0
# Seconds that it waits while the fetch imports google-auth, because a child can never import what this thread was
# importing at the fork. That takes a moment, or longer on a busy machine.
_IMPORT_WAIT: Final = 30.0
_LOOK: Final = 0.05


class Work(Protocol):
    """What a thread does, for something that it does not keep alive."""

    def pause(self, worker: Worker) -> float | None:
        """Return the seconds until there is something to do, 0 for now, or None if there never will be."""

    def fetch(self, worker: Worker) -> None:
        """Do it."""


class Worker:
    """A thread. Raises RuntimeError if none can be started.

    `changed` is notified when there may be something to do, and when `closing` is set.

    Attributes:
        process: has the thread; it does not follow a fork.
        began: when the fetch in flight began, by the clock of the work; None for none.
        busy: is held during a fetch.
    """

    def __init__(self, work: Work, changed: threading.Condition, closing: threading.Event) -> None:
        self.process: int = os.getpid()
        self.began: float | None = None
        self.busy: threading.RLock = threading.RLock()
        self._work = weakref.ref(work)
        self._changed = changed
        self._closing = closing
        self._thread = threading.Thread(target=self._run, name="spanner-sessions-token", daemon=True)
        self._thread.start()
        _workers.add(self)

    def is_alive(self) -> bool:
        """Return whether the thread goes on."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while self._await_work():
            with self.busy:
                work = self._work()
                if work is not None:
                    work.fetch(self)
                del work

    def _await_work(self) -> bool:
        with self._changed:
            while (work := self._work()) is not None:
                pause = work.pause(self)
                if pause is None or pause <= 0:
                    return pause is not None
                # This may be its end, which sets `closing`.
                del work
                if not self._closing.is_set():
                    self._changed.wait(min(pause, threading.TIMEOUT_MAX))
            return False


def _before_fork() -> None:
    fetches, imports = Deadline(_FORK_WAIT), Deadline(_IMPORT_WAIT)
    ours = [worker for worker in tuple(_workers) if worker.process == os.getpid()]
    _forking.held = [worker for worker in ours if _hold(worker, fetches, imports)]


def _hold(worker: Worker, fetches: Deadline, imports: Deadline) -> bool:
    held = worker.busy.acquire(timeout=fetches.left() or 0.0)
    while not held and not imports.has_passed() and _google_is_importing():
        held = worker.busy.acquire(timeout=_LOOK)
    return held


def _google_is_importing() -> bool:
    modules = [module for name, module in tuple(sys.modules.items()) if name.startswith("google.")]
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules)


def _after_fork() -> None:
    for worker in _forking.held:
        worker.busy.release()


_workers: Final[weakref.WeakSet[Worker]] = weakref.WeakSet()
_forking: Final = threading.local()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)
