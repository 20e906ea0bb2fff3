"""Results as lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import CaseResult, IntervalResult, TargetResult

__all__ = ["bound_text", "figure_text", "print_case", "print_targets", "time_text", "verdict"]

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))


def time_text(seconds: float | None) -> str:
    """Return a time with three digits and its unit."""
    if seconds is None:
        return "-"
    scale, unit = next((scale, unit) for scale, unit in _UNITS if seconds >= scale)
    value = seconds / (scale or 1e-9)
    return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"


def print_case(case: CaseResult) -> None:
    """Print a row per way."""
    print(f"\n{case['name']}: {case['title']} ({case['rounds']} rounds, {case['seconds']:.0f} s)", flush=True)
    for way, reason in case["missing"].items():
        print(f"  {way or 'left out'}: {reason}")
    print(_row("", ("median", "p99", "CPU"), f"times of {case['baseline']}", ""))
    for way_ in case["ways"]:
        times = (time_text(way_["median"]), time_text(way_["p99"]), time_text(way_["cpu"]))
        others = [
            f"server {time_text(value)}" if name == "server" else figure_text(name, value)
            for name, value in way_["figures"].items()
        ]
        print(_row(way_["name"], times, _ratio(way_["ratio"]), ", ".join(others)), flush=True)


def _row(name: str, times: Sequence[str], ratio: str, others: str) -> str:
    return f"  {name:46}{''.join(f'{time:>10}' for time in times)}{ratio:>34}  {others}".rstrip()


def print_targets(cases: Sequence[CaseResult]) -> bool:
    """Print the promises, and return whether all that could be looked at are kept."""
    print("\nTargets")
    targets = [target for case in cases for target in case["targets"]]
    for target in targets:
        found = target["found"]
        print(f"  {target['title']:66}{_ratio(found):>24}  {bound_text(target):15}{verdict(target)}")
    return all(target["met"] is not False for target in targets)


def bound_text(target: TargetResult) -> str:
    """Return what is promised."""
    most, least = target["most"], target["least"]
    return f"at most {most:g}" if most is not None else f"at least {least:g}"


def verdict(target: TargetResult) -> str:
    """Return whether a promise is kept."""
    return {True: "met", False: "MISSED", None: "not measured"}[target["met"]]


def _ratio(interval: IntervalResult | None) -> str:
    if interval is None:
        return "-"
    return f"{interval['median']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"


def figure_text(name: str, value: float) -> str:
    """Return a figure with what it is of; its name says so: "memory MB", "round trips"."""
    return f"{name} {value:.3g}"
