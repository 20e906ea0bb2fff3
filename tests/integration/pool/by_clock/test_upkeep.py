"""What time and failures demand of a session pool, in both colours: pings, replacements, shrinking, waits.

The clocks of pools and server stand still until a test moves them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import (
    DatabaseNotFound,
    Internal,
    NotFound,
    PermissionDenied,
    PoolOverloaded,
    PoolTimeout,
    SessionNotFound,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.local.status import resource_not_found, trailers
from tests.support.colours import Colour
from tests.support.pools import WAIT, Rig, query, rig_of, until, until_answered
from tests.support.scripted import scripted_server

_HOUR = 3600.0
_DAY = 86400.0
_SESSION = "google.spanner.v1.Session"


def take(pool: Any, count: int) -> list[Any]:
    """Return leases."""
    return [pool.acquire() for _ in range(count)]


def give(pool: Any, leases: list[Any]) -> None:
    """Give them back."""
    for lease in leases:
        pool.release(lease)


# ---- shrinking


def test_unused_sessions_go_down_to_min_size(rig: Rig, local: LocalSpanner) -> None:
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
    """Up to a fifth before it ends, nobody gets them any more; the server is rid of them, and the pool is full."""
    pool = rig.pool(min_size=3, max_size=6, max_lifetime=1000.0)
    pool.open()
    old = rig.names
    rig.clock.advance(799)
    leases = take(pool, 3)
    assert {lease.name for lease in leases} == old
    give(pool, leases)
    rig.clock.advance(201)
    assert pool.acquire().name not in old
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
    """Each takes up to a fifth off the time, evenly: half of them come in the first half of that fifth."""
    pool = rig.pool(min_size=20, max_size=20)
    pool.open()
    rig.clock.advance(1620)
    until(lambda: pool.stats().pinged >= 8 and pool.stats().idle == 20)
    assert pool.stats().pinged <= 12
    rig.clock.advance(180)
    until(lambda: pool.stats().pinged == 20)
    pings = rig.requests("ExecuteSql")
    assert {ping.session for ping in pings} == rig.names
    assert (len(pings), len(rig.requests())) == (20, 21)


def test_use_is_a_sign_of_life(rig: Rig) -> None:
    """A session that was in use half an hour ago needs no ping, one that was not needs one."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.open()
    rig.clock.advance(1000)
    used = pool.acquire()
    pool.release(used)
    rig.clock.advance(1000)
    until(lambda: pool.stats().pinged == 1 and pool.stats().idle == 2)
    (ping,) = rig.requests("ExecuteSql")
    assert {ping.session} == rig.names - {used.name}


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "PERMISSION_DENIED", "NOT_FOUND"])
def test_a_ping_that_fails_is_repeated_with_a_backoff(rig: Rig, local: LocalSpanner, status: str) -> None:
    """Nobody gets the session meanwhile, and no slot is lost: whoever waits has it after the ping that succeeds."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    (name,) = rig.names
    local.faults.add("ExecuteSql", status=status, times=3)
    rig.clock.advance(1800)
    until_answered(pool, lambda: rig.requests("ExecuteSql"), 1)
    (waiting,) = rig.wait_in_line(pool, timeout=None)
    for pings, longest in ((1, 0.25), (2, 0.5), (3, 1.0)):
        until_answered(pool, lambda: rig.requests("ExecuteSql"), pings)
        # Before half of the longest wait is over, an acquire asks nobody.
        rig.clock.advance(longest / 2 - 0.01)
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        assert len(rig.requests("ExecuteSql")) == pings
        rig.clock.advance(longest / 2 + 0.01)
    assert waiting.result(WAIT).name == name
    stats = pool.stats()
    assert (stats.pinged, stats.lost, stats.created, stats.size) == (1, 0, 1, 1)


# ---- hosts that sleep


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "starved"])
@pytest.mark.parametrize("seconds", [_HOUR + 1, 29 * _DAY], ids=["an hour", "29 days"])
def test_after_a_pause_nobody_gets_a_dead_session(rig: Rig, local: LocalSpanner, seconds: float, asleep: bool) -> None:
    """A host that was suspended, or gave no time for pings: acquires find out, and the pool is itself again."""
    pool = rig.pool(min_size=3, max_size=3)
    pool.open()
    old = rig.names
    local.advance(seconds)
    if asleep:
        rig.clock._seconds += seconds  # nobody is woken: what happens is the doing of the acquires
    else:
        rig.clock.advance(seconds)
    leases = [future.result(WAIT) for future in [rig.start(pool.acquire) for _ in range(3)]]
    for lease in leases:
        assert rig.on(lease).stub.ExecuteSql(query(lease)).rows
    assert not old & rig.names
    give(pool, leases)
    until(lambda: (pool.stats().idle, pool.stats().size) == (3, 3))


def test_a_session_that_survived_a_pause_is_validated_once(rig: Rig) -> None:
    """Past `validate_after` an acquire waits for one ping; the next one finds it fresh."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    rig.clock._seconds += 3001  # nobody is woken
    for _ in range(2):
        lease = pool.acquire()
        assert {lease.name} == rig.names
        pool.release(lease)
    assert len(rig.requests("ExecuteSql")) == 1


