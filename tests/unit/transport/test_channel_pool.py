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
    assert channel.number == 2
    busy(channel, 50)
    assert affinity.choose(RPCS["ExecuteSql"], sql("s")) is channel
    assert affinity.choose(RPCS["GetSession"], spanner_pb2.GetSessionRequest(name="s")) is channel
    assert affinity.choose(RPCS["ExecuteSql"], sql("t")) is affinity.channels[2]


def test_sessions_spread_evenly_over_idle_channels(affinity: Affinity) -> None:
    """One after the other, with no call in flight: a channel has at most one session more than another."""
    for number in range(7):
        affinity.choose(RPCS["ExecuteSql"], sql(str(number)))
    assert sorted(channel.sessions for channel in affinity.channels) == [2, 2, 3]


@pytest.mark.parametrize("rpc", ["CreateSession", "GetSession"])
def test_a_multiplexed_session_takes_the_least_loaded_channel(affinity: Affinity, rpc: str) -> None:
    """It is made for any number of connections, and both answers that show it say so; a use before binds it no more."""
    affinity.choose(RPCS["ExecuteSql"], sql("many"))
    read = affinity.reader(RPCS[rpc], spanner_pb2.Session.FromString)
    assert read is not None
    answer = spanner_pb2.Session(name="many", multiplexed=True)
    assert read(answer.SerializeToString()) == answer
    for channel in affinity.channels:
        assert affinity.choose(RPCS["ExecuteSql"], sql("many")) is channel
        busy(channel, 1)
    assert [channel.sessions for channel in affinity.channels] == [0, 0, 0]


def test_other_answers_are_read_as_they_are(affinity: Affinity) -> None:
    """No RPC pays for what two of them do."""
    assert affinity.reader(RPCS["ExecuteSql"], bytes) is bytes
    assert affinity.reader(FOREIGN, bytes) is bytes
    assert affinity.reader(RPCS["CreateSession"], None) is None


def test_a_deleted_session_is_forgotten(affinity: Affinity) -> None:
    """Its deletion takes its channel, and is the last that does."""
    channel = affinity.choose(RPCS["ExecuteSql"], sql("s"))
    assert affinity.choose(RPCS["DeleteSession"], spanner_pb2.DeleteSessionRequest(name="s")) is channel
    assert channel.sessions == 0
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
    assert first.sessions == 0
    assert affinity.choose(RPCS["ExecuteSql"], sql("2")) is second
    assert affinity.choose(RPCS["ExecuteSql"], sql("1")) is first
    assert second.sessions == 0
