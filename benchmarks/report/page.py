"""A run as one page of HTML, which loads nothing. Pure, but for reading its style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks.figures import GRID
from benchmarks.groups import GROUPS, OURS, PLOTS
from benchmarks.report.charts import Line, dots_axis, dots_row, line_chart, ratio_scale, share_chart
from benchmarks.report.scales import LogScale
from benchmarks.results import SEEN, CaseResult, IntervalResult, RunResult, TargetResult, WayResult
from benchmarks.table import bound_text, figure_text, time_text, verdict

__all__ = ["page"]

_STYLE: Final = Path(__file__).with_name("page.css")
_COLOURS: Final = 8
_FORMS: Final = 3
_AROUND_BOUND: Final = LogScale(1 / 4, 4)
_SAVED: Final = ("ms", "server")
"""Figures that are shown in another place."""


def page(run: RunResult) -> str:
    """Return the page."""
    groups = "".join(_group(name, list(cases)) for name, cases in groupby(run["cases"], lambda case: case["group"]))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>spanner-grpc-sessions: benchmarks</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE.read_text()}</style></head><body>{_head(run)}{_targets(run['cases'])}{groups}</body></html>\n"
    )


def _head(run: RunResult) -> str:
    return (
        "<h1>spanner-grpc-sessions: benchmarks</h1>"
        "<p>Ways of doing one thing take turns in one process, in blocks whose order is drawn for each round. A dot is "
        "the median of the rounds' ratios to one of the ways, the bar its 95% interval (bootstrap). Ratios compare; "
        "absolute times are this machine's. No case shows Spanner itself, whose answers take milliseconds over a "
        "network.</p>"
        f'<div class="card"><h3>{escape(run["date"])}, commit {escape(run["commit"])}, {run["seconds"]:.0f} s</h3>'
        f'{_facts(run["machine"])}<details><summary class="faint">Versions</summary>{_facts(run["versions"])}</details>'
        "</div>"
    )


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _targets(cases: Sequence[CaseResult]) -> str:
    targets = [target for case in cases for target in case["targets"]]
    goals, others = ([target for target in targets if target["goal"] is goal] for goal in (True, False))
    return (
        f"<h2>Goals: {_count(goals)}</h2>{_target_rows(goals)}"
        f'<details class="card"><summary><h3>Further limits: {_count(others)}</h3></summary>{_target_rows(others)}'
        "</details>"
    )


def _count(targets: Sequence[TargetResult]) -> str:
    return f"{sum(target['met'] is True for target in targets)} of {len(targets)} met"


def _target_rows(targets: Sequence[TargetResult]) -> str:
    head = "".join(f"<span>{text}</span>" for text in ("left of the line: met", "found", "target", ""))
    rows = "".join(
        _target(target, dots_row(_part_of_bound(target), _AROUND_BOUND, verdict(target).lower())) for target in targets
    )
    return f'<div class="card targets"><div class="row head"><b></b>{head}</div>{rows}</div>'


def _part_of_bound(target: TargetResult) -> IntervalResult | None:
    """Return a figure in times of its bound; below 1 the target is met."""
    found, most, least = target["found"], target["most"], target["least"]
    if found and most:
        return IntervalResult(median=found["median"] / most, low=found["low"] / most, high=found["high"] / most)
    if found and least and found["low"] > 0:
        return IntervalResult(median=least / found["median"], low=least / found["high"], high=least / found["low"])
    return None


def _target(target: TargetResult, dots: str) -> str:
    text = verdict(target)
    return (
        f'<div class="row"><b>{escape(target["title"])}</b>{dots}<span>{_interval(target["found"])}</span>'
        f'<span>{bound_text(target)}</span><span class="{text.lower()}">{text}</span></div>'
    )


def _group(name: str, cases: Sequence[CaseResult]) -> str:
    group, colours = GROUPS[name], _colours(cases)
    charts = [_distribution(case, colours) for case in cases if any(way["quantiles"] for way in case["ways"])]
    plots = dict.fromkeys(case["plot"] for case in cases if case["plot"] and case["ways"])
    charts += [_lines(plot, [case for case in cases if case["plot"] == plot], colours) for plot in plots if plot]
    shown = f'<div class="charts">{"".join(charts)}</div>' if charts else ""
    folded = [case for case in cases if case["plot"]]
    sides = {tuple(way["name"] for way in case["ways"]) for case in cases}
    if not folded and len(cases) > 1 == len(sides) and len(sides.pop()) == 2:
        shown, folded = _pairs(cases), list(cases)
    if folded:
        inner = "".join(_case(case, colours) for case in folded)
        shown += f'<details class="card"><summary><h3>All figures</h3></summary>{inner}</details>'
    others = "".join(f'<div class="card">{_case(case, colours)}</div>' for case in cases if case not in folded)
    return f"<h2>{escape(group.title)}</h2><p>{escape(group.text)}</p>{shown}{others}"


def _pairs(cases: Sequence[CaseResult]) -> str:
    """Return a row for each of several cases that have the same two ways."""
    first, second = (escape(way["name"]) for way in cases[0]["ways"])
    scale = ratio_scale(cases)
    rows = "".join(_pair(case, scale) for case in cases)
    return (
        '<div class="card ways" style="--columns:2"><div class="row head"><b></b><span class="axis-title"></span>'
        f'<span class="ratio">ratio to {first}</span>'
        f'<div class="cells"><span>{first}</span><span>{second}</span></div></div>'
        f'{rows}<div class="row"><b></b>{dots_axis(scale)}</div></div>'
    )


def _pair(case: CaseResult, scale: LogScale) -> str:
    theirs, ours = case["ways"]
    return (
        f'<div class="row"><b>{escape(case["title"])}</b>{dots_row(ours["ratio"], scale, "ours")}'
        f'<b class="ratio">{_interval(ours["ratio"])}</b><div class="cells">'
        f"<span>{time_text(theirs['median'])}</span><span>{time_text(ours['median'])}</span></div></div>"
    )


def _case(case: CaseResult, colours: Mapping[str, str]) -> str:
    ways = _ways(case, colours) if case["ways"] else ""
    shows = f'<p class="faint">{escape(case["shows"])}</p>'
    return f"<section><h3>{escape(case['title'])}</h3>{shows}{ways}{_notes(case)}</section>"


def _ways(case: CaseResult, colours: Mapping[str, str]) -> str:
    scale = ratio_scale([case])
    others = dict.fromkeys(name for way in case["ways"] for name in way["figures"] if name not in _SAVED)
    columns = _columns(case["ways"])
    head = "".join(f"<span>{text}</span>" for text in columns)
    return (
        f'<div class="rows ways" style="--columns:{len(columns)}">'
        '<div class="row head"><b></b><span class="axis-title"></span>'
        f'<span class="ratio">ratio</span><div class="cells">{head}</div></div>'
        + "".join(
            _way(way, columns.values(), dots_row(way["ratio"], scale, colours[way["name"]]), others)
            for way in case["ways"]
        )
        + f'<div class="row"><b></b>{dots_axis(scale)}</div></div>'
    )


def _columns(ways: Sequence[WayResult]) -> dict[str, Callable[[WayResult], str]]:
    """Return the columns that have something in them, with what they show of a way."""
    columns: dict[str, Callable[[WayResult], str]] = {
        "median": lambda way: time_text(way["median"]),
        "p99": lambda way: time_text(way["p99"]),
        "p99.9": lambda way: time_text(way["p999"]),
        "CPU": lambda way: time_text(way["cpu"]),
        "CPU ratio": lambda way: f"{way['cpu_ratio']['median']:.2f}" if way["cpu_ratio"] else "-",
    }
    return {name: show for name, show in columns.items() if any(show(way) != "-" for way in ways)}


def _way(way: WayResult, columns: Iterable[Callable[[WayResult], str]], dots: str, others: Iterable[str]) -> str:
    cells = "".join(f"<span>{show(way)}</span>" for show in columns)
    figures = ", ".join(figure_text(name, way["figures"][name]) for name in others if name in way["figures"])
    ours = " ours" if OURS in way["name"] else ""
    small = f"<br><small>{escape(figures)}</small>" if figures else ""
    return (
        f'<div class="row{ours}"><b>{escape(way["name"])}{small}</b>{dots}'
        f'<b class="ratio">{_interval(way["ratio"])}</b><div class="cells">{cells}</div></div>'
    )


def _notes(case: CaseResult) -> str:
    notes = [f"{case['rounds']} rounds; ratios to: {case['baseline']}."] if case["ways"] else []
    if (server := case["server"]) and server["share"] >= SEEN:
        which = f"server in {server['language']}" if server["language"] else "server"
        notes.append(f"The {which} took {server['share']:.0%} of all CPU.")
    notes += [f"Left out{f' ({way})' if way else ''}: {reason}." for way, reason in case["missing"].items()]
    return f'<p class="note">{escape(" ".join(notes))}</p>'


def _interval(interval: IntervalResult | None) -> str:
    if interval is None:
        return "-"
    digits = 2 if interval["median"] < 100 else 0
    low, median, high = (f"{interval[end]:.{digits}f}" for end in ("low", "median", "high"))
    return f"{median} <small>({low} to {high})</small>"


def _colours(cases: Sequence[CaseResult]) -> dict[str, str]:
    """Return the classes of each way's colour; they are the same in all cases of a group."""
    names = dict.fromkeys(way["name"] for case in cases for way in case["ways"])
    ours = [name for name in names if OURS in name]
    others = [name for name in names if OURS not in name]
    return {
        **{name: f"ours form{index % _FORMS}" for index, name in enumerate(ours)},
        **{name: f"c{index % _COLOURS}" for index, name in enumerate(others)},
    }


def _distribution(case: CaseResult, colours: Mapping[str, str]) -> str:
    lines = [
        Line(way["name"], colours[way["name"]], list(zip(way["quantiles"], GRID, strict=True))) for way in case["ways"]
    ]
    title = f"{case['title']}: how long it takes"
    chart = share_chart(lines, "time (logarithmic)", "share that took no longer")
    return f'<section class="card"><h3>{escape(title)}</h3>{chart}</section>'


def _lines(name: str, cases: Sequence[CaseResult], colours: Mapping[str, str]) -> str:
    plot = PLOTS[name]
    measured = [case for case in cases if case["ways"]]
    points: dict[str, list[tuple[float, float]]] = {way["name"]: [] for case in measured for way in case["ways"]}
    for case in sorted(measured, key=lambda case: case["at"]):
        for way in case["ways"]:
            points[way["name"]].append((case["at"], way["median"]))
    lines = [Line(way, colours[way], places) for way, places in points.items()]
    return f'<section class="card"><h3>{escape(plot.title)}</h3>{line_chart(lines, plot.x, plot.y)}</section>'
