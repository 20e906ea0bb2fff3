"""Google's own Python client against the plain server, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

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
print(json.dumps({"found": found, "multiplexed": multiplexed.name, "pooled": pooled.name, "rows": rows}))
"""


def test_googles_client_creates_pings_and_deletes_sessions(plain: LocalSpanner) -> None:
    """Single sessions, a pool filled by batches, a multiplexed session and a query all work, and stay on loopback."""
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
    assert result["rows"] == [[1]]
    alive = {session["name"]: session for session in plain.sessions}
    assert alive[result["multiplexed"]]["multiplexed"] is True
    assert result["pooled"] in alive
    assert len(alive) >= 121
    created = [call.request for call in plain.calls if call.method == "CreateSession"]
    assert {"env": "dev"} in [dict(request.session.labels) for request in created]  # type: ignore[attr-defined] # a Message
    assert {"BatchCreateSessions", "DeleteSession", "GetSession", "ExecuteSql"} <= {call.method for call in plain.calls}
    assert {call.header("authorization") for call in plain.calls} == {None}
