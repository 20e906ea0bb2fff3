"""What the log says at INFO, in both colours, when sessions or their database are lost: once, and with a number."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import DatabaseNotFound, SessionNotFound
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import SYNC
from tests.support.pools import Rig, multiplexed_of, query
from tests.support.waiting import until

_LOGGER = "spanner_grpc_sessions"


@pytest.fixture
def lines(rig: Rig, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """A function that returns the lines about the rig's database so far."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    return lambda: [
        record.getMessage().replace(rig.database, "DATABASE")
        for record in caplog.records
        if record.levelno == logging.INFO and rig.database in record.getMessage()
    ]


def _meet_loss(rig: Rig, lease: Any, error: type[Exception] = SessionNotFound) -> None:
    with pytest.raises(error):
        rig.on(lease).stub.ExecuteSql(query(lease))


def test_a_restart_of_the_server_is_two_lines(
    rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """How many sessions were lost, and that they are replaced; in a thread or task of the pool."""
    pool = rig.pool(min_size=25, max_size=25)
    pool.open()
    lease = pool.acquire()
    rig.clock.advance(1)
    for name in rig.names:
        plain.forget(name)
    _meet_loss(rig, lease)
    pool.release(lease)
    until(lambda: (pool.stats().lost, pool.stats().idle) == (25, 25))
    assert lines() == []
    rig.clock.advance(2)
    until(lambda: len(lines()) == 2)
    assert lines() == ["DATABASE: 25 sessions were lost", "DATABASE: 25 lost sessions were replaced by 25"]
    threads = {record.threadName for record in caplog.records if "lost" in record.getMessage()}
    assert threads <= {"spanner-sessions-pool-keeper", "test-event-loop"}


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_a_handler_of_the_log_may_wait_for_the_pool(
    rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]
) -> None:
    """It runs without the lock of the pool: others use the pool meanwhile."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.open()
    seen: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "were lost" in record.getMessage():
                other = threading.Thread(target=pool._runner.dispatch, args=(pool._runner.core.serve_waiters,))
                other.start()
                other.join(5)
                seen.append(other.is_alive())

    leases = [pool.acquire() for _ in range(2)]
    for lease in leases:
        plain.forget(lease.name)
        _meet_loss(rig, lease)
    handler = Handler()
    logging.getLogger(_LOGGER).addHandler(handler)
    try:
        rig.clock.advance(2)
        until(lambda: lines() and seen)
    finally:
        logging.getLogger(_LOGGER).removeHandler(handler)
    assert seen == [False]
    for lease in leases:
        pool.release(lease)


def test_a_database_that_is_gone_is_one_line(rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]) -> None:
    """However many calls find that out."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.open()
    leases = [pool.acquire() for _ in range(2)]
    plain.drop_database(rig.database)
    for lease in leases:
        _meet_loss(rig, lease, DatabaseNotFound)
        pool.release(lease)
    with pytest.raises(DatabaseNotFound):
        pool.acquire()
    until(lambda: [line for line in lines() if "is gone" in line])
    (line,) = (line for line in lines() if "is gone" in line)
    assert line.startswith("DATABASE: the database is gone: ExecuteSql: NOT_FOUND: ")


def test_a_database_that_pings_do_not_find_is_gone(
    rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]
) -> None:
    """The pool needs no caller to learn it; those who come later make no other line."""
    pool = rig.pool(min_size=0, max_size=2)
    pool.release(pool.acquire())
    plain.drop_database(rig.database)
    rig.clock.advance(1800)
    until(lambda: [line for line in lines() if "is gone: ExecuteSql" in line])
    with pytest.raises(DatabaseNotFound):
        pool.acquire()
    assert len([line for line in lines() if "is gone" in line]) == 1


def test_a_database_that_creates_do_not_find_is_gone(
    rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]
) -> None:
    """If the pool has had a session of it."""
    pool = rig.pool(min_size=1, max_size=2)
    pool.open()
    lease = pool.acquire()
    plain.drop_database(rig.database)
    with pytest.raises(DatabaseNotFound):
        pool.acquire()
    until(lambda: [line for line in lines() if "is gone" in line])
    pool.release(lease)


def test_a_lost_multiplexed_session_is_two_lines(rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]) -> None:
    """However many callers meet the loss, and invalidate it themselves; a replacement by age is none."""
    session = multiplexed_of(rig.client, rig.database, clock=rig.clock)
    session.open()
    first = session.name
    rig.clock.advance(7 * 86400)
    until(lambda: session.name != first)
    assert lines() == []
    for finds in (True, False):
        old = session.name
        plain.forget(old)
        if finds:
            with pytest.raises(SessionNotFound):
                session.stub.ExecuteSql(query(session))
        session.invalidate(old)
        until(lambda old=old: session.name != old)  # type: ignore[misc]  # the type of a default
    until(lambda: len(lines()) == 4)
    assert lines() == 2 * [
        "DATABASE: the multiplexed session was lost",
        "DATABASE: the lost multiplexed session was replaced",
    ]
    session.close()


def test_a_database_that_a_multiplexed_session_does_not_find_is_one_line(
    rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]
) -> None:
    """However many calls find it out; another database that a caller names is none of its business."""
    session = multiplexed_of(rig.client, rig.database, clock=rig.clock)
    session.open()
    other = f"{rig.database}-other"
    plain.drop_database(other)
    with pytest.raises(DatabaseNotFound):
        session.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=f"{other}/sessions/s", sql="SELECT 1"))
    assert lines() == []
    plain.drop_database(rig.database)
    for _ in range(2):
        with pytest.raises(DatabaseNotFound):
            session.stub.ExecuteSql(query(session))
        assert len([line for line in lines() if line.startswith("DATABASE: the database is gone: ")]) == 1
        with pytest.raises(DatabaseNotFound):
            session.invalidate(session.name)
    assert len([line for line in lines() if "is gone" in line]) == 1
    session.close()


def test_a_database_that_never_was_makes_no_line(rig: Rig, plain: LocalSpanner, lines: Callable[[], list[str]]) -> None:
    """The callers get the error."""
    plain.drop_database(rig.database)
    session = multiplexed_of(rig.client, rig.database)
    for opened in (rig.pool(), session):
        with pytest.raises(DatabaseNotFound):
            opened.open()
    session.close()
    assert lines() == []
