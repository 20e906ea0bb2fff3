"""A client, a pool and a multiplexed session that are opened before Gunicorn and uWSGI fork their workers."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.processes import needs_fork
from tests.support.waiting import WAIT, until

pytest.importorskip("gunicorn", reason="Gunicorn is not installed")
pytestmark = needs_fork

_HERE: Final = Path(__file__).parent
_GUNICORN: Final = (sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--no-control-socket")
_UWSGI: Final = ("uwsgi", "--master", "--processes", "2", "--die-on-term", "--wsgi-file", str(_HERE / "wsgi_app.py"))
_SYNC: Final = (*_GUNICORN, "--worker-class", "sync")
_THREADS: Final = (*_GUNICORN, "--worker-class", "gthread", "--worker-connections", "1", "--threads", "1")
_HOOK: Final = (*_UWSGI, "--py-call-osafterfork")
_HOOKS: Final = (*_UWSGI, "--py-call-uwsgi-fork-hooks", "--enable-threads")
_TOKEN_LIFETIME: Final = 2.0


def _require_uwsgi() -> None:
    """Skip a test where there is no uWSGI of this version of Python: to install it is to compile it."""
    if shutil.which("uwsgi") is None:
        pytest.skip("uwsgi is not on PATH; forks in C of test_fork_table stand in for it")
    version = subprocess.run(["uwsgi", "--python-version"], capture_output=True, text=True, check=True).stdout.split()
    if version[-1].split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"uwsgi on PATH runs Python {version[-1]}")


@contextmanager
def _server(command: tuple[str, ...], phase: str) -> Iterator[Path]:
    """Run a server with two workers, over a LocalSpanner, and give the path of its socket."""
    with tempfile.TemporaryDirectory() as name, LocalSpanner(token_lifetime=_TOKEN_LIFETIME) as local:
        folder, path = Path(name), Path(name, "socket")
        local.service_account_file(folder / "key.json")
        (folder / "root.pem").write_bytes(local.root_certificates or b"")
        (folder / "endpoint").write_text(local.endpoint)
        if command[0] == "uwsgi":
            command = (*command, "--http-socket", str(path))
        else:
            command = (*command, "--bind", f"unix:{path}", "--chdir", str(_HERE), "wsgi_app:application")
        environment = {**os.environ, "FOLDER": name, "PHASE": phase, "PYTHONPATH": os.pathsep.join(sys.path)}
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: _listens(path) or server.poll() is not None)
            assert server.poll() is None, (folder / "log").read_text()
            yield path
        finally:
            # uWSGI's own end may hang: its handler of the signal may run on any thread, also one of gRPC.
            os.killpg(server.pid, 9)
            server.wait(WAIT)


def _answers(path: Path) -> list[Any]:
    """Return what both workers answer."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(_answer, (path, path)))


def _answer(path: Path) -> Any:
    connection = http.client.HTTPConnection("localhost", timeout=WAIT)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(WAIT)
        connection.sock.connect(str(path))
        connection.request("GET", "/", headers={"Connection": "close"})
        with connection.getresponse() as response:
            text = response.read().decode()
            assert response.status == 200, text
    return json.loads(text)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        pytest.param(_SYNC, "idle", id="gunicorn-sync-idle"),
        pytest.param(_SYNC, "busy", id="gunicorn-sync-busy"),
        pytest.param(_THREADS, "idle", id="gunicorn-gthread-idle"),
        pytest.param(_UWSGI, "idle", id="uwsgi-idle"),
        pytest.param((*_UWSGI, "--enable-threads"), "idle", id="uwsgi-threads-idle"),
        pytest.param(_HOOK, "idle", id="uwsgi-hook-idle"),
        pytest.param(_HOOKS, "idle", id="uwsgi-hooks-idle"),
        pytest.param(_HOOKS, "busy", id="uwsgi-hooks-busy"),
    ],
)
def test_workers_share_nothing_but_the_multiplexed_session(command: tuple[str, ...], phase: str) -> None:
    """Each leases sessions of its own and renews its token.

    Without its option for all hooks, uWSGI itself hangs in the workers of a master whose threads are at work: they wait
    for the GIL, which a thread of the master held.
    """
    if command[0] == "uwsgi":
        _require_uwsgi()
    with _server(command, phase) as path:
        one, other = _answers(path)
        assert one["process"] != other["process"]
        assert one["in_time"]
        assert other["in_time"]
        assert (one["outcome"], other["outcome"]) == ("works", "works")
        # The session that the master leases, and one more of each worker.
        assert len({*one["leased"], *other["leased"]}) == 3
        if phase == "idle":
            until(lambda: all(answer["outcome"] == "works" and answer["renewed"] for answer in _answers(path)))
