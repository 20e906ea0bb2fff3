"""The harness itself: a test server that is not there, or an async client that is not awaited, would prove nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions.testing import Emulator, EmulatorUnavailable, OwnEmulator, running_emulator
from tests.support.colours import Blocking, LoopThread
from tests.support.waiting import WAIT, until


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    """An event loop in a thread."""
    with contextlib.closing(LoopThread()) as thread:
        yield thread


def test_emulator_serves_the_same_session_over_grpc_and_rest(emulator: Emulator) -> None:
    """A session that was created over gRPC is found over REST."""
    database = emulator.create_database()
    with grpc.insecure_channel(emulator.grpc_endpoint) as channel:
        created = spanner_pb2_grpc.SpannerStub(channel).CreateSession(
            spanner_pb2.CreateSessionRequest(database=database), timeout=10
        )
    status, session = emulator.rest("GET", f"/v1/{created.name}")
    assert (status, session["name"]) == (200, created.name)


def test_emulator_rest_gives_the_lines_of_a_stream_as_a_list(emulator: Emulator) -> None:
    """A streaming REST method answers with a list, also when there is one line."""
    _, session = emulator.rest("POST", f"/v1/{emulator.create_database()}/sessions", {})
    status, results = emulator.rest("POST", f"/v1/{session['name']}:executeStreamingSql", {"sql": "SELECT 1"})
    assert (status, [line["result"]["values"] for line in results]) == (200, [["1"]])


def test_emulator_that_was_started_here_ends_with_its_context(emulator: Emulator) -> None:
    """No process of an emulator that we started survives, not even when the test fails."""
    with contextlib.suppress(ZeroDivisionError), running_emulator({"PATH": os.environ["PATH"]}) as own:
        assert own.grpc_endpoint != emulator.grpc_endpoint
        raise ZeroDivisionError
    # A killed process keeps its sockets until the kernel has taken it apart.
    until(lambda: _refuses(own.grpc_endpoint) and _refuses(own.rest_endpoint))


def _refuses(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == errno.ECONNREFUSED


def test_emulator_that_is_named_is_used_as_it_is(emulator: Emulator) -> None:
    """SPANNER_EMULATOR_HOST wins over an emulator of our own."""
    named = {
        "SPANNER_EMULATOR_HOST": emulator.grpc_endpoint,
        "SPANNER_EMULATOR_REST_HOST": emulator.rest_endpoint,
    }
    with running_emulator(named) as same:
        assert (same.grpc_endpoint, same.rest_url) == (emulator.grpc_endpoint, emulator.rest_url)


def test_missing_emulator_gives_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without gcloud the reason says so, and says what would help."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorUnavailable, match="SPANNER_EMULATOR_HOST"), running_emulator({}):
        pass


def test_gcloud_without_the_emulator_gives_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Google Cloud CLI without the component counts as no emulator."""
    answer = json.dumps({"installation": {"sdk_root": str(tmp_path), "components": {}}})
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\necho '{answer}'\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorUnavailable, match="no component"), running_emulator({}):
        pass


def _gcloud_with(gateway: str, folder: Path) -> dict[str, str]:
    """Return an environment with a Google Cloud CLI whose emulator is a script."""
    programs = folder / "bin" / "cloud_spanner_emulator"
    programs.mkdir(parents=True)
    answer = json.dumps({"installation": {"sdk_root": str(folder), "components": {}}})
    for file, text in ((folder / "gcloud", f"echo '{answer}'"), (programs / "gateway_main", gateway)):
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    return {"PATH": str(folder)}


