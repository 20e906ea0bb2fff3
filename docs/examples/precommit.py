"""What a multiplexed session needs of a read-write transaction: its newest token, and a mutation as a key."""

from __future__ import annotations

import random
from collections.abc import Sequence

from spanner_grpc_sessions_pb import mutation_pb2, result_set_pb2, spanner_pb2, transaction_pb2

Answer = (
    transaction_pb2.Transaction
    | result_set_pb2.ResultSet
    | result_set_pb2.PartialResultSet
    | spanner_pb2.ExecuteBatchDmlResponse
)
"""What may have a token."""


class NewestToken:
    """The token of one attempt that has the highest `seq_num`.

    Attributes:
        token: for the Commit of the attempt. None if no answer brought one: on a session that is not multiplexed, and
            on Google's emulator.
    """

    def __init__(self) -> None:
        self.token: transaction_pb2.MultiplexedSessionPrecommitToken | None = None

    def note(self, answer: Answer) -> None:
        """Keep the token of an answer, if it is newer: answers may overtake each other."""
        if answer.HasField("precommit_token") and (
            self.token is None or answer.precommit_token.seq_num > self.token.seq_num
        ):
            self.token = answer.precommit_token


def mutation_key(mutations: Sequence[mutation_pb2.Mutation]) -> mutation_pb2.Mutation:
    """Return the mutation that tells the server where a transaction without statements will write.

    One at random, as BeginTransactionRequest asks; inserts only where there is nothing else, and of them one with the
    most rows, as in Google's clients.

    Raises:
        ValueError: there are no mutations.
    """
    if not mutations:
        raise ValueError("a transaction of mutations only needs at least one")
    candidates = [mutation for mutation in mutations if not mutation.HasField("insert")]
    if not candidates:
        most = max(len(mutation.insert.values) for mutation in mutations)
        candidates = [mutation for mutation in mutations if len(mutation.insert.values) == most]
    return random.choice(candidates)  # noqa: S311 - a choice, not a secret
