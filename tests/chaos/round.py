"""A round: one fault under load, and what came of it as a line of JSON; or several, one after the other.

python -m tests.chaos.round NAME... [--seed N] [--seconds S] [--limit S]
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.chaos.books import Books
from tests.chaos.far import Far
from tests.chaos.fault import Fault
from tests.chaos.faults import FAULTS
from tests.chaos.rig import Rig

__all__ = ["play"]

_WARM: Final = 0.5
_CALM: Final = 0.7
# Seconds that the load goes on after it has recovered, and longest wait for that.
_AFTER: Final = 1.0
_LONGEST: Final = 20.0
_SETTLE: Final = 10.0


def _left_open() -> list[str]:
    """Return what this process has open: its descriptors, by what they are."""
    open_now = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            open_now.append(os.readlink(descriptor).partition(":")[0])
    return open_now


def _threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def play(fault: Fault, far: Far, seed: int, seconds: float) -> dict[str, Any]:
    """Play a round and return its row."""
    with pytest.MonkeyPatch.context() as patch:
        rig = Rig(fault, far, seed, patch)
        with rig.opened():
            with rig.under_load():
                time.sleep(_WARM)
        threads, descriptors = _threads(), _left_open()
        rig.books = Books()
        with rig.opened():
            row = _strike(rig, seconds)
        row["left"] = {
            "threads": _over(_threads, threads),
            "descriptors": _over(_left_open, descriptors)[fault.keeps :],
        }
        rig.loop.close()
    return {**row, "ended": True}


def _over(look: Callable[[], list[str]], before: list[str]) -> list[str]:
    """Return what there is more of than before, once that is settled."""
    deadline = time.monotonic() + _SETTLE
    while (over := Counter(look()) - Counter(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
        gc.collect()  # an error keeps the frames that it went through, and they keep it
    return list(over.elements())


def _strike(rig: Rig, seconds: float) -> dict[str, Any]:
    fault, books = rig.fault, rig.books
    with rig.under_load():
        books.mark()
        time.sleep(_CALM)
        _expect_none(books)
        for site in rig.sites:
            site.lied_to = fault.lies
        times, end = 0, time.monotonic() + seconds
        while times == 0 or (fault.every is not None and time.monotonic() < end):
            fault.strike(rig)
            times += 1
            time.sleep(max(0.0, min(fault.every or seconds, end - time.monotonic())))
        if fault.harmless:
            _expect_none(books)
        fault.undo(rig)
        undone = books.mark()
        recovery = _await_recovery(rig)
        late = books.threads.late(undone, undone + (recovery or 0.0))
    slots = rig.lost_slots()
    return {
        "fault": fault.name,
        "breaks": fault.breaks,
        "seed": rig.seed,
        "times": times,
        "calls": books.calls.total(),
        "errors": dict(books.errors.most_common()),
        "wrong": books.offences["wrong"],
        "foreign": books.offences["foreign"],
        "slots": slots,
        "late": books.offences["late"],
        "recovery": recovery,
        "bound": fault.bound,
        "recovered": recovery is not None and recovery <= fault.bound + late,
        "control": max(books.threads.worst, books.tasks.worst),
        "examples": books.examples,
        "after": books.failures()[-5:],
    }


def _expect_none(books: Books) -> None:
    # A busy machine makes calls take too long, without a fault.
    for failure in books.failures(timeouts=False):
        books.offend("wrong", f"failed without a fault: {failure}")


def _await_recovery(rig: Rig) -> float | None:
    """Wait until no call has failed for a while; return the seconds until each kind succeeded for good."""
    start = time.monotonic()
    while time.monotonic() < start + _LONGEST:
        time.sleep(0.1)
        recovery = rig.books.recovery()
        if recovery is not None and time.monotonic() - start > recovery + _AFTER * min(rig.fault.bound, 3.0):
            return recovery
    return None


def main() -> None:
    """Play the rounds that are named, and print their rows."""
    faulthandler.enable()  # says where each thread is, if this process is ended because it hangs
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=FAULTS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="that a fault lasts at most")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which no round begins")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.limit
    faults = [FAULTS[name] for name in arguments.names]
    # Those that need the same far side share it.
    for settings, group in itertools.groupby(faults, lambda fault: fault.far):
        if time.monotonic() > end:
            return
        with Far(**settings) as far:
            for fault in group:
                if time.monotonic() < end:
                    row = play(fault, far, arguments.seed, min(fault.seconds, arguments.seconds or fault.seconds))
                    sys.stdout.write(json.dumps(row) + "\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
