"""Work for long, with a fault now and then, and see that memory, threads and descriptors do not grow.

    python -m tests.chaos.soak [--minutes M] [--seed N] [--out FOLDER]

All kinds of work go on in both forms: calls, stub calls, streams, leases. Tokens are renewed every few seconds;
connections are cut, the server restarts, and forgets sessions. Ends with a page that plots what the process had.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import html
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.chaos.far import Far
from tests.chaos.fault import Fault
from tests.chaos.page import page
from tests.chaos.plot import plot
from tests.chaos.rig import Rig

_SAMPLES: Final = 200
# Seconds between two samples at least, and between two faults.
_SAMPLE: Final = 0.25
_FAULT: Final = 5.0
# How much memory may grow, from the second quarter to the last one: malloc keeps some pieces, more of them at first.
_GROWTH: Final = 1.02
_MEGABYTES: Final = 3.0
_SHORT: Final = 120.0
_SHORT_MEGABYTES: Final = 15.0

_SOAK: Final = Fault(
    noun="soak",
    name="soak",
    breaks="connections are cut, the server restarts and forgets sessions, in turn",
    strike=lambda rig: rig.draw.choice(
        (lambda: rig.far("proxy.cut"), lambda: rig.far("restart"), lambda: rig.far("forget", 0.25))
    )(),
    far={"lifetime": 5.0},
)


class Sample(NamedTuple):
    """What the process had at a time, in seconds since the start."""

    seconds: float
    megabytes: float
    threads: int
    descriptors: int
    calls: int


def _sample(rig: Rig, since: float) -> Sample:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    descriptors = len(os.listdir("/proc/self/fd"))
    calls = rig.books.calls.total()
    return Sample(time.monotonic() - since, resident, threading.active_count(), descriptors, calls)


def soak(seconds: float, seed: int) -> tuple[list[Sample], Rig]:
    """Work for that long; return the samples, and what the load has seen."""
    with Far(**_SOAK.far) as far, pytest.MonkeyPatch.context() as patch:
        rig = Rig(_SOAK, far, seed, patch)
        samples: list[Sample] = []
        with rig.opened():
            with rig.under_load():
                started = time.monotonic()
                struck = 0.0
                while (now := time.monotonic() - started) < seconds:
                    if now - struck > _FAULT:
                        rig.books.mark()
                        _SOAK.strike(rig)
                        struck = now
                    samples.append(_sample(rig, started))
                    time.sleep(max(_SAMPLE, seconds / _SAMPLES))
            if lost := rig.lost_slots():
                rig.books.offend("lost", f"{lost} slots")
        rig.loop.close()
    return samples, rig


def growth(samples: Sequence[Sample], seconds: float) -> list[str]:
    """Return what has grown, from the second quarter of the time to the last one."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    grown = []
    before, after = (statistics.median(sample.megabytes for sample in part) for part in (early, late))
    if after > before * _GROWTH + (_MEGABYTES if seconds > _SHORT else _SHORT_MEGABYTES):
        grown.append(f"memory: {before:.1f} to {after:.1f} MB")
    for what in ("threads", "descriptors"):
        # The least of each part: connections that have just been cut are still open beside the new ones.
        before, after = (min(getattr(sample, what) for sample in part) for part in (early, late))
        # In the seconds of a short run, one connection may be there in the one part and not in the other.
        if after > before + (0 if seconds > _SHORT else 2):
            grown.append(f"{what}: {before} to {after}")
    return grown


def _write(folder: Path, samples: Sequence[Sample], wrong: Sequence[str], rig: Rig) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    errors = dict(rig.books.errors.most_common())
    record: dict[str, Any] = {"samples": [each._asdict() for each in samples], "errors": errors, "wrong": list(wrong)}
    (folder / "soak.json").write_text(json.dumps(record, indent=1))
    last = samples[-1]
    plots = "".join(
        f"<h2>{title}</h2>{plot([(each.seconds / 60, getattr(each, name)) for each in samples], 'minutes')}"
        for name, title in (
            ("megabytes", "Resident memory, MB"),
            ("threads", "Threads of Python"),
            ("descriptors", "Open descriptors"),
            ("calls", "Calls so far"),
        )
    )
    verdict = f"Failed: {html.escape('; '.join(wrong))}" if wrong else "Nothing grew, and no answer was wrong."
    body = f"""<h1>Soak</h1>
<p>{last.calls:,} calls in {last.seconds / 60:.1f} minutes, {sum(errors.values()):,} errors by the faults. {verdict}</p>
{plots}<p class="note">16 threads and 64 tasks at work; every {_FAULT:g} s connections are cut, the server restarts, or
forgets a quarter of its sessions; tokens live for {_SOAK.far["lifetime"]:g} s. On loopback.</p>"""
    written = folder / "soak.html"
    written.write_text(page("Soak", body), encoding="utf-8")
    return written


def main() -> int:
    """Soak, write the page, and return 1 if something grew or was wrong."""
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/chaos"))
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    samples, rig = soak(seconds, arguments.seed)
    wrong = [f"{what}: {count}" for what, count in rig.books.offences.items()] + growth(samples, seconds)
    for what, examples in rig.books.examples.items():
        print(*(f"{what}: {example}" for example in examples), sep="\n")  # noqa: T201 - a program
    first, last = samples[len(samples) // 4], samples[-1]
    print(  # noqa: T201
        f"soak: {last.calls:,} calls, {sum(rig.books.errors.values()):,} errors by faults; "
        f"memory {first.megabytes:.1f} to {last.megabytes:.1f} MB, threads {first.threads} to {last.threads}, "
        f"descriptors {first.descriptors} to {last.descriptors}; {'; '.join(wrong) or 'nothing grew'}; "
        f"written: {_write(arguments.out, samples, wrong, rig)}"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
