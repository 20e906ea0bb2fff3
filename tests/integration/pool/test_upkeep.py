"""What time demands of a session pool, in both colours: pings, replacements, shrinking, creates that go on.

The clocks of pools and server stand still until a test moves them.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    PoolTimeout,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.pools import Rig, query, rig_of, until_answered
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until


def take(pool: Any, count: int) -> list[Any]:
    """Return leases."""
    return [pool.acquire() for _ in range(count)]


def give(pool: Any, leases: list[Any]) -> None:
    """Give them back."""
    for lease in leases:
        pool.release(lease)


# ---- shrinking


def test_unused_sessions_go_down_to_min_size(rig: Rig, plain: LocalSpanner) -> None:
    """After `max_idle` without use they are deleted on the server, ten a second; `min_size` of them stay."""
    pool = rig.pool(min_size=2, max_size=15, max_idle=600.0)
    leases = take(pool, 15)
    give(pool, leases)
    rig.clock.advance(599)
    used = pool.acquire()
    assert used.name == leases[-1].name
    pool.release(used)
    rig.clock.advance(1)
    until(lambda: len(rig.names) == 5)
    rig.clock.advance(1)
    until(lambda: len(rig.names) == 2)
    assert used.name in rig.names
    rig.clock.advance(2000)
    until(lambda: pool.stats().pinged > 0)
    assert (pool.stats().size, pool.stats().deleted, pool.stats().created) == (2, 13, 15)


def test_without_max_idle_none_is_deleted(rig: Rig) -> None:
    """They are kept alive, and stay."""
    pool = rig.pool(min_size=0, max_size=4, max_idle=None)
    give(pool, take(pool, 4))
    for pings in (4, 8, 12):
        rig.clock.advance(1800)
        until_answered(pool, lambda: rig.requests("ExecuteSql"), pings)
    assert (len(rig.names), rig.requests("DeleteSession")) == (4, [])


# ---- the lifetime


def test_idle_sessions_past_their_lifetime_are_replaced(rig: Rig) -> None:
    """Up to a fifth before it ends they are no longer handed out; they are deleted, and the pool is full."""
    pool = rig.pool(min_size=3, max_size=6, max_lifetime=1000.0)
    pool.open()
    old = rig.names
    rig.clock.advance(799)
    leases = take(pool, 3)
    assert {lease.name for lease in leases} == old
    give(pool, leases)
    rig.clock.advance(201)
    lease = pool.acquire()
    assert lease.name not in old
    until(lambda: (len(rig.names), pool.stats().size, pool.stats().deleted) == (3, 3, 3))
    assert not old & rig.names
    assert {request.name for request in rig.requests("DeleteSession")} == old
    assert pool.stats().lost == 0


@pytest.mark.parametrize("somebody_waits", [True, False])
def test_a_lease_past_its_lifetime_is_replaced_when_it_comes_back(rig: Rig, somebody_waits: bool) -> None:
    """Until then its holder goes on with it."""
    pool = rig.pool(min_size=1, max_size=1, max_lifetime=1000.0)
    lease = pool.acquire()
    rig.clock.advance(1200)
    assert rig.on(lease).stub.ExecuteSql(query(lease)).rows
    waiting = rig.wait_in_line(pool) if somebody_waits else []
    pool.release(lease)
    waiting = waiting or [rig.start(pool.acquire)]
    fresh = waiting[0].result(WAIT)
    assert rig.names == {fresh.name} != {lease.name}


# ---- keeping alive


def test_pings_of_sessions_created_together_are_spread(rig: Rig) -> None:
    """Each takes up to half off the time, evenly: half of them come in the first half of that half."""
    pool = rig.pool(min_size=20, max_size=20)
    pool.open()
    rig.clock.advance(1350)
    until(lambda: pool.stats().pinged >= 8 and pool.stats().idle == 20)
    assert pool.stats().pinged <= 12
    rig.clock.advance(450)
    until(lambda: pool.stats().pinged == 20)
    pings = rig.requests("ExecuteSql")
    assert {ping.session for ping in pings} == rig.names
    assert (len(pings), len(rig.requests())) == (20, 21)


def test_use_is_a_sign_of_life(rig: Rig) -> None:
    """A session that was in use a quarter of an hour ago needs no ping, one that was not for half an hour needs one."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.open()
    rig.clock.advance(900)
    used = pool.acquire()
    pool.release(used)
    rig.clock.advance(900)
    until(lambda: pool.stats().pinged == 1 and pool.stats().idle == 2)
    (ping,) = rig.requests("ExecuteSql")
    assert {ping.session} == rig.names - {used.name}


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "PERMISSION_DENIED", "NOT_FOUND"])
def test_a_ping_that_fails_is_repeated_with_a_backoff(rig: Rig, plain: LocalSpanner, status: str) -> None:
    """It is not handed out meanwhile, and no slot is lost: a waiting caller gets it after the ping that succeeds."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    (name,) = rig.names
    plain.faults.add("ExecuteSql", status=status, times=3)
    rig.clock.advance(1800)
    until_answered(pool, lambda: rig.requests("ExecuteSql"), 1)
    (waiting,) = rig.wait_in_line(pool, timeout=None)
    for pings, longest in ((1, 0.25), (2, 0.5), (3, 1.0)):
        until_answered(pool, lambda: rig.requests("ExecuteSql"), pings)
        # Before half of the longest wait is over, an acquire makes no call.
        rig.clock.advance(longest / 2 - 0.01)
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        assert len(rig.requests("ExecuteSql")) == pings
        rig.clock.advance(longest / 2 + 0.01)
    assert waiting.result(WAIT).name == name
    stats = pool.stats()
    assert (stats.pinged, stats.lost, stats.created, stats.size) == (1, 0, 1, 1)


def test_a_session_that_survived_a_pause_is_validated_once(rig: Rig) -> None:
    """Past `validate_after` an acquire waits for one ping; the next one finds it fresh."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    rig.clock._ahead += 3001  # no thread is woken
    for _ in range(2):
        lease = pool.acquire()
        assert {lease.name} == rig.names
        pool.release(lease)
    assert len(rig.requests("ExecuteSql")) == 1


