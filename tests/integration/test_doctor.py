"""The doctor: it finds nothing at a server that is well, and names each failure that is staged for it."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.auth import _helpers
from google.rpc import error_details_pb2

from spanner_grpc_sessions.cli import main
from spanner_grpc_sessions.cli.doctor.network import _VARIABLES
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import Emulator
from tests.support.certificates import make_authority
from tests.support.http_proxy import HttpProxy
from tests.support.measuring import takes
from tests.support.tls import tls_front
from tests.support.token_server import TokenServer
from tests.support.unix_socket import unix_socket
from tests.support.waiting import until

pytest.importorskip("rich", reason="the extra cli is not installed")

_DATABASE = "projects/p/instances/i/databases/d"
_ADMIN = "https://www.googleapis.com/auth/spanner.admin"
_STEPS = ["environment", "DNS", "TCP", "TLS", "HTTP/2", "credentials", "token", "first RPC", "latency", "multiplexed"]
_PERMISSIONS = [
    "permission:spanner.sessions.get",
    "permission:spanner.sessions.list",
    "permission:spanner.databases.select",
    "permission:spanner.databases.beginReadOnlyTransaction",
    "permission:spanner.databases.beginOrRollbackReadWriteTransaction",
    "permission:spanner.sessions.delete",
]


class Ward:
    """A LocalSpanner, the environment of its clients, and the doctor.

    Attributes:
        arguments: of the command line, to connect to the server.
    """

    def __init__(
        self, local: LocalSpanner, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.local = local
        self.folder = folder
        self.patch = patch
        self.stack = ExitStack()
        self._capsys = capsys
        self.root = folder / "root.pem"
        self.root.write_bytes(local.root_certificates or b"")
        self.key = local.service_account_file(folder / "key.json")
        self.arguments = ["--endpoint", local.endpoint, "--root-certificates", str(self.root)]
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(self.key))

    def examine(self, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the exit status, and the rows by their steps."""
        status = main(["doctor", _DATABASE, "--json", *(arguments or self.arguments)])
        out, err = self._capsys.readouterr()
        assert err == ""
        rows = [json.loads(line) for line in out.splitlines()]
        return status, {row["step"]: row for row in rows}

    def use_federation(self, tokens: TokenServer) -> None:
        """Have the tokens of the environment come from a server."""
        (self.folder / "subject").write_text("subject")
        self.key.write_text(
            json.dumps(
                {
                    "type": "external_account",
                    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": tokens.uri,
                    "credential_source": {"file": str(self.folder / "subject")},
                }
            )
        )


@pytest.fixture
def ward(
    local: LocalSpanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ward]:
    """A server that is well."""
    ward = Ward(local, tmp_path, monkeypatch, capsys)
    with ward.stack:
        yield ward


def _permission_denied(ward: Ward, method: str) -> None:
    info = error_details_pb2.ErrorInfo(reason="IAM_PERMISSION_DENIED", domain="iam.googleapis.com")
    ward.local.faults.add(method, status="PERMISSION_DENIED", message="missing", details=[info], times=None)


def test_nothing_is_wrong_with_a_server_that_is_well(ward: Ward) -> None:
    """Every step succeeds, with its time, and the doctor leaves no session behind."""
    status, rows = ward.examine()
    assert status == 0
    assert list(rows) == [*_STEPS, *_PERMISSIONS]
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert all(row["seconds"] > 0 and row["text"] for row in rows.values())
    times = rows["latency"]["milliseconds"]
    assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    assert sum(call.method == "GetSession" for call in ward.local.calls) == 21
    assert all(session["multiplexed"] for session in ward.local.sessions)


def test_unix_socket_is_well(ward: Ward) -> None:
    """It has no name to resolve, and needs no TLS."""
    path = ward.folder / "spanner.sock"
    with LocalSpanner(tls=False) as plain, unix_socket(path, plain.endpoint):
        status, rows = ward.examine("--endpoint", f"unix:{path}", "--plaintext")
    assert status == 0
    assert {step for step, row in rows.items() if row["status"] == "skipped"} == {"DNS", "TLS", "credentials", "token"}
    assert rows["environment"]["address"] == f"unix:{path}"


def test_proxy_with_a_password_is_passed(ward: Ward) -> None:
    """Before a server whose name is not the one of its certificate: the tunnel is there."""
    proxy = ward.stack.enter_context(HttpProxy(ward.local.endpoint, user="me:secret"))
    ward.patch.setenv("https_proxy", proxy.url("me:secret@"))
    ward.arguments[1] = "spanner.test:443"
    _, rows = ward.examine()
    assert rows["TCP"]["status"] == "ok"
    assert rows["TLS"]["cause"] == "other-host"


