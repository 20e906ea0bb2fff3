"""A query whose rows come as a stream that survives a broken connection, in asyncio. `queries` is the sync form.

python docs/examples/queries_async.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from spanner_grpc_sessions_pb import type_pb2

from chunks import Cell, RowJoiner
from queries import query_request
from retries import Retries
from spanner_grpc_sessions import (
    AsyncLease,
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    Unavailable,
)


async def stream_rows(
    session: AsyncLease | AsyncMultiplexedSession,
    sql: str,
    params: Mapping[str, Any] | None = None,
    param_types: Mapping[str, type_pb2.Type] | None = None,
    *,
    timeout: float = 600.0,
) -> AsyncGenerator[list[Cell], None]:
    """Yield the rows of a query, each as a list. Who may stop early closes it: see `contextlib.aclosing`.

    Args:
        session: one of a pool, on which nothing else runs until the query ends, or the multiplexed one.
        sql: the query.
        params: its parameters, in the form that JSON has for them.
        param_types: their types, where JSON does not show them.
        timeout: seconds until the last row.

    Raises:
        Unavailable: the stream broke, and could not be resumed.
        RpcError: the query failed.
    """
    request, joiner, retries = query_request(session.name, sql, params, param_types), RowJoiner(), Retries(timeout)
    while True:
        stream = session.stub.ExecuteStreamingSql(request, timeout=retries.left())
        try:
            async for piece in stream:
                for row in joiner.add(piece):
                    yield row
            for row in joiner.finish():
                yield row
        except Unavailable as error:
            if not joiner.resumable:
                raise
            await asyncio.sleep(retries.delay(error))
        else:
            return
        finally:
            stream.cancel()  # for a reader that stops early; nothing happens to a stream that has ended
        joiner.forget()
        request.resume_token = joiner.resume_token


async def main(database: str) -> None:
    """Query on a session of a pool, and on the multiplexed one."""
    async with AsyncSessionsClient() as client, AsyncSessionPool(client, database) as pool:
        async with pool.session() as lease:
            async for row in stream_rows(lease, "SELECT SingerId, Name, Genres FROM Singers ORDER BY SingerId"):
                print(row)
        async with AsyncMultiplexedSession(client, database) as multiplexed:
            by_name = "SELECT SingerId FROM Singers WHERE Name = @name"
            async for row in stream_rows(multiplexed, by_name, {"name": "Ada"}):
                print(row)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
