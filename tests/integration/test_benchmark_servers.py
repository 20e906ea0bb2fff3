"""The servers that the benchmarks call, and a run from the command line to the report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import pytest
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from benchmarks import servers
from tests.support.waiting import WAIT

_REQUEST = spanner_pb2.CreateSessionRequest(database=servers.DATABASE)
# More answers than the window of a connection has room for, until the client opens it.
_CALLS = 2000


@pytest.fixture(params=["C", "Python"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the server is written in."""
    chosen: str = request.param
    if chosen == "Python":
        monkeypatch.setattr(servers, "compiled_server", lambda: None)
    elif servers.compiled_server() is None:
        pytest.skip("no C compiler, or no OpenSSL to compile with")
    return chosen


def test_a_fixed_server_answers_every_call(language: str) -> None:
    """One after the other, whatever is called, and many at a time on one connection."""
    expected = spanner_pb2.Session.FromString(servers.session_answer())

    async def call_many(server: servers.Server) -> list[spanner_pb2.Session]:
        async with grpc.aio.secure_channel(server.address, server.tls) as channel:
            call = spanner_pb2_grpc.SpannerStub(channel).CreateSession
            return await asyncio.gather(*(call(_REQUEST, timeout=WAIT) for _ in range(_CALLS)))

    with servers.fixed_server() as server:
        assert server.language == language
        with grpc.secure_channel(server.address, server.tls) as channel:
            stub = spanner_pb2_grpc.SpannerStub(channel)
            assert [stub.CreateSession(_REQUEST, timeout=WAIT) for _ in range(3)] == [expected] * 3
            assert stub.GetSession(spanner_pb2.GetSessionRequest(name="any"), timeout=WAIT) == expected
        assert asyncio.run(call_many(server)) == [expected] * _CALLS


@pytest.mark.usefixtures("language")
def test_a_fixed_server_starts_again_on_its_port() -> None:
    """Although its end of a client's connection keeps the port for a minute; and with another answer."""
    with contextlib.ExitStack() as clients:
        with servers.fixed_server() as server:
            channel = clients.enter_context(grpc.secure_channel(server.address, server.tls))
            stub = spanner_pb2_grpc.SpannerStub(channel)
            stub.CreateSession(_REQUEST, timeout=WAIT)
        with servers.fixed_server(b"", int(server.address.rpartition(":")[2])) as again:
            assert again.address == server.address
            answer = stub.CreateSession(_REQUEST, timeout=WAIT, wait_for_ready=True)
    assert answer == spanner_pb2.Session()


def test_a_run_of_one_case_is_stored_and_reported(tmp_path: Path) -> None:
    """By its name, as `make bench BENCH=create-in bench-report` does it."""
    stored, page, table = (tmp_path / name for name in ("run.json", "page.html", "table.md"))
    run = [sys.executable, "-m", "benchmarks", "create-in", "--scale", "0", "--check", "--output", str(stored)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=WAIT, check=False)
    (case,) = json.loads(stored.read_text())["cases"]
    assert (done.returncode, case["name"]) == (int(not case["targets"][0]["met"]), "create-in"), done.stderr
    report = [sys.executable, "-m", "benchmarks.report", f"--results={stored}", f"--page={page}", f"--markdown={table}"]
    subprocess.run(report, capture_output=True, timeout=WAIT, check=True)
    assert all(case["title"] in written.read_text() for written in (page, table))
