"""The filter of ListSessions: which labels a session must have. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spanner_grpc_sessions.local.status import Refusal

__all__ = ["Filter", "parse_filter"]

_TERM = re.compile(r"labels\.([a-z]([-a-z0-9]*[a-z0-9])?):(\*|[-a-z0-9]+)")
_HAS = "*"


@dataclass(frozen=True, slots=True)
class Filter:
    """A conjunction of label terms.

    Attributes:
        terms: pairs of a label key and a piece of text that its value must contain; "*" asks for the key alone.
    """

    terms: tuple[tuple[str, str], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a session with these labels is to be listed."""
        return all(key in labels and (part == _HAS or part in labels[key]) for key, part in self.terms)


def parse_filter(text: str) -> Filter:
    """Read a filter: `labels.env:*` (has the label), `labels.env:dev` (its value contains dev), several of them.

    Terms are joined by blanks or `AND`; letters of either case are the same, as the reference of ListSessions says.
    The reference knows labels only, so every other expression is turned down.

    Raises:
        Refusal: INVALID_ARGUMENT, the text has another syntax.
    """
    if not text.strip():
        return Filter()
    return Filter(tuple(_parse_term(term, text) for term in re.split(r"\s+(?:and\s+)?", text.strip().lower())))


def _parse_term(term: str, text: str) -> tuple[str, str]:
    match = _TERM.fullmatch(term)
    if not match:
        raise Refusal(
            "INVALID_ARGUMENT", f"Invalid filter {text!r}: expected labels.<key>:* or labels.<key>:<part of the value>"
        )
    return match[1], match[3]
