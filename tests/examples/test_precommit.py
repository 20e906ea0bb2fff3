"""The token of a multiplexed session, and the mutation that is its key."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb import mutation_pb2, result_set_pb2

from precommit import NewestToken, mutation_key

_WRITE = {"table": "T", "values": [{}]}
INSERT = mutation_pb2.Mutation(insert=_WRITE)
INSERT_OF_TWO = mutation_pb2.Mutation(insert={"table": "T", "values": [{}, {}]})
OTHERS = [
    mutation_pb2.Mutation(update=_WRITE),
    mutation_pb2.Mutation(insert_or_update=_WRITE),
    mutation_pb2.Mutation(replace=_WRITE),
    mutation_pb2.Mutation(delete={"table": "T"}),
]


@given(st.lists(st.none() | st.integers(1, 100)))
def test_the_newest_token_is_kept(numbers: list[int | None]) -> None:
    """In whatever order answers come, and whether they have a token or not."""
    newest = NewestToken()
    for number in numbers:
        newest.note(result_set_pb2.ResultSet(precommit_token=None if number is None else {"seq_num": number}))
    assert (newest.token.seq_num if newest.token else 0) == max((number or 0 for number in numbers), default=0)


@given(st.lists(st.sampled_from([INSERT, INSERT_OF_TWO, *OTHERS]), min_size=1))
def test_the_key_is_a_mutation_that_says_most(mutations: list[mutation_pb2.Mutation]) -> None:
    """An insert only where there is nothing else, and then a large one."""
    key = mutation_key(mutations)
    assert key in mutations
    if any(mutation in OTHERS for mutation in mutations):
        assert not key.HasField("insert")
    elif INSERT_OF_TWO in mutations:
        assert key == INSERT_OF_TWO


def test_the_key_is_any_of_those() -> None:
    """Not always the first, so that keys are spread."""
    assert len({str(mutation_key(OTHERS)) for _ in range(200)}) > 1


def test_no_mutations_have_no_key() -> None:
    """To write nothing is an error."""
    with pytest.raises(ValueError, match="at least one"):
        mutation_key([])
