"""Runs tests on each Python of this machine, with the highest and with the lowest versions that pyproject.toml allows.

    python scripts/matrix.py [--download] [--python VERSION ...] -- PYTEST ARGUMENTS

It ends in a table: what was installed, and how the tests ended. Exit status 1: some tests failed, or there is no Python
to run them on. With --download, uv downloads the Pythons that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uv import find_uv_bin

ROOT: Final = Path(__file__).parents[1]
PYTHONS: Final = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
RESOLUTIONS: Final = ("highest", "lowest-direct")
PACKAGES: Final = ("grpcio", "protobuf", "google-auth")
OUTCOMES: Final = ("passed", "failed", "skipped")
# The floors are older than the newest Pythons and have no wheels for them. There the lowest version with a wheel is
# taken, instead of compiling gRPC for half an hour.
ONLY_WHEELS: Final = ("--only-binary", "grpcio", "--only-binary", "protobuf")


@dataclass
class Run:
    """The tests on one Python, with one choice of versions."""

    python: str
    resolution: str
    versions: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    ended: str = "not installed"

    def row(self) -> list[str]:
        """Return the cells of its row in the table."""
        versions = [self.versions.get(name, "-") for name in PACKAGES]
        return [self.python, self.resolution, *versions, *(str(self.outcomes[name]) for name in OUTCOMES), self.ended]


def main() -> int:
    """Run the tests on every Python with both choices; return the exit status."""
    parser = argparse.ArgumentParser(description="Run tests on each Python, on the highest and the lowest versions.")
    parser.add_argument("--download", action="store_true", help="let uv download the Pythons that are missing")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="only this version; may be repeated")
    parser.add_argument("pytest", nargs="+", help="the arguments of pytest")
    arguments = parser.parse_args()
    interpreters = {version: _find(version, download=arguments.download) for version in arguments.python or PYTHONS}
    runs = [
        _run(interpreter, resolution, arguments.pytest)
        for interpreter in filter(None, interpreters.values())
        for resolution in RESOLUTIONS
    ]
    print("", *_table(runs), sep="\n")
    if missing := [version for version, interpreter in interpreters.items() if interpreter is None]:
        print(f"not tried, because this machine does not have it: Python {', '.join(missing)}")
    return 0 if runs and all(run.ended == "ok" for run in runs) else 1


def _uv(*arguments: str, download: bool = False) -> subprocess.CompletedProcess[str]:
    # pyenv's Pythons are not on the PATH.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    path = os.pathsep.join([*map(str, sorted(pyenv.glob("3.*/bin"), reverse=True)), os.environ.get("PATH", "")])
    command = [find_uv_bin(), *arguments, *([] if download else ["--no-python-downloads"])]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def _find(version: str, *, download: bool) -> str | None:
    """Return the path of an interpreter, and None if there is none. Builds without the GIL do not count."""
    request = f"cpython@{version}+gil"
    if download:
        _uv("python", "install", request, download=True)
    return _uv("python", "find", "--no-project", "--system", request).stdout.strip() or None


def _run(interpreter: str, resolution: str, arguments: Sequence[str]) -> Run:
    print_version = "import platform; print(platform.python_version())"
    version = subprocess.run(
        [interpreter, "-c", print_version], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(f"\nPython {version}, {resolution} versions", flush=True)
    run = Run(version, resolution)
    python = ROOT / "build" / "matrix" / f"{version}-{resolution}" / "bin" / "python"
    if _install(interpreter, python, resolution):
        listed = _uv("pip", "list", "--python", str(python), "--format", "json")
        run.versions = {package["name"]: package["version"] for package in json.loads(listed.stdout)}
        run.ended = _test(python, arguments, run.outcomes)
    return run


def _install(interpreter: str, python: Path, resolution: str) -> bool:
    """Make the environment of a run; return False, and print why, if that is impossible."""
    into = ("pip", "install", "--python", str(python))
    for step in (
        ("venv", "--clear", "--python", interpreter, str(python.parents[1])),
        (*into, "--resolution", resolution, *ONLY_WHEELS, "--editable", ".[cli,otel]"),
        # After the others, which are kept: the test tools cannot raise them.
        (*into, "--group", "test"),
    ):
        done = _uv(*step)
        if done.returncode:
            print(done.stderr)
            return False
    return True


def _test(python: Path, arguments: Sequence[str], outcomes: Counter[str]) -> str:
    """Run pytest, count how the tests ended, and return how pytest itself ended."""
    last = ""
    with subprocess.Popen([python, "-m", "pytest", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line
    for count, outcome in re.findall(r"(\d+) (passed|failed|skipped|error)", last):
        outcomes["failed" if outcome == "error" else outcome] += int(count)
    return "ok" if process.returncode == 0 else f"exit status {process.returncode}"


def _table(runs: Sequence[Run]) -> Iterator[str]:
    rows = [["Python", "resolution", *PACKAGES, *OUTCOMES, "ended"], *(run.row() for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
