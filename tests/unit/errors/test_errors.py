"""How the texts of exceptions show values: on one line, cut short, and without failing themselves."""

from __future__ import annotations

from typing import Any

import pytest

from spanner_grpc_sessions.errors.checks import short, shorten


class Broken:
    """Something that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1000,
        "a\nb",
        10**5000,
        [[[[1] * 9] * 9] * 9] * 9,
        {number: number for number in range(99)},
        type("list", (), {})(),
        type("dict", (), {})(),
        type("int", (), {})(),
        Broken(),
        [Broken()],
    ],
    ids=range(10),
)
def test_any_value_can_be_shown(value: Any) -> None:
    """However long, deep or strange it is."""
    assert 0 < len(short(value)) <= 80
    assert "\n" not in short(value)


def test_the_middle_is_left_out() -> None:
    """Both ends of a long text are shown."""
    assert shorten("abcdefgh", 8) == "abcdefgh"
    assert shorten("abcdefghi", 7) == "abc…ghi"
