"""Charts as HTML: text in HTML, lines in SVG. Places are in percent, so that a chart fits any width. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from benchmarks.report.scales import MAX_TICKS, LogScale, number_text, number_ticks, share_place, time_ticks
from benchmarks.results import CaseResult, IntervalResult

__all__ = ["Line", "dots_axis", "dots_row", "line_chart", "ratio_scale", "share_chart"]

FEW_TICKS: Final = 5
"""The numbers for which a narrow screen has room."""
_SHARES: Final = ((0.0, "0"), (0.5, "50%"), (0.9, "90%"), (0.99, "99%"), (0.999, "99.9%"))

Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """A line of a chart: what it is called, the class of its colour, and its points."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


def ratio_scale(cases: Sequence[CaseResult]) -> LogScale:
    """Return the axis of the ratios of cases, with 1 well inside."""
    ratios = [way["ratio"] for case in cases for way in case["ways"] if way["ratio"]]
    found = [bound for ratio in ratios for bound in (ratio["low"], ratio["high"])]
    return LogScale.over([*found, 0.9, 1.25])


def dots_row(interval: IntervalResult | None, scale: LogScale, colour: str) -> str:
    """Return a dot with its interval, and the line at 1."""
    one = f'<line class="one" x1="{scale.place(1):.2f}%" x2="{scale.place(1):.2f}%" y1="0" y2="100%"/>'
    if interval is None:
        return f'<svg class="dots">{one}</svg>'
    low, middle, high = (scale.place(interval[end]) for end in ("low", "median", "high"))
    return (
        f'<svg class="dots {colour}" role="img" aria-label="{interval["median"]:.2f}">{one}'
        f'<line class="range" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        f'<circle class="dot" cx="{middle:.2f}%" cy="50%" r="5"/></svg>'
    )


def dots_axis(scale: LogScale) -> str:
    """Return the numbers under the dots."""
    return f'<div class="axis">{_labels(number_ticks(scale), "left")}</div>'


def line_chart(lines: Sequence[Line], x_title: str, y_title: str) -> str:
    """Return lines over logarithmic axes, times upwards."""
    x = LogScale.over(x for line in lines for x, _ in line.points)
    y = LogScale.over(y for line in lines for _, y in line.points)
    places = [Line(line.name, line.colour, [(x.place(a), y.place(b)) for a, b in line.points]) for line in lines]
    # From the top to the bottom, as they end on the right.
    places.sort(key=lambda line: -line.points[-1][1])
    measured = sorted({a for line in lines for a, _ in line.points})
    x_ticks = [(x.place(a), number_text(a)) for a in measured] if len(measured) <= MAX_TICKS else number_ticks(x)
    return _chart(places, x_ticks, time_ticks(y), x_title, y_title, dots=True)


def share_chart(lines: Sequence[Line], x_title: str, y_title: str) -> str:
    """Return distributions: times to the right, upwards the share of calls that took no longer."""
    x = LogScale.over(x for line in lines for x, _ in line.points)
    places = [Line(line.name, line.colour, [(x.place(a), share_place(b)) for a, b in line.points]) for line in lines]
    shares = [(share_place(share), text) for share, text in _SHARES]
    return _chart(places, time_ticks(x), shares, x_title, y_title, dots=False)


def _chart(lines: Sequence[Line], x_ticks: Ticks, y_ticks: Ticks, x_title: str, y_title: str, *, dots: bool) -> str:
    many = " many" if len(x_ticks) > FEW_TICKS else ""
    legend = "".join(f'<li class="{line.colour}"><i></i>{escape(line.name)}</li>' for line in lines)
    # What is drawn last lies on top: this library.
    drawn = sorted(lines, key=lambda line: line.colour.startswith("ours"))
    return (
        f'<figure class="chart"><p class="y-title">{escape(y_title)}</p><div class="plot">'
        f'<div class="y-axis">{_labels(y_ticks, "bottom")}</div><div class="area">'
        f"<svg>{_grid(x_ticks, y_ticks)}</svg>"
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none">'
        + "".join(_polyline(line) for line in drawn)
        + "</svg>"
        + ("<svg>" + "".join(_marks(line) for line in drawn) + "</svg>" if dots else "")
        + f'</div><div class="x-axis{many}">{_labels(x_ticks, "left")}</div></div>'
        f'<p class="x-title">{escape(x_title)}</p><ul class="legend">{legend}</ul></figure>'
    )


def _grid(x_ticks: Ticks, y_ticks: Ticks) -> str:
    across = (f'<line class="grid" x1="0" x2="100%" y1="{100 - y:.2f}%" y2="{100 - y:.2f}%"/>' for y, _ in y_ticks)
    along = (f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>' for x, _ in x_ticks)
    return "".join((*across, *along))


def _polyline(line: Line) -> str:
    points = " ".join(f"{x:.2f},{100 - y:.2f}" for x, y in line.points)
    return f'<polyline class="line {line.colour}" points="{points}"/>'


def _marks(line: Line) -> str:
    return "".join(
        f'<circle class="dot {line.colour}" cx="{x:.2f}%" cy="{100 - y:.2f}%" r="4"><title>{escape(line.name)}</title>'
        "</circle>"
        for x, y in line.points
    )


def _labels(ticks: Ticks, side: str) -> str:
    return "".join(f'<span style="{side}:{place:.2f}%">{escape(text)}</span>' for place, text in ticks)
