"""Faults of clocks, which the library takes from outside."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tests.chaos.fault import Fault

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["CLOCKS"]

_fault = functools.partial(Fault, noun="clocks", far={"lifetime": 30.0})
_HOUR: Final = 3_600.0


def _step(rig: Rig) -> None:
    rig.wall.advance(rig.draw.choice((-1, 1)) * rig.draw.uniform(1.0, 2 * _HOUR))


def _sleep(rig: Rig) -> None:
    """As a machine that slept: the server's clock went on too."""
    seconds = rig.draw.uniform(60.0, 2 * _HOUR)
    rig.far("spanner.advance", seconds)
    rig.clock.ahead += seconds


CLOCKS: Final = (
    _fault(
        name="wall clock",
        breaks="the wall clock is set, by up to two hours, both ways",
        strike=_step,
        every=0.5,
    ),
    _fault(
        name="sleep",
        breaks="the machine sleeps for up to two hours, and the server drops what was idle for one",
        strike=_sleep,
        every=1.0,
    ),
)