def test_emulator_that_ends_at_once_tells_what_it_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Instead of a wait for its answer."""
    environment = _gcloud_with("echo 'no such flag: -grpc_port' >&2; exit 1", tmp_path)
    monkeypatch.setenv("PATH", environment["PATH"])
    with pytest.raises(RuntimeError, match=r"(?s)does not answer: .*refused.*no such flag: -grpc_port"):
        with running_emulator(environment):
            pass


def test_emulator_that_is_named_and_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its time is over; its REST gateway is at the port of Google's image, unless another one is named."""
    monkeypatch.setattr("spanner_grpc_sessions.testing.emulator._START_TIMEOUT", 0.1)
    with pytest.raises(RuntimeError, match=r"the emulator at http://127\.1\.1\.1:9020 does not answer: .*refused"):
        with running_emulator({"SPANNER_EMULATOR_HOST": "127.1.1.1:9010"}):
            pass


def test_emulator_that_refuses_says_why(emulator: Emulator) -> None:
    """A statement that it cannot read, and a database that cannot be dropped for there is none."""
    with pytest.raises(RuntimeError, match=r"the emulator refused POST /v1/.*/databases: HTTP 400"):
        emulator.create_database(["CREATE NONSENSE"])
    with pytest.raises(RuntimeError, match=r"refused to drop projects/p/instances/none/databases/d: HTTP \d+"):
        emulator.drop_database("projects/p/instances/none/databases/d")


def test_signals_come_to_an_emulator_of_our_own(emulator: Emulator, outer_environment: dict[str, str]) -> None:
    """While it runs: one that was stopped answers once it goes on; one that was killed gets none."""
    with OwnEmulator(outer_environment) as own:
        own.signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            _answer_within(0.2, own.emulator.rest_endpoint)
        own.signal(signal.SIGCONT)
        assert _answer_within(WAIT, own.emulator.rest_endpoint)
        own.kill()
        own.signal(signal.SIGSTOP)
        until(lambda: _refuses(own.emulator.rest_endpoint))


def _answer_within(seconds: float, endpoint: str) -> bytes:
    host, _, port = endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(b"GET /v1/projects/test-project/instances HTTP/1.0\r\n\r\n")
        return connection.recv(1)


class _Async:
    """The kinds of member that an async client has."""

    name = "plain value"

    async def echo(self, value: str) -> str:
        return value

    async def fail(self) -> None:
        raise LookupError("as raised")

    async def count(self, limit: int) -> AsyncIterator[int]:
        for number in range(limit):
            yield number

    async def leave_task(self) -> None:
        self.task = asyncio.ensure_future(asyncio.Event().wait())


def test_blocking_face_waits_iterates_and_raises(loop_thread: LoopThread) -> None:
    """Coroutine, async iterator, plain value and exception come through as their blocking twins."""
    face = Blocking(_Async(), loop_thread)
    assert (face.name, face.echo("value"), list(face.count(3))) == ("plain value", "value", [0, 1, 2])
    with pytest.raises(LookupError, match="as raised"):
        face.fail()


def test_blocking_face_reaches_grpc_aio_stubs(emulator: Emulator, loop_thread: LoopThread) -> None:
    """A stub on a grpc.aio channel answers unary and streaming calls through the blocking face."""
    channel: Any = Blocking(loop_thread.call(grpc.aio.insecure_channel, emulator.grpc_endpoint), loop_thread)
    stub = spanner_pb2_grpc.SpannerStub(channel)
    session = stub.CreateSession(spanner_pb2.CreateSessionRequest(database=emulator.create_database()), timeout=10)
    query = spanner_pb2.ExecuteSqlRequest(session=session.name, sql="SELECT 1")
    parts = list(stub.ExecuteStreamingSql(query, timeout=10))
    channel.close()
    assert [part.values[0].string_value for part in parts] == ["1"]


def test_loop_thread_reports_tasks_that_were_left() -> None:
    """A task that the client leaves running fails the test that used it."""
    thread = LoopThread()
    Blocking(_Async(), thread).leave_task()
    with pytest.raises(AssertionError, match="Event"):
        thread.close()


@pytest.mark.parametrize("name", ["SPANNER_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"])
def test_settings_of_the_developer_are_hidden(name: str) -> None:
    """What is set outside does not reach the code under test."""
    assert name not in os.environ
