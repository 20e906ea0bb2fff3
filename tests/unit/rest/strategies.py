"""Strategies of hypothesis: names of databases, and values of any kind."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

__all__ = ["VISIBLE", "anything", "databases", "ids"]

VISIBLE = "".join(sorted({*string.ascii_letters, *string.digits, *string.punctuation} - {"/"}))
"""The characters of an id."""

ids = st.text(VISIBLE, min_size=1)
databases = st.builds("projects/{}/instances/{}/databases/{}".format, ids, ids, ids)


class _NoTruth:
    """An object without a truth value, like an array of numpy."""

    def __bool__(self) -> bool:
        raise ValueError("the truth of this is ambiguous")


def anything() -> st.SearchStrategy[Any]:
    """Return a strategy for arguments of any kind, right or wrong.

    Numbers, strings (with surrogates), collections of them, and other objects.
    """
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(0, 70),
        st.floats(),
        st.complex_numbers(),
        st.text(),
        st.text(st.characters(categories=["Cs", "Cc", "Ll"]), max_size=3),
        st.binary(),
        st.decimals(),
        st.builds(object),
        st.builds(_NoTruth),
        st.sampled_from([int, "UNAVAILABLE", "a", "-", 10**400, 2**31, -(2**31) - 1]),
    )
    keys = st.one_of(st.text(max_size=3), st.integers(), st.none())
    collections = st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=5,
    )
    return st.one_of(scalars, collections, st.frozensets(keys, max_size=3))
