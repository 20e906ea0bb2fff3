"""The benchmarks: their statistics, what the runner makes of blocks, and the report."""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Sequence
from functools import partial
from html.parser import HTMLParser

import pytest

from benchmarks.case import Block, Case, Target, Unavailable, Way
from benchmarks.cases import CASES
from benchmarks.environment import Environment
from benchmarks.figures import GRID, median_interval, quantile
from benchmarks.groups import GROUPS, PLOTS
from benchmarks.report.markdown import markdown
from benchmarks.report.page import page
from benchmarks.report.scales import LogScale
from benchmarks.results import CaseResult, RunResult, new_run
from benchmarks.runner import run_case
from benchmarks.table import print_targets, time_text

# Elements of HTML and SVG that have no end.
_VOID = {"meta", "br", "circle", "line", "polyline", "i"}


@pytest.mark.parametrize("size", [5, 24, 25])
def test_an_interval_is_what_resampling_tends_to(size: int) -> None:
    """Of many resamples, one in forty has its median below the interval, and one in forty above."""
    draw = random.Random(size)  # noqa: S311 - the same values in each run
    values = [draw.lognormvariate(0, 1) for _ in range(size)]
    found = median_interval(values)
    medians = [statistics.median(draw.choices(values, k=size)) for _ in range(8000)]
    assert found.median == statistics.median(values)
    assert sum(median < found.low for median in medians) / len(medians) <= 0.03
    assert sum(median > found.high for median in medians) / len(medians) <= 0.03
    if size % 2:  # otherwise it is wider: it holds the lower and the upper median
        inner = sorted(values)[sorted(values).index(found.low) + 1]
        assert sum(median < inner for median in medians) / len(medians) > 0.02


@pytest.mark.parametrize("values", [[2.0], [2.0] * 500, [2.0, 2.0]])
def test_an_interval_of_equal_values_is_that_value(values: list[float]) -> None:
    """However few or many there are."""
    assert median_interval(values) == (2.0, 2.0, 2.0)


def test_quantiles_lie_between_values() -> None:
    """By proportion, and at both ends."""
    assert [quantile([1.0, 2.0, 4.0], share) for share in (0, 0.5, 0.75, 1)] == [1.0, 2.0, 3.0, 4.0]


def _drifting(_: Environment, orders: list[str]) -> Sequence[Way]:
    """Return ways on a machine that gets slower with each round, one of them a tenth slower than the other."""
    pace = {"bare": itertools.count(1), "this library": itertools.count(1)}

    def run(name: str, factor: float) -> Block:
        orders.append(name)
        seconds = next(pace[name]) * factor
        return Block([seconds, seconds], 2, seconds / 2, {"memory MiB": 40 * factor})

    return [Way("bare", partial(run, "bare", 1.0)), Way("this library", partial(run, "this library", 1.1))]


def _case(**changes: object) -> Case:
    orders: list[str] = []
    fields: dict[str, object] = {
        "name": "drift", "group": "call", "title": "Ways <of> doing nothing", "shows": "Nothing.",
        "setup": partial(_drifting, orders=orders), "baseline": "bare", "seconds": 0.0, "rounds": 40, **changes,
    }  # fmt: skip
    return Case(**fields)  # type: ignore[arg-type] # as above


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    """The ratio is taken within each round; the first round does not count."""
    found = run_case(_case(), 1.0)
    bare, ours = found["ways"]
    assert ours["ratio"] == ours["cpu_ratio"] == {"median": 1.1, "low": 1.1, "high": 1.1}
    assert (found["rounds"], bare["samples"], bare["median"]) == (40, 80, statistics.median(range(2, 42)))
    assert (ours["figures"], found["server"]) == ({"memory MiB": 44.0}, None)


