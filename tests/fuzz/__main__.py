"""Fuzz all targets in turn.

    python -m tests.fuzz [--seconds N] [--target NAME]...

Each begins with the inputs of tests/fuzz/corpus/NAME, and keeps what it finds on the way in build/fuzz/NAME. An input
that fails is written to build/fuzz: feed it to `python -m tests.fuzz.run NAME FILE`, and write a test of what it shows.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

_TARGETS: Final = ("names", "from_rest", "routes", "trailers", "command_line", "tokens", "wire")
_CORPUS: Final = Path(__file__).with_name("corpus")
_FOUND: Final = Path("build/fuzz")
_LONGEST_INPUT: Final = 4_000
_SEEDS: Final = 20


def main() -> int:
    """Give each target its share of the time; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together")
    parser.add_argument("--target", action="append", choices=_TARGETS)
    arguments = parser.parse_args()
    targets = arguments.target or _TARGETS
    failed = []
    for name in targets:
        folders = [_FOUND / name, _CORPUS / name]
        folders[0].mkdir(parents=True, exist_ok=True)
        _seed(folders[0])
        given = [str(folder) for folder in folders if folder.is_dir()]
        share = max(1, round(arguments.seconds / len(targets)))
        options = [
            f"-max_total_time={share}",
            f"-max_len={_LONGEST_INPUT}",
            "-len_control=0",
            f"-artifact_prefix={_FOUND}/{name}-",
        ]
        print(f"== {name}, {share} s", flush=True)  # noqa: T201 - a program
        done = subprocess.run([sys.executable, "-m", "tests.fuzz.run", name, *given, *options], check=False)
        if done.returncode:
            failed.append(name)
    print(f"found something: {', '.join(failed)}" if failed else "nothing found")  # noqa: T201
    return int(bool(failed))


def _seed(folder: Path) -> None:
    """Write inputs to begin with: from a few bytes, which a fuzzer begins with, hypothesis draws no whole input."""
    bytes_of = random.Random(0)  # noqa: S311 - repeatable on purpose
    for number in range(_SEEDS):
        (folder / f"seed-{number}").write_bytes(bytes_of.randbytes(_LONGEST_INPUT // 2))


if __name__ == "__main__":
    sys.exit(main())
