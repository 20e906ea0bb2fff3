"""Google's Cloud Spanner emulator as a test server: found, started on free ports of this machine, stopped."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from spanner_grpc_sessions.errors import SpannerSessionsError

if TYPE_CHECKING:
    from typing_extensions import Self

# Seconds, for a machine that is busy with other tests.
_START_TIMEOUT: Final = 60.0
_REST_TIMEOUT: Final = 30.0
_PROJECT = "projects/test-project"
_CONFIG = f"{_PROJECT}/instanceConfigs/emulator-config"
# The gateway answers these with one JSON document per line, every other method with one document.
_STREAMS = (":executeStreamingSql", ":streamingRead", ":batchWrite")


class EmulatorUnavailable(SpannerSessionsError):
    """There is no emulator on this machine; the text says what is missing."""


@dataclass(frozen=True)
class Emulator:
    """An emulator that is running.

    Attributes:
        grpc_endpoint: "host:port" of the gRPC server, without TLS.
        rest_endpoint: "host:port" of the REST gateway, without TLS.
        version: the emulator's own version, as far as it can be known.
    """

    grpc_endpoint: str
    rest_endpoint: str
    version: str

    @property
    def rest_url(self) -> str:
        """The URL that REST paths (`/v1/…`) are appended to."""
        return f"http://{self.rest_endpoint}"

    def rest(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Return the HTTP status and the parsed body of a REST call; the body of a streaming method is a list.

        Raises:
            OSError: the gateway cannot be reached.
        """
        # It reads no proxy settings, so that the call stays on this machine.
        connection = http.client.HTTPConnection(self.rest_endpoint, timeout=_REST_TIMEOUT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            documents = [json.loads(line) for line in response.read().splitlines() if line]
        finally:
            connection.close()
        return response.status, documents if path.endswith(_STREAMS) else documents[0]

    def create_database(self, statements: Sequence[str] = (), instance: str | None = None) -> str:
        """Create a database and return its name; each call makes a new one, in an instance of its own.

        An instance holds at most 100 databases, and an emulator that was started by hand keeps them between runs.

        Args:
            statements: DDL to run in it.
            instance: the id of the instance, to have a name again that was lost with the emulator's memory.

        Raises:
            RuntimeError: the emulator refuses, for a statement that it cannot read, for one.
        """
        instance = instance or f"i-{uuid.uuid4().hex[:16]}"
        self._create(
            f"/v1/{_PROJECT}/instances",
            _instance(instance),
        )
        databases = f"{_PROJECT}/instances/{instance}/databases"
        self._create(
            f"/v1/{databases}", {"createStatement": "CREATE DATABASE `db`", "extraStatements": list(statements)}
        )
        return f"{databases}/db"

    def have_database(self, name: str) -> None:
        """Create a database of this name and its instance, unless the emulator has them."""
        instance, _, database = name.partition("/databases/")
        project, _, instance_id = instance.partition("/instances/")
        for what, path, body in (
            (instance, f"/v1/{project}/instances", _instance(instance_id)),
            (name, f"/v1/{instance}/databases", {"createStatement": f"CREATE DATABASE `{database}`"}),
        ):
            if self.rest("GET", f"/v1/{what}")[0] != http.client.OK:
                self._create(path, body)

    def drop_database(self, name: str) -> None:
        """Drop a database; its instance stays."""
        status, answer = self.rest("DELETE", f"/v1/{name}")
        if status != http.client.OK:
            raise RuntimeError(f"the emulator refused to drop {name}: HTTP {status}, {answer}")

    def recreate_database(self, name: str) -> None:
        """Create a database that was dropped, under its name."""
        databases, _, last = name.rpartition("/")
        self._create(f"/v1/{databases}", {"createStatement": f"CREATE DATABASE `{last}`"})

    def _create(self, path: str, body: Mapping[str, Any]) -> None:
        status, operation = self.rest("POST", path, body)
        if status != http.client.OK or "error" in operation:
            raise RuntimeError(f"the emulator refused POST {path}: HTTP {status}, {operation}")


def _instance(name: str) -> dict[str, Any]:
    return {"instanceId": name, "instance": {"config": _CONFIG, "displayName": name, "nodeCount": 1}}


@contextmanager
def running_emulator(environment: Mapping[str, str]) -> Iterator[Emulator]:
    """Give the emulator that `SPANNER_EMULATOR_HOST` names, or start the one of the Google Cloud CLI.

    Args:
        environment: the environment variables, such as `os.environ`.

    Raises:
        EmulatorUnavailable: none is named and none is installed.
        RuntimeError: the one that is named or installed does not answer in time.
    """
    named = environment.get("SPANNER_EMULATOR_HOST")
    if named:
        emulator = _named_emulator(named, environment)
        _wait_until_ready(emulator, process=None, log=None)
        yield emulator
        return
    with OwnEmulator(environment) as own:
        yield own.emulator


class OwnEmulator:
    """The emulator of the Google Cloud CLI as a process of the test's own. A context manager.

    Killed and started again it has the same ports, and has forgotten everything.

    Args:
        environment: the environment variables, such as `os.environ`.

    Attributes:
        emulator: what runs there, while it runs.

    Raises:
        EmulatorUnavailable: none is installed.
        RuntimeError: it does not answer in time.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder, version = _installed(environment)
        self._grpc_port, self._rest_port = _free_ports(2)
        self._running = ExitStack()
        self._group = 0
        self.emulator: Emulator = Emulator(f"127.0.0.1:{self._grpc_port}", f"127.0.0.1:{self._rest_port}", version)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile())
            process = stack.enter_context(_started(self._folder, self._grpc_port, self._rest_port, log))
            _wait_until_ready(self.emulator, process, log)
            self._group = process.pid
            self._running = stack.pop_all()

    def kill(self) -> None:
        """End it by SIGKILL. Idempotent."""
        self._group = 0
        self._running.close()

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP, to its processes while they run."""
        if self._group:
            os.killpg(self._group, number)


def _named_emulator(grpc_endpoint: str, environment: Mapping[str, str]) -> Emulator:
    rest_endpoint = environment.get("SPANNER_EMULATOR_REST_HOST", f"{grpc_endpoint.rpartition(':')[0]}:9020")
    return Emulator(grpc_endpoint, rest_endpoint, "of SPANNER_EMULATOR_HOST")


def _installed(environment: Mapping[str, str]) -> tuple[Path, str]:
    """Return the folder of the emulator's programs and its version."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorUnavailable("no Cloud Spanner emulator: SPANNER_EMULATOR_HOST is not set, gcloud not installed")
    with tempfile.TemporaryDirectory() as settings:
        # A settings folder of its own keeps gcloud from writing into the developer's, or reporting its use.
        answer = subprocess.run(
            [gcloud, "info", "--format=json(installation.sdk_root,installation.components)"],
            env={**environment, "CLOUDSDK_CONFIG": settings, "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"},
            check=True,
            capture_output=True,
            timeout=_START_TIMEOUT,
        )
    installation = json.loads(answer.stdout)["installation"]
    folder = Path(installation["sdk_root"], "bin", "cloud_spanner_emulator")
    if not (folder / "gateway_main").exists():
        raise EmulatorUnavailable(f"no Cloud Spanner emulator: gcloud has no component of that name in {folder.parent}")
    return folder, installation["components"].get("cloud-spanner-emulator", "of unknown version")


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago; all are held at once, so that they differ."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


@contextmanager
def _started(folder: Path, grpc_port: int, rest_port: int, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    gateway, server = folder / "gateway_main", folder / "emulator_main"
    ports = ["-grpc_port", str(grpc_port), "-http_port", str(rest_port)]
    process = subprocess.Popen(
        [gateway, "-hostname", "127.0.0.1", *ports, "-grpc_binary", server],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The gateway leaves emulator_main running when it ends, so the whole group goes; there is no state to save.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_ready(emulator: Emulator, process: subprocess.Popen[bytes] | None, log: IO[bytes] | None) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            status, _ = emulator.rest("GET", f"/v1/{_CONFIG}")
        except OSError as error:
            status, problem = 0, str(error)
        else:
            problem = f"HTTP {status}"
        if status == http.client.OK:
            return
        if time.monotonic() > deadline or not _is_alive(process, seconds=0.02):
            raise RuntimeError(f"the emulator at {emulator.rest_url} does not answer: {problem}\n{_tail(log)}")


def _is_alive(process: subprocess.Popen[bytes] | None, seconds: float) -> bool:
    """Wait `seconds` for the end of the process, and tell whether it goes on."""
    if process is None:
        time.sleep(seconds)
        return True
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _tail(log: IO[bytes] | None) -> str:
    if log is None:
        return ""
    log.seek(0)
    return log.read()[-2000:].decode(errors="replace")
