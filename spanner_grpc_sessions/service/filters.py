"""Filters of ListSessions. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.service.requests import LABEL_KEY

_TERM: Final = re.compile(rf"labels\.({LABEL_KEY}):(?P<part>\*|[-a-z0-9]+)")


@lru_cache(maxsize=64)
def label_filter(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a function that tells if labels match a filter of ListSessions.

    A filter is made of terms, joined by blanks or `AND`: `labels.env:*` (has the label) or `labels.env:dev` (its value
    contains dev). Case does not matter. The reference documents labels only, so every other expression is rejected.

    Raises:
        InvalidValue: it is another expression.
    """
    terms = []
    for term in re.split(r"\s+(?:and\s+)?", text.strip().lower()) if text.strip() else ():
        match = _TERM.fullmatch(term)
        if not match:
            expected = "expected labels.<key>:* or labels.<key>:<part of the value>"
            raise InvalidValue(f"invalid filter {text!r}: {expected}")
        terms.append((match[1], match["part"]))
    return lambda labels: all(key in labels and (part == "*" or part in labels[key]) for key, part in terms)
