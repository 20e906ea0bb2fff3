"""A read-write transaction with DML, run again when it is aborted. `transactions_async` is the asyncio form.

python docs/examples/transactions.py projects/my-app/instances/prod/databases/orders
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from spanner_grpc_sessions_pb import commit_response_pb2, result_set_pb2, spanner_pb2, spanner_pb2_grpc, type_pb2

from attempt import Attempt
from retries import Retries
from spanner_grpc_sessions import (
    Aborted,
    Lease,
    MultiplexedSession,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
    Unavailable,
)

T = TypeVar("T")
INT64 = type_pb2.Type(code=type_pb2.INT64)
_ROLLBACK_TIMEOUT = 5.0


class Transaction:
    """What the work of a transaction can do. Use it only within the call that receives it."""

    def __init__(self, stub: spanner_pb2_grpc.SpannerStub, attempt: Attempt, retries: Retries) -> None:
        self._stub = stub
        self._attempt = attempt
        self._retries = retries

    def execute(
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
        result = self._stub.ExecuteSql(request, timeout=self._retries.left())
        self._attempt.learn(result)
        return result


def run_in_transaction(
    session: Lease | MultiplexedSession, work: Callable[[Transaction], T], *, timeout: float = 30.0
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

    def run(attempt: Attempt) -> T:
        result = work(Transaction(session.stub, attempt, retries))
        if attempt.id:  # otherwise nothing was executed
            commit(session.stub, attempt.commit(), retries)
        return result

    return retry_aborted(session, run, retries)


def retry_aborted(session: Lease | MultiplexedSession, run: Callable[[Attempt], T], retries: Retries) -> T:
    """Return what the first attempt returns that is not aborted; roll it back if it raises."""
    name, previous = session.name, b""
    while True:
        attempt = Attempt(name, previous)
        try:
            return run(attempt)
        except Aborted as error:
            if isinstance(session, MultiplexedSession):
                previous = attempt.id or previous
            time.sleep(retries.delay(error))
        except BaseException:
            if attempt.id:
                # The first error says more than one of the rollback. Without a rollback, the server rolls back itself.
                with contextlib.suppress(SpannerSessionsError):
                    session.stub.Rollback(attempt.rollback(), timeout=_ROLLBACK_TIMEOUT)
            raise


def commit(
    stub: spanner_pb2_grpc.SpannerStub, request: spanner_pb2.CommitRequest, retries: Retries
) -> commit_response_pb2.CommitResponse:
    """Commit a transaction that has an id: to send the same Commit again applies nothing twice."""
    while True:
        try:
            response = stub.Commit(request, timeout=retries.left())
        except Unavailable as error:
            time.sleep(retries.delay(error))
            continue
        if not response.HasField("precommit_token"):
            return response
        # Not committed yet: the server has the mutations, and asks for another Commit with this token.
        request.precommit_token.CopyFrom(response.precommit_token)
        del request.mutations[:]


def open_accounts(transaction: Transaction) -> None:
    """Create the two accounts of this example, unless they exist."""
    transaction.execute("INSERT OR IGNORE INTO Accounts (AccountId, Balance) VALUES (1, 100), (2, 0)")


def transfer(transaction: Transaction, amount: int = 10) -> int:
    """Move an amount from account 1 to account 2, and return what is left.

    Raises:
        ValueError: there is not enough; the transaction is rolled back.
    """
    params, types = {"amount": str(amount)}, {"amount": INT64}
    take = "UPDATE Accounts SET Balance = Balance - @amount WHERE AccountId = 1 THEN RETURN Balance"
    (row,) = transaction.execute(take, params, types).rows
    left = int(row.values[0].string_value)
    if left < 0:
        raise ValueError(f"account 1 has less than {amount}")
    transaction.execute("UPDATE Accounts SET Balance = Balance + @amount WHERE AccountId = 2", params, types)
    return left


def main(database: str) -> None:
    """Transfer twice: on a session of a pool, and on the multiplexed one."""
    with SessionsClient() as client, SessionPool(client, database) as pool:
        with pool.session() as lease:
            run_in_transaction(lease, open_accounts)
            print("left after a transfer on a session of the pool:", run_in_transaction(lease, transfer))
        with MultiplexedSession(client, database) as multiplexed:
            print("left after a transfer on the multiplexed one:", run_in_transaction(multiplexed, transfer))


if __name__ == "__main__":
    main(sys.argv[1])
