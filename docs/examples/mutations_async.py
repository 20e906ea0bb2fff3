"""Mutations, committed in one piece in asyncio. `mutations` is the sync form.

python docs/examples/mutations_async.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from spanner_grpc_sessions_pb import commit_response_pb2, mutation_pb2, spanner_pb2

from attempt import Attempt
from mutations import insert_or_update
from retries import Retries
from spanner_grpc_sessions import Aborted, AsyncLease, AsyncMultiplexedSession, AsyncSessionPool, AsyncSessionsClient
from transactions_async import commit, retry_aborted


async def write(
    lease: AsyncLease, mutations: Sequence[mutation_pb2.Mutation], *, timeout: float = 30.0
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
            return await lease.stub.Commit(request, timeout=retries.left())
        except Aborted as error:
            await asyncio.sleep(retries.delay(error))


async def write_multiplexed(
    session: AsyncMultiplexedSession, mutations: Sequence[mutation_pb2.Mutation], *, timeout: float = 30.0
) -> commit_response_pb2.CommitResponse:
    """Commit mutations on the multiplexed session: the transaction begins with a key and commits with a token.

    Raises:
        RpcError: they are not committed. After the DeadlineExceeded or Unavailable of a Commit they may be.
        ValueError: there are no mutations.
    """
    retries = Retries(timeout)

    async def run(attempt: Attempt) -> commit_response_pb2.CommitResponse:
        attempt.learn(await session.stub.BeginTransaction(attempt.begin(mutations), timeout=retries.left()))
        return await commit(session.stub, attempt.commit(mutations), retries)

    return await retry_aborted(session, run, retries)


async def main(database: str) -> None:
    """Write two singers: one on a session of a pool, and one on the multiplexed session."""
    ada = insert_or_update("Singers", {"SingerId": "ada", "Name": "Ada", "Genres": ["jazz", "soul"]})
    ben = insert_or_update("Singers", {"SingerId": "ben", "Name": "Ben", "Genres": []})
    async with AsyncSessionsClient() as client, AsyncSessionPool(client, database) as pool:
        async with pool.session() as lease:
            print("Ada:", (await write(lease, [ada])).commit_timestamp.ToJsonString())
        async with AsyncMultiplexedSession(client, database) as multiplexed:
            print("Ben:", (await write_multiplexed(multiplexed, [ben])).commit_timestamp.ToJsonString())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
