"""One page about a fleet: a table and plots, without a script or anything from elsewhere, for light and dark."""

from __future__ import annotations

from html import escape
from math import floor, log10
from typing import Any, Final

_WIDTH: Final = 640
_HEIGHT: Final = 190
_LEFT: Final = 60
_BOTTOM: Final = 24
_TOP: Final = 16

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #66727f; --line: #d8dee5; --paper: #fff; --card: #f7f9fb;
  --now: #1f6fd6; --former: #d9822b; --good: #1a7f4b; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --dim: #98a4b1; --line: #36404b; --paper: #14191f;
  --card: #1b222a; --now: #6cb0ff; --former: #f0a860; --good: #5fd39a; --bad: #ff8273; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 84rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .4rem 0; }
h2 { font-size: 1.1rem; margin: 0; }
h3 { font-size: .9rem; font-weight: 600; margin: 1rem 0 .1rem; }
p { margin: .3rem 0 .6rem; max-width: 48rem; }
.dim { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; color: var(--dim); vertical-align: bottom; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
main { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); margin-top: 1.2rem; }
@media (min-width: 60rem) { main { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .9rem 1rem; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font-size: 12px; }
@media (max-width: 40rem) { svg text { font-size: 19px; } body { padding: .8rem; }
  td:first-child { white-space: normal; min-width: 9rem; } }
.grid { stroke: var(--line); stroke-width: 1; }
.now { stroke: var(--now); } .former { stroke: var(--former); } .now, .former { fill: none; stroke-width: 1.6; }
.mean { stroke: var(--dim); stroke-width: 1.2; stroke-dasharray: 5 4; }
.key::before { content: ""; display: inline-block; width: 1.1em; height: 3px; margin: 0 .35em .25em 0;
  background: var(--c); }
"""


def page(results: list[dict[str, Any]], told: str) -> str:
    """Return the page as HTML. `told` says when and where the figures were made."""
    processes = results[0]["processes"]
    rows = "".join(_row(result, index) for result in results for index in range(len(result["measures"])))
    sections = "".join(map(_section, results))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A fleet of {processes:,} processes</title>
<style>{_STYLE}</style></head><body>
<h1>A fleet of {processes:,} processes, simulated</h1>
<p>What {processes:,} processes with a pool of at least 4 sessions and a token each send to the server, second by
second, by the decisions of the library alone. Time is virtual, and a second of it takes no second.</p>
<p class="dim">{escape(told)}</p>
<div class="scroll"><table><thead><tr><th>requests</th><th>mean<br>per s</th><th>peak<br>per s</th>
<th>peak<br>over mean</th><th>without<br>spreads</th><th>by chance<br>alone</th><th>goal</th><th>window</th>
</tr></thead><tbody>{rows}</tbody></table></div>
<p class="dim">Peak over mean: the fullest window beside the average one. By chance alone: what the fullest would be if
requests came wholly at random. Without spreads: the same by decisions that spread pings over a fifth of the keep-alive
time, tokens over 150 s and multiplexed sessions not at all. The figures say nothing about what a server does with such
load, and the processes share nothing but its outages.</p>
<p><span class="key" style="--c: var(--now)">as the library is</span> &ensp;
<span class="key" style="--c: var(--former)">without spreads</span> &ensp;
<span class="dim">- - mean of what is measured; each plot has 360 points, averages of the time between them;
what is outside of the time that is measured may go beyond its top</span></p>
<main>{sections}</main></body></html>
"""


def _row(result: dict[str, Any], index: int) -> str:
    measure, former = result["measures"][index], result.get("without_spreads")
    before = f"{former['measures'][index]['ratio']:g}" if former else ""
    limit = measure["limit"]
    kept = "" if limit is None else ' class="good"' if measure["ratio"] <= limit else ' class="bad"'
    name = f"{escape(result['title'])}: {measure['kind']} {measure['when']}"
    goal = "" if limit is None else f"≤ {limit:g}"
    return (
        f"<tr><td>{name}</td><td>{measure['mean']:,.4g}</td><td>{measure['peak']:,.4g}</td>"
        f"<td{kept}>{measure['ratio']:g}</td><td>{before}</td><td>{measure['by_chance']:g}</td><td>{goal}</td>"
        f"<td>{measure['window']:,} s</td></tr>"
    )


def _section(result: dict[str, Any]) -> str:
    facts = [f"{result['most_sessions']:,} sessions at most"] if result["most_sessions"] else []
    if result["until_all_work"] is not None:
        facts.append(f"all work {result['until_all_work']:g} s later")
    kinds = dict.fromkeys(measure["kind"] for measure in result["measures"])
    plots = "".join(_plot(result, kind) for kind in kinds)
    return (
        f"<section><h2>{escape(result['title'])}</h2><p>{escape(result['about'])} "
        f'<span class="dim">{escape(", ".join(facts))}</span></p>{plots}</section>'
    )


def _plot(result: dict[str, Any], kind: str) -> str:
    now, former = result["series"][kind], (result.get("without_spreads") or {}).get("series", {}).get(kind)
    measures = [measure for measure in result["measures"] if measure["kind"] == kind]
    # What is outside, such as the first tokens of all, may be far higher.
    parts = [
        slice(*(round(len(now) * measure[end] / result["seconds"]) for end in ("since", "until")))
        for measure in measures
    ]
    shown = [value for series in (now, former or []) for part in parts for value in series[part]]
    top = _nice(max([*shown, measures[0]["mean"]]))
    y = _y(measures[0]["mean"], top)
    return (
        f"<h3>{kind} per second</h3>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{kind} per second over time">'
        f"{_grid(top)}{_ticks(result['seconds'])}{_line(former, top, 'former') if former else ''}"
        f'{_line(now, top, "now")}<line class="mean" x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}"/></svg>'
    )


def _y(value: float, top: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top), 1)


def _line(values: list[float], top: float, name: str) -> str:
    step = (_WIDTH - _LEFT) / len(values)
    points = " ".join(f"{_LEFT + step * (at + 0.5):.1f},{_y(min(value, top), top)}" for at, value in enumerate(values))
    return f'<polyline class="{name}" points="{points}"/>'


def _grid(top: float) -> str:
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = _y(top * part, top)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{top * part:,g}</text>')
    return "".join(lines)


def _ticks(seconds: float) -> str:
    unit, name = next((size, name) for size, name in ((86_400, "d"), (3600, "h"), (60, "min")) if seconds >= 2 * size)
    count = seconds / unit
    step = next(step for step in (1, 2, 5, 10, 20, 50) if count / step <= 6)
    texts = []
    for at in range(0, int(count) + 1, step):
        x = _LEFT + (_WIDTH - _LEFT) * at / count
        anchor = "start" if at == 0 else "end" if x > _WIDTH - 20 else "middle"
        texts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{at} {name}</text>')
    return "".join(texts)


def _nice(value: float) -> float:
    """Return the next round number."""
    power = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    return next(power * digit for digit in (1, 2, 4, 6, 8, 10) if value <= power * digit * 1.001)
