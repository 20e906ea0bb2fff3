"""The servers that the cases call, each in a process of its own: none takes time of the client's interpreter."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.transport import grpc as google_grpc, requests as google_requests
from google.oauth2 import service_account
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import ClientOptions
from spanner_grpc_sessions.local.certificates import Certificates, make_certificates

__all__ = [
    "DATABASE",
    "SCOPE",
    "Process",
    "Server",
    "compiled_server",
    "fixed_server",
    "local_server",
    "session_answer",
]

DATABASE: Final = "projects/p/instances/i/databases/d"
SCOPE: Final = "https://www.googleapis.com/auth/spanner.data"
_HERE: Final = Path(__file__).parent
_BUILD: Final = _HERE.parent / "build" / "benchmarks"
_LOCAL: Final = """
import sys
from spanner_grpc_sessions.local import LocalSpanner
with LocalSpanner(tls=False) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Process:
    """A server's process."""

    pid: int

    def cpu(self) -> float | None:
        """Return the seconds of CPU that its threads have taken; None where the kernel does not say."""
        try:
            # The first figure of schedstat is in nanoseconds; /proc/PID/stat counts in hundredths of a second.
            threads = Path("/proc", str(self.pid), "task").iterdir()
            return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
        except (OSError, ValueError, IndexError):
            return None


@dataclass(frozen=True)
class Server:
    """A server with a fixed answer, and how to reach it.

    Attributes:
        address: "127.0.0.1:port".
        root: the certificate to trust, in PEM.
        account: the key of a service account that no real Google account knows.
        process: its process.
        language: what it is written in.
    """

    address: str
    root: bytes
    account: dict[str, str] = field(repr=False)
    process: Process
    language: str

    @property
    def tls(self) -> grpc.ChannelCredentials:
        """Channel credentials without a token."""
        return grpc.ssl_channel_credentials(self.root)

    @property
    def tls_and_plugin(self) -> grpc.ChannelCredentials:
        """Channel credentials with google-auth's own plugin, as Google's clients use it."""
        return self.with_plugin(self.credentials())

    def with_plugin(self, credentials: Any) -> grpc.ChannelCredentials:
        """Return channel credentials with google-auth's plugin and these credentials."""
        plugin = google_grpc.AuthMetadataPlugin(credentials, google_requests.Request())
        return grpc.composite_channel_credentials(self.tls, grpc.metadata_call_credentials(plugin))

    @property
    def options(self) -> ClientOptions:
        """Options of this library's clients."""
        return ClientOptions(endpoint=self.address, root_certificates=self.root)

    def credentials(self) -> Any:
        """Return credentials that sign their own tokens, with the scope of Spanner's data."""
        return self._account().with_always_use_jwt_access(True)

    def asking_credentials(self, token_uri: str) -> Any:
        """Return credentials that get their tokens from an endpoint."""
        return self._account().with_subject("user@example.com").with_token_uri(token_uri)

    def at(self, address: str) -> Server:
        """Return the same server by another address: that of a proxy."""
        return dataclasses.replace(self, address=address)

    def _account(self) -> Any:
        return service_account.Credentials.from_service_account_info(self.account, scopes=[SCOPE])


def session_answer() -> bytes:
    """Return a session with two labels, as bytes."""
    session = spanner_pb2.Session(
        name=f"{DATABASE}/sessions/AKtxcXnV0Xl8_lVmOVPVQeNnTIYvyoZ6gPXt9qcmXBNvQcf3S1CZ8w",
        labels={"env": "prod", "team": "checkout"},
    )
    session.create_time.FromNanoseconds(1_790_000_000_123_456_000)
    session.approximate_last_use_time.FromNanoseconds(1_790_000_000_123_457_000)
    return session.SerializeToString()


@functools.cache
def compiled_server() -> Path | None:
    """Return the program that the system's C compiler makes of fixed_server.c; None without compiler or OpenSSL."""
    source, program = _HERE / "fixed_server.c", _BUILD / "fixed_server"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    _BUILD.mkdir(parents=True, exist_ok=True)
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    made = program.with_name(f"fixed_server.{os.getpid()}")
    command = [compiler, "-O2", "-o", str(made), str(source), "-lssl", "-lcrypto"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    return made.replace(program)


@contextlib.contextmanager
def fixed_server(answer: bytes | None = None, port: int = 0) -> Iterator[Server]:
    """Start a server that answers each call with the same bytes: the one in C if it can be compiled.

    Args:
        answer: the serialized answer; None for a session.
        port: where it listens; 0 for a free port.
    """
    made, compiled = _certificates(), compiled_server()
    program = [str(compiled)] if compiled else [sys.executable, "-m", "benchmarks.fixed_server"]
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "server.pem")
        certificate.write_bytes(made.server + made.server_key)
        arguments = [str(certificate), (session_answer() if answer is None else answer).hex(), str(port)]
        with _started(program + arguments) as (process, line):
            language = "C" if compiled else "Python"
            yield Server(f"127.0.0.1:{line}", made.root, _account(), Process(process.pid), language)


@contextlib.contextmanager
def local_server() -> Iterator[tuple[str, Process]]:
    """Start a LocalSpanner without TLS; give its address."""
    with _started([sys.executable, "-c", _LOCAL]) as (process, line):
        yield line, Process(process.pid)


@contextlib.contextmanager
def _started(program: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a program that prints a line once it serves, and ends when its standard input closes."""
    # Leaving closes the pipes, which ends the server, and waits for it.
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{Path(program[0]).name} ended before it served")
        yield process, line


@functools.cache
def _certificates() -> Certificates:
    return make_certificates()


@functools.cache
def _account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "client_email": "bench@example.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }
