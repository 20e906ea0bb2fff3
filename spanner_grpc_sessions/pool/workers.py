"""Threads that do jobs: a few daemons, started when there is something to do, that end when there is not."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Workers"]

_LINGER: Final = 5.0
"""Seconds that a thread waits for another job before it ends."""
_log: Final = logging.getLogger("spanner_grpc_sessions")


class Workers:
    """Jobs, and the threads that do them. Safe to share between threads.

    Args:
        name: what the threads are called.
        most: threads at the same time.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads: set[threading.Thread] = set()
        # Also those that have left `_threads`, and are about to end.
        self._started: list[threading.Thread] = []
        self._idle = 0
        self._ending = False
        self._substituting = threading.Lock()
        # Reentrant: the garbage collector may close a generator, and that give a lease back, in the midst of all this.
        self._changed = threading.Condition(threading.RLock())

    def add(self, job: Callable[[], None]) -> None:
        """Add a job, without a lock and without waiting; `staff` is to follow."""
        self._jobs.append(job)

    def staff(self) -> None:
        """See that there are threads for all jobs, as far as there may be.

        Where no thread can be started at all, as in an `atexit` function, the caller's own does the jobs.
        """
        if not self._jobs or sys.is_finalizing():
            return  # a thread that is started while the interpreter is torn down would never run
        with self._changed:
            self._changed.notify(min(self._idle, len(self._jobs)))
            missing = len(self._jobs) - self._idle
            while missing > 0 and len(self._threads) < self._most and self._start():
                missing -= 1
            nobody = not self._threads
        if nobody and self._substituting.acquire(blocking=False):
            try:
                while self._jobs:
                    self._do(self._jobs.popleft())
            finally:
                self._substituting.release()

    def end(self, timeout: float) -> None:
        """Have the threads end as soon as there is no job, and wait for it. Jobs that come later are done as well."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        # The last job of one thread may have had another one started.
        while alive := [thread for thread in self._started if thread.is_alive()]:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            alive[0].join(left)

    def _start(self) -> bool:
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._started = [started for started in self._started if started.is_alive()] + [thread]
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads, or the interpreter ends
            return False
        # The caller holds the lock, without which the new thread does nothing yet.
        self._threads.add(thread)
        return True

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001 - a defect; the other jobs are to be done all the same
            _log.exception("a job of %s failed", self._name)

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._do(job)
                # Held on to, it would keep alive what it belongs to.
                del job
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())
        # A job that came between the last look and the end found this thread still counted.
        self.staff()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            until = time.monotonic() + _LINGER
            while not self._jobs:
                left = until - time.monotonic()
                if self._ending or left <= 0:
                    return None
                self._idle += 1
                try:
                    self._changed.wait(left)
                finally:
                    self._idle -= 1
            return self._jobs.popleft()
