"""The example of a web service, asked over HTTP: as a program on the emulator, and in a thread on a scripted server."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import grpc
import pytest
import requests
from spanner_grpc_sessions_pb import commit_response_pb2

from spanner_grpc_sessions import PoolOptions, SessionsClient
from spanner_grpc_sessions.testing import Emulator
from tests.examples.example import DATABASE, MESSAGE, fail, session_answers
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer
from tests.support.waiting import WAIT, until

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed: it is needed for the web service only")
pytest.importorskip("fastapi", reason="FastAPI is not installed: it is needed for the web service only")

_COMMITTED = commit_response_pb2.CommitResponse(commit_timestamp={"seconds": 1})


@dataclass(frozen=True)
class Service:
    """A service that is running.

    Attributes:
        url: of its root.
    """

    url: str

    def post(self, name: str, **more: Any) -> requests.Response:
        """Make a singer."""
        return requests.post(f"{self.url}/singers", json={"name": name, **more}, timeout=WAIT)

    def get(self, path: str) -> requests.Response:
        """Read something."""
        return requests.get(self.url + path, timeout=WAIT)


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield what a process writes, a line at a time; a process that says nothing for long fails the test."""
    while select.select([stream], [], [], WAIT)[0]:
        line = stream.readline().decode()
        if not line:
            return
        yield line
    raise AssertionError("the service says nothing")


@contextlib.contextmanager
def program(examples: Path, database: str, emulator: Emulator) -> Iterator[tuple[Service, subprocess.Popen[bytes]]]:
    """Run the service as its users do, on a port that it chooses; its log goes on."""
    process = subprocess.Popen(
        [sys.executable, "-W", "always", examples / "fastapi_service.py", database, "--port", "0"],
        env={**os.environ, "SPANNER_EMULATOR_HOST": emulator.grpc_endpoint},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    try:
        assert process.stderr is not None
        log = ""
        for line in _lines(process.stderr):
            log += line
            if match := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                yield Service(match[1]), process
                return
        raise AssertionError(f"the service did not start: {log}")
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _sessions_of_the_pool(emulator: Emulator, database: str) -> int:
    with SessionsClient(options=EmulatorServer(emulator).options()) as client:
        # The emulator ignores filters, and lists the multiplexed session, which has no labels.
        return sum(session.get("labels") == {"service": "singers"} for session in client.iter_sessions(database))


def test_the_service_serves_many_and_leaves_no_session(emulator: Emulator, database: str, examples: Path) -> None:
    """Singers that are made at the same time are all there; SIGTERM ends it, and the pool's sessions with it."""
    names = [f"singer {number:02}" for number in range(60)]
    with program(examples, database, emulator) as (service, process), ThreadPoolExecutor(20) as threads:
        made = list(threads.map(lambda name: service.post(name, genres=["jazz"]), names))
        assert Counter(response.status_code for response in made) == {201: 60}
        assert [singer["name"] for singer in service.get("/singers").json()] == names
        read = threads.map(lambda response: service.get(f"/singers/{response.json()['id']}").json(), made)
        assert list(read) == [response.json() for response in made]
        assert service.get("/singers/none").status_code == 404
        assert service.get("/singers?limit=2").json() == [response.json() for response in made[:2]]
        assert service.get("/singers?limit=none").status_code == 422
        stats = service.get("/healthz").json()
        assert stats["size"] == stats["idle"] == _sessions_of_the_pool(emulator, database) >= 4
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        log = "".join(_lines(process.stderr))
        # uvicorn gives itself the signal again when all is done, so that its parent sees it.
        assert process.wait(WAIT) in {0, -signal.SIGTERM}
    assert "Application shutdown complete" in log
    assert "Warning" not in log
    assert "Traceback" not in log
    assert _sessions_of_the_pool(emulator, database) == 0


@contextlib.contextmanager
def thread(database: str, endpoint: str, **options: Any) -> Iterator[Service]:
    """Run the service in a thread of the test."""
    import fastapi_service

    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        patch.setenv("SPANNER_EMULATOR_HOST", endpoint)
        app = fastapi_service.create_app(database, PoolOptions(**options))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        running.start()
        try:
            # The socket listens already: the first request waits there for the service to start.
            yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            running.join(WAIT)
            assert not running.is_alive()


class SlowCommits:
    """Commits that are answered when the test says so."""

    def __init__(self) -> None:
        self.arrived, self.may_go = threading.Semaphore(0), threading.Event()

    def __call__(self, request: Any, context: grpc.ServicerContext) -> commit_response_pb2.CommitResponse:
        """Answer a commit."""
        self.arrived.release()
        assert self.may_go.wait(WAIT)
        return _COMMITTED


def test_a_request_without_a_session_in_time_gets_retry_after() -> None:
    """While the only session is in use: 503, and when to come again."""
    commits = SlowCommits()
    with (
        scripted_server(**session_answers(), Commit=commits) as options,
        thread(DATABASE, str(options.endpoint), max_size=1, acquire_timeout=0.0) as service,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(service.post, "first")
        assert commits.arrived.acquire(timeout=WAIT)
        turned_away = service.post("second")
        assert (turned_away.status_code, turned_away.headers["Retry-After"]) == (503, "1")
        commits.may_go.set()
        assert first.result().status_code == 201
        assert service.post("third").status_code == 201


def test_a_request_behind_too_many_others_gets_retry_after() -> None:
    """At once, while one who came before still waits, and gets what it waited for."""
    commits = SlowCommits()
    with (
        scripted_server(**session_answers(), Commit=commits) as options,
        thread(DATABASE, str(options.endpoint), max_size=1, max_waiting=1) as service,
        ThreadPoolExecutor(2) as threads,
    ):
        first = threads.submit(service.post, "first")
        assert commits.arrived.acquire(timeout=WAIT)
        second = threads.submit(service.post, "second")
        until(lambda: service.get("/healthz").json()["waiting"] == 1)
        turned_away = service.post("third")
        assert (turned_away.status_code, turned_away.headers["Retry-After"]) == (503, "1")
        commits.may_go.set()
        assert [first.result().status_code, second.result().status_code] == [201, 201]


@pytest.mark.parametrize(
    ("status", "code"),
    [(grpc.StatusCode.NOT_FOUND, 404), (grpc.StatusCode.ALREADY_EXISTS, 409), (grpc.StatusCode.INTERNAL, 500)],
)
def test_failures_are_answered_as_rest_does(status: grpc.StatusCode, code: int) -> None:
    """With the HTTP status and the body that Spanner's REST API gives, of a write and of a read."""

    def commit(request: Any, context: grpc.ServicerContext) -> None:
        fail(context, status)

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[None]:
        yield fail(context, status)

    with (
        scripted_server(**session_answers(), Commit=commit, ExecuteStreamingSql=stream) as options,
        thread(DATABASE, str(options.endpoint)) as service,
    ):
        for response in (service.post("anybody"), service.get("/singers")):
            assert response.status_code == code
            assert response.json() == {"error": {"code": code, "message": MESSAGE, "status": status.name}}
