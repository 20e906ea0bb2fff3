"""What a session pool does about losses, in both colours: of sessions, of the database, of other things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import (
    DatabaseNotFound,
    NotFound,
    PermissionDenied,
    SessionNotFound,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.local.status import resource_not_found, trailers
from tests.support.colours import SYNC, Colour
from tests.support.pools import Rig, query, rig_of, until_answered
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until

_SESSION = "google.spanner.v1.Session"
_HOUR = 3600.0
_DAY = 86400.0


# ---- sessions


def test_an_invalidated_session_that_lives_is_deleted(rig: Rig) -> None:
    """Its holder may have been wrong: it is deleted on the server and not handed out again."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    rig.on(lease).invalidate()
    rig.on(lease).invalidate()
    pool.release(lease)
    fresh = pool.acquire()
    until(lambda: rig.names == {fresh.name})
    assert fresh.name != lease.name
    assert (pool.stats().lost, [request.name for request in rig.requests("DeleteSession")]) == (1, [lease.name])


def test_after_the_loss_of_all_sessions_as_few_calls_create_them_as_at_first(rig: Rig, plain: LocalSpanner) -> None:
    """In batches of a hundred, and not one by one as their losses are found."""
    pool = rig.pool(min_size=250, max_size=250)
    pool.open()
    at_first = [request.session_count for request in rig.requests("BatchCreateSessions")]
    for name in rig.names:
        plain.forget(name)
    lease = pool.acquire()
    rig.on(lease).invalidate()
    pool.release(lease)
    until(lambda: pool.stats().idle == 250)
    assert (pool.stats().lost, pool.stats().created) == (250, 500)
    again = [request.session_count for request in rig.requests("BatchCreateSessions")][len(at_first) :]
    # The one that is leased may be replaced by itself.
    assert (sum(again), len(at_first)) == (250, 3)
    assert len(again) <= len(at_first) + 1


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
def test_a_loss_before_the_first_message_of_a_stream_counts(rig: Rig, plain: LocalSpanner, rpc: str) -> None:
    """Such a session is not handed out again, though its holder has swallowed the error."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    details = resource_not_found(_SESSION, lease.name).details
    plain.faults.add(rpc, status="NOT_FOUND", details=details)
    request = query(lease) if rpc == "ExecuteStreamingSql" else spanner_pb2.ReadRequest(session=lease.name)
    with pytest.raises(SessionNotFound):
        next(iter(getattr(rig.on(lease).stub, rpc)(request)))
    pool.release(lease)
    assert pool.acquire().name != lease.name
    assert pool.stats().lost == 1


def test_a_loss_in_the_middle_of_a_stream_counts(colour: Colour) -> None:
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
def test_not_everything_that_is_not_found_is_a_session(rig: Rig, plain: LocalSpanner, resource: str) -> None:
    """A missing table, and the loss of a session that is not the lease's, leave the session where it is."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    details: dict[str, tuple[Any, ...]] = {
        "table": (error_details_pb2.ResourceInfo(resource_type="spanner.Table", resource_name="Singers"),),
        "another session": resource_not_found(_SESSION, f"{lease.name}0").details,
        "nothing": (),
    }
    plain.faults.add("ExecuteSql", status="NOT_FOUND", message="Table not found: Singers", details=details[resource])
    with pytest.raises(NotFound) as caught:
        rig.on(lease).stub.ExecuteSql(query(lease))
    assert isinstance(caught.value, SessionNotFound) == (resource == "another session")
    pool.release(lease)
    assert (pool.acquire().name, pool.stats().lost) == (lease.name, 0)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "PERMISSION_DENIED"])
def test_a_failed_replacement_loses_no_slot(rig: Rig, plain: LocalSpanner, status: str) -> None:
    """What cannot be created now is created after the backoff; what will hardly help to repeat, at the next acquire."""
    pool = rig.pool(min_size=0, max_size=1)
    lease = pool.acquire()
    plain.faults.add("BatchCreateSessions", status=status)
    plain.forget(lease.name)
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


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "starved"])
@pytest.mark.parametrize("seconds", [_HOUR + 1, 29 * _DAY], ids=["an hour", "29 days"])
def test_after_a_pause_no_caller_gets_a_dead_session(
    rig: Rig, plain: LocalSpanner, seconds: float, asleep: bool
) -> None:
    """A host that was suspended, or gave no time for pings: acquires find out, and the pool is itself again."""
    pool = rig.pool(min_size=3, max_size=3)
    pool.open()
    old = rig.names
    plain.advance(seconds)
    if asleep:
        rig.clock._ahead += seconds  # no thread is woken: only the acquires act
    else:
        rig.clock.advance(seconds)
    leases = [future.result(WAIT) for future in [rig.start(pool.acquire) for _ in range(3)]]
    for lease in leases:
        assert rig.on(lease).stub.ExecuteSql(query(lease)).rows
    assert not old & rig.names
    give(pool, leases)
    until(lambda: (pool.stats().idle, pool.stats().size) == (3, 3))