def test_an_acquire_makes_no_call_while_there_is_a_fresh_session(rig: Rig) -> None:
    """Nothing but the create ever arrives, while it is used every quarter of an hour."""
    pool = rig.pool(min_size=1)
    for _ in range(20):
        rig.clock.advance(890)
        give(pool, take(pool, 1))
    assert len(rig.requests()) == 1


# ---- creating


def test_short_answers_are_asked_for_the_rest(colour: Colour) -> None:
    """Until all are there; each call asks for what is missing."""
    asked: list[int] = []

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        asked.append(request.session_count)
        return _made(request, min(request.session_count, 4), batch=len(asked))

    with scripted_server(BatchCreateSessions=create, DeleteSession=_nothing) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=10, max_size=10)
            pool.open()
            assert asked == [10, 6, 2]
            assert pool.stats().idle == 10


def test_too_long_an_answer_is_cut(colour: Colour) -> None:
    """What was not asked for is deleted: `max_size` holds."""
    deleted: list[str] = []

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        return _made(request, request.session_count + 2)

    def delete(request: Any, context: grpc.ServicerContext) -> Any:
        deleted.append(request.name)
        return b""

    with scripted_server(BatchCreateSessions=create, DeleteSession=delete) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=3, max_size=3)
            pool.open()
            until(lambda: len(deleted) == 2)
            assert pool.stats().size == 3


@pytest.mark.parametrize("use", ["open", "wait", "acquire"])
def test_an_empty_answer_ends_the_attempt(colour: Colour, use: str) -> None:
    """It is not asked again before a backoff; a waiting caller has a session when the server gives one."""
    asked: list[Any] = []

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        asked.append(request)
        return _made(request, request.session_count if len(asked) > 2 else 0)

    with scripted_server(BatchCreateSessions=create, DeleteSession=_nothing) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=1)
            using = rig.start(getattr(pool, use))
            for calls, longest in ((1, 0.25), (2, 0.5)):
                until_answered(pool, lambda: asked, calls)
                with pytest.raises(PoolTimeout, match="within 0 s") as caught:
                    pool.acquire(timeout=0)
                assert "created none of 1 sessions" in str(caught.value.__cause__)
                assert len(asked) == calls
                rig.clock.advance(longest)
            using.result(WAIT)
            assert (len(asked), pool.stats().size) == (3, 1)


def test_every_session_has_the_labels_and_the_role(rig: Rig, plain: LocalSpanner) -> None:
    """The first ones, those that the pool grows by, and those that replace a lost or an old one."""
    pool = rig.pool(min_size=2, max_size=4, labels={"team": "a"}, creator_role="reader", max_lifetime=1000.0)
    pool.open()
    leases = take(pool, 4)
    plain.forget(leases[0].name)
    rig.on(leases[0]).invalidate()
    give(pool, leases)
    rig.clock.advance(1000)
    until(lambda: not {lease.name for lease in leases} & rig.names and pool.stats().size == 2)
    lease = pool.acquire()
    assert (lease.resource["labels"], lease.resource["creatorRole"]) == ({"team": "a"}, "reader")
    templates = [request.session_template for request in rig.requests("BatchCreateSessions")]
    assert len(templates) >= 3
    assert all((dict(each.labels), each.creator_role) == ({"team": "a"}, "reader") for each in templates)


def _made(request: Any, count: int, batch: int = 0) -> Any:
    names = (f"{request.database}/sessions/{batch}-{number}" for number in range(count))
    return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])


def _nothing(request: Any, context: grpc.ServicerContext) -> Any:
    return b""