def test_environment_without_settings_has_none_to_tell(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even an empty list."""
    for name in filter(_VARIABLES.match, tuple(os.environ)):
        ward.patch.delenv(name)
    _, rows = ward.examine("--endpoint", "127.0.0.1:1", "--plaintext")
    assert rows["environment"]["text"] == "127.0.0.1:1, plaintext"
    assert rows["environment"]["variables"] == []


def test_failure_of_the_multiplexed_session_is_told(ward: Ward) -> None:
    """As that of a call: it is not that the server had none."""
    ward.local.faults.add("CreateSession", delay=0.001)
    ward.local.faults.add("CreateSession", status="DATA_LOSS")
    status, rows = ward.examine()
    assert status == 1
    assert (rows["multiplexed"]["status"], rows["multiplexed"]["cause"]) == ("failed", "call")


def test_emulator_is_well(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It needs no TLS and no token; an old one has no multiplexed sessions, which is a warning."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)
    assert main(["doctor", emulator.create_database(), "--json"]) == 0
    rows = {row["step"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    skipped = {step for step, row in rows.items() if row["status"] == "skipped"}
    assert skipped == {"TLS", "credentials", "token"}
    assert rows["multiplexed"]["status"] in {"ok", "warning"}
    assert all(row["status"] == "ok" for step, row in rows.items() if step not in {*skipped, "multiplexed"})


def test_missing_instance_of_the_emulator_is_named(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that the instance is missing, not the database."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)
    assert main(["doctor", "projects/p/instances/none/databases/d", "--json"]) == 1
    rows = {row["step"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["first RPC"]["cause"] == "wrong-database"
    assert "no instance 'none'" in rows["first RPC"]["text"]


def _no_credentials(ward: Ward) -> None:
    ward.patch.delenv("GOOGLE_APPLICATION_CREDENTIALS")


def _no_key_file(ward: Ward) -> None:
    ward.key.unlink()


def _broken_key(ward: Ward) -> None:
    ward.key.write_text(json.dumps({"type": "service_account"}))


def _expired_key(ward: Ward) -> None:
    """The key of an account that the server no longer knows, and what Google says of such a one."""
    with LocalSpanner() as before:
        key = json.loads(before.service_account_file(ward.folder / "old.json").read_text())
    ward.key.write_text(json.dumps({**key, "token_uri": ward.local.token_uri}))
    answer = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    ward.local.faults.add_token(status=400, body=json.dumps(answer).encode(), times=None)


def _foreign_key(ward: Ward) -> None:
    """A key that its own token endpoint accepts, and the server does not."""
    other = ward.stack.enter_context(LocalSpanner())
    ward.key.write_text(other.service_account_file(ward.folder / "other.json").read_text())


def _wrong_scope(ward: Ward) -> None:
    tokens = ward.stack.enter_context(TokenServer())
    tokens.issue = lambda _: ward.local.issue_token(scopes=[_ADMIN])
    ward.use_federation(tokens)


def _no_token(ward: Ward) -> None:
    tokens = ward.stack.enter_context(TokenServer())
    tokens.failures = [503] * 100
    ward.use_federation(tokens)
    # google-auth repeats it after pauses.
    ward.patch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)


def _clock_ahead(ward: Ward) -> None:
    """Tokens that are signed here come from the future."""
    ahead = dt.timedelta(hours=1)
    now: Callable[[], dt.datetime] = _helpers.utcnow
    ward.patch.setattr("google.auth._helpers.utcnow", lambda: now() + ahead)


def _clock_differs(ward: Ward) -> None:
    tokens = ward.stack.enter_context(TokenServer())
    tokens.ahead = 3600
    tokens.failures = [400] * 100
    ward.use_federation(tokens)


def _no_permission(ward: Ward) -> None:
    _permission_denied(ward, "CreateSession")


def _wrong_database(ward: Ward) -> None:
    ward.local.drop_database(_DATABASE)


def _wrong_region(ward: Ward) -> None:
    ward.local.faults.add(
        "CreateSession", status="INVALID_ARGUMENT", message="InvalidRegionalRequest: not in this region"
    )


def _api_disabled(ward: Ward) -> None:
    info = error_details_pb2.ErrorInfo(reason="SERVICE_DISABLED", domain="googleapis.com")
    ward.local.faults.add("CreateSession", status="PERMISSION_DENIED", details=[info])


def _unavailable(ward: Ward) -> None:
    ward.local.faults.add(status="UNAVAILABLE", retry_delay=1000, times=None)


def _no_answer(ward: Ward) -> None:
    ward.arguments += ["--timeout", "0.3"]
    ward.local.faults.add(drop=True, times=None)


def _quota(ward: Ward) -> None:
    ward.local.faults.add(status="RESOURCE_EXHAUSTED", retry_delay=1000, times=None)


def _other_status(ward: Ward) -> None:
    ward.local.faults.add("CreateSession", status="DATA_LOSS")


def _unknown_authority(ward: Ward) -> None:
    ward.root.write_bytes(make_authority().root)


def _silent(ward: Ward) -> None:
    silent = ward.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    ward.patch.setattr("spanner_grpc_sessions.cli.doctor.network._PATIENCE", 0.2)
    ward.arguments[1] = f"127.0.0.1:{silent.getsockname()[1]}"


def _refused(ward: Ward) -> None:
    ward.arguments[1] = "127.0.0.1:1"


def _emulator_down(ward: Ward) -> None:
    ward.patch.setenv("SPANNER_EMULATOR_HOST", "127.0.0.1:1")
    ward.arguments = ["--timeout", "5"]


def _scheme(ward: Ward) -> None:
    ward.patch.setenv("SPANNER_EMULATOR_HOST", "http://localhost:9010")
    ward.arguments = ["--timeout", "5"]


def _socks_proxy(ward: Ward) -> None:
    ward.patch.setenv("https_proxy", "socks5://127.0.0.1:1")
    ward.arguments[1] = "spanner.test:443"


def _unknown_name(ward: Ward) -> None:
    ward.arguments[1] = "no-such-host.invalid:443"


def _proxy(ward: Ward, status: int) -> None:
    proxy = ward.stack.enter_context(HttpProxy(ward.local.endpoint, status=status))
    ward.patch.setenv("https_proxy", proxy.url())
    ward.arguments[1] = "spanner.test:443"


def _proxy_forbids(ward: Ward) -> None:
    _proxy(ward, 403)


def _proxy_asks(ward: Ward) -> None:
    _proxy(ward, 407)


def _proxy_down(ward: Ward) -> None:
    ward.patch.setenv("https_proxy", "http://127.0.0.1:1")
    ward.arguments[1] = "spanner.test:443"


def _other_host(ward: Ward) -> None:
    """Behind a proxy that lets everything pass."""
    proxy = ward.stack.enter_context(HttpProxy(ward.local.endpoint))
    ward.patch.setenv("https_proxy", proxy.url())
    ward.arguments[1] = "spanner.test:443"


def _plaintext_server(ward: Ward) -> None:
    plain = ward.stack.enter_context(LocalSpanner(tls=False))
    ward.arguments[1] = plain.endpoint


def _plaintext_client(ward: Ward) -> None:
    ward.arguments = ["--endpoint", ward.local.endpoint, "--plaintext"]


def _rest_port(ward: Ward) -> None:
    rest = ward.stack.enter_context(TokenServer())
    ward.arguments = ["--endpoint", rest.address, "--plaintext"]


def _without_http2(ward: Ward) -> None:
    """A server of TLS that speaks something else."""
    front = ward.stack.enter_context(tls_front(ward.local.endpoint, protocol="http/1.1"))
    ward.root.write_bytes(front.root)
    ward.arguments[1] = front.endpoint


def _authorities_of_grpc(ward: Ward) -> None:
    """None are named: those of gRPC do not know the server's."""
    ward.patch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    ward.arguments = ["--endpoint", ward.local.endpoint]


def _rejected_user(ward: Ward) -> None:
    """The login of a user, whose token the server does not know; there is no other way to ask for one."""
    tokens = ward.stack.enter_context(TokenServer())
    ward.use_federation(tokens)


def _client_certificate(ward: Ward) -> None:
    front = ward.stack.enter_context(tls_front(ward.local.endpoint, make_authority()))
    ward.root.write_bytes(front.root)
    ward.arguments[1] = front.endpoint


# What is staged, the step that fails, the cause that it names, and a part of what it says to do.
_FAILURES: list[tuple[Callable[[Ward], None], str, str, str]] = [
    (_no_credentials, "credentials", "no-credentials", "gcloud auth application-default login"),
    (_no_key_file, "credentials", "no-credentials", "set GOOGLE_APPLICATION_CREDENTIALS to one that exists"),
    (_broken_key, "credentials", "bad-credentials", "make a new key"),
    (_expired_key, "first RPC", "expired-key", "create a new one"),
    (_foreign_key, "first RPC", "token-rejected", "use credentials that it knows"),
    (_wrong_scope, "first RPC", "wrong-scope", "auth/spanner.data"),
    (_no_token, "credentials", "token-endpoint", "let this machine reach it"),
    (_clock_ahead, "first RPC", "clock-skew", "set it, best by NTP"),
    (_clock_differs, "credentials", "clock-skew", "s behind: set it"),
    (_no_permission, "first RPC", "no-permission", "lacks spanner.sessions.create on projects/p/"),
    (_wrong_database, "first RPC", "wrong-database", "'i' has no database 'd': correct the name"),
    (_wrong_region, "first RPC", "wrong-region", "use the endpoint of its own region"),
    (_api_disabled, "first RPC", "api-disabled", "gcloud services enable"),
    (_unavailable, "first RPC", "unavailable", "try again later"),
    (_no_answer, "first RPC", "no-answer", "--timeout"),
    (_quota, "first RPC", "quota", "raise the quota"),
    (_other_status, "first RPC", "call", "DATA_LOSS"),
    (_unknown_authority, "TLS", "unknown-authority", "--root-certificates"),
    (_silent, "TLS", "tls", "no proxy or firewall"),
    (_refused, "TCP", "refused", "start the server"),
    (_emulator_down, "TCP", "emulator-down", "unset SPANNER_EMULATOR_HOST"),
    (_scheme, "environment", "scheme-in-emulator-host", "set it to localhost:9010"),
    (_socks_proxy, "environment", "setting", "https_proxy"),
    (_unknown_name, "DNS", "name-not-resolved", "no-such-host.invalid"),
    (_proxy_forbids, "TCP", "proxy", "answers CONNECT spanner.test:443 with 403: have it allow"),
    (_proxy_asks, "TCP", "proxy", "http://user:password@"),
    (_proxy_down, "TCP", "proxy", "correct the proxy variables"),
    (_other_host, "TLS", "other-host", "connect by a name"),
    (_plaintext_server, "TLS", "no-tls", "--plaintext"),
    (_plaintext_client, "HTTP/2", "tls-expected", "leave --plaintext out"),
    (_rest_port, "HTTP/2", "no-http2", "the emulator's is 9010"),
    (_client_certificate, "HTTP/2", "client-certificate", "--client-certificate"),
    (_without_http2, "TLS", "no-http2", "let HTTP/2 pass"),
    (_authorities_of_grpc, "TLS", "unknown-authority", "--root-certificates"),
    (_rejected_user, "first RPC", "token-rejected", "use credentials that it knows"),
]


@pytest.mark.parametrize(
    ("stage", "step", "cause", "remedy"), _FAILURES, ids=[stage.__name__.strip("_") for stage, *_ in _FAILURES]
)
def test_staged_failure_is_named(ward: Ward, stage: Callable[[Ward], None], step: str, cause: str, remedy: str) -> None:
    """The step that fails names the cause and what to do, in a sentence; those that need it are left out."""
    stage(ward)
    status, rows = ward.examine(*ward.arguments)
    assert status == 1
    failed = {name: row for name, row in rows.items() if row["status"] == "failed"}
    assert {name: row["cause"] for name, row in failed.items()} == {step: cause}
    assert remedy in failed[step]["text"]
    assert failed[step]["text"].endswith(".") or cause == "call"
    assert all(row["because"] == step for row in rows.values() if "not tried" in row["text"])
    assert rows["latency"]["status"] == "skipped"


def test_client_certificate_is_shown(ward: Ward) -> None:
    """Where a server asks for one."""
    authority = make_authority()
    plain = ward.stack.enter_context(LocalSpanner(tls=False))
    front = ward.stack.enter_context(tls_front(plain.endpoint, authority))
    ward.root.write_bytes(front.root)
    files = [ward.folder / "client.pem", ward.folder / "client.key"]
    for file, content in zip(files, authority.issue("doctor"), strict=True):
        file.write_bytes(content)
    arguments = ["--client-certificate", str(files[0]), "--client-key", str(files[1])]
    status, rows = ward.examine("--endpoint", front.endpoint, "--root-certificates", str(ward.root), *arguments)
    assert (status, {row["status"] for row in rows.values()}) == (0, {"ok"})
    assert front.clients == ["doctor"] * 2  # the connection of the doctor, and gRPC's


def test_what_was_not_foreseen_has_a_row(ward: Ward) -> None:
    """As a failure of its step, with the text of the error and no secret."""

    def fail(*_: object) -> None:
        raise RuntimeError("access_token=s3cret is no token")

    ward.patch.setattr("spanner_grpc_sessions.cli.doctor.identity.load_credentials", fail)
    status, rows = ward.examine()
    assert status == 1
    row = rows["credentials"]
    assert (row["status"], row["cause"]) == ("failed", "unexpected")
    assert "RuntimeError" in row["text"]
    assert "s3cret" not in json.dumps(rows)


@pytest.mark.parametrize(
    ("method", "permission"),
    [
        ("GetSession", "spanner.sessions.get"),
        ("ListSessions", "spanner.sessions.list"),
        ("ExecuteSql", "spanner.databases.select"),
        ("Rollback", "spanner.databases.beginOrRollbackReadWriteTransaction"),
        ("DeleteSession", "spanner.sessions.delete"),
    ],
)
def test_missing_permission_is_named(ward: Ward, method: str, permission: str) -> None:
    """It is told from those that the caller has."""
    _permission_denied(ward, method)
    status, rows = ward.examine()
    assert status == 1
    failed = {step for step, row in rows.items() if row["status"] == "failed"} - {"latency"}
    assert failed == {f"permission:{permission}"}
    row = rows[f"permission:{permission}"]
    assert row["cause"] == "no-permission"
    assert f"lacks {permission} on {_DATABASE}" in row["text"]
    assert row["error"]["status"] == "PERMISSION_DENIED"


@pytest.mark.usefixtures("interruptible")
def test_interrupt_deletes_the_session(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """And keeps the rows so far."""
    ward.local.faults.add("GetSession", drop=True, times=None)

    def interrupt() -> None:
        until(lambda: any(call.method == "GetSession" for call in ward.local.calls))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with takes():
        assert main(["doctor", _DATABASE, *ward.arguments]) == 130
    assert "first RPC" in capsys.readouterr().err.splitlines()[-1]
    assert ward.local.sessions == []


def test_clock_that_differs_is_told_though_the_token_comes(ward: Ward) -> None:
    """As a warning, beside steps that succeed."""
    tokens = ward.stack.enter_context(TokenServer())
    tokens.ahead = -600
    tokens.issue = lambda _: ward.local.issue_token()
    ward.use_federation(tokens)
    status, rows = ward.examine()
    assert status == 0
    assert (rows["token"]["status"], rows["token"]["cause"]) == ("warning", "clock-skew")
    assert 500 < rows["token"]["skewSeconds"] < 700


def test_first_call_that_had_to_be_repeated_is_told(ward: Ward) -> None:
    """As a warning."""
    ward.local.faults.add("CreateSession", status="UNAVAILABLE")
    status, rows = ward.examine()
    assert status == 0
    assert (rows["first RPC"]["status"], rows["first RPC"]["attempts"]) == ("warning", 2)


def test_server_without_multiplexed_sessions_is_told(ward: Ward) -> None:
    """As a warning: pools need none."""
    ward.local.faults.add("CreateSession", delay=0.001)
    ward.local.faults.add("CreateSession", status="INVALID_ARGUMENT", message="no")
    status, rows = ward.examine()
    assert status == 0
    assert (rows["multiplexed"]["status"], rows["multiplexed"]["cause"]) == ("warning", "no-multiplexed")


def test_people_get_a_line_for_each_step(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with nothing on standard output and no secret."""
    assert main(["doctor", _DATABASE, *ward.arguments]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == len([*_STEPS, *_PERMISSIONS]) + 1
    assert all(" ms  " in line for line in lines[:-1])
    assert lines[-1] == "every step succeeded"
    assert "PRIVATE KEY" not in err
    assert "Bearer" not in err


def test_people_are_told_what_was_not_tried(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, after what failed."""
    _refused(ward)
    assert main(["doctor", _DATABASE, *ward.arguments]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "not tried: TLS, HTTP/2, first RPC, latency, multiplexed, permission",
        "failed: TCP",
    ]


def test_people_are_told_of_warnings_at_the_end(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """They do not fail the command."""
    ward.local.faults.add("CreateSession", delay=0.001)
    ward.local.faults.add("CreateSession", status="INVALID_ARGUMENT", message="no")
    assert main(["doctor", _DATABASE, *ward.arguments]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "no step failed; warnings: multiplexed"


def test_local_server_of_the_doctor_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """`--local` shows what the report of a server looks like that is well."""
    assert main(["doctor", _DATABASE, "--local"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "every step succeeded"
