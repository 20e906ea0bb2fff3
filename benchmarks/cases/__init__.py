"""The rows of the benchmarks, a module for each subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.case import Case
from benchmarks.cases import calls, conversions, crowds, google, networks, node, pools, rest, sessions, starts

__all__ = ["CASES"]

_SUBJECTS: Final = (calls, starts, networks, conversions, sessions, pools, crowds, google, rest, node)

CASES: Final[Sequence[Case]] = tuple(case for subject in _SUBJECTS for case in subject.CASES)
