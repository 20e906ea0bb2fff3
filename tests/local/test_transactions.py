"""Transactions: what begins, ends and invalidates them, on the local server and, where it can, on the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import mutation_pb2, spanner_pb2, spanner_pb2_grpc, transaction_pb2

from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import Emulator
from tests.local.wire import DATABASE, Wire, failure

READ_WRITE = transaction_pb2.TransactionOptions(read_write={})
READ_ONLY = transaction_pb2.TransactionOptions(read_only={"strong": True, "return_read_timestamp": True})


class Client:
    """A session, and calls of it by a bare stub."""

    def __init__(self, wire: Any, database: str = DATABASE, *, multiplexed: bool = False) -> None:
        self.wire = wire
        self.session = wire.create(database, multiplexed=multiplexed).name

    def begin(self, options: Any = READ_WRITE, **fields: Any) -> transaction_pb2.Transaction:
        """Begin a transaction."""
        request = spanner_pb2.BeginTransactionRequest(session=self.session, options=options, **fields)
        answer: transaction_pb2.Transaction = self.wire.call("BeginTransaction", request)
        return answer

    def select(self, **fields: Any) -> Any:
        """Run SELECT 1."""
        return self.wire.call(
            "ExecuteSql", spanner_pb2.ExecuteSqlRequest(session=self.session, sql="SELECT 1", **fields)
        )

    def use(self, transaction: bytes) -> Any:
        """Run it in a transaction."""
        return self.select(transaction={"id": transaction})

    def commit(self, transaction: bytes = b"", **fields: Any) -> Any:
        """Commit a transaction."""
        request = spanner_pb2.CommitRequest(session=self.session, **fields)
        if transaction:
            request.transaction_id = transaction
        return self.wire.call("Commit", request)

    def rollback(self, transaction: bytes) -> Any:
        """Roll it back."""
        request = spanner_pb2.RollbackRequest(session=self.session, transaction_id=transaction)
        return self.wire.call("Rollback", request)


class EmulatorWire(Wire):
    """A bare stub to the emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.channel = grpc.insecure_channel(emulator.grpc_endpoint)
        self.stub = spanner_pb2_grpc.SpannerStub(self.channel)
        self.metadata = ()


@pytest.fixture(params=["local", "emulator"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A session of each server in turn."""
    if request.param == "local":
        yield Client(request.getfixturevalue("plain_wire"))
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        wire = EmulatorWire(emulator)
        with wire.channel:
            yield Client(wire, emulator.create_database())


def _committed(client: Client) -> bytes:
    transaction = client.begin().id
    client.commit(transaction)
    return transaction


def _rolled_back(client: Client) -> bytes:
    transaction = client.begin().id
    client.rollback(transaction)
    return transaction


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda client: client.use(_committed(client)), "FAILED_PRECONDITION"),
        (lambda client: client.rollback(_committed(client)), "FAILED_PRECONDITION"),
        (lambda client: client.use(_rolled_back(client)), "FAILED_PRECONDITION"),
        (lambda client: client.commit(_rolled_back(client)), "FAILED_PRECONDITION"),
        (lambda client: client.commit(client.begin(READ_ONLY).id), "FAILED_PRECONDITION"),
        (lambda client: client.use(b"1000"), "NOT_FOUND"),
        (lambda client: client.commit(b"1000"), "NOT_FOUND"),
        (lambda client: client.commit(), "INVALID_ARGUMENT"),
        (lambda client: client.begin(None), "INVALID_ARGUMENT"),
    ],
)
def test_a_transaction_that_is_over_or_unknown_is_refused(
    client: Client, call: Callable[[Client], object], status: str
) -> None:
    """With one status on both servers."""
    assert failure(lambda: call(client)).status == status


def test_a_transaction_begins_with_its_first_statement_and_commits_once(client: Client) -> None:
    """The id comes with the result; a Commit that comes again gets the same answer."""
    transaction = client.select(transaction={"begin": READ_WRITE}).metadata.transaction.id
    assert client.use(transaction).rows
    first = client.commit(transaction)
    assert first.commit_timestamp.seconds
    assert client.commit(transaction) == first
    assert client.commit(single_use_transaction=READ_WRITE).commit_timestamp.seconds
    assert client.begin(READ_ONLY).read_timestamp.seconds


def test_a_session_has_one_open_transaction_and_a_multiplexed_one_any_number(plain_wire: Wire) -> None:
    """A later transaction invalidates an earlier one, as on Spanner; the emulator is more patient."""
    regular, multiplexed = Client(plain_wire), Client(plain_wire, multiplexed=True)
    first = regular.begin().id
    second = regular.begin().id
    error = failure(lambda: regular.use(first))
    assert (error.status, "invalidated by a later transaction" in error.message) == ("FAILED_PRECONDITION", True)
    regular.commit(second)
    begun = [multiplexed.begin() for _ in range(2)]
    for transaction in begun:
        assert multiplexed.commit(transaction.id, precommit_token=transaction.precommit_token)


def test_a_commit_on_a_multiplexed_session_needs_the_newest_token(plain_wire: Wire) -> None:
    """Each answer of a read-write transaction brings one; nothing else has them."""
    client = Client(plain_wire, multiplexed=True)
    begun = client.begin()
    newest = client.use(begun.id).precommit_token
    assert newest.seq_num > begun.precommit_token.seq_num
    for stale in ({}, {"precommit_token": begun.precommit_token}):
        error = failure(lambda stale=stale: client.commit(begun.id, **stale))  # type: ignore[misc]  # mypy and defaults
        assert (error.status, "precommit token" in error.message) == ("FAILED_PRECONDITION", True)
    assert client.commit(begun.id, precommit_token=newest).commit_timestamp.seconds
    assert not client.begin(READ_ONLY).HasField("precommit_token")
    assert not Client(plain_wire).begin().HasField("precommit_token")


def test_open_transactions_are_aborted_on_demand(plain: LocalSpanner, plain_wire: Wire) -> None:
    """The next use says so, with a delay; a rollback of an aborted one is accepted."""
    client = Client(plain_wire)
    transaction = client.begin().id
    assert (plain.abort_transactions(), plain.abort_transactions()) == (1, 0)
    error = failure(lambda: client.commit(transaction))
    assert error.status == "ABORTED"
    assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in error.details)
    client.rollback(transaction)
    assert client.commit(client.begin().id).commit_timestamp.seconds


def test_commits_count_their_mutations_when_asked(plain: LocalSpanner, plain_wire: Wire) -> None:
    """A written cell is one, a deleted key is one, a mutation of another kind none; the record of the call has them."""
    write = mutation_pb2.Mutation(insert={"table": "T", "columns": ["a", "b"], "values": [{}, {}]})
    delete = mutation_pb2.Mutation(delete={"table": "T", "key_set": {"keys": [{}]}})
    send = mutation_pb2.Mutation(send={"queue": "Q"})
    answer = Client(plain_wire).commit(
        single_use_transaction=READ_WRITE, mutations=[write, delete, send], return_commit_stats=True
    )
    assert answer.commit_stats.mutation_count == 5
    assert list(plain.calls[-1].request.mutations) == [write, delete, send]  # type: ignore[attr-defined]  # of a Commit
