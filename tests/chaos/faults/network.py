"""Faults of the network, by the proxy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tests.chaos.fault import Fault

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["NETWORK"]

# Seconds: the connection's `grpc.keepalive_timeout_ms`, and as much as the last call may take.
_VANISHED: Final = 10.0 + 2.0

_fault = functools.partial(Fault, noun="network")


def _refuse(rig: Rig) -> None:
    rig.far("proxy.refuse")
    rig.far("proxy.cut")


NETWORK: Final = (
    _fault(
        name="cut",
        short=True,
        breaks="connections are reset",
        strike=lambda rig: rig.far("proxy.cut"),
        every=0.3,
    ),
    _fault(
        name="stall",
        breaks="no byte passes, and none is lost",
        strike=lambda rig: rig.far("proxy.stall"),
        undo=lambda rig: rig.far("proxy.resume"),
        seconds=3.0,
    ),
    _fault(
        name="refuse",
        breaks="connections are reset and new ones refused",
        strike=_refuse,
        undo=lambda rig: rig.far("proxy.listen"),
        seconds=3.0,
    ),
    _fault(
        name="vanish",
        breaks="the machine behind connections is gone: nothing is acknowledged, new ones are made at once",
        strike=lambda rig: rig.far("proxy.vanish"),
        seconds=0.5,
        bound=_VANISHED,
    ),
    _fault(
        name="delay",
        breaks="bytes travel for 30 to 300 ms each way",
        strike=lambda rig: rig.far("proxy.slow", delay=rig.draw.uniform(0.03, 0.3)),
        undo=lambda rig: rig.far("proxy.slow", delay=0.0),
        every=0.5,
    ),
    _fault(
        name="corrupt",
        breaks="a byte is another one than was sent",
        strike=lambda rig: rig.far("proxy.corrupt"),
        every=0.3,
    ),
    _fault(
        name="half-close",
        breaks="the server's side of connections ends, the client's goes on",
        strike=lambda rig: rig.far("proxy.half_close"),
        every=0.3,
    ),
    _fault(
        name="slow loris",
        breaks="bytes pass one at a time, 100 in a second",
        strike=lambda rig: rig.far("proxy.drip", 0.01),
        undo=lambda rig: rig.far("proxy.drip", 0.0),
        seconds=3.0,
    ),
)
