"""One attempt of a read-write transaction: the requests that it sends, and what it takes from their answers. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct
from spanner_grpc_sessions_pb import mutation_pb2, result_set_pb2, spanner_pb2, transaction_pb2, type_pb2

from precommit import NewestToken, mutation_key


class Attempt:
    """A transaction that begins with its first statement, which saves a round trip, or with `begin`.

    Args:
        session: name of the session.
        previous: id of the attempt before, on a multiplexed session. The new attempt inherits its age, so that retries
            win in the end; an ordinary session does that by itself.

    Attributes:
        id: of the transaction; empty until it has begun.
    """

    def __init__(self, session: str, previous: bytes = b"") -> None:
        self.id = b""
        self._session = session
        self._options = transaction_pb2.TransactionOptions(
            read_write={"multiplexed_session_previous_transaction_id": previous}
        )
        self._newest = NewestToken()
        self._statements = 0

    def begin(self, mutations: Sequence[mutation_pb2.Mutation]) -> spanner_pb2.BeginTransactionRequest:
        """Return the request that begins a transaction of these mutations and nothing else."""
        return spanner_pb2.BeginTransactionRequest(
            session=self._session, options=self._options, mutation_key=mutation_key(mutations)
        )

    def statement(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        param_types: Mapping[str, type_pb2.Type] | None = None,
    ) -> spanner_pb2.ExecuteSqlRequest:
        """Return the request that runs a statement, and begins the transaction if it is the first."""
        values = Struct()
        values.update(params or {})
        self._statements += 1
        return spanner_pb2.ExecuteSqlRequest(
            session=self._session,
            transaction={"id": self.id} if self.id else {"begin": self._options},
            sql=sql,
            params=values,
            param_types=param_types,
            seqno=self._statements,
        )

    def learn(self, answer: result_set_pb2.ResultSet | transaction_pb2.Transaction) -> None:
        """Take the transaction's id and token from an answer."""
        begun = answer if isinstance(answer, transaction_pb2.Transaction) else answer.metadata.transaction
        self.id = self.id or begun.id
        self._newest.note(answer)

    def commit(self, mutations: Sequence[mutation_pb2.Mutation] = ()) -> spanner_pb2.CommitRequest:
        """Return the request that commits the statements, and these mutations with them."""
        return spanner_pb2.CommitRequest(
            session=self._session,
            transaction_id=self.id,
            mutations=mutations,
            precommit_token=self._newest.token,
        )

    def rollback(self) -> spanner_pb2.RollbackRequest:
        """Return the request that releases the locks."""
        return spanner_pb2.RollbackRequest(session=self._session, transaction_id=self.id)
