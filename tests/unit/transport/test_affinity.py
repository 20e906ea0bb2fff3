"""Which of several connections a call takes."""

from __future__ import annotations

from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.service.rpcs import RPCS
from spanner_grpc_sessions.transport import affinity
from spanner_grpc_sessions.transport.affinity import Affinity, Lane

DATABASE = "projects/p/instances/i/databases/d"
CREATE = spanner_pb2.CreateSessionRequest(database=DATABASE)


def sql(session: str) -> Any:
    """Return a request on a session."""
    return spanner_pb2.ExecuteSqlRequest(session=session)


@pytest.fixture
def lanes() -> Affinity:
    """Three of them."""
    return Affinity(["a", "b", "c"])


def busy(lane: Lane, calls: int) -> None:
    """Put calls on a lane."""
    lane.in_flight.update(object() for _ in range(calls))


def test_the_fewest_calls_in_flight_decide(lanes: Affinity) -> None:
    """A call on no session takes the emptiest lane, also if its RPC is not known."""
    for lane, calls in zip(lanes.lanes, (2, 1, 3), strict=True):
        busy(lane, calls)
    assert lanes.choose(RPCS["CreateSession"], CREATE).channel == "b"
    assert lanes.choose(None, object()).channel == "b"


def test_a_session_keeps_its_lane(lanes: Affinity) -> None:
    """The first call binds it, whatever the others carry by then, and each RPC on it keeps to that."""
    busy(lanes.lanes[0], 1)
    lane = lanes.choose(RPCS["ExecuteSql"], sql("s"))
    assert lane is lanes.lanes[1]
    busy(lane, 50)
    assert lanes.choose(RPCS["ExecuteSql"], sql("s")) is lane
    assert lanes.choose(RPCS["GetSession"], spanner_pb2.GetSessionRequest(name="s")) is lane
    assert lanes.choose(RPCS["ExecuteSql"], sql("t")) is lanes.lanes[2]


@pytest.mark.parametrize("rpc", ["CreateSession", "BatchCreateSessions"])
def test_a_new_session_is_bound_where_it_was_made(lanes: Affinity, rpc: str) -> None:
    """What reads the answer binds the sessions in it."""
    session = spanner_pb2.Session(name="new")
    answer = session if rpc == "CreateSession" else spanner_pb2.BatchCreateSessionsResponse(session=[session])
    read = lanes.reader(RPCS[rpc], lanes.lanes[2], type(answer).FromString)
    assert read is not None
    assert read(answer.SerializeToString()) == answer
    assert lanes.choose(RPCS["ExecuteSql"], sql("new")) is lanes.lanes[2]


@pytest.mark.parametrize(("body", "bound"), [({"name": "s"}, True), ({"name": "s", "multiplexed": True}, False)])
def test_it_is_bound_also_if_it_is_read_as_a_body(lanes: Affinity, body: dict[str, Any], bound: bool) -> None:
    """What the client's own calls read is no message. One that is multiplexed is left alone here too."""
    read = lanes.reader(RPCS["CreateSession"], lanes.lanes[2], lambda _: body)
    assert read is not None
    assert read(b"") is body
    assert (lanes.choose(RPCS["ExecuteSql"], sql("s")) is lanes.lanes[2]) is bound


def test_a_multiplexed_session_is_bound_by_its_first_use_alone(lanes: Affinity) -> None:
    """It is made for any number of connections: its creation says nothing of where it is used."""
    answer = spanner_pb2.Session(name="many", multiplexed=True)
    read = lanes.reader(RPCS["CreateSession"], lanes.lanes[2], type(answer).FromString)
    assert read is not None
    read(answer.SerializeToString())
    assert lanes.choose(RPCS["ExecuteSql"], sql("many")) is lanes.lanes[0]


def test_other_answers_are_read_as_they_are(lanes: Affinity) -> None:
    """No RPC pays for what two of them do."""
    assert lanes.reader(RPCS["ExecuteSql"], lanes.lanes[0], bytes) is bytes
    assert lanes.reader(None, lanes.lanes[0], bytes) is bytes
    assert lanes.reader(RPCS["CreateSession"], lanes.lanes[0], None) is None


def test_a_deleted_session_is_forgotten(lanes: Affinity) -> None:
    """Its deletion takes its lane, and is the last that does."""
    lane = lanes.choose(RPCS["ExecuteSql"], sql("s"))
    assert lanes.choose(RPCS["DeleteSession"], spanner_pb2.DeleteSessionRequest(name="s")) is lane
    busy(lane, 1)
    assert lanes.choose(RPCS["ExecuteSql"], sql("s")) is not lane


def test_memory_is_bounded(lanes: Affinity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the oldest is forgotten, and nothing else."""
    monkeypatch.setattr(affinity, "_MOST_SESSIONS", 2)
    first = lanes.choose(RPCS["ExecuteSql"], sql("1"))
    busy(first, 1)
    second = lanes.choose(RPCS["ExecuteSql"], sql("2"))
    busy(second, 1)
    lanes.choose(RPCS["ExecuteSql"], sql("3"))
    assert lanes.choose(RPCS["ExecuteSql"], sql("2")) is second
    assert lanes.choose(RPCS["ExecuteSql"], sql("1")) is not first
