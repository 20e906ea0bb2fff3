"""A fuzz target: names of databases and sessions, right, nearly right and wrong, by a second reading of the rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, strategies as st

from spanner_grpc_sessions.errors import InvalidName, InvalidType
from spanner_grpc_sessions.service.names import check_database, check_session, database_of, is_session_of
from tests.fuzz.target import assert_short

__all__ = ["fuzz", "names"]

_WORDS: Final = ("projects", "instances", "databases", "sessions")
_LONGEST: Final = 2048

_ids = st.one_of(
    st.sampled_from(
        ["p", "my-app", "a" * 700, "example.com:p", "", " ", "%2F", "a\n", "\x7f", "é", "\ud800", "~", "!"]
    ),
    st.text(max_size=8),
)


@st.composite
def names(draw: Callable[[st.SearchStrategy[Any]], Any], pairs: int) -> str:
    """Return a strategy for names of so many pairs of word and id, most of them nearly right."""
    parts: list[str] = []
    for word in _WORDS[:pairs]:
        parts += [draw(st.sampled_from([word] * 15 + ["", "project", word.upper()])), draw(_ids)]
    extra = draw(st.sampled_from([[]] * 15 + [[""], ["x"], ["sessions", "s"]]))
    return str(draw(st.sampled_from([""] * 15 + ["/", "/v1/", " "])) + "/".join(parts + extra))


def _is_right(name: str, pairs: int) -> bool:
    parts = name.split("/")
    return (
        len(name) <= _LONGEST
        and len(parts) == 2 * pairs
        and tuple(parts[::2]) == _WORDS[:pairs]
        and all(part and all("!" <= character <= "~" for character in part) for part in parts[1::2])
    )


@given(
    name=st.one_of(names(3), names(4), st.text(), st.sampled_from([None, 7, b"projects/p", ["projects"]])),
    database=names(3),
)
def fuzz(name: Any, database: str) -> None:
    """A name is taken if the rule says so, as it is, and refused with an error of ours otherwise."""
    for check, pairs in ((check_database, 3), (check_session, 4)):
        try:
            taken = check(name)
        except (InvalidName, InvalidType) as error:  # noqa: PERF203 - twice
            assert not (isinstance(name, str) and _is_right(name, pairs)), name
            assert_short(error)
        else:
            assert taken == name
            assert _is_right(name, pairs), name
    if isinstance(name, str) and _is_right(name, 4):
        assert is_session_of(database_of(name), name)
    if isinstance(name, str) and _is_right(database, 3):
        expected = _is_right(name, 4) and name.startswith(f"{database}/sessions/")
        assert is_session_of(database, name) == expected, (database, name)
