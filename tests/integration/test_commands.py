"""The command line and the demo, as programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import ClientClosed, __version__
from spanner_grpc_sessions.cli import main
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.proxy import Proxy
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer, LocalServer, Server
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"


@pytest.fixture
def run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command against each server, and return its status, the bodies it printed and what it told people."""
    if isinstance(server, LocalServer):
        root = tmp_path / "root.pem"
        root.write_bytes(server.local.root_certificates or b"")
        key = server.local.service_account_file(tmp_path / "key.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        options = ["--endpoint", server.local.endpoint, "--root-certificates", str(root)]
    else:
        assert isinstance(server, EmulatorServer)
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", server.emulator.grpc_endpoint)
        options = []

    def run(command: str, *arguments: str) -> tuple[int, list[Any], str]:
        status = main([command, *options, *arguments])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return run


def test_create_prints_the_session(run: Any, server: Server) -> None:
    """The REST body of the session, on one line."""
    status, bodies, _ = run("create", server.new_database(), "--label", "team=checkout", "--label", "empty=")
    assert (status, bodies[0]["labels"]) == (0, {"team": "checkout", "empty": ""})


def test_create_of_many_prints_a_line_for_each(run: Any, server: Server) -> None:
    """More than the server gives in one call are fetched in several."""
    status, bodies, _ = run("create", server.new_database(), "--count", "103")
    assert (status, len({body["name"] for body in bodies})) == (0, 103)


def test_session_is_got_listed_pinged_and_deleted(run: Any, server: Server) -> None:
    """The other commands do what they say, and print what REST answers."""
    database = server.new_database()
    name = run("create", database)[1][0]["name"]
    assert run("get", name)[1][0]["name"] == name
    assert [body["name"] for body in run("list", database)[1]] == [name]
    assert run("ping", name)[:2] == (0, [])
    assert run("delete", name)[:2] == (0, [{}])
    assert run("list", database)[:2] == (0, [])


def test_error_is_printed_as_rest_gives_it(run: Any, server: Server) -> None:
    """The error body goes to standard error, and the status is 1."""
    status, bodies, err = run("ping", f"{server.new_database()}/sessions/none")
    assert (status, bodies) == (1, [])
    assert json.loads(err)["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["create", "nonsense"], "is not a database name"),
        (["create", _DATABASE, "--label", "Team=x"], "invalid label key 'Team'"),
        (["create", _DATABASE, "--label", "team=x", "--label", "team=y"], "must not repeat a key"),
        (["create", _DATABASE, "--multiplexed", "--count", "2"], "cannot be used with --count"),
        (["create", _DATABASE, "--local"], "cannot be used with any of --endpoint"),
        (["create", _DATABASE, "--client-key", "key.pem"], "need each other"),
        (["ping", _DATABASE], "is not a session name"),
    ],
)
def test_wrong_value_is_wrong_usage(arguments: list[str], rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that breaks its rule exits with 2 and one line that says which, without a traceback."""
    assert main([*arguments, "--endpoint", "127.0.0.1:1", "--plaintext"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("spanner-sessions: ")
    assert rule in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["create"],
        ["create", _DATABASE, "--count", "0"],
        ["create", _DATABASE, "--count", "x"],
        ["create", _DATABASE, "--label", "team"],
        ["create", _DATABASE, "--timeout", "-1"],
        ["create", _DATABASE, "--timeout", "soon"],
    ],
)
def test_wrong_arguments_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the parser refuses exits with 2, and is told how to go on."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--help" in err


def test_missing_credentials_are_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, local: LocalSpanner
) -> None:
    """Without application default credentials the command says so and exits with 1."""
    root = tmp_path / "root.pem"
    root.write_bytes(local.root_certificates or b"")
    assert main(["create", _DATABASE, "--endpoint", local.endpoint, "--root-certificates", str(root)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    error = json.loads(line)["error"]
    assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
    assert "credentials" in error["message"]


def test_closed_client_is_reported_as_a_rest_body(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every other error of a call."""

    def closed(*_: object) -> None:
        raise ClientClosed.during_call()

    monkeypatch.setattr("spanner_grpc_sessions.client.SessionsClient.open", closed)
    assert main(["create", _DATABASE, "--local"]) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert (error["code"], error["status"]) == (499, "CANCELLED")


def test_list_of_a_dead_endpoint_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Within its timeout, as the REST body of the last failure."""
    with LocalSpanner(tls=False) as local, Proxy(local.endpoint) as proxy:
        proxy.refuse()
        where = ["--endpoint", proxy.endpoint, "--plaintext"]
        assert main(["list", _DATABASE, *where, "--timeout", "0.5"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["error"]["status"] == "UNAVAILABLE"


def test_list_waits_for_a_minute_unless_told_otherwise() -> None:
    """And not for the hour that Google's clients give ListSessions."""
    left: list[float] = []

    def answer(_: object, context: grpc.ServicerContext) -> spanner_pb2.ListSessionsResponse:
        left.append(context.time_remaining() or 0.0)
        return spanner_pb2.ListSessionsResponse()

    with scripted_server(ListSessions=answer) as options:
        where = ["--endpoint", str(options.endpoint), "--plaintext"]
        assert main(["list", _DATABASE, *where]) == 0
        assert main(["list", _DATABASE, *where, "--timeout", "600"]) == 0
    # On the wire a timeout has three digits at most, rounded up.
    assert left[0] <= 61 < left[1] <= 610


_ROLE = spanner_pb2.Session(creator_role="reader")


@pytest.mark.parametrize(
    ("arguments", "method", "expected"),
    [
        (["create", "--creator-role", "reader"], "CreateSession", [{"session": _ROLE}]),
        (["create", "--creator-role", "reader", "--count", "3"], "BatchCreateSessions", [
            {"session_count": 3, "session_template": _ROLE}, {"session_count": 1, "session_template": _ROLE},
        ]),
        (["get"], "GetSession", [{}]),
        (["list", "--filter", "labels.team:x"], "ListSessions", [{"filter": "labels.team:x"}]),
        (["delete"], "DeleteSession", [{}]),
        (["ping"], "ExecuteSql", [{"sql": "SELECT 1"}]),
    ],
)  # fmt: skip
def test_what_a_command_is_told_reaches_the_server(arguments: list[str], method: str, expected: list[Any]) -> None:
    """Its role, filter and timeout, in each of its calls. A server may create fewer sessions than it was asked for."""
    requests, left = [], []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        requests.append({field.name: value for field, value in request.ListFields() if field.name in expected[0]})
        left.append(context.time_remaining() or 0.0)
        sessions = [spanner_pb2.Session(name=f"{_DATABASE}/sessions/{len(requests)}-{place}") for place in (1, 2)]
        if method == "BatchCreateSessions":
            return spanner_pb2.BatchCreateSessionsResponse(session=sessions[: request.session_count])
        return sessions[0] if method in {"CreateSession", "GetSession"} else b""

    command, *options = arguments
    name = _DATABASE if command in {"create", "list"} else f"{_DATABASE}/sessions/s"
    with scripted_server(**{method: answer}) as server:
        where = ["--endpoint", str(server.endpoint), "--plaintext", "--timeout", "7"]
        assert main([command, name, *options, *where]) == 0
    assert requests == expected
    # Not the 30 s or more by default.
    assert all(seconds <= 7.1 for seconds in left)


def test_create_says_how_many_sessions_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that creates no more of them is not asked for ever."""
    with scripted_server(BatchCreateSessions=lambda *_: b"") as server:
        assert main(["create", _DATABASE, "--count", "3", "--endpoint", str(server.endpoint), "--plaintext"]) == 1
    assert "the server created no more sessions; 3 of 3 are missing" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["spanner_grpc_sessions", "spanner_grpc_sessions.cli"])
def test_command_runs_as_a_module(program: str) -> None:
    """`python -m` needs no script on the path."""
    version = subprocess.run([sys.executable, "-m", program, "--version"], capture_output=True, text=True, timeout=60)
    assert (version.returncode, version.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize("loaded", ["click", "google.protobuf", "grpc._cython.cygrpc", "google.auth"])
def test_interrupt_while_the_program_loads_is_silent(loaded: str) -> None:
    """Ctrl-C in the first moments ends the command as later on: with status 130, and without a traceback."""
    command = [sys.executable, "-X", "importtime", "-m", "spanner_grpc_sessions.cli", "create", _DATABASE, "--local"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if line.startswith("import time:") and line.rpartition("|")[2].strip() == loaded:
                program.send_signal(signal.SIGINT)
                break
        told = [line for line in program.stderr if not line.startswith("import time:")]
        assert program.wait(WAIT) == 130
    assert told in ([], [line for line in told if line.startswith("LocalSpanner started")])


def test_missing_file_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is an error like another."""
    assert main(["create", _DATABASE, "--root-certificates", "no-such-file"]) == 1
    assert "no-such-file" in capsys.readouterr().err


def test_local_starts_a_server_for_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`--local` needs no server and no credentials."""
    assert main(["create", _DATABASE, "--local", "--multiplexed"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["multiplexed"] is True
    assert "LocalSpanner" in err


@pytest.mark.parametrize("plaintext", [False, True])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_serves_until_it_is_interrupted(plaintext: bool, end: signal.Signals) -> None:
    """What it prints is enough for another process to create a session; a signal ends it and its files."""
    program = [sys.executable, "-m", "spanner_grpc_sessions"]
    serve = [*program, "serve", *(["--plaintext"] if plaintext else [])]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            environment = {**os.environ, **{key: value for key, value in told.items() if key.isupper()}}
            where = (
                [] if plaintext else ["--endpoint", told["endpoint"], "--root-certificates", told["rootCertificates"]]
            )
            created = subprocess.run(
                [*program, "create", _DATABASE, *where], env=environment, capture_output=True, text=True, timeout=60
            )
            assert created.returncode == 0, created.stderr
            assert json.loads(created.stdout)["name"].startswith(_DATABASE)
        finally:
            server.send_signal(end)
        assert server.wait(WAIT) == 0
    assert not any(Path(path).exists() for path in told.values())


def test_port_that_is_taken_is_reported_in_one_line(local: LocalSpanner, capsys: pytest.CaptureFixture[str]) -> None:
    """`serve` on a port that somebody else listens on says so and exits with 1."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert main(["serve", "--port", local.endpoint.rpartition(":")[2]]) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert "cannot listen on port" in capsys.readouterr().err


def test_reader_that_has_seen_enough_ends_the_output_in_silence() -> None:
    """`| head -1` leaves no message and no traceback."""
    create = [sys.executable, "-m", "spanner_grpc_sessions", "create", _DATABASE, "--count", "2000", "--local"]
    with subprocess.Popen(create, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        told = program.stderr.read()
        assert program.wait(WAIT) == 1
    assert "Broken" not in told
    assert "Traceback" not in told


def test_demo_shows_the_whole_way() -> None:
    """The demo ends well, prints the session and what was verified, and no secret."""
    demo = subprocess.run(
        [sys.executable, "-m", "spanner_grpc_sessions.cli.demo"], capture_output=True, text=True, timeout=60
    )
    assert demo.returncode == 0, demo.stderr
    assert '"team": "checkout"' in demo.stdout
    assert "self-signed JWT" in demo.stdout
    assert demo.stdout.count(" ms ") >= 6
    assert "PRIVATE KEY" not in demo.stdout
    assert "Bearer" not in demo.stdout
    assert demo.stderr == ""
