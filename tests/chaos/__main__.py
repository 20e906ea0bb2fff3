"""Break things on purpose: each fault under load, in turn, and a table at the end.

python -m tests.chaos [--fault NAME]... [--seed N] [--short] [--out FOLDER]
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
_HUNG: Final = 60.0
# Seconds of the whole run, and of its short form: no round begins that would end later.
_WHOLE: Final = 570.0
_SHORT: Final = 30.0
_SHORT_FAULT: Final = 1.0
# A machine that is busy for a moment makes a recovery longer, and none shorter than it is: the best of so many counts.
_TRIES: Final = 3
# What the emulator's absence is told by.
_SKIPPED: Final = "EmulatorUnavailable: "


def _play(faults: Sequence[Fault], seed: int, *, short: bool) -> list[dict[str, Any]]:
    """Play rounds in one process, which is ended if it hangs; return their rows."""
    names = [fault.name for fault in faults]
    options = ["--seconds", str(_SHORT_FAULT), "--limit", str(_SHORT)] if short else []
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.round", *names, "--seed", str(seed), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    broke = ""
    try:
        out, errors = process.communicate(timeout=_SHORT + _HUNG if short else faults[0].seconds + _HUNG)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        out, errors = process.communicate()
        broke = f"it hung\n{errors[-6000:]}"
    if process.returncode and not broke:
        broke = f"exit code {process.returncode}\n{errors[-2000:]}"
    rows = [{**_row(fault, seed), **json.loads(line)} for fault, line in zip(faults, out.splitlines(), strict=False)]
    for fault in faults[len(rows) :]:
        reason = errors.rpartition(_SKIPPED)[2].partition("\n")[0] if _SKIPPED in errors else "out of time"
        is_broken = broke and _SKIPPED not in errors
        rows.append({**_row(fault, seed), **({"broke": broke} if is_broken else {"skipped": reason})})
        broke = ""
    return rows


def _row(fault: Fault, seed: int) -> dict[str, Any]:
    return {"fault": fault.name, "breaks": fault.breaks, "bound": fault.bound, "seed": seed}


def _best(row: dict[str, Any], seed: int) -> dict[str, Any]:
    """Play a round again if all that failed is how long it took to recover; return the best."""
    for _ in range(_TRIES - 1):
        if not failures(row) or failures({**row, "recovered": True}):
            break
        (row,) = _play([FAULTS[row["fault"]]], seed, short=False)
    return row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=None, help="of all that is drawn; by default drawn and told")
    parser.add_argument("--short", action="store_true", help="the most important faults, for a second each")
    parser.add_argument("--out", type=Path, default=Path("build/chaos"), help="where the table is written")
    return parser.parse_args()


def main() -> int:
    """Play the rounds, print and write the table; return 1 if one failed."""
    arguments = _arguments()
    seed = random.SystemRandom().randrange(10_000) if arguments.seed is None else arguments.seed
    faults = [FAULTS[name] for name in arguments.fault or FAULTS if FAULTS[name].short or not arguments.short]
    rows: list[dict[str, Any]] = []
    started = time.monotonic()
    for batch in [faults] if arguments.short else [[fault] for fault in faults]:
        spent = time.monotonic() - started
        if rows and spent + spent / len(rows) > _WHOLE:
            rows += [{**_row(fault, seed), "skipped": "out of time"} for fault in batch]
            continue
        for row in _play(batch, seed, short=arguments.short):
            rows.append(_best(row, seed))
            wrong = "; ".join(failures(rows[-1])).partition("\n")[0]
            state = f"FAILED: {wrong}; again: {command(row)}" if wrong else row.get("skipped", "passed")
            print(f"{time.monotonic() - started:6.1f} s  {row['fault']}: {state}", flush=True)  # noqa: T201 - a program
    print(f"\nseed {seed}\n{text(rows)}\nwritten: {write(arguments.out, rows)}")  # noqa: T201
    return int(any(map(failures, rows)))


if __name__ == "__main__":
    sys.exit(main())
