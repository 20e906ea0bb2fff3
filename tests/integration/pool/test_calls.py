"""The calls that a pool makes in the background: on which connections, and who is told of them."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.observing import Watcher
from tests.support.pools import query, rig_of
from tests.support.scripted import scripted_server
from tests.support.waiting import until


def test_the_sessions_of_a_pool_keep_to_their_connections(colour: Colour) -> None:
    """Used, pinged and deleted over one of three connections, a third of them over each."""
    peers: dict[str, set[str]] = {}

    def create(request: Any, context: grpc.ServicerContext) -> Any:
        names = [f"{request.database}/sessions/{uuid.uuid4().hex}" for _ in range(min(request.session_count, 2))]
        peers.update({name: set() for name in names})
        return spanner_pb2.BatchCreateSessionsResponse(session=[spanner_pb2.Session(name=name) for name in names])

    def execute(request: Any, context: grpc.ServicerContext) -> Any:
        peers[request.session].add(context.peer())
        return result_set_pb2.ResultSet()

    def delete(request: Any, context: grpc.ServicerContext) -> bytes:
        peers[request.name].add(context.peer())
        return b""

    with scripted_server(BatchCreateSessions=create, ExecuteSql=execute, DeleteSession=delete) as plain:
        with rig_of(colour, AnonymousCredentials(), dataclasses.replace(plain, channels=3)) as rig:
            pool = rig.pool(min_size=300, max_size=300)
            pool.open()
            leases = [pool.acquire() for _ in range(30)]
            for lease in leases:
                rig.on(lease).stub.ExecuteSql(query(lease))
                pool.release(lease)
            rig.clock.advance(1800)
            until(lambda: pool.stats().pinged == 300)
            pool.close()
    assert len(peers) == 300
    assert all(len(used) == 1 for used in peers.values())
    assert list(Counter(peer for used in peers.values() for peer in used).values()) == [100, 100, 100]


def test_an_observer_sees_the_background_calls(local: LocalSpanner, colour: Colour) -> None:
    """Creates, pings and deletes are calls like any other."""
    watcher = Watcher()
    options = local.client_options(observer=watcher)
    with rig_of(colour, local.credentials(), options, local) as rig:
        pool = rig.pool(min_size=1)
        pool.open()
        rig.clock.advance(1800)
        until(lambda: pool.stats().pinged == 1)
        pool.close()
    assert [call.method for call in watcher.begun] == ["BatchCreateSessions", "ExecuteSql", "DeleteSession"]
    assert watcher.ended == [(call, watcher.mark) for call in watcher.begun]
