"""The filter of ListSessions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.store import parse_filter

LABELS = {"env": "development", "team": "check-out", "empty": ""}
KEYS = st.from_regex(r"[a-z]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("labels.env:*", True),
        ("labels.empty:*", True),
        ("labels.nope:*", False),
        ("labels.env:dev", True),
        ("labels.env:elop", True),
        ("labels.env:prod", False),
        ("labels.empty:dev", False),
        ("LABELS.Env:DEV", True),
        (" labels.env:dev  labels.team:out ", True),
        ("labels.env:dev AND labels.team:out", True),
        ("labels.env:dev and labels.team:in", False),
    ],
)
def test_a_filter_asks_for_labels(text: str, matches: bool) -> None:
    """Terms ask for a label or a part of its value, letters of either case are the same, and all terms must fit."""
    assert parse_filter(text)(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "env:dev",
        "labels.env",
        "labels.env:",
        "labels.env=dev",
        "labels.env:dev OR labels.team:out",
        "NOT labels.env:dev",
        "labels.env:dev AND",
        "AND labels.env:dev",
        "labels.env:dev AND AND labels.team:out",
        "labels.env:dev*",
        "labels.1env:dev",
        "(labels.env:dev)",
        "labels.env: dev",
        'labels.env:"dev"',
        "name:x",
    ],
)
def test_other_filters_are_refused(text: str) -> None:
    """What the reference does not describe is INVALID_ARGUMENT, and the message shows it."""
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid filter") as raised:
        parse_filter(text)
    assert repr(text) in raised.value.message


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text breaks the parser."""
    with suppress(RpcStatus):
        parse_filter(text)


@given(st.dictionaries(KEYS, st.from_regex(r"[-a-z0-9]{1,5}", fullmatch=True), min_size=1, max_size=4))
def test_a_filter_of_its_own_labels_finds_a_session(labels: dict[str, str]) -> None:
    """Any labels are found by the filter that names them all, and not when one is missing."""
    matches = parse_filter(" AND ".join(f"labels.{key}:{value}" for key, value in labels.items()))
    assert matches(labels)
    assert not matches(dict(list(labels.items())[1:]))