def test_an_acquire_makes_no_call_while_there_is_a_fresh_session(rig: Rig) -> None:
    """Nothing but the create ever arrives, for most of half an hour of use."""
    pool = rig.pool(min_size=1)
    for _ in range(20):
        rig.clock.advance(1400)
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
    """It is not asked again before a backoff; whoever waits has a session when the server gives one."""
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


@pytest.mark.parametrize("status", ["UNAVAILABLE", "PERMISSION_DENIED"])
def test_a_failed_replacement_loses_no_slot(rig: Rig, local: LocalSpanner, status: str) -> None:
    """What cannot be created now is created after the backoff; what will hardly help to repeat, at the next acquire."""
    pool = rig.pool(min_size=0, max_size=1)
    lease = pool.acquire()
    local.faults.add("BatchCreateSessions", status=status)
    local.forget(lease.name)
    with pytest.raises(SessionNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    pool.release(lease)
    waiting = rig.start(pool.acquire)
    if status == "PERMISSION_DENIED":
        assert isinstance(waiting.exception(WAIT), PermissionDenied)
        waiting = rig.start(pool.acquire)
    else:
        until_answered(pool, lambda: rig.requests("BatchCreateSessions"), 2)
        rig.clock.advance(0.25)
    assert {waiting.result(WAIT).name} == rig.names


def test_every_session_has_the_labels_and_the_role(rig: Rig, local: LocalSpanner) -> None:
    """The first ones, those that the pool grows by, and those that replace a lost or an old one."""
    pool = rig.pool(min_size=2, max_size=4, labels={"team": "a"}, creator_role="reader", max_lifetime=1000.0)
    pool.open()
    leases = take(pool, 4)
    local.forget(leases[0].name)
    rig.on(leases[0]).invalidate()
    give(pool, leases)
    rig.clock.advance(1000)
    until(lambda: not {lease.name for lease in leases} & rig.names and pool.stats().size == 2)
    lease = pool.acquire()
    assert (lease.resource["labels"], lease.resource["creatorRole"]) == ({"team": "a"}, "reader")
    templates = [request.session_template for request in rig.requests("BatchCreateSessions")]
    assert len(templates) >= 3
    assert all((dict(each.labels), each.creator_role) == ({"team": "a"}, "reader") for each in templates)


# ---- lost sessions, and others


def test_an_invalidated_session_that_lives_is_deleted(rig: Rig) -> None:
    """Its holder may have been wrong: the server is rid of it, and nobody gets it again."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    rig.on(lease).invalidate()
    rig.on(lease).invalidate()
    pool.release(lease)
    fresh = pool.acquire()
    until(lambda: rig.names == {fresh.name})
    assert fresh.name != lease.name
    assert (pool.stats().lost, [request.name for request in rig.requests("DeleteSession")]) == (1, [lease.name])


def test_a_lease_that_was_given_back_invalidates_nothing(rig: Rig) -> None:
    """The session may be another caller's by then."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    pool.release(lease)
    rig.on(lease).invalidate()
    after = pool.acquire()
    rig.on(lease).invalidate()
    pool.release(after)
    assert pool.acquire().name == lease.name
    assert (pool.stats().lost, rig.requests("DeleteSession")) == (0, [])


@pytest.mark.parametrize("rpc", ["ExecuteStreamingSql", "StreamingRead"])
def test_a_loss_that_the_first_message_of_a_stream_tells_counts(rig: Rig, local: LocalSpanner, rpc: str) -> None:
    """Such a session is not handed out again, though its holder has swallowed the error."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    details = resource_not_found(_SESSION, lease.name).details
    local.faults.add(rpc, status="NOT_FOUND", details=details)
    request = query(lease) if rpc == "ExecuteStreamingSql" else spanner_pb2.ReadRequest(session=lease.name)
    with pytest.raises(SessionNotFound):
        next(iter(getattr(rig.on(lease).stub, rpc)(request)))
    pool.release(lease)
    assert pool.acquire().name != lease.name
    assert pool.stats().lost == 1


def test_a_loss_in_the_midst_of_a_stream_counts(colour: Colour) -> None:
    """The server may drop a session while it is read from."""

    def rows(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield result_set_pb2.PartialResultSet(resume_token=b"1")
        context.set_trailing_metadata(trailers(resource_not_found(_SESSION, request.session)))
        context.abort(grpc.StatusCode.NOT_FOUND, "Session not found")

    created = iter(range(9))

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        return _made(request, request.session_count, next(created))

    with scripted_server(BatchCreateSessions=create, ExecuteStreamingSql=rows, DeleteSession=_nothing) as options:
        with rig_of(colour, AnonymousCredentials(), options) as rig:
            pool = rig.pool(min_size=1, max_size=1)
            lease = pool.acquire()
            stream = iter(rig.on(lease).stub.ExecuteStreamingSql(query(lease)))
            assert next(stream).resume_token == b"1"
            assert pool.stats().lost == 0
            with pytest.raises(SessionNotFound):
                next(stream)
            pool.release(lease)
            assert pool.acquire().name != lease.name


@pytest.mark.parametrize("resource", ["table", "another session", "nothing"])
def test_not_everything_that_is_not_found_is_a_session(rig: Rig, local: LocalSpanner, resource: str) -> None:
    """A missing table, and the loss of a session that is not the lease's, leave the session where it is."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    details: dict[str, tuple[Any, ...]] = {
        "table": (error_details_pb2.ResourceInfo(resource_type="spanner.Table", resource_name="Singers"),),
        "another session": resource_not_found(_SESSION, f"{lease.name}0").details,
        "nothing": (),
    }
    local.faults.add("ExecuteSql", status="NOT_FOUND", message="Table not found: Singers", details=details[resource])
    with pytest.raises(NotFound) as caught:
        rig.on(lease).stub.ExecuteSql(query(lease))
    assert isinstance(caught.value, SessionNotFound) == (resource == "another session")
    pool.release(lease)
    assert (pool.acquire().name, pool.stats().lost) == (lease.name, 0)


