"""Google's client for Node, a peer that this project did not write, on LocalSpanner."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from spanner_grpc_sessions.local import LocalSpanner

_DATABASE = "projects/p/instances/i/databases/d"
_FOLDER = Path(__file__).parents[2] / "build" / "node"
_CLIENT = _FOLDER / "node_modules" / "@google-cloud" / "spanner"


def test_node_client_creates_pings_and_deletes(report_server: Callable[[str, str], None]) -> None:
    """It creates a session with labels, looks it up, pings, lists and deletes it, and then misses it."""
    node = shutil.which("node")
    if node is None or not _CLIENT.exists():
        pytest.skip("Google's client for Node is not installed: `make node-peer` does it where npm is there")
    version = json.loads((_CLIENT / "package.json").read_text())["version"]
    report_server("peer", f"@google-cloud/spanner {version}")
    with LocalSpanner(tls=False) as server:
        result = subprocess.run(
            [node, str(Path(__file__).with_name("sessions.mjs")), str(_FOLDER), _DATABASE],
            env={"PATH": os.environ["PATH"], **server.environment()},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        seen = json.loads(result.stdout)
        # Besides, the client makes a multiplexed session for itself.
        assert seen["name"] not in {session["name"] for session in server.sessions}
        assert {"CreateSession", "GetSession", "ExecuteSql", "ListSessions", "DeleteSession"} == {
            call.method for call in server.calls
        }
    assert (seen["labels"], seen["listed"], seen["codeAfterDelete"]) == ({"peer": "node"}, [seen["name"]], 5)
