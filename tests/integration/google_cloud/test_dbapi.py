"""DB-API and SQLAlchemy on our pool, on the emulator."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from spanner_grpc_sessions import google_cloud
from tests.support.google_cloud import Rig

dbapi = pytest.importorskip("google.cloud.spanner_dbapi", reason="google-cloud-spanner is not installed")


def connect(rig: Rig, calls: str) -> Any:
    """Return a connection that shares the pool; DB-API makes a Database of its own for it."""
    _, project, _, instance, _, database = rig.database.name.split("/")
    connection: Any = dbapi.connect(instance, database, project=project, pool=rig.adapter)
    if calls == "our channel":
        google_cloud.use(connection.database, rig.client)
    return connection


def test_a_connection_commits_and_rolls_back(rig: Rig, calls: str) -> None:
    """It holds one session from its first statement to the end of its transaction."""
    connection = connect(rig, calls)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO Singers (SingerId, Name) VALUES (1, 'Ada')")
    connection.commit()
    cursor.execute("DELETE FROM Singers WHERE true")
    assert rig.pool.stats().leased == (0 if rig.adapter.multiplexed else 1)
    connection.rollback()
    assert rig.pool.stats().leased == 0
    cursor.execute("SELECT Name FROM Singers")
    assert cursor.fetchall() == [("Ada",)]
    connection.rollback()
    connection.autocommit = True
    cursor.execute("DELETE FROM Singers WHERE true")
    connection.close()
    rig.adapter.put(rig.adapter.get())  # closing a connection leaves the pool to others


def test_partitions_are_read_after_their_statement(rig: Rig, calls: str) -> None:
    """Their names travel without their session, which nobody puts back: the pool has replaced it."""
    connection = connect(rig, calls)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("INSERT INTO Singers (SingerId, Name) VALUES (1, 'Ada')")
    cursor.execute("PARTITION SELECT Name FROM Singers")
    partitions = [row[0] for row in cursor.fetchall()]
    gc.collect()
    assert rig.pool.stats().leased == 0
    rows = []
    for partition in partitions:
        cursor.execute(f"RUN PARTITION {partition}")
        rows += cursor.fetchall()
    assert rows == [("Ada",)]
    cursor.execute("DELETE FROM Singers WHERE true")
    connection.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # sqlalchemy-spanner uses what SQLAlchemy has deprecated
def test_sqlalchemy_works_on_the_pool(rig: Rig, calls: str) -> None:
    """Every connection of an engine has its sessions from it; `use` is called as one is made."""
    pytest.importorskip("google.cloud.sqlalchemy_spanner", reason="sqlalchemy-spanner is not installed")
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"spanner+spanner:///{rig.database.name}", connect_args={"pool": rig.adapter})
    if calls == "our channel":

        @sqlalchemy.event.listens_for(engine, "connect")
        def _(connection: Any, record: object) -> None:
            google_cloud.use(connection.database, rig.client)

    singers = sqlalchemy.Table("Singers", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        connection.execute(singers.insert(), [{"SingerId": 1, "Name": "Ada"}, {"SingerId": 2, "Name": "Bob"}])
    with engine.connect() as connection:
        query = sqlalchemy.select(singers.c.Name).order_by(singers.c.SingerId)
        assert connection.scalars(query).all() == ["Ada", "Bob"]
        connection.execute(singers.delete().where(singers.c.SingerId > 0))
        connection.commit()
        assert connection.scalars(query).all() == []
    engine.dispose()
    assert rig.pool.stats().leased == 0
