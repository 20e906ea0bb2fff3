"""Which of several connections a call takes."""

from __future__ import annotations

from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.service.rpcs import RPCS, rpc_of
from spanner_grpc_sessions.transport import channel_pool
from spanner_grpc_sessions.transport.channel_pool import Affinity, PooledChannel

FOREIGN = rpc_of("/other.Service/Method")
DATABASE = "projects/p/instances/i/databases/d"
CREATE = spanner_pb2.CreateSessionRequest(database=DATABASE)


def sql(session: str) -> Any:
    """Return a request on a session."""
    return spanner_pb2.ExecuteSqlRequest(session=session)


@pytest.fixture
def affinity() -> Affinity:
    """Three of them."""
    return Affinity(["a", "b", "c"])


def busy(channel: PooledChannel, calls: int) -> None:
    """Put calls on a channel."""
    channel.in_flight.update(object() for _ in range(calls))


def test_the_fewest_calls_in_flight_decide(affinity: Affinity) -> None:
    """A call on no session takes the least loaded channel, also if its RPC is not known."""
    for channel, calls in zip(affinity.channels, (2, 1, 3), strict=True):
        busy(channel, calls)
    assert affinity.choose(RPCS["CreateSession"], CREATE).channel == "b"
    assert affinity.choose(FOREIGN, object()).channel == "b"


def test_a_session_keeps_its_channel(affinity: Affinity) -> None:
    """The first call binds it, whatever the others carry by then, and each RPC on it keeps to that."""
    busy(affinity.channels[0], 1)
    channel = affinity.choose(RPCS["ExecuteSql"], sql("s"))
    assert channel is affinity.channels[1]
    busy(channel, 50)
    assert affinity.choose(RPCS["ExecuteSql"], sql("s")) is channel
    assert affinity.choose(RPCS["GetSession"], spanner_pb2.GetSessionRequest(name="s")) is channel
    assert affinity.choose(RPCS["ExecuteSql"], sql("t")) is affinity.channels[2]


@pytest.mark.parametrize("rpc", ["CreateSession", "BatchCreateSessions"])
def test_a_new_session_is_bound_where_it_was_made(affinity: Affinity, rpc: str) -> None:
    """What reads the answer binds the sessions in it."""
    session = spanner_pb2.Session(name="new")
    answer = session if rpc == "CreateSession" else spanner_pb2.BatchCreateSessionsResponse(session=[session])
    read = affinity.reader(RPCS[rpc], affinity.channels[2], type(answer).FromString)
    assert read is not None
    assert read(answer.SerializeToString()) == answer
    assert affinity.choose(RPCS["ExecuteSql"], sql("new")) is affinity.channels[2]


def test_a_multiplexed_session_is_bound_by_its_first_use_alone(affinity: Affinity) -> None:
    """It is made for any number of connections: its creation says nothing of where it is used."""
    answer = spanner_pb2.Session(name="many", multiplexed=True)
    read = affinity.reader(RPCS["CreateSession"], affinity.channels[2], type(answer).FromString)
    assert read is not None
    read(answer.SerializeToString())
    assert affinity.choose(RPCS["ExecuteSql"], sql("many")) is affinity.channels[0]


def test_other_answers_are_read_as_they_are(affinity: Affinity) -> None:
    """No RPC pays for what two of them do."""
    assert affinity.reader(RPCS["ExecuteSql"], affinity.channels[0], bytes) is bytes
    assert affinity.reader(FOREIGN, affinity.channels[0], bytes) is bytes
    assert affinity.reader(RPCS["CreateSession"], affinity.channels[0], None) is None


def test_a_deleted_session_is_forgotten(affinity: Affinity) -> None:
    """Its deletion takes its channel, and is the last that does."""
    channel = affinity.choose(RPCS["ExecuteSql"], sql("s"))
    assert affinity.choose(RPCS["DeleteSession"], spanner_pb2.DeleteSessionRequest(name="s")) is channel
    busy(channel, 1)
    assert affinity.choose(RPCS["ExecuteSql"], sql("s")) is not channel


def test_memory_is_bounded(affinity: Affinity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the oldest is forgotten, and nothing else."""
    monkeypatch.setattr(channel_pool, "_MAX_SESSIONS", 2)
    first = affinity.choose(RPCS["ExecuteSql"], sql("1"))
    busy(first, 1)
    second = affinity.choose(RPCS["ExecuteSql"], sql("2"))
    busy(second, 1)
    affinity.choose(RPCS["ExecuteSql"], sql("3"))
    assert affinity.choose(RPCS["ExecuteSql"], sql("2")) is second
    assert affinity.choose(RPCS["ExecuteSql"], sql("1")) is not first
