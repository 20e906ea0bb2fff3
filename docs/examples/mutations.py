"""Mutations, committed in one piece. `mutations_async` is the asyncio form.

python docs/examples/mutations.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue
from spanner_grpc_sessions_pb import commit_response_pb2, mutation_pb2, spanner_pb2

from attempt import Attempt
from retries import Retries
from spanner_grpc_sessions import Aborted, Lease, MultiplexedSession, SessionPool, SessionsClient
from transactions import commit, retry_aborted


def insert_or_update(table: str, row: Mapping[str, Any]) -> mutation_pb2.Mutation:
    """Return the mutation that writes a row, whether it is there or not.

    Args:
        table: its name.
        row: values by column, in the form that JSON has for them: an INT64 is a string.
    """
    values = ListValue()
    values.extend(row.values())
    return mutation_pb2.Mutation(insert_or_update={"table": table, "columns": row.keys(), "values": [values]})


def write(
    lease: Lease, mutations: Sequence[mutation_pb2.Mutation], *, timeout: float = 30.0
) -> commit_response_pb2.CommitResponse:
    """Commit mutations on a session of a pool, in a transaction of their own: one round trip.

    Raises:
        Unavailable, DeadlineExceeded: they may be committed or not. Write them again only if that is safe, as with
            `insert_or_update`.
        RpcError: they are not committed.
    """
    retries = Retries(timeout)
    request = spanner_pb2.CommitRequest(
        session=lease.name, single_use_transaction={"read_write": {}}, mutations=mutations
    )
    while True:
        try:
            return lease.stub.Commit(request, timeout=retries.left())
        except Aborted as error:
            time.sleep(retries.delay(error))


def write_multiplexed(
    session: MultiplexedSession, mutations: Sequence[mutation_pb2.Mutation], *, timeout: float = 30.0
) -> commit_response_pb2.CommitResponse:
    """Commit mutations on the multiplexed session: the transaction begins with a key and commits with a token.

    Raises:
        RpcError: they are not committed. After the DeadlineExceeded or Unavailable of a Commit they may be.
        ValueError: there are no mutations.
    """
    retries = Retries(timeout)

    def run(attempt: Attempt) -> commit_response_pb2.CommitResponse:
        attempt.learn(session.stub.BeginTransaction(attempt.begin(mutations), timeout=retries.left()))
        return commit(session.stub, attempt.commit(mutations), retries)

    return retry_aborted(session, run, retries)


def main(database: str) -> None:
    """Write two singers: one on a session of a pool, and one on the multiplexed session."""
    ada = insert_or_update("Singers", {"SingerId": "ada", "Name": "Ada", "Genres": ["jazz", "soul"]})
    ben = insert_or_update("Singers", {"SingerId": "ben", "Name": "Ben", "Genres": []})
    with SessionsClient() as client, SessionPool(client, database) as pool:
        with pool.session() as lease:
            print("Ada:", write(lease, [ada]).commit_timestamp.ToJsonString())
        with MultiplexedSession(client, database) as multiplexed:
            print("Ben:", write_multiplexed(multiplexed, [ben]).commit_timestamp.ToJsonString())


if __name__ == "__main__":
    main(sys.argv[1])
