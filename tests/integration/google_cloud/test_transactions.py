"""What google-cloud-spanner does with a Database, on the emulator: on our sessions, and on our channel too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.google_cloud import Rig, rows_of
from tests.support.waiting import WAIT

google_exceptions = pytest.importorskip(
    "google.api_core.exceptions", reason="google-cloud-spanner, which brings google-api-core, is not installed"
)

COLUMNS = ("SingerId", "Name")


@pytest.fixture(autouse=True)
def _no_singers(rig: Rig) -> Iterator[None]:
    """Leave the table empty for the next test."""
    yield
    rig.database.execute_partitioned_dml("DELETE FROM Singers WHERE true")


def insert(number: int, name: str) -> Callable[[Any], int]:
    """Return a transaction that inserts a singer."""
    from google.cloud.spanner_v1 import param_types

    sql, types = (
        "INSERT INTO Singers (SingerId, Name) VALUES (@id, @name)",
        {"id": param_types.INT64, "name": param_types.STRING},
    )
    return lambda transaction: int(transaction.execute_update(sql, {"id": number, "name": name}, types))


def test_a_transaction_reads_and_writes(rig: Rig) -> None:
    """Its result is that of the function, and a snapshot sees what it wrote."""

    def work(transaction: Any) -> list[Any]:
        insert(1, "Ada")(transaction)
        transaction.insert("Singers", COLUMNS, [[2, "Bob"]])
        return list(transaction.execute_sql("SELECT Name FROM Singers"))

    assert rig.database.run_in_transaction(work) == [["Ada"]]
    assert rows_of(rig.database) == [[1, "Ada"], [2, "Bob"]]


def test_a_transaction_that_raises_is_rolled_back(rig: Rig) -> None:
    """Nothing is written, and its session comes back."""

    def fails(transaction: Any) -> None:
        insert(1, "Ada")(transaction)
        raise LookupError

    with pytest.raises(LookupError):
        rig.database.run_in_transaction(fails)
    assert rows_of(rig.database) == []


def test_transactions_that_conflict_are_repeated(rig: Rig) -> None:
    """The emulator aborts one of two, and google-cloud-spanner tries it again after the time that it is told."""
    if rig.adapter.multiplexed:
        pytest.skip("the emulator runs one transaction at a time, also on a multiplexed session")
    rig.database.run_in_transaction(insert(1, ""))

    def append(transaction: Any) -> None:
        ((name,),) = transaction.execute_sql("SELECT Name FROM Singers WHERE SingerId = 1")
        transaction.update("Singers", COLUMNS, [[1, f"{name}x"]])

    with ThreadPoolExecutor(2) as threads:
        begun = [threads.submit(rig.database.run_in_transaction, append, timeout_secs=WAIT) for _ in range(6)]
        for transaction in begun:
            transaction.result()
    assert rows_of(rig.database) == [[1, "xxxxxx"]]


def test_a_batch_commits_mutations(rig: Rig) -> None:
    """Those of a block that ends well, and none of one that does not."""
    with rig.database.batch() as batch:
        batch.insert("Singers", COLUMNS, [[1, "Ada"], [2, "Bob"]])
    with pytest.raises(google_exceptions.AlreadyExists), rig.database.batch() as batch:
        batch.insert("Singers", COLUMNS, [[3, "Eve"], [1, "Ada"]])
    assert rows_of(rig.database) == [[1, "Ada"], [2, "Bob"]]


def test_a_snapshot_reads_more_than_once(rig: Rig) -> None:
    """By query and by key, at one timestamp."""
    from google.cloud.spanner_v1 import KeySet

    rig.database.run_in_transaction(insert(1, "Ada"))
    with rig.database.snapshot(multi_use=True) as snapshot:
        before = list(snapshot.execute_sql("SELECT Name FROM Singers"))
        if not rig.adapter.multiplexed:  # where the emulator would end the snapshot
            rig.database.run_in_transaction(insert(2, "Bob"))
        keys = KeySet(all_=True)
        assert before == list(snapshot.read("Singers", ("Name",), keys)) == [["Ada"]]


def test_partitioned_dml_counts_rows(rig: Rig) -> None:
    """Its lower bound is exact on the emulator."""
    rig.database.run_in_transaction(insert(1, "Ada"))
    assert rig.database.execute_partitioned_dml("UPDATE Singers SET Name = 'x' WHERE true") == 1
    assert rows_of(rig.database) == [[1, "x"]]


def test_a_partitioned_query_returns_its_session(rig: Rig) -> None:
    """Closing the batch snapshot deletes an ordinary session and leaves the multiplexed one."""
    rig.database.run_in_transaction(insert(1, "Ada"))
    snapshot = rig.database.batch_snapshot()
    partitions = list(snapshot.generate_query_batches("SELECT Name FROM Singers"))
    assert [row for partition in partitions for row in snapshot.process(partition)] == [["Ada"]]
    snapshot.close()
    assert rig.pool.stats().leased == 0
    assert rows_of(rig.database, "SELECT Name FROM Singers") == [["Ada"]]


def test_failures_are_googles(rig: Rig) -> None:
    """What callers of google-cloud-spanner catch, with the request id that it puts there."""
    with pytest.raises(google_exceptions.InvalidArgument) as raised:
        rows_of(rig.database, "SELECT nonsense")
    assert raised.value.request_id


def test_a_session_that_is_lost_fails_one_transaction_alone(rig: Rig) -> None:
    """The next one has another session, whichever kind of transaction it is that meets the loss."""
    if rig.adapter.multiplexed:
        pytest.skip("a multiplexed session cannot be deleted")
    transactions: list[Callable[[], Any]] = [
        lambda: rig.database.run_in_transaction(insert(1, "Ada")),
        lambda: rows_of(rig.database),
        lambda: rig.database.execute_partitioned_dml("DELETE FROM Singers WHERE true"),
        lambda: batch_of_one(rig.database),
    ]
    for meet in transactions:
        session = rig.adapter.get()
        rig.adapter.put(session)
        rig.client.delete_session(session.name)
        with pytest.raises(google_exceptions.NotFound, match="Session not found"):
            meet()
        meet()
        assert rig.pool.stats().leased == 0


def batch_of_one(database: Any) -> None:
    """Commit one mutation."""
    with database.batch() as batch:
        batch.insert_or_update("Singers", COLUMNS, [[1, "Ada"]])
