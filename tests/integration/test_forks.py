"""A client and forked processes: it works, or says why it cannot; it never hangs and leaves the parent alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime import fork
from tests.support.processes import needs_fork
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT, until

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


_CLIENT = """
import ctypes, os, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import ClientOptions, SessionsClient
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

DATABASE = "projects/p/instances/i/databases/d"
client = SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=sys.argv[1], plaintext=True))
stub = spanner_pb2_grpc.SpannerStub(client.channel())
request = spanner_pb2.CreateSessionRequest(database=DATABASE)
"""


@pytest.mark.parametrize("use", ["client.create_session(DATABASE)", "stub.CreateSession(request)"])
def test_a_call_notices_a_fork_in_c(use: str) -> None:
    """As uWSGI's default, of which no hook tells: the child has a channel, and numbers for its calls, of its own."""
    processes = []

    def create(request: Any, context: grpc.ServicerContext) -> spanner_pb2.Session:
        headers = dict(context.invocation_metadata())
        processes.append(str(headers["x-goog-spanner-request-id"]).split(".")[1])
        return spanner_pb2.Session(name=f"{request.database}/sessions/s")

    program = f"""
import sys, types
# What alone forks so, uWSGI, has this module in its processes.
sys.modules["uwsgi"] = types.ModuleType("uwsgi")
{_CLIENT}
{use}
before = client._caller.connection.channel
child = ctypes.PyDLL(None).fork()
{use}
if not child:
    os._exit(client._caller.connection.channel is before)
assert os.waitpid(child, 0)[1] == 0
"""
    with scripted_server(CreateSession=create) as options:
        subprocess.run([sys.executable, "-c", program, str(options.endpoint)], timeout=60, check=True)
    assert len(processes) == 3
    assert len(set(processes)) == 2


def test_calls_are_held_before_grpc_brings_itself_to_rest() -> None:
    """Where GRPC_ENABLE_FORK_SUPPORT is 1: a call that began afterwards could hang, or end, the child."""
    program = f"""{_CLIENT}
held = []
# In the place of gRPC, which registers its own hook with its first channel.
os.register_at_fork(before=lambda: held.append(client._caller.connection.channel is None))
client.open()
if not os.fork():
    os._exit(0)
assert held == [True], held
"""
    subprocess.run([sys.executable, "-c", program, "localhost:1"], timeout=60, check=True)


def test_a_thread_in_grpc_may_wait_for_a_lock() -> None:
    """It has, or waits for, a lock of gRPC's that a child would inherit: then `threading` runs, called by gRPC."""
    waits, go_on = threading.Event(), threading.Event()
    scope: dict[str, Any] = {"__name__": "grpc._channel"}
    exec("def wait(waits, go_on): waits.set(); go_on.wait()", scope)  # noqa: S102 - a function of that module
    thread = threading.Thread(target=scope["wait"], args=(waits, go_on))
    thread.start()
    try:
        waits.wait(WAIT)
        until(fork._is_grpc_busy)
    finally:
        go_on.set()
        thread.join(WAIT)
