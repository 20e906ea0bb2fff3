"""The example of a read-write transaction: on the emulator, and where it cannot show it on a scripted server."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import commit_response_pb2, result_set_pb2, spanner_pb2

from spanner_grpc_sessions import Aborted, ClientOptions, Internal, SessionsClient
from spanner_grpc_sessions.testing import Emulator
from tests.examples.example import Example, fail, session_answers
from tests.support.colours import Colour
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer

COMMITTED = commit_response_pb2.CommitResponse(commit_timestamp={"seconds": 1})
UPDATE = "UPDATE Accounts SET Balance = Balance + 1 WHERE AccountId = 1"


@pytest.fixture
def example(colour: Colour) -> Example:
    """The example in each colour."""
    return Example("transactions", colour)


@pytest.fixture
def options(emulator: Emulator) -> ClientOptions:
    """The way to the emulator."""
    return EmulatorServer(emulator).options()


class Balances:
    """The accounts, as somebody else sees and changes them."""

    def __init__(self, client: SessionsClient, database: str) -> None:
        self.client = client
        self.session = client.create_session(database)["name"]

    def read(self) -> list[int]:
        """Return both balances."""
        query = "SELECT Balance FROM Accounts ORDER BY AccountId"
        rows = self.client.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=self.session, sql=query)).rows
        return [int(row.values[0].string_value) for row in rows]

    def begin(self) -> bytes:
        """Change the first account in a transaction that stays open, and return its id."""
        request = spanner_pb2.ExecuteSqlRequest(
            session=self.session, sql=UPDATE, seqno=1, transaction={"begin": {"read_write": {}}}
        )
        return self.client.stub.ExecuteSql(request).metadata.transaction.id

    def commit(self, transaction: bytes) -> None:
        """Commit it."""
        self.client.stub.Commit(spanner_pb2.CommitRequest(session=self.session, transaction_id=transaction))


@pytest.fixture
def balances(options: ClientOptions, database: str) -> Iterator[Balances]:
    """The accounts of the test's database."""
    with SessionsClient(options=options) as client:
        yield Balances(client, database)


def test_a_transfer_is_committed_and_a_failed_one_rolled_back(
    example: Example, kind: str, options: ClientOptions, database: str, balances: Balances
) -> None:
    """What the work does is there when it returns, and nothing of it when it raises; no lock is left."""

    async def scenario() -> None:
        async with example.session(options, kind, database=database) as session:
            await example.call("run_in_transaction", session, example.module.open_accounts)
            assert await example.call("run_in_transaction", session, example.module.transfer) == 90
            assert balances.read() == [90, 10]
            too_much = functools.partial(example.module.transfer, amount=1000)
            with pytest.raises(ValueError, match="1000"):
                await example.call("run_in_transaction", session, too_much)
            # The emulator aborts it if the one before is still open.
            balances.commit(balances.begin())
            assert balances.read() == [91, 10]

    asyncio.run(scenario())


def test_an_aborted_transaction_is_run_again(
    example: Example, options: ClientOptions, database: str, balances: Balances
) -> None:
    """As long as another one is in its way. Sometimes the emulator aborts that one instead, which is not repeated."""
    tries: list[int] = []
    in_the_way: list[bytes] = []

    def before() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            in_the_way.append(balances.begin())
        elif len(tries) == 3:
            balances.commit(in_the_way[0])

    async def scenario() -> None:
        async with example.session(options, "pool", database=database) as session:
            await example.call("run_in_transaction", session, example.module.open_accounts)
            await example.call("run_in_transaction", session, example.work(UPDATE, before=before))

    asyncio.run(scenario())
    assert balances.read() == [102 if len(tries) == 3 else 101, 0]


def test_transfers_at_the_same_time_lose_nothing(
    example: Example, options: ClientOptions, database: str, balances: Balances
) -> None:
    """Each is done once, however often the emulator, which runs one at a time, aborts it."""
    run, transfer = example.module.run_in_transaction, example.module.transfer

    async def scenario() -> None:
        async with example.sessions(options, "pool", count=8, database=database) as sessions:
            await example.call("run_in_transaction", sessions[0], example.module.open_accounts)
            left = await example.side_by_side([functools.partial(run, session, transfer) for session in sessions])
            assert sorted(left) == list(range(20, 100, 10))

    asyncio.run(scenario())
    assert balances.read() == [20, 80]


