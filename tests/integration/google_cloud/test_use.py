"""A Database's calls on a client's channel: with its token over TLS; groups of mutations, which no emulator takes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    ClientClosed,
    ClientOptions,
    InvalidType,
    MultiplexedSession,
    SessionsClient,
    google_cloud,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.google_cloud import instance_of, rows_of
from tests.support.scripted import Gate, scripted_server

DATABASE = "projects/p/instances/i/databases/db"


def test_calls_have_the_token_of_the_client(local: LocalSpanner) -> None:
    """Over TLS, also those of google-cloud-spanner's own sessions; its headers and request ids stay its own."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        database = instance_of(DATABASE).database("db")
        assert google_cloud.use(database, client) is database
        assert rows_of(database, "SELECT 1") == [[1]]
        created, query = local.calls
        assert (created.method, query.method) == ("CreateSession", "ExecuteStreamingSql")
        assert str(query.header("authorization")).startswith("Bearer ")
        assert f"gccl/{version('google-cloud-spanner')}" in str(query.header("x-goog-api-client"))
        assert query.header("google-cloud-resource-prefix") == DATABASE
        numbers = str(query.header("x-goog-spanner-request-id")).split(".")
        assert numbers[2] == str(database._nth_client_id)


def test_a_retry_keeps_the_request_id_but_for_its_attempt(local: LocalSpanner) -> None:
    """google-cloud-spanner restarts a stream that the server breaks off, and counts the attempts itself."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        database = google_cloud.use(instance_of(DATABASE).database("db"), client)
        local.faults.add("ExecuteStreamingSql", status="UNAVAILABLE", times=2)
        assert rows_of(database, "SELECT 1") == [[1]]
        queries = [call for call in local.calls if call.method == "ExecuteStreamingSql"]
    ids = [str(call.header("x-goog-spanner-request-id")) for call in queries]
    assert len({request_id.rpartition(".")[0] for request_id in ids}) == 1
    assert [request_id.rpartition(".")[2] for request_id in ids] == ["1", "2", "3"]


def test_a_closed_client_says_so(local: LocalSpanner) -> None:
    """Each call raises an exception of ours."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        database = google_cloud.use(instance_of(DATABASE).database("db"), client)
        assert rows_of(database, "SELECT 1") == [[1]]
    with pytest.raises(ClientClosed):
        rows_of(database, "SELECT 1")


def test_wrong_arguments_are_refused() -> None:
    """Also a Database of one form beside a client of the other."""
    use: Any = google_cloud.use
    database = instance_of(DATABASE).database("db")
    options = ClientOptions(endpoint="127.0.0.1:1", plaintext=True)
    client = SessionsClient(AnonymousCredentials(), options=options)
    with pytest.raises(InvalidType, match="client must be a SessionsClient or an AsyncSessionsClient, got str"):
        use(database, "client")
    with pytest.raises(InvalidType, match="database beside a SessionsClient must be a Database, got str"):
        use("database", client)
    with pytest.raises(InvalidType, match="database beside an AsyncSessionsClient must be a Database"):
        use(database, AsyncSessionsClient(AnonymousCredentials(), options=options))
    assert database._spanner_api is None


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What BatchWrite was sent, by a server that takes it where google-cloud-spanner looks for one."""
    sent: list[Any] = []
    gate = Gate()
    gate.open.set()

    def write(request: Any, context: grpc.ServicerContext) -> Iterator[spanner_pb2.BatchWriteResponse]:
        sent.append(request)
        yield from (spanner_pb2.BatchWriteResponse(indexes=[place]) for place in range(len(request.mutation_groups)))

    with scripted_server(CreateSession=gate.create, BatchWrite=write) as options:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", str(options.endpoint))
        yield sent


@pytest.mark.parametrize("calls", ["own channel", "our channel"])
def test_groups_of_mutations_are_written(writes: list[Any], calls: str) -> None:
    """In one call on the session of the adapter, which streams what became of each group."""
    with SessionsClient() as client, MultiplexedSession(client, DATABASE) as shared:
        database = instance_of(DATABASE).database("db", pool=google_cloud.MultiplexedSession(shared))
        if calls == "our channel":
            google_cloud.use(database, client)
        with database.mutation_groups() as groups:
            for number in (1, 2):
                groups.group().insert("Singers", ("SingerId",), [[number]])
            assert [list(answer.indexes) for answer in groups.batch_write()] == [[0], [1]]
        (request,) = writes
        assert (request.session, len(request.mutation_groups)) == (shared.name, 2)
