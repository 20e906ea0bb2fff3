"""A fleet of a few processes: it is counted rightly, its page is whole, and the spreads do what they are for."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.simulation.fleet import report
from tests.simulation.fleet.model import Fleet
from tests.simulation.fleet.page import page
from tests.simulation.fleet.scenarios import SCENARIOS, Measure, play, play_without_spreads

_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def test_a_measure_tells_peak_and_mean_of_its_windows() -> None:
    """Of a second each, or of more; beside what the peak would be by chance."""
    fleet = Fleet(40.0, seed=1)
    for second in (*range(40), 7, 7, 8):
        fleet.now = second + 0.5
        fleet.count("pings")
    of_one, of_ten = (Measure("pings", 0.0, 40.0, 3.0, window).of(fleet) for window in (1, 10))
    assert (of_one["total"], of_one["mean"], of_one["peak"], of_one["ratio"]) == (43, 1.075, 3.0, 2.8)
    assert (of_ten["peak"], of_ten["ratio"], of_ten["limit"]) == (1.3, 1.2, 3.0)


@pytest.mark.parametrize(
    ("name", "kind"), [("deployment", "pings"), ("deployment", "tokens"), ("month", "multiplexed")]
)
def test_a_fleet_that_starts_together_does_not_go_on_together(name: str, kind: str) -> None:
    """In wide windows, where chance counts for little, the peak is far below what it is without spreads."""
    scenario = _BY_NAME[name]
    wide = replace(scenario, measures=(Measure(kind, 60.0, scenario.seconds, window=120),))
    spread, together = (played["measures"][0]["peak"] for played in (play(wide, 200), play_without_spreads(wide, 200)))
    assert spread <= 0.7 * together


def test_all_processes_work_again_after_an_outage() -> None:
    """The table has a line for each measure, and the page a plot; nothing of it comes from elsewhere."""
    result = {**play(_BY_NAME["outage"], 100), "without_spreads": None}
    assert result["until_all_work"] is not None
    assert result["until_all_work"] <= 10.0
    assert [line.split(":")[0] for line in report.table([result]).splitlines()[1:]] == ["A minute's outage"] * 3
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    text = page([result], "here and now")
    parser.feed(text)
    assert tags.count("svg") == tags.count("h3") == 3
    assert "http" not in text
    assert not {"script", "img", "link", "iframe"} & set(tags)