def test_a_lost_database_is_told_to_whoever_waits(rig: Rig, local: LocalSpanner) -> None:
    """At once, and as what it is: no session is counted as lost."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    waiting = rig.wait_in_line(pool, 3)
    local.drop_database(rig.database)
    with pytest.raises(DatabaseNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    assert all(isinstance(each.exception(WAIT), DatabaseNotFound) for each in waiting)
    assert pool.stats().lost == 0
    pool.release(lease)


def test_nobody_gets_an_idle_session_of_a_lost_database(rig: Rig, local: LocalSpanner) -> None:
    """Once one caller has met the loss, those who come later learn it from the pool."""
    pool = rig.pool(min_size=2, max_size=2)
    lease = pool.acquire()
    until(lambda: pool.stats().idle == 1)
    rig.clock.advance(10)
    local.drop_database(rig.database)
    with pytest.raises(DatabaseNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    for refused in (pool.acquire, pool.open, pool.wait):
        with pytest.raises(DatabaseNotFound):
            refused()
    pool.release(lease)


# ---- waiting


def test_a_full_queue_refuses_at_once_and_has_room_again(rig: Rig) -> None:
    """With `max_waiting` in line a further one is refused; after their timeouts there is room."""
    pool = rig.pool(min_size=1, max_size=1, max_waiting=3)
    lease = pool.acquire()
    waiting = rig.wait_in_line(pool, 3, timeout=10)
    for _ in range(2):
        with pytest.raises(PoolOverloaded, match="max_waiting is 3"):
            pool.acquire()
    with pytest.raises(PoolOverloaded):
        pool.acquire(timeout=0)
    rig.clock.advance(10)
    assert all(isinstance(each.exception(WAIT), PoolTimeout) for each in waiting)
    (patient,) = rig.wait_in_line(pool)
    pool.release(lease)
    assert patient.result(WAIT).name == lease.name
    assert pool.stats().timeouts == 3


def test_who_tries_once_never_waits(rig: Rig) -> None:
    """It gets what is idle, and no more; what was begun for it serves the next."""
    pool = rig.pool(min_size=0, max_size=1)
    with pytest.raises(PoolTimeout, match="within 0 s"):
        pool.acquire(timeout=0)
    until(lambda: pool.stats().idle == 1)
    pool.release(pool.acquire(timeout=0))
    assert (pool.stats().timeouts, pool.stats().waiting, pool.stats().created) == (1, 0, 1)


def test_wait_ends_by_its_timeout(rig: Rig, local: LocalSpanner) -> None:
    """The cause is why no session could be created."""
    local.faults.add("BatchCreateSessions", status="UNAVAILABLE", times=None)
    pool = rig.pool(min_size=1)
    waiting = rig.start(pool.wait, timeout=5)
    until_answered(pool, lambda: rig.requests("BatchCreateSessions"), 1)
    rig.clock.advance(4.9)
    assert not waiting.done()
    rig.clock.advance(0.1)
    error = waiting.exception(WAIT)
    assert isinstance(error, PoolTimeout)
    assert isinstance(error.__cause__, Unavailable)
    with pytest.raises(PoolTimeout):
        pool.wait(timeout=0)
    local.faults.clear()
    waiting = rig.start(pool.wait, timeout=None)

    def filled_in_time() -> bool:
        rig.clock.advance(4)
        return waiting.done()

    until(filled_in_time)
    waiting.result()
    pool.wait(timeout=0)


def test_wait_is_more_patient_than_open(rig: Rig, local: LocalSpanner) -> None:
    """A failure that the client would not repeat ends `open`, while `wait` waits for better times."""
    local.faults.add("BatchCreateSessions", status="INTERNAL", times=2)
    pool = rig.pool(min_size=1)
    with pytest.raises(Internal):
        pool.open()
    waiting = rig.start(pool.wait)
    for calls, longest in ((1, 0.25), (2, 0.5)):
        until_answered(pool, lambda: rig.requests("BatchCreateSessions"), calls)
        assert not waiting.done()
        rig.clock.advance(longest)
    waiting.result(WAIT)


# ---- numbers


def test_the_numbers_say_how_long_acquires_waited(rig: Rig) -> None:
    """Waits that ended by a session or a timeout are in the histogram; an acquire that found one idle is not."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    before = pool.stats().wait_seconds
    lease = pool.acquire()
    (short,) = rig.wait_in_line(pool, timeout=None)
    rig.clock.advance(0.3)
    pool.release(lease)
    lease = short.result(WAIT)
    (vain,) = rig.wait_in_line(pool, timeout=7)
    rig.clock.advance(7)
    assert isinstance(vain.exception(WAIT), PoolTimeout)
    until(lambda: pool.stats().timeouts == 1)
    waits = pool.stats().wait_seconds
    more = {
        bound: count - old
        for bound, count, old in zip(waits.bounds, waits.counts[:-1], before.counts[:-1], strict=True)
        if count > old
    }
    assert more == {0.5: 1, 10.0: 1}
    assert waits.sum - before.sum == pytest.approx(7.3)
    assert before.counts == (0,) * 15


