"""Faults of the server: statuses, silence, delays, restarts, and the loss of what it had."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from spanner_grpc_sessions.errors.statuses import HTTP_CODES
from tests.chaos.fault import Fault

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["SERVER"]

_fault = functools.partial(Fault, noun="server")
# Seconds: an hour and a month, and a little more.
_IDLE: Final = 3_700.0
_OLD: Final = 29 * 86_400.0


def _clear(rig: Rig) -> None:
    rig.far("spanner.faults.clear")


def _statuses(rig: Rig) -> None:
    status = rig.draw.choice(sorted(HTTP_CODES))
    delay = rig.draw.choice((None, None, rig.draw.uniform(0.0, 2.0)))
    rig.far("spanner.faults.add", status=status, retry_delay=delay, times=rig.draw.randint(1, 30))


def _delays(rig: Rig) -> None:
    rig.far("spanner.faults.add", delay=rig.draw.uniform(0.0, 2.5), times=rig.draw.randint(1, 20))


SERVER: Final = (
    _fault(
        name="statuses",
        breaks="every status, some with a RetryInfo, for a few calls each",
        strike=_statuses,
        undo=_clear,
        every=0.05,
        seconds=8.0,
    ),
    _fault(
        name="silence",
        breaks="calls that are never answered",
        strike=lambda rig: rig.far("spanner.faults.add", drop=True, times=3),
        undo=_clear,
        every=0.1,
    ),
    _fault(
        name="late answers",
        breaks="answers that come after 0 to 2.5 s, before or after the deadline",
        strike=_delays,
        undo=_clear,
        every=0.1,
    ),
    _fault(
        name="restart",
        short=True,
        breaks="the server stops and starts on its port, with its sessions",
        strike=lambda rig: rig.far("restart"),
        every=2.0,
    ),
    _fault(
        name="outage",
        breaks="the server is gone, and its port refuses",
        strike=lambda rig: rig.far("spanner.stop"),
        undo=lambda rig: rig.far("spanner.start"),
    ),
    _fault(
        name="goaway",
        breaks="the server gives up every connection after 0.3 s, as it may: no call fails by it",
        strike=lambda _: None,
        far={"age": 0.3},
        harmless=True,
    ),
    _fault(
        name="lost sessions",
        breaks="the server forgets a quarter of the sessions",
        strike=lambda rig: rig.far("forget", 0.25),
        every=0.3,
    ),
    _fault(
        name="all sessions lost",
        short=True,
        breaks="the server forgets all sessions at once, multiplexed ones among them",
        strike=lambda rig: rig.far("forget", 1.0),
        every=3.0,
    ),
    _fault(
        name="idle for an hour",
        breaks="an hour passes on the server, and it drops idle sessions",
        strike=lambda rig: rig.far("spanner.advance", _IDLE),
        every=2.0,
    ),
    _fault(
        name="a month passes",
        breaks="29 days pass on the server: it drops multiplexed sessions too",
        strike=lambda rig: rig.far("spanner.advance", _OLD),
        every=3.0,
    ),
    _fault(
        name="lost database",
        breaks="the database is dropped, and created under its name",
        strike=lambda rig: rig.far("drop_database"),
        undo=lambda rig: rig.far("restore_database"),
        seconds=3.0,
    ),
)
