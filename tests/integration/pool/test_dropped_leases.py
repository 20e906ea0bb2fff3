"""Leases that are dropped without a release: their sessions are deleted, for their callers may use them by name."""

from __future__ import annotations

import logging

import pytest

from spanner_grpc_sessions.pool.core.reclaim import RECLAIM_INTERVAL, RECLAIM_PAUSE, RECLAIM_QUIET
from tests.support.pools import Rig
from tests.support.waiting import until

_DROPPED = "a lease was dropped without a release: its session is deleted"


def test_the_session_of_a_dropped_lease_is_deleted_and_replaced(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Within ten minutes in a quiet pool, with a warning; one that is held is not."""
    pool = rig.pool(min_size=2, max_size=2)
    held = pool.acquire()
    name = pool.acquire().name
    rig.clock.advance(RECLAIM_QUIET)
    until(lambda: pool.stats().leased == 1 and pool.stats().idle == 1)
    assert name not in rig.names
    assert held.name in rig.names
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{rig.database}: {_DROPPED}"
    ]
    pool.release(held)
    assert (pool.stats().idle, pool.stats().leased) == (2, 0)


def test_a_caller_that_finds_no_session_gets_that_of_a_dropped_lease_sooner(rig: Rig) -> None:
    """A second after the last look."""
    pool = rig.pool(min_size=1, max_size=1)
    name = pool.acquire().name
    rig.clock.advance(RECLAIM_PAUSE)
    lease = pool.acquire(timeout=None)
    assert lease.name != name
    pool.release(lease)


def test_a_drain_does_not_wait_for_a_dropped_lease(rig: Rig) -> None:
    """It has nothing to wait for."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.release(pool.acquire())
    pool.acquire()
    rig.clock.advance(RECLAIM_PAUSE)
    assert pool.drain(timeout=None)
    assert rig.names == set()


def test_a_leak_is_reported_before_its_session_is_deleted(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The report has the stack of the acquire, which a deletion would make worthless."""
    pool = rig.pool(min_size=1, max_size=1, leak_after=60.0)
    name = pool.acquire().name
    rig.clock.advance(3 * RECLAIM_INTERVAL)
    assert pool.stats().leased == 1
    rig.clock.advance(60.0)
    until(lambda: f"{name} has been leased for 90 s" in caplog.text)
    rig.clock.advance(RECLAIM_QUIET)
    until(lambda: _DROPPED in caplog.text and pool.stats().idle == 1)
