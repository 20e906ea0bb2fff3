"""OpenTelemetry is an extra: without it a client does all its work, and only `telemetry` says what is missing."""

from __future__ import annotations

import subprocess
import sys

# A finder that is asked first makes the package missing, whether it is installed or not.
_WITHOUT = """
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
"""
_SESSION = """
from spanner_grpc_sessions import AsyncSessionsClient, SessionsClient
from spanner_grpc_sessions.local import LocalSpanner

async def live(credentials, options):
    async with AsyncSessionsClient(credentials, options=options) as client:
        session = await client.create_session("projects/p/instances/i/databases/d")
        print(await client.delete_session(session["name"]))

import asyncio
with LocalSpanner() as local:
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        session = client.create_session("projects/p/instances/i/databases/d")
        print(client.delete_session(session["name"]))
    asyncio.run(live(local.credentials(), local.client_options()))
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


def _run(program: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


def test_clients_work_where_it_is_missing() -> None:
    """A session lives its life in both colours."""
    run = _run(_WITHOUT + _SESSION)
    assert (run.returncode, run.stdout, run.stderr) == (0, "{}\n{}\n", "")


def test_clients_do_not_load_it_where_it_is_installed() -> None:
    """Who does not ask for telemetry does not pay for its import."""
    run = _run("import sys" + _SESSION)
    assert (run.returncode, run.stderr) == (0, "")


def test_telemetry_names_the_extra_that_is_missing() -> None:
    """The error says what to install."""
    run = _run(_WITHOUT + "import spanner_grpc_sessions.telemetry")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "ImportError: telemetry needs OpenTelemetry's API: pip install 'spanner-grpc-sessions[otel]'"
    )
