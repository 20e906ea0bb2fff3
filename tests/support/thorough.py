"""How much a run tries: `make check` sets THOROUGH, and the tests of chance then draw ten times as often."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

__all__ = ["THOROUGH", "often", "tries"]

THOROUGH: Final = bool(os.environ.get("THOROUGH"))


def often(thoroughly: int) -> int:
    """Return how often to do something by chance: this often if thorough, otherwise a tenth of it."""
    return thoroughly if THOROUGH else thoroughly // 10


def tries(thoroughly: int) -> settings:
    """Return how many examples of a property are drawn, of the same kind."""
    return settings(max_examples=often(thoroughly), suppress_health_check=list(HealthCheck))
