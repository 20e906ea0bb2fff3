"""Google's own Python client against the plain server, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from spanner_grpc_sessions.local import LocalSpanner

# Looked for without an import: it takes most of a second, and belongs into the other process.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("google.cloud") is None or importlib.util.find_spec("google.cloud.spanner") is None,
    reason="needs google-cloud-spanner",
)

SCRIPT = """
import json
import sys

def only_here(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost"):
        raise RuntimeError(f"the client looks for {arguments[0]}")
    if event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise RuntimeError(f"the client connects to {arguments[1]}")

sys.addaudithook(only_here)

from google.cloud import spanner
from google.cloud.spanner_v1.pool import FixedSizePool
from google.cloud.spanner_v1.session import Session

pool = FixedSizePool(size=120, labels={"pool": "yes"})
database = spanner.Client(project="p").instance("i").database("d", pool=pool)
session = Session(database, labels={"env": "dev"}, database_role="reader")
session.create()
session.ping()
found = [session.exists()]
session.delete()
found.append(session.exists())
multiplexed = Session(database, is_multiplexed=True)
multiplexed.create()
pooled = pool.get()
pooled.ping()
with database.snapshot() as snapshot:
    rows = list(snapshot.execute_sql("SELECT 1"))
with database.snapshot() as snapshot:
    read = list(snapshot.read("Users", ["name"], spanner.KeySet(all_=True)))

def transfer(transaction):
    changed = transaction.execute_update("UPDATE Users SET name = 'x' WHERE true")
    (status, counts) = transaction.batch_update(["UPDATE Users SET name = 'x' WHERE true"] * 2)
    (row,) = transaction.execute_sql("SELECT name, born FROM Users")
    transaction.insert("Users", ["id"], [[1]])
    return [changed, status.code, counts, row[0], row[1].isoformat()]

written = database.run_in_transaction(transfer)
with database.batch() as batch:
    batch.insert("Users", ["id"], [[2]])
partitioned = database.execute_partitioned_dml("UPDATE Users SET name = 'x' WHERE true")
reader = database.batch_snapshot()
batches = reader.generate_query_batches("SELECT name, born FROM Users")
parts = [list(reader.process_query_batch(part)) for part in batches]
print(json.dumps({
    "found": found, "multiplexed": multiplexed.name, "pooled": pooled.name, "rows": rows, "read": read,
    "written": written, "partitioned": partitioned, "parts": sorted(len(part) for part in parts),
}))
"""


def test_googles_client_creates_pings_and_deletes_sessions(plain: LocalSpanner) -> None:
    """Sessions, a pool filled by batches, and transactions with told answers all work, and stay on loopback."""
    columns = {"name": "STRING", "born": "TIMESTAMP"}
    plain.answer(
        "SELECT name, born FROM Users", columns=columns, rows=[["Ada", datetime(1815, 12, 10, tzinfo=timezone.utc)]]
    )
    plain.answer("UPDATE Users SET name = 'x' WHERE true", row_count=5)
    plain.answer_read("Users", columns=columns, rows=[["Ada", None]])
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "SPANNER_", "OTEL_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**environment, **plain.environment(), "SPANNER_DISABLE_BUILTIN_METRICS": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["found"] == [True, False]
    assert (result["rows"], result["read"]) == ([[1]], [["Ada"]])
    assert result["written"] == [5, 0, [5, 5], "Ada", "1815-12-10T00:00:00+00:00"]
    assert (result["partitioned"], result["parts"]) == (5, [0, 1])
    alive = {session["name"]: session for session in plain.sessions}
    assert alive[result["multiplexed"]]["multiplexed"] is True
    assert result["pooled"] in alive
    assert len(alive) >= 121
    created = [call.request for call in plain.calls if call.method == "CreateSession"]
    assert {"env": "dev"} in [dict(request.session.labels) for request in created]  # type: ignore[attr-defined] # a Message
    assert {"BatchCreateSessions", "DeleteSession", "GetSession", "ExecuteSql"} <= {call.method for call in plain.calls}
    assert {call.header("authorization") for call in plain.calls} == {None}
