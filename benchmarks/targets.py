"""The figures that this project promises, and the command line of the benchmarks that measure them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A figure that this library should reach, and the one that was found."""

    title: str
    found: float
    most: float = float("inf")
    least: float = 0.0
    aim: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure lies where it should."""
        return self.least <= self.found <= self.most

    def __str__(self) -> str:
        bound = f"at least {self.least:.2f}" if self.least else f"at most {self.most:.2f}"
        return f"{self.title:56}{self.found:6.2f}  {bound:15}{self.aim:12}{'met' if self.met else 'MISSED'}"


def run(description: str | None, measure: Callable[[int], list[Target]], *, rounds: int, of: str) -> int:
    """Measure and report; return the exit status: with `--check`, 1 when a target is missed.

    Args:
        description: what the benchmark does, for `--help`.
        measure: takes a number of rounds.
        rounds: that number, unless `--rounds` says another one.
        of: what a round is.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"{of} (default: {rounds})")
    parser.add_argument("--check", action="store_true", help="exit with 1 if one of the targets is missed")
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    print("\nTargets", *found, sep="\n")
    return int(arguments.check and not all(target.met for target in found))
