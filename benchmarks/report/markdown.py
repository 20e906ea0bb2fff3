"""A run as tables in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from benchmarks.groups import GROUPS
from benchmarks.results import SEEN, CaseResult, IntervalResult, RunResult, TargetResult, WayResult
from benchmarks.table import bound_text, figure_text, time_text, verdict

__all__ = ["markdown"]


def markdown(run: RunResult) -> str:
    """Return the document."""
    blocks = [*_head(run), *_targets(run["cases"])]
    for name, cases in groupby(run["cases"], lambda case: case["group"]):
        blocks += [f"## {GROUPS[name].title}", GROUPS[name].text]
        for case in cases:
            blocks += _case(case)
    return "\n\n".join(blocks) + "\n"


def _head(run: RunResult) -> Iterable[str]:
    yield "# Benchmarks"
    yield "<!-- Written by `make bench-report` from benchmarks/results/latest.json; do not edit. -->"
    yield (
        "Ways of doing one thing take turns in one process, in blocks whose order is drawn for each round. A ratio is "
        "the median of the rounds' ratios to one of the ways, with its 95% interval (bootstrap). Ratios compare; the "
        "times are this machine's. No case shows Spanner itself, whose answers take milliseconds over a network."
    )
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    machine = ", ".join(f"{name}: {value}" for name, value in run["machine"].items())
    yield f"Measured {run['date']} at commit {run['commit']}, in {run['seconds']:.0f} s, on {machine}; {versions}."


def _targets(cases: Sequence[CaseResult]) -> Iterable[str]:
    targets = [target for case in cases for target in case["targets"]]
    for title, goal in (("Goals", True), ("Further limits", False)):
        chosen = [target for target in targets if target["goal"] is goal]
        yield f"## {title}: {sum(target['met'] is True for target in chosen)} of {len(chosen)} met"
        yield _table(("", "found", "target", ""), (_target(target) for target in chosen))


def _target(target: TargetResult) -> Sequence[str]:
    return target["title"], _interval(target["found"]), bound_text(target), verdict(target)


def _case(case: CaseResult) -> Iterable[str]:
    yield f"### {case['title']}"
    yield case["shows"]
    if case["ways"]:
        head = ("", f"times of {case['baseline']}", "median", "p99", "p99.9", "CPU", "CPU ratio", "")
        yield _table(head, (_way(way) for way in case["ways"]))
    if (server := case["server"]) and server["share"] >= SEEN:
        which = f"server in {server['language']}" if server["language"] else "server"
        yield f"The {which} took {server['share']:.0%} of all CPU."
    for way, reason in case["missing"].items():
        yield f"Left out{f' ({way})' if way else ''}: {reason}."


def _way(way: WayResult) -> Sequence[str]:
    times = [time_text(seconds) for seconds in (way["median"], way["p99"], way["p999"], way["cpu"])]
    others = ", ".join(
        figure_text(name, value) for name, value in way["figures"].items() if name not in {"ms", "server"}
    )
    return way["name"], _interval(way["ratio"]), *times, _interval(way["cpu_ratio"]), others


def _interval(interval: IntervalResult | None) -> str:
    return "-" if interval is None else f"{interval['median']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table without the columns that are empty in every row."""
    filled = list(rows)
    kept = [index for index in range(len(head)) if index == 0 or any(row[index] not in {"", "-"} for row in filled)]
    lines = [head, ["---"] * len(head), *filled]
    return "\n".join("| " + " | ".join(line[index] for index in kept) + " |" for line in lines)