# ---- under a block and under a function


@pytest.mark.parametrize("colour", [SYNC], ids=["sync"])
def test_a_block_that_ends_in_the_loss_of_its_session_has_it_replaced(rig: Rig, plain: LocalSpanner) -> None:
    """Also where the error did not come through the lease's stub; any other error keeps the session."""
    pool = rig.pool(min_size=1, max_size=1)
    with pytest.raises(ZeroDivisionError), pool.session() as lease:
        _ = 1 / 0
    with pytest.raises(SessionNotFound), pool.session() as again:
        assert again.name == lease.name
        plain.forget(again.name)
        rig.client.ping_session(again.name)
    with pool.session() as fresh:
        assert fresh.name != lease.name
    assert pool.stats().lost == 1


def test_run_repeats_once_on_another_session(rig: Rig, plain: LocalSpanner) -> None:
    """A session that was lost is replaced within the call; arguments go in, and the result comes out."""
    pool = rig.pool(min_size=1)
    met: list[str] = []

    def function(lease: Any, answer: int) -> int:
        met.append(lease.name)
        if len(met) == 1:
            plain.forget(lease.name)
        lease.stub.ExecuteSql(query(lease))
        return answer

    assert pool.run(rig.function(function), 5) == 5
    assert len(set(met)) == len(met) == 2


def test_run_gives_up_after_the_second_loss(rig: Rig, plain: LocalSpanner) -> None:
    """The error is the second one's; both sessions are replaced."""
    pool = rig.pool(min_size=1, max_size=1)
    met: list[str] = []

    def function(lease: Any) -> None:
        met.append(lease.name)
        plain.forget(lease.name)
        lease.stub.ExecuteSql(query(lease))

    with pytest.raises(SessionNotFound) as caught:
        pool.run(rig.function(function))
    assert met[1] in str(caught.value)
    lease = pool.acquire()
    assert len({*met, lease.name}) == 3
    assert (pool.stats().lost, rig.names) == (2, {lease.name})


def test_run_repeats_nothing_else(rig: Rig, plain: LocalSpanner) -> None:
    """Neither another error nor the loss of a session that the function got from elsewhere."""
    pool = rig.pool(min_size=1, max_size=1)
    other = rig.client.create_session(rig.database)["name"]
    plain.forget(other)
    plain.faults.add("ExecuteSql", status="UNAVAILABLE")
    met: list[str] = []

    def function(lease: Any, session: str) -> None:
        met.append(lease.name)
        lease.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=session or lease.name, sql="SELECT 1"))

    with pytest.raises(Unavailable):
        pool.run(rig.function(function), "")
    with pytest.raises(SessionNotFound):
        pool.run(rig.function(function), other)
    assert (len(met), len(set(met)), pool.stats().lost, pool.stats().idle) == (2, 1, 0, 1)


# ---- the database


def test_a_lost_database_is_raised_to_all_waiting_callers(rig: Rig, plain: LocalSpanner) -> None:
    """At once, and as what it is: no session is counted as lost."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    waiting = rig.wait_in_line(pool, 3)
    plain.drop_database(rig.database)
    with pytest.raises(DatabaseNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    assert all(isinstance(each.exception(WAIT), DatabaseNotFound) for each in waiting)
    assert pool.stats().lost == 0
    pool.release(lease)


def test_no_idle_session_of_a_lost_database_is_handed_out(rig: Rig, plain: LocalSpanner) -> None:
    """Once one caller has met the loss, those who come later learn it from the pool."""
    pool = rig.pool(min_size=2, max_size=2)
    lease = pool.acquire()
    until(lambda: pool.stats().idle == 1)
    rig.clock.advance(10)
    plain.drop_database(rig.database)
    with pytest.raises(DatabaseNotFound):
        rig.on(lease).stub.ExecuteSql(query(lease))
    for refused in (pool.acquire, pool.open, pool.wait):
        with pytest.raises(DatabaseNotFound):
            refused()
    pool.release(lease)


def give(pool: Any, leases: list[Any]) -> None:
    """Give them back."""
    for lease in leases:
        pool.release(lease)


def _made(request: Any, count: int, batch: int = 0) -> Any:
    names = (f"{request.database}/sessions/{batch}-{number}" for number in range(count))
    return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])


def _nothing(request: Any, context: grpc.ServicerContext) -> Any:
    return b""
