"""Runs the benchmarks, and stores and prints what they find.

    python -m benchmarks [NAME …] [--scale X] [--check] [--output FILE]

NAME is the name of a case or of a group, or how some begin; without one all are run. Each group runs in a process of
its own: what one leaves behind, threads of Google's client say, does not disturb the next. A run of all cases is stored
in results/latest.json, one of some in results/some.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.results import LATEST, SOME, CaseResult, RunResult, new_run, write_run
from benchmarks.runner import run_case
from benchmarks.table import print_case, print_targets

CASES_BY_NAME = {case.name: case for case in CASES}


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases or groups (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="make all times longer or shorter (default: 1)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--output", type=Path, help="where the results are stored")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        for name in arguments.names:
            print(json.dumps(run_case(CASES_BY_NAME[name], arguments.scale)), flush=True)
        return 0
    chosen = _chosen(arguments.names)
    if arguments.list or not all(_chosen([name]) for name in arguments.names):
        print(*(f"{case.group:14}{case.name:28}{case.title}" for case in CASES), sep="\n")
        return 0 if arguments.list else 2
    run = _run(chosen, arguments.scale)
    output = arguments.output or (LATEST if len(chosen) == len(CASES) else SOME)
    write_run(run, output)
    print(f"\nstored in {output}")
    return int(not print_targets(run["cases"]) and arguments.check)


def _chosen(names: list[str]) -> list[str]:
    """Return the names of the cases that are named, or whose name or group begins with what names none."""
    begins = tuple(name for name in names if name not in CASES_BY_NAME)
    return [
        case.name
        for case in CASES
        if not names or case.name in names or case.name.startswith(begins) or case.group.startswith(begins)
    ]


def _run(chosen: list[str], scale: float) -> RunResult:
    """Run cases, a process for each group."""
    run, started = new_run(), time.monotonic()
    for group in dict.fromkeys(CASES_BY_NAME[name].group for name in chosen):
        names = [name for name in chosen if CASES_BY_NAME[name].group == group]
        program = [sys.executable, "-m", "benchmarks", "--in-process", "--scale", str(scale), *names]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            for line in process.stdout:
                case: CaseResult = json.loads(line)
                print_case(case)
                run["cases"].append(case)
        if process.returncode:
            raise SystemExit(f"{group} ended with exit status {process.returncode}")
    run["seconds"] = round(time.monotonic() - started, 1)
    return run


if __name__ == "__main__":
    sys.exit(main())
