"""All scenarios, side by side in several processes, and what is written about them."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spanner_grpc_sessions import __version__
from tests.simulation.fleet.page import page
from tests.simulation.fleet.scenarios import SCENARIOS, play, play_without_spreads


def results(processes: int) -> list[dict[str, Any]]:
    """Return the figures of all scenarios, for a fleet of so many processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as executor:
        played = [executor.submit(_play, index, processes) for index in range(len(SCENARIOS))]
        former = {
            index: executor.submit(_play_without, index, processes)
            for index, each in enumerate(SCENARIOS)
            if each.spreads
        }
        return [
            {**future.result(), "without_spreads": former[index].result() if index in former else None}
            for index, future in enumerate(played)
        ]


def write(folder: Path, figures: list[dict[str, Any]], seeds: dict[str, Any] | None) -> None:
    """Write the page, all that it shows as JSON, and the small part of that which documentation may cite."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "version": __version__,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }
    told = f"{about['date']}, version {about['version']}, Python {about['python']}, {about['machine']}."
    (folder / "fleet.html").write_text(page(figures, told), encoding="utf-8")
    (folder / "fleet.json").write_text(json.dumps({**about, "fleet": figures}), encoding="utf-8")
    small = {**about, "seeds": seeds, "fleet": [_small(result) for result in figures]}
    (folder / "summary.json").write_text(json.dumps(small, indent=1) + "\n", encoding="utf-8")


def table(figures: list[dict[str, Any]]) -> str:
    """Return the figures as a table of text."""
    lines = [f"{'':66} {'mean/s':>9} {'peak/s':>9} {'ratio':>6} {'before':>7} {'chance':>7} {'goal':>5}"]
    for result in figures:
        former = result["without_spreads"]
        for index, measure in enumerate(result["measures"]):
            before = former["measures"][index]["ratio"] if former else ""
            name = f"{result['title']}: {measure['kind']} {measure['when']}"
            lines.append(
                f"{name:66} {measure['mean']:9.4g} {measure['peak']:9.4g} {measure['ratio']:6g} "
                f"{before:>7} {measure['by_chance']:7g} {measure['limit'] or '':>5}"
            )
    return "\n".join(lines)


def missed(figures: list[dict[str, Any]]) -> list[str]:
    """Return the goals that were not reached."""
    return [
        f"{result['title']}: peak over mean of {measure['kind']} is {measure['ratio']:g}, above {measure['limit']:g}"
        for result in figures
        for measure in result["measures"]
        if measure["limit"] is not None and measure["ratio"] > measure["limit"]
    ]


def _play(index: int, processes: int) -> dict[str, Any]:
    return play(SCENARIOS[index], processes)


def _play_without(index: int, processes: int) -> dict[str, Any]:
    return play_without_spreads(SCENARIOS[index], processes)


def _small(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what only a plot shows."""
    kept = {name: value for name, value in result.items() if name not in {"series", "held", "about"}}
    if kept.get("without_spreads"):
        kept["without_spreads"] = [measure["ratio"] for measure in kept["without_spreads"]["measures"]]
    return kept
