"""`make coverage` fails below its share of branches alone."""

from __future__ import annotations

import pytest

from scripts.branches import report


@pytest.mark.parametrize(("reached", "status", "share"), [(950, 0, "95.0%"), (949, 1, "94.9%"), (1000, 0, "100.0%")])
def test_too_few_branches_fail(reached: int, status: int, share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """However many lines are reached; at the floor the check passes."""
    totals = {"covered_branches": reached, "num_branches": 1000, "covered_lines": 9000, "num_statements": 9000}
    assert report(totals, 95) == status
    assert f"of 1,000 branches are reached: {share}" in capsys.readouterr().out


def test_a_share_just_below_the_floor_is_not_rounded_up_to_it() -> None:
    """As it would be in whole numbers, or in tenths."""
    assert report({"covered_branches": 94_999, "num_branches": 100_000}, 95) == 1
