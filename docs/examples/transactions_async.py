"""A read-write transaction with DML in asyncio, run again when it is aborted. `transactions` is the sync form.

python docs/examples/transactions_async.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from spanner_grpc_sessions_pb import commit_response_pb2, result_set_pb2, spanner_pb2, spanner_pb2_grpc, type_pb2

from attempt import Attempt
from retries import Retries
from spanner_grpc_sessions import (
    Aborted,
    AsyncLease,
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    SpannerSessionsError,
    Unavailable,
)

T = TypeVar("T")
INT64 = type_pb2.Type(code=type_pb2.INT64)
_ROLLBACK_TIMEOUT = 5.0


class Transaction:
    """What the work of a transaction can do. Use it only within the call that receives it."""

    def __init__(self, stub: spanner_pb2_grpc.SpannerAsyncStub, attempt: Attempt, retries: Retries) -> None:
        self._stub = stub
        self._attempt = attempt
        self._retries = retries

    async def execute(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        param_types: Mapping[str, type_pb2.Type] | None = None,
    ) -> result_set_pb2.ResultSet:
        """Run a query or a DML statement. Statements run one after the other.

        Raises:
            Aborted: leave it to `run_in_transaction`.
            RpcError: the statement failed.
        """
        request = self._attempt.statement(sql, params, param_types)
        result = await self._stub.ExecuteSql(request, timeout=self._retries.left())
        self._attempt.learn(result)
        return result


async def run_in_transaction(
    session: AsyncLease | AsyncMultiplexedSession, work: Callable[[Transaction], Awaitable[T]], *, timeout: float = 30.0
) -> T:
    """Return `work(transaction)`, committed; rolled back if it raises.

    Args:
        session: a session of a pool, or the multiplexed one.
        work: is called again when the transaction is aborted, so it must do nothing outside of it.
        timeout: seconds for all attempts together.

    Raises:
        Aborted: the last attempt was aborted too.
        RpcError: a statement or the commit failed. After the DeadlineExceeded or Unavailable of a Commit it may be
            committed all the same.
        Exception: what `work` raises.
    """
    retries = Retries(timeout)

    async def run(attempt: Attempt) -> T:
        result = await work(Transaction(session.stub, attempt, retries))
        if attempt.id:  # otherwise nothing was executed
            await commit(session.stub, attempt.commit(), retries)
        return result

    return await retry_aborted(session, run, retries)


async def retry_aborted(
    session: AsyncLease | AsyncMultiplexedSession, run: Callable[[Attempt], Awaitable[T]], retries: Retries
) -> T:
    """Return what the first attempt returns that is not aborted; roll it back if it raises."""
    name, previous = session.name, b""
    while True:
        attempt = Attempt(name, previous)
        try:
            return await run(attempt)
        except Aborted as error:
            if isinstance(session, AsyncMultiplexedSession):
                previous = attempt.id or previous
            await asyncio.sleep(retries.delay(error))
        except BaseException:
            if attempt.id:
                # The first error says more than one of the rollback. Without a rollback, the server rolls back itself.
                with contextlib.suppress(SpannerSessionsError):
                    await session.stub.Rollback(attempt.rollback(), timeout=_ROLLBACK_TIMEOUT)
            raise


async def commit(
    stub: spanner_pb2_grpc.SpannerAsyncStub, request: spanner_pb2.CommitRequest, retries: Retries
) -> commit_response_pb2.CommitResponse:
    """Commit a transaction that has an id: to send the same Commit again applies nothing twice."""
    while True:
        try:
            response = await stub.Commit(request, timeout=retries.left())
        except Unavailable as error:
            await asyncio.sleep(retries.delay(error))
            continue
        if not response.HasField("precommit_token"):
            return response
        # Not committed yet: the server has the mutations, and asks for another Commit with this token.
        request.precommit_token.CopyFrom(response.precommit_token)
        del request.mutations[:]


async def open_accounts(transaction: Transaction) -> None:
    """Create the two accounts of this example, unless they exist."""
    await transaction.execute("INSERT OR IGNORE INTO Accounts (AccountId, Balance) VALUES (1, 100), (2, 0)")


async def transfer(transaction: Transaction, amount: int = 10) -> int:
    """Move an amount from account 1 to account 2, and return what is left.

    Raises:
        ValueError: there is not enough; the transaction is rolled back.
    """
    params, types = {"amount": str(amount)}, {"amount": INT64}
    take = "UPDATE Accounts SET Balance = Balance - @amount WHERE AccountId = 1 THEN RETURN Balance"
    (row,) = (await transaction.execute(take, params, types)).rows
    left = int(row.values[0].string_value)
    if left < 0:
        raise ValueError(f"account 1 has less than {amount}")
    await transaction.execute("UPDATE Accounts SET Balance = Balance + @amount WHERE AccountId = 2", params, types)
    return left


async def main(database: str) -> None:
    """Transfer twice: on a session of a pool, and on the multiplexed one."""
    async with AsyncSessionsClient() as client, AsyncSessionPool(client, database) as pool:
        async with pool.session() as lease:
            await run_in_transaction(lease, open_accounts)
            print("left after a transfer on a session of the pool:", await run_in_transaction(lease, transfer))
        async with AsyncMultiplexedSession(client, database) as multiplexed:
            print("left after a transfer on the multiplexed one:", await run_in_transaction(multiplexed, transfer))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
