"""What a process pays from its start to its first session, beside a script with the raw stub; and the import alone.

Each round starts both programs once, in drawn order, against one LocalSpanner in a process of its own. The ratio is
the median of the rounds' ratios.

    python benchmarks/cold_start.py [--rounds N] [--check]
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from typing import Final

from benchmarks.pool import local_server
from benchmarks.targets import Target, run

RAW: Final = """
import sys, grpc
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    request = spanner_pb2.CreateSessionRequest(database="projects/p/instances/i/databases/d")
    spanner_pb2_grpc.SpannerStub(channel).CreateSession(request)
"""
OURS: Final = """
import sys
from spanner_grpc_sessions import ClientOptions, SessionsClient
with SessionsClient(options=ClientOptions(endpoint=sys.argv[1], plaintext=True)) as client:
    client.create_session("projects/p/instances/i/databases/d")
"""
IMPORT: Final = "import time; s = time.process_time(); import spanner_grpc_sessions; print(time.process_time() - s)"


def run_program(program: str, address: str, bytecode: str) -> tuple[float, float, float]:
    """Run a program to its end; return the seconds that it took, those of CPU, and the most memory that it had."""
    # An installed package has its bytecode, whatever the environment of the benchmark says of writing it.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
    started = time.perf_counter()
    process = os.spawnve(os.P_NOWAIT, sys.executable, [sys.executable, "-c", program, address], environment)
    _, status, usage = os.wait4(process, 0)
    assert status == 0  # noqa: S101 - a program that fails takes no time worth telling
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def import_seconds() -> float:
    """Return the CPU time that the import of the package takes, the least of several processes."""
    import subprocess

    return min(
        float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout) for _ in range(10)
    )


def measure(rounds: int) -> tuple[float, float, float]:
    """Return what this library takes in times of the raw stub: time, CPU, and memory."""
    ratios = []
    with local_server() as address, tempfile.TemporaryDirectory() as bytecode:
        run_program(RAW, address, bytecode), run_program(OURS, address, bytecode)  # writes the bytecode
        for _ in range(rounds):
            taken = {program: run_program(program, address, bytecode) for program in random.sample((RAW, OURS), 2)}
            ratios.append([ours / raw for ours, raw in zip(taken[OURS], taken[RAW], strict=True)])
    wall, cpu, memory = (statistics.median(column) for column in zip(*ratios, strict=True))
    return wall, cpu, memory


def targets(rounds: int) -> list[Target]:
    """Return what was found, with what the project promises of it."""
    wall, cpu, memory = measure(rounds)
    return [
        Target("process start to first session, over the raw stub", wall, most=1.15, aim="(aim 1.10)"),
        Target("the same in CPU time", cpu, most=1.15, aim="(aim 1.10)"),
        Target("the same in memory", memory, most=1.10),
        Target("import of the package, ms of CPU", import_seconds() * 1e3, most=5.0),
    ]


if __name__ == "__main__":
    sys.exit(run(__doc__, targets, rounds=30, of="starts of each program"))
