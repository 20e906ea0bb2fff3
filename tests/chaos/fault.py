"""A fault: a row that says what breaks, for how long, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["PROMPT", "Fault"]

PROMPT: Final = 1.0
"""Seconds after which all works again, for all that has no longer bound that is documented."""

Step = Callable[["Rig"], object]


def _nothing(_: Rig) -> None:
    """Undo what has ended by itself."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row.

    Attributes:
        noun: what is broken, as its module is named.
        name: what it is called on the command line.
        breaks: what breaks, for the table.
        strike: breaks it once.
        undo: has all work again.
        every: seconds from one strike to the next; None for one strike.
        seconds: how long it lasts.
        bound: seconds after which all works again.
        far: settings of the far side.
        client: settings of the clients.
        multiplexed: whether the server has multiplexed sessions.
        lies: whether the server lies, so that an answer may be wrong that it gave.
        forms: of the library that are under load.
        harmless: whether no call may fail by it.
        short: whether it is part of the short form.
        keeps: descriptors that remain for a reason that its row tells.
    """

    noun: str
    name: str
    breaks: str
    strike: Step
    undo: Step = _nothing
    every: float | None = None
    seconds: float = 4.0
    bound: float = PROMPT
    far: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    multiplexed: bool = True
    lies: bool = False
    harmless: bool = False
    keeps: int = 0
    short: bool = False
    forms: tuple[str, ...] = ("sync", "async")
