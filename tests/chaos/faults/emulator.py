"""Faults of Google's emulator, where there is one: a process that this one started, and no other."""

from __future__ import annotations

import functools
import signal
from typing import Final

from tests.chaos.fault import Fault

__all__ = ["EMULATOR"]

# The emulator that comes with the Google Cloud CLI has no multiplexed sessions.
_fault = functools.partial(Fault, noun="emulator", far={"emulator": True}, multiplexed=False)

EMULATOR: Final = (
    _fault(
        name="emulator killed",
        breaks="the emulator is killed, and started again with an empty database",
        strike=lambda rig: rig.far("own.kill"),
        undo=lambda rig: rig.far("restart_emulator"),
        seconds=2.0,
    ),
    _fault(
        name="emulator stopped",
        breaks="the emulator gets no CPU: SIGSTOP, then SIGCONT",
        strike=lambda rig: rig.far("own.signal", int(signal.SIGSTOP)),
        undo=lambda rig: rig.far("own.signal", int(signal.SIGCONT)),
        seconds=3.0,
    ),
)