def test_the_numbers_go_into_json(rig: Rig) -> None:
    """As a dict, with the histogram as one of its own."""
    pool = rig.pool(min_size=2, max_size=3)
    lease = pool.acquire()
    stats = pool.stats()
    numbers = json.loads(json.dumps(stats._asdict()))
    histogram = numbers.pop("wait_seconds")
    until(lambda: pool.stats().created == 2)
    assert {key: numbers[key] for key in ("leased", "waiting", "deleted", "pinged", "lost", "timeouts")} == {
        "leased": 1, "waiting": 0, "deleted": 0, "pinged": 0, "lost": 0, "timeouts": 0,
    }  # fmt: skip
    assert (numbers["size"], numbers["idle"]) == (stats.size, stats.idle)
    assert (len(histogram["bounds"]), len(histogram["counts"]), histogram["sum"]) == (14, 15, 0.0)
    pool.release(lease)


def test_a_pool_shows_its_state_and_its_numbers(rig: Rig, local: LocalSpanner) -> None:
    """With the address and the database, by which it is told from others."""
    pool = rig.pool(min_size=2, max_size=2)
    where = f"SessionPool {local.endpoint} {rig.database}"
    assert f"{where} new size=0 idle=0 leased=0 waiting=0>" in repr(pool)
    pool.open()
    lease = pool.acquire()
    assert f"{where} open size=2 idle=1 leased=1 waiting=0>" in repr(pool)
    assert repr(lease).endswith(f"Lease {lease.name}>")
    pool.release(lease)
    assert repr(lease).endswith(f"Lease {lease.name} released>")
    pool.close()
    assert f"{where} closed size=0 idle=0 leased=0 waiting=0>" in repr(pool)


def _made(request: Any, count: int, batch: int = 0) -> Any:
    names = (f"{request.database}/sessions/{batch}-{number}" for number in range(count))
    return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])


def _nothing(request: Any, context: grpc.ServicerContext) -> Any:
    return b""
