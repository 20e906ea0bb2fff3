"""A line in a small chart, as SVG within a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["plot"]

_WIDTH: Final = 760
_HEIGHT: Final = 150
_LEFT: Final = 60
_BOTTOM: Final = 24
_TOP: Final = 8


def plot(points: Sequence[tuple[float, float]], unit: str) -> str:
    """Return a chart of points (x, y) from y = 0 up, with the unit of x."""
    right = max(x for x, _ in points) or 1.0
    top = _above(max(y for _, y in points))
    across, up = _WIDTH - _LEFT - 8, _HEIGHT - _TOP - _BOTTOM
    line = " ".join(f"{_LEFT + across * x / right:.1f},{_TOP + up * (1 - y / top):.1f}" for x, y in points)
    marks = "".join(
        f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + across}" y1="{height}" y2="{height}"/>'
        f'<text x="{_LEFT - 6}" y="{height + 4}" text-anchor="end">{top * part:,g}</text>'
        for part, height in ((part, _TOP + up * (1 - part)) for part in (0.0, 0.5, 1.0))
    )
    times = "".join(
        f'<text x="{_LEFT + across * part}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{right * part:.3g} {unit}</text>'
        for part, anchor in ((0.0, "start"), (1.0, "end"))
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{marks}{times}<polyline class="line" points="{line}"/></svg>'
    )


def _above(value: float) -> float:
    """Return a round number that is not less."""
    if value <= 0:
        return 1.0
    step = 10.0 ** math.floor(math.log10(value))
    return next(part * step for part in (1, 2, 4, 6, 8, 10) if part * step >= value)
