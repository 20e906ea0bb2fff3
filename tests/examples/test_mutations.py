"""The example of mutations: on the emulator, and the tokens that it does not give on a scripted server."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import commit_response_pb2, mutation_pb2, spanner_pb2, transaction_pb2

from spanner_grpc_sessions import Aborted, ClientOptions, NotFound, SessionsClient, Unavailable
from spanner_grpc_sessions.testing import Emulator
from tests.examples.example import Example, fail, session_answers
from tests.support.colours import Colour
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer

COMMITTED = commit_response_pb2.CommitResponse(commit_timestamp={"seconds": 1})
MUTATIONS = [mutation_pb2.Mutation(insert_or_update={"table": "T", "columns": [name]}) for name in "ab"]
WRITE = {"pool": "write", "multiplexed": "write_multiplexed"}


@pytest.fixture
def example(colour: Colour) -> Example:
    """The example in each colour."""
    return Example("mutations", colour)


def names(options: ClientOptions, database: str) -> list[str]:
    """Return the names of all singers."""
    with SessionsClient(options=options) as client:
        request = spanner_pb2.ExecuteSqlRequest(
            session=client.create_session(database)["name"], sql="SELECT Name FROM Singers ORDER BY Name"
        )
        return [row.values[0].string_value for row in client.stub.ExecuteSql(request).rows]


def test_rows_are_written_and_written_again(example: Example, kind: str, emulator: Emulator, database: str) -> None:
    """All of a commit together; a second one changes what is there; of one that fails nothing is there."""
    options = EmulatorServer(emulator).options()
    singer = Example("mutations", Colour("sync")).module.insert_or_update

    async def scenario() -> None:
        async with example.session(options, kind, database=database) as session:
            first = [singer("Singers", {"SingerId": name, "Name": name, "Genres": ["x"]}) for name in ("a", "b")]
            second = singer("Singers", {"SingerId": "b", "Name": "c"})
            assert (await example.call(WRITE[kind], session, first)).commit_timestamp.seconds
            assert names(options, database) == ["a", "b"]
            await example.call(WRITE[kind], session, [second])
            with pytest.raises(NotFound):
                await example.call(WRITE[kind], session, [singer("Singers", {"SingerId": "d"}), singer("Nowhere", {})])

    asyncio.run(scenario())
    assert names(options, database) == ["a", "c"]


class Script:
    """A server that answers as a test says, and keeps the requests.

    Args:
        commits: what the commits are answered with, one after the other: a message, a status, or the seconds that an
            ABORTED asks to wait.
    """

    def __init__(self, *commits: Any) -> None:
        self._commits = iter(commits)
        self.begins: list[spanner_pb2.BeginTransactionRequest] = []
        self.commits: list[spanner_pb2.CommitRequest] = []

    def begin(self, request: Any, context: grpc.ServicerContext) -> transaction_pb2.Transaction:
        """Begin a transaction; its token has the number of the transaction."""
        self.begins.append(request)
        number = len(self.begins)
        return transaction_pb2.Transaction(id=b"transaction %d" % number, precommit_token={"seq_num": number})

    def commit(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a commit."""
        self.commits.append(request)
        answer = next(self._commits)
        if isinstance(answer, grpc.StatusCode):
            fail(context, answer)
        if isinstance(answer, float):
            fail(context, grpc.StatusCode.ABORTED, retry_delay=answer)
        return answer

    def run(self, example: Example, kind: str, mutations: Any = MUTATIONS) -> Any:
        """Write mutations."""

        async def scenario(options: ClientOptions) -> Any:
            async with example.session(options, kind) as session:
                return await example.call(WRITE[kind], session, mutations)

        answers = {"BeginTransaction": self.begin, "Commit": self.commit}
        with scripted_server(**session_answers(), **answers) as options:
            return asyncio.run(scenario(options))


def test_a_session_of_a_pool_takes_one_round_trip(example: Example) -> None:
    """The commit has a transaction of its own; it is repeated when it is aborted."""
    script = Script(grpc.StatusCode.ABORTED, COMMITTED)
    assert script.run(example, "pool") == COMMITTED
    assert not script.begins
    assert script.commits[0] == script.commits[1]
    assert script.commits[0].single_use_transaction.HasField("read_write")
    assert list(script.commits[0].mutations) == MUTATIONS


def test_a_commit_whose_outcome_is_unknown_is_not_repeated(example: Example) -> None:
    """A transaction of its own could be applied twice."""
    script = Script(grpc.StatusCode.UNAVAILABLE, COMMITTED)
    with pytest.raises(Unavailable):
        script.run(example, "pool")
    assert len(script.commits) == 1


def test_the_multiplexed_session_begins_with_a_key_and_commits_with_the_token(example: Example) -> None:
    """Until the commit answers without one; what the server has already is not sent again."""
    script = Script(commit_response_pb2.CommitResponse(precommit_token={"seq_num": 7}), COMMITTED)
    assert script.run(example, "multiplexed") == COMMITTED
    (begin,) = script.begins
    assert begin.mutation_key in MUTATIONS
    assert begin.options.HasField("read_write")
    assert [request.transaction_id for request in script.commits] == [b"transaction 1"] * 2
    assert [request.precommit_token.seq_num for request in script.commits] == [1, 7]
    assert [list(request.mutations) for request in script.commits] == [MUTATIONS, []]


def test_an_aborted_commit_begins_again_with_a_key(example: Example) -> None:
    """And with the id of the attempt before; the token is the new one's."""
    script = Script(grpc.StatusCode.ABORTED, COMMITTED)
    script.run(example, "multiplexed")
    assert all(request.mutation_key in MUTATIONS for request in script.begins)
    assert [request.options.read_write.multiplexed_session_previous_transaction_id for request in script.begins] == [
        b"",
        b"transaction 1",
    ]
    assert [request.precommit_token.seq_num for request in script.commits] == [1, 2]
    assert [list(request.mutations) for request in script.commits] == [MUTATIONS, MUTATIONS]


def test_attempts_end_at_the_deadline(example: Example, kind: str) -> None:
    """With the error of the last one, as soon as it is clear that there is no time for another."""
    script = Script(0.0, 0.0, 31.0)
    with pytest.raises(Aborted):
        script.run(example, kind)
    assert len(script.commits) == 3


def test_nothing_to_write_is_an_error(example: Example) -> None:
    """A transaction without statements and mutations has no key."""
    with pytest.raises(ValueError, match="at least one"):
        Script().run(example, "multiplexed", [])
