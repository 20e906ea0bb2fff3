"""What a process pays from its start to its first session: time, CPU and memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.case import Block, Case, Target, Way
from benchmarks.environment import Environment
from benchmarks.groups import OURS

__all__ = ["CASES"]

RAW: Final = "bare stub"
GOOGLE: Final = "google-cloud-spanner (gapic)"
WHOLE: Final = "google-cloud-spanner, Session.create()"
_PROGRAMS: Final = {
    RAW: """
import sys, grpc
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    request = spanner_pb2.CreateSessionRequest(database="projects/p/instances/i/databases/d")
    spanner_pb2_grpc.SpannerStub(channel).CreateSession(request)
""",
    OURS: """
import sys
from spanner_grpc_sessions import ClientOptions, SessionsClient
with SessionsClient(options=ClientOptions(endpoint=sys.argv[1], plaintext=True)) as client:
    client.create_session("projects/p/instances/i/databases/d")
""",
    GOOGLE: """
import sys, grpc
from google.cloud.spanner_v1.services.spanner import SpannerClient, transports
with grpc.insecure_channel(sys.argv[1]) as channel:
    client = SpannerClient(transport=transports.SpannerGrpcTransport(channel=channel))
    client.create_session(database="projects/p/instances/i/databases/d")
""",
    WHOLE: """
import os, sys
os.environ.update(SPANNER_EMULATOR_HOST=sys.argv[1], SPANNER_DISABLE_BUILTIN_METRICS="true")
from google.auth.credentials import AnonymousCredentials
from google.cloud import spanner
from google.cloud.spanner_v1.session import Session
client = spanner.Client(project="p", credentials=AnonymousCredentials())
Session(client.instance("i").database("d")).create()
""",
}
# The most memory that the process had. What `wait4` says of that counts in the memory of its parent.
_TELL_MEMORY: Final = """
import pathlib
status = pathlib.Path("/proc/self/status")
print(status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0, flush=True)
"""
_IMPORT: Final = "import time; s = time.process_time(); import {}; print(time.process_time() - s)"
_MODULES: Final = {
    "import spanner_grpc_sessions": "spanner_grpc_sessions",
    "import spanner_grpc_sessions.client": "spanner_grpc_sessions.client",
    "import grpc": "grpc",
    "import google.cloud.spanner": "google.cloud.spanner",
}


def _environ(bytecode: str) -> dict[str, str]:
    # An installed package has its bytecode, whatever the environment of the benchmark says of writing it.
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}


def _programs(environment: Environment) -> Sequence[Way]:
    address, bytecode = environment.local(), environment.enter_context(tempfile.TemporaryDirectory())

    environ = _environ(bytecode)

    def way(name: str, program: str) -> Way:
        command = [sys.executable, "-c", program + _TELL_MEMORY, address]

        def run() -> Block:
            started = time.perf_counter()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
            seconds = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            memory = int(done.stdout) / 1024
            return Block([seconds], 1, cpu, {"memory MiB": memory} if memory else {})

        return Way(name, run)

    return [way(name, program) for name, program in _PROGRAMS.items()]


def _imports(environment: Environment) -> Sequence[Way]:
    bytecode = environment.enter_context(tempfile.TemporaryDirectory())

    def way(name: str, module: str) -> Way:
        command = [sys.executable, "-c", _IMPORT.format(module)]

        def run() -> Block:
            done = subprocess.run(command, env=_environ(bytecode), capture_output=True, text=True, check=True)
            seconds = float(done.stdout)
            return Block([seconds], 1, seconds, {"ms": seconds * 1e3})

        return Way(name, run)

    return [way(name, module) for name, module in _MODULES.items()]


CASES: Final = (
    Case(
        "start", "start", "From the start of a process to its first session, and to its end",
        "Plaintext, so no token is fetched and no certificate checked; the files are in the system's cache.",
        _programs, RAW, seconds=25, rounds=6, unit="process", targets=(
            Target("process start to first session: over the bare stub", OURS, RAW, most=1.15, goal=True),
            Target("process start to first session: CPU over the bare stub", OURS, RAW, "cpu", most=1.15),
            Target("process start to first session: memory over the bare stub", OURS, RAW, "memory MiB", most=1.10),
        ),
    ),
    Case(
        "import", "start", "CPU of an import alone",
        "The package loads what is in it at first use: its client loads gRPC.",
        _imports, "import grpc", seconds=8, rounds=4, unit="start", targets=(
            Target("import of the package, ms of CPU", "import spanner_grpc_sessions", None, "ms", most=5),
        ),
    ),
)  # fmt: skip
