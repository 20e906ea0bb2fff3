"""Transactions in memory: which are open, what ends them, and the precommit tokens of multiplexed sessions.

They keep no data. The statuses are those of the emulator; that a session's later transaction invalidates its earlier
one, and that a Commit needs the newest token, is as Spanner does it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

from spanner_grpc_sessions_pb import commit_response_pb2, spanner_pb2, transaction_pb2

from spanner_grpc_sessions.local.status import RpcStatus, retry_info

_OPEN: Final = "open"
# Seconds that a client of an aborted transaction is told to wait.
_RETRY_DELAY: Final = 0.01
_INVALIDATED: Final = RpcStatus(
    "FAILED_PRECONDITION", "The transaction was invalidated by a later transaction in the same session."
)
_ABORTED: Final = RpcStatus("ABORTED", "The transaction was aborted.", retry_info(_RETRY_DELAY))
_NOT_WRITING: Final = RpcStatus(
    "INVALID_ARGUMENT", "A DML statement needs a read-write transaction, or one of partitioned DML."
)


@dataclass(slots=True, eq=False)
class _Transaction:
    """One transaction; `state` is "open", "committed", "rolled back", "invalidated" or "aborted"."""

    id: bytes
    session: str
    mode: str
    multiplexed: bool
    state: str = _OPEN
    sequence: int = 0
    committed_at: float = 0.0

    def next_token(self) -> transaction_pb2.MultiplexedSessionPrecommitToken | None:
        """Return the token of the next answer, which the Commit needs if none comes after it."""
        if not (self.multiplexed and self.mode == "read_write"):
            return None
        self.sequence += 1
        return transaction_pb2.MultiplexedSessionPrecommitToken(
            precommit_token=b"%s/%d" % (self.id, self.sequence), seq_num=self.sequence
        )


@dataclass(frozen=True, slots=True)
class Selected:
    """The transaction of a request.

    Attributes:
        begun: for the metadata of the answer, if the request began it.
        token: for the answer, on a multiplexed session.
        partitioned: it is one of partitioned DML.
    """

    begun: transaction_pb2.Transaction | None = None
    token: transaction_pb2.MultiplexedSessionPrecommitToken | None = None
    partitioned: bool = False


class Transactions:
    """The transactions of all sessions. Safe to share between threads. Its methods raise `RpcStatus`."""

    def __init__(self) -> None:
        self._transactions: dict[bytes, _Transaction] = {}
        # The open transaction of each session that is not multiplexed: it has one at a time.
        self._current: dict[str, _Transaction] = {}
        self._lock = threading.Lock()

    def begin(self, session: spanner_pb2.Session, options: Any, now: float) -> transaction_pb2.Transaction:
        """Begin a transaction, as BeginTransaction does."""
        with self._lock:
            transaction = self._begin(session, options)
            begun = _message(transaction, options, now)
            token = transaction.next_token()
        if token is not None:
            begun.precommit_token.CopyFrom(token)
        return begun

    def select(self, session: spanner_pb2.Session, selector: Any, now: float, *, writes: bool = False) -> Selected:
        """Find or begin the transaction of a request; `writes` says that it is DML."""
        which = selector.WhichOneof("selector")
        with self._lock:
            if which == "id":
                transaction = self._usable(session, selector.id)
            elif which == "begin":
                transaction = self._begin(session, selector.begin)
            else:
                transaction = _Transaction(b"", session.name, "read_only", session.multiplexed)
            if writes and transaction.mode == "read_only":
                raise _NOT_WRITING
            begun = _message(transaction, selector.begin, now) if which == "begin" else None
            return Selected(begun, transaction.next_token(), transaction.mode == "partitioned_dml")

    def commit(self, session: spanner_pb2.Session, request: Any, now: float) -> commit_response_pb2.CommitResponse:
        """Commit a transaction, or mutations in one of their own. A commit that comes again gets the same answer."""
        which = request.WhichOneof("transaction")
        if which is None:
            raise RpcStatus("INVALID_ARGUMENT", "A Commit needs transaction_id or single_use_transaction.")
        with self._lock:
            at = now if which == "single_use_transaction" else self._commit(session, request, now)
        response = commit_response_pb2.CommitResponse()
        response.commit_timestamp.FromMicroseconds(round(at * 1e6))
        if request.return_commit_stats:
            response.commit_stats.mutation_count = sum(map(_mutation_count, request.mutations))
        return response

    def rollback(self, session: spanner_pb2.Session, transaction_id: bytes) -> None:
        """Roll a transaction back; once more, or after it was aborted, changes nothing."""
        with self._lock:
            transaction = self._find(session, transaction_id)
            if transaction.state == "committed":
                raise RpcStatus("FAILED_PRECONDITION", "The transaction was committed, and cannot be rolled back.")
            if transaction.state == _OPEN:
                self._end(transaction, "rolled back")

    def abort_all(self) -> int:
        """Abort the read-write transactions that are open, and return how many. No RPC."""
        with self._lock:
            opened = [each for each in self._transactions.values() if each.state == _OPEN and each.mode == "read_write"]
            for transaction in opened:
                self._end(transaction, "aborted")
        return len(opened)

    def _begin(self, session: spanner_pb2.Session, options: Any) -> _Transaction:
        mode = options.WhichOneof("mode")
        if mode is None:
            raise RpcStatus("INVALID_ARGUMENT", "TransactionOptions need read_write, read_only or partitioned_dml.")
        new_id = str(len(self._transactions) + 1).encode()
        transaction = _Transaction(new_id, session.name, mode, session.multiplexed)
        self._transactions[new_id] = transaction
        if not session.multiplexed:
            before = self._current.get(session.name)
            if before is not None:
                self._end(before, "invalidated")
            self._current[session.name] = transaction
        return transaction

    def _commit(self, session: spanner_pb2.Session, request: Any, now: float) -> float:
        transaction = self._find(session, request.transaction_id)
        if transaction.state == "committed":
            return transaction.committed_at
        transaction = self._usable(session, request.transaction_id)
        if transaction.mode == "read_only":
            raise RpcStatus("FAILED_PRECONDITION", "A read-only transaction cannot be committed.")
        if transaction.multiplexed and request.precommit_token.seq_num != transaction.sequence:
            raise RpcStatus(
                "FAILED_PRECONDITION",
                f"The Commit has the precommit token {request.precommit_token.seq_num or 'none'}; "
                f"the newest of the transaction is {transaction.sequence}.",
            )
        transaction.committed_at = now
        self._end(transaction, "committed")
        return now

    def _usable(self, session: spanner_pb2.Session, transaction_id: bytes) -> _Transaction:
        transaction = self._find(session, transaction_id)
        if transaction.state == "invalidated":
            raise _INVALIDATED
        if transaction.state == "aborted":
            raise _ABORTED
        if transaction.state != _OPEN:
            raise RpcStatus("FAILED_PRECONDITION", f"The transaction was {transaction.state}, and cannot be used.")
        return transaction

    def _find(self, session: spanner_pb2.Session, transaction_id: bytes) -> _Transaction:
        transaction = self._transactions.get(transaction_id)
        if transaction is None or transaction.session != session.name:
            raise RpcStatus("NOT_FOUND", f"Transaction not found: {transaction_id.decode(errors='replace')}")
        return transaction

    def _end(self, transaction: _Transaction, state: str) -> None:
        transaction.state = state
        if self._current.get(transaction.session) is transaction:
            del self._current[transaction.session]


def _message(transaction: _Transaction, options: Any, now: float) -> transaction_pb2.Transaction:
    message = transaction_pb2.Transaction(id=transaction.id)
    if transaction.mode == "read_only" and options.read_only.return_read_timestamp:
        message.read_timestamp.FromMicroseconds(round(now * 1e6))
    return message


def _mutation_count(mutation: Any) -> int:
    """Return what a mutation counts for in CommitStats: a cell that is written as one, and a key that is deleted."""
    operation: str = mutation.WhichOneof("operation") or ""
    if operation == "delete":
        return len(mutation.delete.key_set.keys) + len(mutation.delete.key_set.ranges)
    if operation not in _WRITES:
        return 0
    write: Any = getattr(mutation, operation)
    return len(write.columns) * len(write.values)


_WRITES: Final = frozenset({"insert", "update", "insert_or_update", "replace"})
