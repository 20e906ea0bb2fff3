"""The simulations as a program: `make simulate` runs all; a seed that fails names the command that repeats it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from tests.simulation.faults import FAULTS
from tests.simulation.fleet import report
from tests.simulation.fleet.scenarios import PROCESSES
from tests.simulation.seeds import Tally, outcome_of, tally

# ruff: noqa: T201 - a program that prints

_FOLDER: Final = Path("build/simulation")


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; return the exit status."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    commands = parser.add_subparsers(required=True)
    seed = commands.add_parser("seed", help="run one seed")
    seed.add_argument("seed", type=int)
    seed.add_argument("--days", type=float, default=30.0)
    seed.add_argument("--fault", choices=sorted(FAULTS), default="")
    seed.set_defaults(run=_run_seed)
    seeds = commands.add_parser("seeds", help="run many seeds")
    seeds.add_argument("--first", type=int, default=0)
    seeds.add_argument("--count", type=int, default=1000)
    seeds.add_argument("--days", type=float, default=30.0)
    seeds.add_argument("--processes", type=int, default=None)
    seeds.set_defaults(run=_run_seeds)
    fleet = commands.add_parser("fleet", help="simulate a fleet, and write a page about it")
    fleet.add_argument("--size", type=int, default=PROCESSES)
    fleet.set_defaults(run=_run_fleet)
    everything = commands.add_parser("all", help="run many seeds, and then the fleet")
    everything.add_argument("--count", type=int, default=1000)
    everything.add_argument("--days", type=float, default=30.0)
    everything.set_defaults(run=_run_all, first=0, processes=None, size=PROCESSES)
    return parser


def _run_seed(options: argparse.Namespace) -> int:
    outcome = outcome_of(options.seed, days=options.days, fault=options.fault)
    if isinstance(outcome, str):
        print(outcome)
        return 1
    print(f"seed {outcome.seed}, {outcome.days:g} days: no invariant broken, digest {outcome.digest:08x}")
    print(f"{outcome.counts.total()} events in {outcome.seconds:.2f} s: {dict(sorted(outcome.counts.items()))}")
    return 0


def _run_seeds(options: argparse.Namespace) -> int:
    return 1 if _seeds(options).failures else 0


def _seeds(options: argparse.Namespace) -> Tally:
    result = tally(range(options.first, options.first + options.count), options.days, options.processes)
    print(
        f"{result.runs} runs of {result.days:g} days, {result.counts.total()} events, {result.wall:.0f} s: "
        f"{len(result.failures)} broke an invariant",
        flush=True,
    )
    return result


def _run_fleet(options: argparse.Namespace) -> int:
    return _fleet(options, None)


def _fleet(options: argparse.Namespace, seeds: Tally | None) -> int:
    figures = report.results(options.size)
    report.write(_FOLDER, figures, None if seeds is None else seeds.as_json())
    print(report.table(figures))
    print(f"the page is {_FOLDER / 'fleet.html'}")
    missed = report.missed(figures)
    print("\n".join(missed))
    return 1 if missed else 0


def _run_all(options: argparse.Namespace) -> int:
    seeds = _seeds(options)
    return _fleet(options, seeds) or (1 if seeds.failures else 0)


if __name__ == "__main__":
    sys.exit(main())
