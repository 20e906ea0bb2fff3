"""Faults of signals: a storm of KeyboardInterrupt in the main thread, at any moment of what it does."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import grpc

from tests.chaos.faces import run
from tests.chaos.fault import Fault
from tests.chaos.work import KINDS

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["INTERRUPTS"]

_GRPC: Final = str(Path(grpc.__path__[0]))
# Pieces of work in a row, and the longest time in seconds until one is interrupted.
_WORK: Final = 20
_LONGEST: Final = 0.02
_AGAIN: Final = 0.0002


class _Storm:
    """Sends SIGINT to the main thread while a block works, but spares one moment."""

    def __init__(self) -> None:
        self._armed = False

    def strike(self, rig: Rig) -> None:
        """Interrupt pieces of work of a worker in the main thread."""
        worker = rig.worker(rig.sites[0], f"m{rig.draw.randrange(10**9)}")
        before = [
            (number, signal.signal(number, handler))
            for number, handler in ((signal.SIGALRM, self._send), (signal.SIGINT, self._interrupt))
        ]
        try:
            for _ in range(_WORK):
                self._work(rig, lambda: run(worker.once(rig.draw.choice(sorted(KINDS)))))
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _work(self, rig: Rig, work: object) -> None:
        try:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, rig.draw.uniform(0.0001, _LONGEST))
            work()  # type: ignore[operator]  # it is a function
        except KeyboardInterrupt:
            pass
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    @staticmethod
    def _send(_: int, __: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        if not self._armed or frame is None or frame.f_code.co_filename == __file__:
            return
        if _takes_a_lock_of_grpc(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        self._armed = False
        raise KeyboardInterrupt


def _takes_a_lock_of_grpc(frame: FrameType) -> bool:
    """Return whether gRPC takes or gives back a Condition: interrupted there, it would have the lock for good.

    Then every call on the channel hangs. Ours takes locks where no handler of a signal can run.
    """
    is_condition = frame.f_code.co_filename == threading.__file__ and frame.f_code.co_name in {"__enter__", "__exit__"}
    caller = frame.f_back
    return is_condition and caller is not None and caller.f_code.co_filename.startswith(_GRPC)


_storm: Final = _Storm()

INTERRUPTS: Final = (
    Fault(
        noun="interrupts",
        name="interrupts",
        short=True,
        breaks="SIGINT at any moment of what the main thread does, again and again",
        strike=_storm.strike,
        every=0.01,
    ),
)
