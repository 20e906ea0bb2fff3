"""Faults of the token endpoint. Tokens live for seconds, so that the clients need it all the time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.fault import Fault

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["TOKENS"]

# Seconds: the longest pause between two requests for a token that calls wait for.
_PAUSE: Final = 2.5
# Seconds: a token that the server rejects is replaced at once, but no more than once in this time.
_REJECTIONS: Final = 10.5

_SHORT_LIVED: Final = {"lifetime": 3.0}

_fault = functools.partial(Fault, noun="tokens", far=_SHORT_LIVED, seconds=6.0)


def _set(name: str, value: Any) -> Any:
    return lambda rig: rig.far("set_tokens", name, value)


def _fail(rig: Rig) -> None:
    rig.far("set_tokens", "failures", [rig.draw.choice((0, 400, 401, 403, 429, 500, 503)) for _ in range(3)])


TOKENS: Final = (
    _fault(
        name="tokens hang",
        breaks="the token endpoint takes requests and does not answer",
        strike=lambda rig: rig.far("tokens.open.clear"),
        undo=lambda rig: rig.far("tokens.open.set"),
    ),
    _fault(
        name="tokens drip",
        breaks="the token endpoint answers a blank at a time, for ever",
        strike=_set("drips", True),
        undo=_set("drips", False),
        bound=_PAUSE,
    ),
    _fault(
        name="tokens refused",
        short=True,
        breaks="the token endpoint answers 400 to 503, or hangs up",
        strike=_fail,
        undo=_set("failures", []),
        every=0.3,
        bound=_PAUSE,
    ),
    _fault(
        name="false tokens",
        breaks="the token endpoint gives tokens that the server rejects",
        strike=lambda rig: rig.far("issue_false", True),
        undo=lambda rig: rig.far("issue_false", False),
        bound=_REJECTIONS,
    ),
    _fault(
        name="short tokens",
        breaks="tokens have expired when they arrive",
        strike=_set("lifetime", 0),
        undo=_set("lifetime", 3),
        bound=_REJECTIONS,
    ),
)
