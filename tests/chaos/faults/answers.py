"""Faults of answers: half of what the server says is not what was asked for."""

from __future__ import annotations

import functools
from typing import Final

from tests.chaos.fault import Fault

__all__ = ["ANSWERS"]


def _lying(kind: str, breaks: str) -> Fault:
    return Fault(
        noun="answers",
        name=f"{kind} answers",
        breaks=f"half of the answers {breaks}",
        strike=functools.partial(_lie, kind=kind),
        undo=functools.partial(_lie, kind=None),
        seconds=4.0,
        lies=True,
    )


def _lie(rig: object, kind: str | None) -> None:
    rig.far("lie", kind)  # type: ignore[attr-defined]  # a Rig


ANSWERS: Final = (
    _lying("empty", "are empty messages"),
    _lying("short", "lack a part: fewer sessions, no labels, no rows"),
    _lying("foreign", "are about another database"),
    _lying("no message", "are a status without a message"),
    _lying("garbage", "cannot be read"),
)
