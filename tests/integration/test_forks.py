"""A client and forked processes: it works, or says why it cannot; it never hangs and leaves the parent alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.processes import needs_fork

pytestmark = needs_fork

_PROGRAM = Path(__file__).with_name("forking.py")


def forked(local: LocalSpanner, folder: Path, *arguments: str) -> Any:
    """Run the forking service against a server, and return what its workers and its master say."""
    key, root = folder / "key.json", folder / "root.pem"
    local.service_account_file(key)
    root.write_bytes(local.client_options().root_certificates or b"")
    program = [sys.executable, str(_PROGRAM), local.endpoint, str(root), str(key), *arguments]
    result = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(result.stdout)


@pytest.mark.parametrize("which", ["inherited", "own"])
@pytest.mark.parametrize("state", ["new", "open"])
def test_a_client_works_in_forked_workers(local: LocalSpanner, tmp_path: Path, which: str, state: str) -> None:
    """A client that was made, or made and used, before the fork; and one that a worker makes beside it."""
    assert forked(local, tmp_path, "sync", which, state) == {"workers": ["ok", "ok"], "master": "ok"}


def test_a_closed_client_stays_closed_in_workers(local: LocalSpanner, tmp_path: Path) -> None:
    """It says so, in every process."""
    outcome = forked(local, tmp_path, "sync", "inherited", "closed")
    assert all(text.startswith("ClientClosed: the client is closed") for text in outcome["workers"])


def test_a_worker_can_make_a_client_after_the_one_of_its_parent_is_closed(local: LocalSpanner, tmp_path: Path) -> None:
    """A client that was closed before the fork does not disturb the child's."""
    assert forked(local, tmp_path, "sync", "own", "closed")["workers"] == ["ok", "ok"]


@pytest.mark.parametrize(("which", "state"), [("inherited", "new"), ("own", "new"), ("own", "closed")])
def test_an_async_client_works_in_workers_if_none_was_open(
    local: LocalSpanner, tmp_path: Path, which: str, state: str
) -> None:
    """A fork may come before an asyncio channel is opened, or after it was closed."""
    assert forked(local, tmp_path, "async", which, state)["workers"] == ["ok", "ok"]


@pytest.mark.parametrize("which", ["inherited", "own"])
def test_an_open_async_client_makes_workers_say_so(local: LocalSpanner, tmp_path: Path, which: str) -> None:
    """With an asyncio channel open, gRPC hangs or crashes in the child: we refuse, and the master goes on."""
    outcome = forked(local, tmp_path, "async", which, "open")
    assert all("forked while an asyncio client was open" in text for text in outcome["workers"])
    assert outcome["master"] == "ok"
