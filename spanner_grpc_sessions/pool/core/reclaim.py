"""Leased sessions that no caller can reach any more. Pure.

An interruption, such as Ctrl-C, between the two lines of an acquire or a release loses a session: it is neither idle
nor does a caller have its lease. The fast path is not protected, because that would cost more than the fast path. A
caller that drops a lease without a release loses its session in the same way.

CPython counts references. A lease that only its record refers to cannot be released by anyone, and a record that only
the pool refers to is in no caller's hands. What others refer to, a kept traceback for one, is never taken back.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Any, Final

from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.core.schedule import Schedule

# Seconds between two looks at the leased sessions; and at least, where a caller finds no session.
RECLAIM_INTERVAL: Final = 10.0
RECLAIM_PAUSE: Final = 1.0
# Seconds until the next look if nothing was leased at the last one: a pool that is hardly used wakes seldom.
RECLAIM_QUIET: Final = 600.0


def dropped(records: Iterable[SessionRecord], delivered: Collection[Any]) -> list[SessionRecord]:
    """Return the sessions whose lease, or waiter that they were delivered to, only the pool refers to."""
    leased = [record for record in records if record.holder is not None]
    holders = [record.holder for record in leased]
    return [
        record
        for record, holder, references in zip(leased, holders, _references(holders), strict=True)
        # A lease never has a record a second time: what is its holder now was that when it was counted.
        if references == 1 + (holder in delivered) and record.holder is holder
    ]


def mislaid(nowhere: list[SessionRecord], schedules: Collection[Schedule]) -> list[SessionRecord]:
    """Return those of the sessions that only `PoolSessions.all`, the schedules and the list refer to."""
    known = [1 + sum(schedule.references(record) for schedule in schedules) for record in nowhere]
    counted = _references(nowhere)
    return [record for record, own, references in zip(nowhere, known, counted, strict=True) if references == own]


def _references(things: list[Any]) -> list[int]:
    """Return how many references there are to each thing, beside those of the list."""
    return [sys.getrefcount(thing) - _IN_LIST for thing in things]


_IN_LIST = 0
# Counted in the same way: versions of Python differ in how many references the counting itself takes.
_IN_LIST = _references([object()])[0]
