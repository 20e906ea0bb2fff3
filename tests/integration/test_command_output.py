"""What commands show to people and to programs: on terminals, in pipes, after an error and after Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spanner_grpc_sessions import SessionsClient
from spanner_grpc_sessions.cli import main
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import Emulator
from tests.support.measuring import takes
from tests.support.terminal import Terminal
from tests.support.waiting import WAIT, until

pytest.importorskip("rich", reason="the extra cli is not installed")

_DATABASE = "projects/p/instances/i/databases/d"
_PROGRAM = [sys.executable, "-m", "spanner_grpc_sessions"]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSpanner]:
    """A server that commands find in the environment."""
    with LocalSpanner(tls=False) as local:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", local.endpoint)
        yield local


@pytest.fixture
def client(plain: LocalSpanner) -> Iterator[SessionsClient]:
    """A client of it."""
    with SessionsClient(options=plain.client_options()) as client:
        yield client


def _names(text: str) -> list[str]:
    return [json.loads(line)["name"] for line in text.splitlines()]


def test_create_shows_progress_on_a_terminal(
    plain: LocalSpanner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many of how many, and in the end how long it took; the sessions go to standard output."""
    plain.faults.add("BatchCreateSessions", delay=0.3, times=None)
    (terminal,) = Terminal.of(monkeypatch, "stderr")
    assert main(["create", _DATABASE, "--count", "900"]) == 0
    assert len(_names(capsys.readouterr().out)) == 900
    assert "creating" in terminal.plain
    assert "of 900" in terminal.plain
    assert "/s" in terminal.plain
    assert "900 sessions created in" in terminal.plain.splitlines()[-1]
    assert "\x1b[" in terminal.getvalue()


