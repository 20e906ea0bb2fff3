"""Checks the branches alone that tests reach: `fail_under` of coverage counts lines and branches together.

    python scripts/branches.py 95 < build/coverage/report.json

Reads a report of `coverage json`. Exit status 1: tests reach less than this many percent of the branches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping


def main() -> int:
    """Check the report on standard input; return the exit status."""
    return report(json.load(sys.stdin)["totals"], float(sys.argv[1]))


def report(totals: Mapping[str, int], floor: float) -> int:
    """Print how many branches tests reach; return the exit status."""
    reached, branches = totals["covered_branches"], totals["num_branches"]
    share = 1000 * reached // branches / 10  # rounded down: what fails does not look like the floor
    print(f"{reached:,} of {branches:,} branches are reached: {share}%; at least {floor:g}% have to be")
    return int(100 * reached < floor * branches)


if __name__ == "__main__":
    raise SystemExit(main())