def test_the_order_is_drawn_for_each_round() -> None:
    """Neither way always comes first."""
    orders: list[str] = []
    run_case(_case(setup=partial(_drifting, orders=orders)), 1.0)
    assert {tuple(orders[at : at + 2]) for at in range(0, len(orders), 2)} == {
        ("bare", "this library"),
        ("this library", "bare"),
    }


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("", "this library", "bare", most=1.1), True),
        (Target("", "this library", "bare", most=1.09), False),
        (Target("", "this library", "bare", "cpu", least=1.2), False),
        (Target("", "bare", "this library", least=0.9), True),
        (Target("", "this library", None, "memory MiB", most=44), True),
        (Target("", "this library", "another", most=1), None),
        (Target("", "this library", "bare", "p0", most=1), None),
    ],
)
def test_a_target_is_met_by_the_median(target: Target, met: bool | None) -> None:
    """What was not measured is neither met nor missed."""
    (found,) = run_case(_case(targets=(target,)), 1.0)["targets"]
    assert found["met"] is met
    assert print_targets([run_case(_case(targets=(target,)), 1.0)]) is (met is not False)


def _run(*cases: CaseResult) -> RunResult:
    run = new_run()
    run["cases"] += cases
    return run


def _absent(_: Environment) -> Sequence[Way]:
    raise Unavailable("there is no emulator")


def _results() -> RunResult:
    target = Target("no more than a tenth", "this library", "bare", most=1.05)
    return _run(
        run_case(_case(distribution=True, targets=(target,)), 1.0),
        *(run_case(_case(name=f"at-{at}", group="concurrency", plot="threads", at=at), 1.0) for at in (1, 8, 64)),
        run_case(_case(name="absent", group="rest", setup=_absent), 1.0),
    )


class _Reader(HTMLParser):
    """Checks that elements end in the order in which they began, and notes what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [f"{key}={value}" for key, value in attrs if key in {"src", "href", "data", "xlink:href"}]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_whole_and_loads_nothing() -> None:
    """All is inside it: styles, charts, each way, each target, and why a case was left out."""
    reader, text = _Reader(), page(_results())
    reader.feed(text)
    assert reader.open == reader.references == []
    assert not any(word in text for word in ("<script", "@import", "url(", "http://", "https://"))
    assert {"this library", "bare", "no more than a tenth", "MISSED", "Ways <of> doing nothing"} <= set(reader.texts)
    assert "there is no emulator" in "".join(reader.texts)
    assert text.count("<polyline") == 4  # two distributions, two lines over three numbers of threads


def test_tables_have_as_many_cells_in_each_row() -> None:
    """Each table of the document, whatever columns it has left out."""
    rows = [line for line in markdown(_results()).split("\n") if line.startswith("|")]
    tables = [list(table) for head, table in itertools.groupby(markdown(_results()).split("\n"), lambda line: line[:1])]
    assert rows
    for table in tables:
        if table[0].startswith("|"):
            assert set(table[1]) == set("| -")
            assert len({line.count("|") for line in table}) == 1


def test_scales_place_their_ticks_inside() -> None:
    """A few round numbers, and values beyond the ends at the ends."""
    scale = LogScale.over([3e-6, 2e-3])
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(0 <= scale.place(tick) <= 100 for tick in ticks)
    assert (scale.place(1e-9), scale.place(1e3)) == (0, 100)


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (204e-6, "204 µs"), (0.4e-9, "0.40 ns"), (None, "-")]
)
def test_times_have_three_digits(seconds: float | None, text: str) -> None:
    """And the unit that fits."""
    assert time_text(seconds) == text


def test_every_case_can_be_named_and_shown() -> None:
    """Names are unique, and no name of a case begins with that of another group."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case.group in GROUPS
        assert case.plot is None or case.plot in PLOTS
        assert not [group for group in GROUPS if case.name.startswith(group) and group not in case.group], case.name
        assert all((target.most is None) != (target.least is None) for target in case.targets)


def test_a_run_has_room_for_its_rounds() -> None:
    """All cases together leave a third of ten minutes for their preparation."""
    assert sum(case.seconds for case in CASES) < 400
    assert list(GRID) == sorted(GRID)
