"""A query whose rows come as a stream that survives a broken connection. `queries_async` is the asyncio form.

python docs/examples/queries.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct
from spanner_grpc_sessions_pb import spanner_pb2, type_pb2

from chunks import Cell, RowJoiner
from retries import Retries
from spanner_grpc_sessions import Lease, MultiplexedSession, SessionPool, SessionsClient, Unavailable


def query_request(
    session: str,
    sql: str,
    params: Mapping[str, Any] | None = None,
    param_types: Mapping[str, type_pb2.Type] | None = None,
) -> spanner_pb2.ExecuteSqlRequest:
    """Return the request of a query that sees all that was committed before, in a transaction of its own."""
    values = Struct()
    values.update(params or {})
    return spanner_pb2.ExecuteSqlRequest(
        session=session,
        transaction={"single_use": {"read_only": {"strong": True}}},
        sql=sql,
        params=values,
        param_types=param_types,
    )


def stream_rows(
    session: Lease | MultiplexedSession,
    sql: str,
    params: Mapping[str, Any] | None = None,
    param_types: Mapping[str, type_pb2.Type] | None = None,
    *,
    timeout: float = 600.0,
) -> Iterator[list[Cell]]:
    """Yield the rows of a query, each as a list.

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
            for piece in stream:
                yield from joiner.add(piece)
            yield from joiner.finish()
        except Unavailable as error:
            if not joiner.resumable:
                raise
            time.sleep(retries.delay(error))
        else:
            return
        finally:
            stream.cancel()  # for a reader that stops early; nothing happens to a stream that has ended
        joiner.forget()
        request.resume_token = joiner.resume_token


def main(database: str) -> None:
    """Query on a session of a pool, and on the multiplexed one."""
    with SessionsClient() as client, SessionPool(client, database) as pool:
        with pool.session() as lease:
            for row in stream_rows(lease, "SELECT SingerId, Name, Genres FROM Singers ORDER BY SingerId"):
                print(row)
        with MultiplexedSession(client, database) as multiplexed:
            by_name = "SELECT SingerId FROM Singers WHERE Name = @name"
            for row in stream_rows(multiplexed, by_name, {"name": "Ada"}):
                print(row)


if __name__ == "__main__":
    main(sys.argv[1])