def test_progress_and_sessions_share_a_terminal(plain: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that moves is gone while sessions are printed: each is a whole line."""
    plain.faults.add("BatchCreateSessions", delay=0.3, times=None)
    (terminal,) = Terminal.of(monkeypatch, "stderr")
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["create", _DATABASE, "--count", "500"]) == 0
    *sessions, last = terminal.screen
    assert len(_names("\n".join(sessions))) == 500
    assert last.startswith("500 sessions created in")
    assert "creating" in terminal.plain


def test_pipe_gets_no_progress(plain: LocalSpanner, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but the sessions."""
    assert main(["create", _DATABASE, "--count", "150"]) == 0
    out, err = capsys.readouterr()
    assert (len(_names(out)), err) == (150, "")


def test_failure_says_what_was_done(plain: LocalSpanner, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the body of the error, which is the last line."""
    plain.faults.add("BatchCreateSessions", delay=0.001, times=2)
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED", times=None)
    assert main(["create", _DATABASE, "--count", "1000"]) == 1
    out, err = capsys.readouterr()
    told, body = err.splitlines()
    assert json.loads(body)["error"]["status"] == "PERMISSION_DENIED"
    assert len(_names(out)) == 200
    assert told == "200 of 1,000 sessions created"


@pytest.mark.usefixtures("interruptible")
def test_interrupt_says_what_was_done(plain: LocalSpanner, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends at once, with status 130, though calls hang."""
    plain.faults.add("BatchCreateSessions", delay=0.001, times=3)
    plain.faults.add("BatchCreateSessions", drop=True, times=None)

    def interrupt() -> None:
        # Three are answered, and four more hang.
        until(lambda: len(plain.calls) == 7)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with takes():
        assert main(["create", _DATABASE, "--count", "1000"]) == 130
    out, err = capsys.readouterr()
    assert len(_names(out)) == 300
    assert err == "interrupted: 300 of 1,000 sessions created\n"


def test_terminal_is_told_what_a_command_waits_for(plain: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before two seconds have passed, with the number of the attempt."""
    plain.faults.add("GetSession", status="UNAVAILABLE", times=None)
    (terminal,) = Terminal.of(monkeypatch, "stderr")
    ended = threading.Event()
    told: list[float] = []

    def watch() -> None:
        begin = time.monotonic()
        while not ended.wait(0.02):
            if "GetSession: attempt " in terminal.plain:
                told.append(time.monotonic() - begin)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert main(["get", f"{_DATABASE}/sessions/s", "--timeout", "3"]) == 1
    ended.set()
    watcher.join()
    assert told
    *lines, advice = terminal.plain.splitlines()
    assert json.loads("\n".join(lines[lines.index("{") :]))["error"]["status"] == "UNAVAILABLE"
    assert advice == "spanner-sessions doctor DATABASE finds out why"


def test_verbose_shows_attempts(
    plain: LocalSpanner, client: SessionsClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each attempt that failed, and for the call; none of it without `-v`."""
    name = client.create_session(_DATABASE)["name"]
    for arguments in (["-v"], []):
        plain.faults.add("GetSession", status="UNAVAILABLE", times=2)
        assert main(["get", name, *arguments]) == 0
        out, err = capsys.readouterr()
        assert _names(out) == [name]
        assert err.count("another attempt in") == (2 if arguments else 0)
        assert err.count("3 attempts") == (1 if arguments else 0)


def test_list_is_a_table_on_a_terminal(
    plain: LocalSpanner, client: SessionsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ids, ages and labels within 80 columns."""
    name = client.create_session(_DATABASE, labels={"team": "checkout"}, creator_role="reader")["name"]
    out, err = Terminal.of(monkeypatch, "stdout", "stderr")
    assert main(["list", _DATABASE]) == 0
    lines = out.plain.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["session", "age", "idle", "labels"]
    row = " ".join(lines[3:])
    assert name.rpartition("/")[2][:20] in row
    assert "team=checkout" in row
    assert "role: reader" in row
    assert err.plain.splitlines()[-1] == "1 session"


def test_list_of_none_is_a_line_on_a_terminal(plain: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a table."""
    out, err = Terminal.of(monkeypatch, "stdout", "stderr")
    assert main(["list", _DATABASE]) == 0
    assert out.plain == ""
    assert err.plain.splitlines()[-1] == "0 sessions"


@pytest.mark.parametrize("pages", [0, 1])
def test_list_that_fails_shows_what_it_has_found(
    plain: LocalSpanner, client: SessionsClient, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """Before the error; where it has found none, the error alone."""
    client.batch_create_sessions(_DATABASE, 3)
    monkeypatch.setattr("spanner_grpc_sessions.local.store._MAX_PAGE", 2)
    for _ in range(pages):
        plain.faults.add("ListSessions", delay=0.001)
    plain.faults.add("ListSessions", status="PERMISSION_DENIED", times=None)
    out, err = Terminal.of(monkeypatch, "stdout", "stderr")
    assert main(["list", _DATABASE]) == 1
    assert ("2 sessions" in err.plain, "0 sessions" in err.plain) == (pages > 0, False)
    assert bool(out.plain) is (pages > 0)
    assert "PERMISSION_DENIED" in err.plain


def test_list_keeps_to_json_where_it_is_asked_to(client: SessionsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a terminal."""
    names = {body["name"] for body in client.batch_create_sessions(_DATABASE, 3)["session"]}
    out, _ = Terminal.of(monkeypatch, "stdout", "stderr")
    assert main(["list", _DATABASE, "--json"]) == 0
    assert set(_names(out.getvalue())) == names


def test_no_color_is_kept(client: SessionsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_COLOR` leaves no colour, neither in the table nor in the report of the doctor."""
    client.create_session(_DATABASE)
    out, err = Terminal.of(monkeypatch, "stdout", "stderr")
    colours = []
    for value in (None, "1"):
        if value is not None:
            monkeypatch.setenv("NO_COLOR", value)
        assert main(["list", _DATABASE]) == 0
        assert main(["doctor", _DATABASE]) == 0
        printed = out.getvalue() + err.getvalue()
        colours.append(any(f"\x1b[{code}m" in printed for code in (31, 32, 33, "1;32")))
        for stream in (out, err):
            stream.seek(0)
            stream.truncate()
    assert colours == [True, False]


def test_list_by_labels_age_and_number(plain: LocalSpanner, capsys: pytest.CaptureFixture[str]) -> None:
    """All three together; the number is of those that fit."""
    hour_ago = time.time() - 3600
    with LocalSpanner(tls=False, clock=lambda: hour_ago) as past:
        with SessionsClient(options=past.client_options()) as client:
            for number in range(6):
                client.create_session(_DATABASE, labels={"team": "checkout" if number % 2 else "search"})
        where = ["--endpoint", past.endpoint, "--plaintext"]
        for arguments, count in (
            (["--filter", "labels.team:check"], 3),
            (["--filter", "labels.team:check", "--limit", "2"], 2),
            (["--older-than", "30m"], 6),
            (["--older-than", "2h"], 0),
            (["--limit", "4"], 4),
        ):
            assert main(["list", _DATABASE, *where, *arguments]) == 0
            assert len(_names(capsys.readouterr().out)) == count


def test_filters_are_checked_where_the_server_ignores_them(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The emulator lists all sessions, whatever the filter: none but those that fit is listed or deleted."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)
    database = emulator.create_database()
    for team in ("checkout", "search"):
        assert main(["create", database, "--label", f"team={team}", "--count", "2"]) == 0
    kept = set(_names(capsys.readouterr().out)[2:])
    fitting = ["--filter", "labels.team:checkout"]
    assert main(["list", database, *fitting]) == 0
    assert len(_names(capsys.readouterr().out)) == 2
    assert main(["delete", "--all", database, *fitting, "--yes"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [{}, {}]
    assert err == f"2 sessions of {database}\n"
    assert main(["list", database]) == 0
    assert set(_names(capsys.readouterr().out)) == kept


def _all(local: LocalSpanner) -> set[str]:
    return {session["name"] for session in local.sessions}


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
def test_delete_of_all_asks_on_a_terminal(
    plain: LocalSpanner, client: SessionsClient, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    """It says how many, and takes no answer for no."""
    client.batch_create_sessions(_DATABASE, 3)
    stdin, out, err = Terminal.of(monkeypatch, "stdin", "stdout", "stderr")
    stdin.write(answer)
    stdin.seek(0)
    assert main(["delete", "--all", _DATABASE]) == 0
    assert len(plain.sessions) == left
    assert f"3 sessions of {_DATABASE}" in err.plain
    assert ("3 sessions deleted" in err.plain) == (left == 0)
    assert ("nothing was deleted" in err.plain) == (left == 3)
    assert out.getvalue().strip() in {"", "Delete? [y/N]:"}  # click asks there if standard error is no console


def test_delete_of_all_does_not_go_on_without_an_answer(
    plain: LocalSpanner, client: SessionsClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot ask it needs `--yes`, and at the end of a terminal it deletes nothing."""
    client.create_session(_DATABASE)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert main(["delete", "--all", _DATABASE]) == 2
    assert "--yes" in capsys.readouterr().err
    Terminal.of(monkeypatch, "stdin")
    assert main(["delete", "--all", _DATABASE]) == 1
    assert len(plain.sessions) == 1


@pytest.mark.parametrize("chosen", ["--all", "names"])
def test_dry_run_deletes_nothing(
    plain: LocalSpanner, client: SessionsClient, capsys: pytest.CaptureFixture[str], chosen: str
) -> None:
    """It prints what would be deleted."""
    client.batch_create_sessions(_DATABASE, 3)
    names = _all(plain)
    assert main(["delete", "--dry-run", *(["--all", _DATABASE] if chosen == "--all" else names)]) == 0
    assert set(_names(capsys.readouterr().out)) == names == _all(plain)


def test_dry_run_is_a_table_on_a_terminal(
    plain: LocalSpanner, client: SessionsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of `list`; of names alone there is nothing to show in one."""
    client.batch_create_sessions(_DATABASE, 2)
    names = _all(plain)
    for arguments, is_table in ((["--all", _DATABASE], True), ([*names], False)):
        out, err = Terminal.of(monkeypatch, "stdout", "stderr")
        assert main(["delete", "--dry-run", *arguments]) == 0
        assert ("idle" in out.plain) is is_table
        assert ("2 sessions" in err.plain) is is_table
        assert all((name in out.plain) is not is_table for name in names)
    assert _all(plain) == names


@pytest.mark.parametrize("form", [str, lambda name: json.dumps({"name": name, "createTime": "x"})])
def test_delete_reads_names_or_sessions(
    plain: LocalSpanner,
    client: SessionsClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    form: Callable[[str], str],
) -> None:
    """From standard input, one a line, as `list` prints them."""
    client.batch_create_sessions(_DATABASE, 30)
    file = tmp_path / "sessions"
    file.write_text("".join(f"{form(name)}\n" for name in [*_all(plain)][:25]) + "\n")
    with file.open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        assert main(["delete", "-"]) == 0
    assert capsys.readouterr().out == "{}\n" * 25
    assert len(plain.sessions) == 5


def test_delete_checks_all_names_first(plain: LocalSpanner, client: SessionsClient) -> None:
    """One that is malformed keeps all sessions."""
    name = client.create_session(_DATABASE)["name"]
    assert main(["delete", name, "nonsense"]) == 2
    assert _all(plain) == {name}


def test_session_that_is_gone_is_an_error_unless_it_may_be(
    plain: LocalSpanner, client: SessionsClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--missing-ok` goes on to the others."""
    names = [body["name"] for body in client.batch_create_sessions(_DATABASE, 2)["session"]]
    client.delete_session(names[0])
    assert main(["delete", names[0]]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["status"] == "NOT_FOUND"
    assert main(["delete", *names, "--missing-ok"]) == 0
    assert plain.sessions == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["delete"],
        ["delete", f"{_DATABASE}/sessions/s", "--all", _DATABASE],
        ["delete", f"{_DATABASE}/sessions/s", "--older-than", "1h"],
        ["delete", "--all", _DATABASE, "--older-than", "soon"],
        ["delete", "--all", _DATABASE, "--filter", "name:x", "--yes"],
        ["list", _DATABASE, "--filter", "labels.Team"],
        ["list", _DATABASE, "--limit", "0"],
        ["doctor", "nonsense"],
    ],
)
def test_what_is_asked_wrongly_is_not_tried(plain: LocalSpanner, arguments: list[str]) -> None:
    """It exits with 2, and no call is made."""
    assert main(arguments) == 2
    assert plain.calls == []


@pytest.mark.parametrize("command", ["", "create", "get", "list", "delete", "ping", "serve", "doctor"])
def test_help_has_examples(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The program and each command say what to type, within 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    _, examples = out.split("Examples:\n")
    assert f"spanner-sessions {command}" in examples
    assert max(map(len, out.splitlines())) <= 80


def test_shell_completes_commands_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By click's own protocol, under the name of the program."""
    monkeypatch.setenv("_SPANNER_SESSIONS_COMPLETE", "bash_source")
    assert main([]) == 0
    assert "_SPANNER_SESSIONS_COMPLETE=bash_complete" in capsys.readouterr().out
    monkeypatch.setenv("_SPANNER_SESSIONS_COMPLETE", "bash_complete")
    for words, expected in (
        ("spanner-sessions d", "plain,doctor"),
        ("spanner-sessions list --older", "plain,--older-than"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert main([]) == 0
        assert expected in capsys.readouterr().out.splitlines()


def test_serve_exports_what_a_shell_needs_and_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines are enough for another command; the key of an earlier server is overwritten."""
    folder = tmp_path / "kept files"
    folder.mkdir()
    key = folder / "service-account.json"
    with LocalSpanner() as earlier:
        earlier.service_account_file(key)
    serve = [*_PROGRAM, "serve", "--export", "--directory", str(folder)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [shlex.split(server.stdout.readline()) for _ in range(3)]
            for _, assignment in lines:
                monkeypatch.setenv(*assignment.split("=", 1))
            assert main(["create", _DATABASE]) == 0
        finally:
            server.send_signal(signal.SIGHUP)
        assert server.wait(WAIT) == 0
    assert len(_names(capsys.readouterr().out)) == 1
    assert {word for word, _ in lines} == {"export"}
    assert {path.name for path in folder.iterdir()} == {"root-certificates.pem", key.name}
    assert key.stat().st_mode & 0o077 == 0


def test_serve_leaves_the_key_of_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so and exits with 1."""
    key = tmp_path / "service-account.json"
    key.write_text('{"project_id": "mine"}')
    stopped = threading.Event()
    stopped.set()
    monkeypatch.setattr("spanner_grpc_sessions.cli.serve._signals", lambda: stopped)
    assert main(["serve", "--directory", str(tmp_path)]) == 1
    assert "choose another directory" in capsys.readouterr().err
    assert key.read_text() == '{"project_id": "mine"}'


def test_serve_goes_on_after_its_terminal_is_gone(tmp_path: Path) -> None:
    """Under `nohup`, which has SIGHUP ignored; the folder is a new one."""
    program = [*_PROGRAM, "serve", "--directory", str(tmp_path / "new")]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    with server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            server.send_signal(signal.SIGHUP)
            arguments = ["--endpoint", told["endpoint"], "--root-certificates", told["rootCertificates"]]
            environment = {**os.environ, "GOOGLE_APPLICATION_CREDENTIALS": told["GOOGLE_APPLICATION_CREDENTIALS"]}
            created = subprocess.run([*_PROGRAM, "create", _DATABASE, *arguments], env=environment, timeout=2 * WAIT)
            assert created.returncode == 0
        finally:
            server.terminate()
        assert server.wait(WAIT) == 0


@pytest.mark.parametrize(
    ("closed", "command", "status", "output", "errors"),
    [
        (">&-", ["create", _DATABASE, "--local"], 2, "", "spanner-sessions: standard output is closed\n"),
        ("2>&-", ["create", "bad"], 2, "", ""),
        ("<&-", ["delete", "-", "--local"], 0, "", "for this command only"),
        ("<&-", ["delete", "--all", _DATABASE, "--local"], 0, "", "0 sessions of"),
    ],
)
def test_standard_streams_may_be_closed(closed: str, command: list[str], status: int, output: str, errors: str) -> None:
    """A command whose output would be lost does nothing; without the others, it works as with nothing there."""
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *_PROGRAM, *command]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=2 * WAIT)
    assert (done.returncode, done.stdout) == (status, output)
    assert errors in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_program_without_its_extra_says_how_to_get_it(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line; an error of another import is not hidden."""
    for name in [name for name in sys.modules if name.startswith(("spanner_grpc_sessions.cli.", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["--version"]) == 1
    assert capsys.readouterr().err == (
        "spanner-sessions: the command line needs click and rich: pip install 'spanner-grpc-sessions[cli]'\n"
    )
    monkeypatch.delitem(sys.modules, missing)
    monkeypatch.setitem(sys.modules, "spanner_grpc_sessions.cli.options", None)
    with pytest.raises(ModuleNotFoundError):
        main(["--version"])