class Script:
    """A server that answers a transaction as a test says, and keeps the requests.

    Args:
        commits: what the commits are answered with, one after the other: a message, a status, or the seconds that an
            ABORTED asks to wait.
    """

    def __init__(self, *commits: Any) -> None:
        self._commits = iter(commits)
        self.begins: list[spanner_pb2.ExecuteSqlRequest] = []
        self.statements: list[spanner_pb2.ExecuteSqlRequest] = []
        self.commits: list[spanner_pb2.CommitRequest] = []
        self.rollbacks: list[spanner_pb2.RollbackRequest] = []
        self.tokens = iter([2, 3, 1])

    def execute(self, request: Any, context: grpc.ServicerContext) -> result_set_pb2.ResultSet:
        """Answer a statement, with the transaction's id if it begins one, and with the next token."""
        self.statements.append(request)
        result = result_set_pb2.ResultSet(precommit_token={"seq_num": next(self.tokens, 0)})
        if request.transaction.HasField("begin"):
            self.begins.append(request)
            result.metadata.transaction.id = b"transaction %d" % len(self.begins)
        return result

    def commit(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a commit."""
        self.commits.append(request)
        answer = next(self._commits)
        if isinstance(answer, grpc.StatusCode):
            fail(context, answer)
        if isinstance(answer, float):
            fail(context, grpc.StatusCode.ABORTED, retry_delay=answer)
        return answer

    def rollback(self, request: Any, context: grpc.ServicerContext) -> None:
        """Answer a rollback with an error, which must not hide another one."""
        self.rollbacks.append(request)
        fail(context, grpc.StatusCode.INTERNAL)

    def run(self, example: Example, kind: str, work: Any) -> None:
        """Run a transaction."""

        async def scenario(options: ClientOptions) -> None:
            async with example.session(options, kind) as session:
                await example.call("run_in_transaction", session, work)

        answers = {"ExecuteSql": self.execute, "Commit": self.commit, "Rollback": self.rollback}
        with scripted_server(**session_answers(), **answers) as options:
            asyncio.run(scenario(options))


def test_a_transaction_begins_with_its_first_statement(example: Example, kind: str) -> None:
    """The others name it, and are counted; so does the commit."""
    script = Script(COMMITTED)
    script.run(example, kind, example.work("a", "b", "c"))
    assert [request.transaction.WhichOneof("selector") for request in script.statements] == ["begin", "id", "id"]
    assert [request.transaction.id for request in script.statements[1:]] == [b"transaction 1"] * 2
    assert [request.seqno for request in script.statements] == [1, 2, 3]
    assert [request.transaction_id for request in script.commits] == [b"transaction 1"]
    assert not script.rollbacks


def test_the_newest_token_is_committed(example: Example) -> None:
    """Not the last one; and a commit that answers with a token is sent again with that."""
    script = Script(commit_response_pb2.CommitResponse(precommit_token={"seq_num": 7}), COMMITTED)
    script.run(example, "multiplexed", example.work("a", "b", "c"))
    assert [request.precommit_token.seq_num for request in script.commits] == [3, 7]
    assert len(script.statements) == 3


def test_work_without_statements_commits_nothing(example: Example, kind: str) -> None:
    """There is no transaction then."""
    script = Script()
    script.run(example, kind, example.work())
    assert not script.commits


def test_another_attempt_waits_as_the_server_asks_and_hands_its_age_on(example: Example, kind: str) -> None:
    """After the delay of RetryInfo; a multiplexed session names the attempt before."""
    script, started = Script(0.05, COMMITTED), time.monotonic()
    script.run(example, kind, example.work("a"))
    assert time.monotonic() - started >= 0.05
    previous = [
        request.transaction.begin.read_write.multiplexed_session_previous_transaction_id for request in script.begins
    ]
    assert previous == ([b"", b"transaction 1"] if kind == "multiplexed" else [b"", b""])
    assert [request.transaction_id for request in script.commits] == [b"transaction 1", b"transaction 2"]
    assert [request.seqno for request in script.statements] == [1, 1]
    assert not script.rollbacks


def test_attempts_end_at_the_deadline(example: Example) -> None:
    """With the error of the last one, as soon as it is clear that there is no time for another."""
    script = Script(0.0, 0.0, 31.0)
    with pytest.raises(Aborted):
        script.run(example, "pool", example.work("a"))
    assert len(script.commits) == 3


def test_a_commit_that_got_no_answer_is_sent_again(example: Example, kind: str) -> None:
    """The same one: the work is not done again, for it may be committed."""
    script = Script(grpc.StatusCode.UNAVAILABLE, COMMITTED)
    script.run(example, kind, example.work("a"))
    assert script.commits[0] == script.commits[1]
    assert len(script.statements) == 1


def test_a_failed_commit_is_the_error(example: Example) -> None:
    """It is not tried again, and the rollback, which fails too, does not hide it."""
    script = Script(grpc.StatusCode.INTERNAL)
    with pytest.raises(Internal) as caught:
        script.run(example, "pool", example.work("a"))
    assert caught.value.method == "Commit"
    assert [request.transaction_id for request in script.rollbacks] == [b"transaction 1"]


def test_cancelled_work_is_rolled_back() -> None:
    """A task that is cancelled within a transaction leaves no locks behind."""
    example, script = Example("transactions", Colour("async")), Script()

    async def scenario(options: ClientOptions) -> None:
        async with example.session(options, "pool") as session:
            executed = asyncio.Event()

            async def work(transaction: Any) -> None:
                await transaction.execute("a")
                executed.set()
                await asyncio.Event().wait()

            task = asyncio.ensure_future(example.module.run_in_transaction(session, work))
            await asyncio.wait_for(executed.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    answers = {"ExecuteSql": script.execute, "Rollback": script.rollback}
    with scripted_server(**session_answers(), **answers) as options:
        asyncio.run(scenario(options))
    assert len(script.rollbacks) == 1
