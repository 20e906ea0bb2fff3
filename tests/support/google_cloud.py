"""google-cloud-spanner in the hands of a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.oauth2.credentials import Credentials

if TYPE_CHECKING:
    from spanner_grpc_sessions import SessionPool, SessionsClient

__all__ = ["SINGERS", "Rig", "instance_of", "rows_of"]

SINGERS: Final = "CREATE TABLE Singers (SingerId INT64 NOT NULL, Name STRING(MAX)) PRIMARY KEY (SingerId)"


@dataclass(frozen=True)
class Rig:
    """A Database of google-cloud-spanner, and what stands behind it.

    Attributes:
        database: of google-cloud-spanner.
        adapter: its `pool=`.
        pool: of this library; without leases if the adapter is one of the multiplexed session.
        client: of this library.
    """

    database: Any
    adapter: Any
    pool: SessionPool
    client: SessionsClient


def instance_of(database: str) -> Any:
    """Return the instance of a database, as google-cloud-spanner has it."""
    from google.cloud import spanner

    _, project, _, instance, _, _ = database.split("/")
    client: Any = spanner.Client(project=project, credentials=Credentials("of no use"))
    return client.instance(instance)


def rows_of(database: Any, sql: str = "SELECT SingerId, Name FROM Singers ORDER BY SingerId") -> list[list[Any]]:
    """Return the rows of a query on a snapshot."""
    with database.snapshot() as snapshot:
        return list(snapshot.execute_sql(sql))
