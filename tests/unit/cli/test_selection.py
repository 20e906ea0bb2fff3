"""Which sessions a command is about, and how it tells times."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from spanner_grpc_sessions import InvalidValue

pytest.importorskip("rich", reason="the extra cli is not installed")
from spanner_grpc_sessions.cli.output import ago
from spanner_grpc_sessions.cli.selection import Selection, seconds

_NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("selection", "fits"),
    [
        (Selection(), True),
        (Selection("labels.team:*"), True),
        (Selection("labels.team:check"), True),
        (Selection("labels.team:search"), False),
        (Selection(older_than=3599), True),
        (Selection(older_than=3600), False),
        (Selection("labels.team:search", 1), False),
        (Selection("labels.team:check", 7200), False),
    ],
)
def test_sessions_are_chosen_by_labels_and_age(selection: Selection, fits: bool) -> None:
    """Both must fit."""
    session: Any = {"name": "n", "createTime": "2026-11-30T11:00:00Z", "labels": {"team": "checkout"}}
    assert selection.fits(session, _NOW) is fits


def test_filter_that_the_reference_does_not_know_is_refused() -> None:
    """Before anything is sent: an emulator would take it, and list everything."""
    with pytest.raises(InvalidValue, match=r"invalid filter 'name:x': expected labels"):
        Selection("name:x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-02T00:00:00.123456789Z", 86400.123456789),
    ],
)
def test_times_are_read_with_any_fraction(text: str, expected: float) -> None:
    """As servers write them."""
    assert seconds(text) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("span", "text"),
    [(-1, "0s"), (59.9, "59s"), (61, "1m 1s"), (7380, "2h 3m"), (90000, "1d 1h"), (28 * 86400, "28d 0h")],
)
def test_spans_are_short(span: float, text: str) -> None:
    """Two units at most."""
    assert ago(span) == text
