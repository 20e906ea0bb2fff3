"""Fuzz one target until its time is over, or something is found.

    python -m tests.fuzz.run NAME [arguments of libFuzzer]

With atheris installed this is a program of libFuzzer, guided by the coverage of the library. Without it, random bytes
are tried for as long as `-max_total_time=SECONDS` says.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Fuzz the target that the first argument names."""
    name, arguments = sys.argv[1], sys.argv[2:]
    if importlib.util.find_spec("atheris"):
        atheris: Any = importlib.import_module("atheris")
        with atheris.instrument_imports(include=["spanner_grpc_sessions"], enable_loader_override=False):
            targets = importlib.import_module("tests.fuzz.targets").TARGETS
        atheris.Setup([sys.argv[0], *arguments], targets[name])
        atheris.Fuzz()
        return
    feed = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    seconds = next((float(each.partition("=")[2]) for each in arguments if each.startswith("-max_total_time=")), 60.0)
    tries, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        feed(os.urandom(2_000))
        tries += 1
    sys.stdout.write(f"{tries:,} inputs, nothing found; install atheris to search guided by coverage\n")


if __name__ == "__main__":
    main()
