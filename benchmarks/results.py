"""What is stored of a run: the results of its cases, when and where it was, and with which versions."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any, Final, TypedDict, cast

__all__ = [
    "LATEST", "NODE", "RESULTS", "SEEN", "SOME", "CaseResult", "IntervalResult", "RunResult", "ServerResult",
    "TargetResult", "WayResult", "new_run", "read_run", "write_run",
]  # fmt: skip

RESULTS: Final = Path(__file__).parent / "results"
LATEST: Final = RESULTS / "latest.json"
SOME: Final = RESULTS / "some.json"
SEEN: Final = 0.01
"""The share of the CPU below which a server has no part in a case."""
NODE: Final = Path(__file__).parents[1] / "build" / "node" / "node_modules"
_PACKAGES: Final = (
    "grpcio", "protobuf", "google-auth", "googleapis-common-protos", "google-cloud-spanner",
    "google-api-python-client", "google-api-core", "httpx",
)  # fmt: skip
_NODE_PACKAGES: Final = ("@google-cloud/spanner", "@grpc/grpc-js")


class IntervalResult(TypedDict):
    """A median and its 95% interval."""

    median: float
    low: float
    high: float


class WayResult(TypedDict):
    """What one way took. Times are in seconds, `figures` has the medians of what else was measured."""

    name: str
    samples: int
    median: float
    p99: float | None
    p999: float | None
    cpu: float | None
    ratio: IntervalResult | None
    cpu_ratio: IntervalResult | None
    figures: dict[str, float]
    quantiles: list[float]


class TargetResult(TypedDict):
    """A promise, and what was found of it."""

    title: str
    found: IntervalResult | None
    most: float | None
    least: float | None
    met: bool | None
    goal: bool


class ServerResult(TypedDict):
    """The language of the server with the fixed answer, and the servers' share of the CPU that was spent."""

    language: str | None
    share: float


class CaseResult(TypedDict):
    """What was found of a case. `missing` has the reasons why ways are not there; by "" why none are."""

    name: str
    group: str
    title: str
    shows: str
    unit: str
    baseline: str
    plot: str | None
    at: float
    seconds: float
    rounds: int
    ways: list[WayResult]
    targets: list[TargetResult]
    missing: dict[str, str]
    server: ServerResult | None


class RunResult(TypedDict):
    """A run."""

    date: str
    commit: str
    seconds: float
    versions: dict[str, str]
    machine: dict[str, str]
    cases: list[CaseResult]


def new_run() -> RunResult:
    """Return a run without cases, of now and here."""
    date = dt.datetime.now(dt.timezone.utc).isoformat(timespec="minutes")
    return RunResult(
        date=date, commit=_commit(), seconds=0.0, versions=describe_versions(), machine=describe_machine(), cases=[]
    )


def read_run(path: Path) -> RunResult:
    """Return a run that was stored."""
    return cast("RunResult", json.loads(path.read_text()))


def write_run(run: RunResult, path: Path) -> None:
    """Store a run; each case on a line of its own."""
    head: dict[str, Any] = {**run, "cases": None}
    cases = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in run["cases"])
    text = json.dumps(head, ensure_ascii=False, indent=1).replace('"cases": null', f'"cases": [\n{cases}\n]')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def describe_versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that are measured, and of Node's."""
    versions = {"python": platform.python_version()}
    for package in ("spanner-grpc-sessions", *_PACKAGES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    for package in _NODE_PACKAGES:
        manifest = NODE / package / "package.json"
        if manifest.exists():
            versions[package] = json.loads(manifest.read_text())["version"]
    return versions


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, governor, memory and kernel."""
    kibibytes = int(_first(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0)
    return {
        "cpu": _first(r"model name\s*: (.*)", "/proc/cpuinfo") or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "governor": _first(r"(.*)", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not readable",
        "memory": f"{kibibytes / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "hypervisor": "yes" if "hypervisor" in (_first(r"flags\s*:(.*)", "/proc/cpuinfo") or "") else "none seen",
    }


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found and found[1].strip()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
