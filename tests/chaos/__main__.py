"""Break things on purpose: each fault under load, in turn, and a table at the end.

    python -m tests.chaos [--fault NAME]... [--seed N] [--quick] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.fault import Fault
from tests.chaos.faults import FAULTS
from tests.chaos.table import command, failures, text, write

# Seconds: of a round beside its fault, far above what it takes.
_HUNG: Final = 120.0
# The short form: so many seconds in all, and of each fault.
_QUICK: Final = 50.0
_QUICK_FAULT: Final = 1.5


def _round(fault: Fault, seed: int, seconds: float) -> dict[str, Any]:
    """Play a round in a process of its own, which is ended if it hangs."""
    row: dict[str, Any] = {"fault": fault.name, "breaks": fault.breaks, "bound": fault.bound, "seed": seed}
    program = [sys.executable, "-m", "tests.chaos.round", fault.name, "--seed", str(seed), "--seconds", str(seconds)]
    process = subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = process.communicate(timeout=seconds + _HUNG)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        _, errors = process.communicate()
        return {**row, "broke": f"it hung: {errors[-3000:]}"}
    if process.returncode:
        return {**row, "broke": f"exit code {process.returncode}: {errors[-3000:]}"}
    return {**row, **json.loads(out.splitlines()[-1])}


def _short(faults: Sequence[Fault], draw: random.Random) -> list[Fault]:
    """Return the faults in a drawn order, one of each module first."""
    drawn = draw.sample(list(faults), len(faults))
    first = {fault.noun: fault for fault in drawn}
    return [*first.values(), *(fault for fault in drawn if fault not in first.values())]


def main() -> int:
    """Play the rounds, print and write the table; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=None, help="of all that is drawn; by default drawn and told")
    parser.add_argument("--quick", action="store_true", help="as many faults as fit into a minute")
    parser.add_argument("--out", type=Path, default=Path("build/chaos"), help="where the table is written")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10_000) if arguments.seed is None else arguments.seed
    faults = [FAULTS[name] for name in arguments.fault or FAULTS]
    if arguments.quick:
        faults = _short(faults, random.Random(seed))  # noqa: S311 - repeatable on purpose
    rows: list[dict[str, Any]] = []
    started = time.monotonic()
    for fault in faults:
        spent = time.monotonic() - started
        if arguments.quick and rows and spent + spent / len(rows) > _QUICK:
            break
        row = _round(fault, seed, min(fault.seconds, _QUICK_FAULT) if arguments.quick else fault.seconds)
        rows.append(row)
        wrong = failures(row)
        state = f"FAILED: {'; '.join(wrong)}; again: {command(row)}" if wrong else row.get("skipped", "passed")
        print(f"{time.monotonic() - started:6.1f} s  {fault.name}: {state}", flush=True)
    print(f"\nseed {seed}\n{text(rows)}")
    print(f"written: {write(arguments.out, rows)}")
    return int(any(map(failures, rows)))


if __name__ == "__main__":
    sys.exit(main())
