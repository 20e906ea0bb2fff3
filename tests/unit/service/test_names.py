"""Names: what has the form of one is accepted as it is, and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from spanner_grpc_sessions.errors import InvalidName, InvalidType
from spanner_grpc_sessions.service.names import check_database, check_session, database_of
from tests.unit.rest.strategies import VISIBLE, databases, ids

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"
DATABASE_FORM = "projects/{project}/instances/{instance}/databases/{database}"
SESSION_FORM = f"{DATABASE_FORM}/sessions/{{session}}"

invisible = st.characters().filter(lambda character: character not in VISIBLE + "/")


@given(databases, ids)
@example("projects/example.com:p/instances/i/databases/d", "AB-_%&+")
def test_well_formed_names_are_returned_as_they_are(database: str, session: str) -> None:
    """Ids of any visible ASCII make a name, and the database is found in the session's name."""
    name = f"{database}/sessions/{session}"
    assert check_database(database) == database
    assert check_session(name) == name
    assert database_of(name) == database


@given(st.integers(0, len(SESSION)), invisible)
@example(len(SESSION), "\n")
@example(len("projects/p"), "\r")
@example(len("projects/"), " ")
@example(len(SESSION), "\x7f")
@example(len(SESSION), "é")
def test_invisible_characters_are_refused_anywhere(position: int, character: str) -> None:
    """Control characters, spaces and all beyond ASCII make no name: it becomes a header."""
    name = SESSION[:position] + character + SESSION[position:]
    with pytest.raises(InvalidName):
        check_session(name)
    with pytest.raises(InvalidName):
        database_of(name)
    with pytest.raises(InvalidName):
        check_database(DATABASE[:position] + character + DATABASE[position:])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "d",
        "/",
        "projects",
        "projects/p",
        "projects/p/instances/i",
        "projects/p/instances/i/databases",
        "projects/p/instances/i/databases/",
        "projects//instances/i/databases/d",
        "projects/p/instances//databases/d",
        "instances/i/databases/d",
        "projects/p/databases/d",
        "Projects/p/instances/i/databases/d",
        "projects/p/instances/i/tables/d",
        f"/{DATABASE}",
        f"{DATABASE}/",
        f" {DATABASE}",
        f"{DATABASE}\n",
        f"{DATABASE}\r\nx-injected: 1",
        f"{DATABASE}\0",
        f"//spanner.googleapis.com/{DATABASE}",
        SESSION,
        f"{DATABASE}/sessions",
        f"{DATABASE}/sessions/",
        f"{DATABASE}/sessions/s/",
        f"{DATABASE}/sessions/s/operations/o",
        f"{DATABASE}/sessions/s\n",
        f"{DATABASE}/databaseRoles/r",
    ],
)
def test_other_forms_are_refused_by_value_and_rule(name: str) -> None:
    """What is no database name and no session name is refused, with the name and the form in the message."""
    with pytest.raises(InvalidName) as database_error:
        check_database(name)
    assert repr(name) in str(database_error.value)
    assert DATABASE_FORM in str(database_error.value)
    if name != SESSION:
        for check in (check_session, database_of):
            with pytest.raises(InvalidName) as session_error:
                check(name)
            assert repr(name) in str(session_error.value)
            assert SESSION_FORM in str(session_error.value)


@given(st.text())
def test_any_text_is_a_name_or_an_invalid_name(text: str) -> None:
    """No text makes the checks raise anything else, or return anything but the text."""
    for check in (check_database, check_session):
        with contextlib.suppress(InvalidName):
            assert check(text) == text


def test_a_database_is_no_session() -> None:
    """Neither name passes for the other."""
    with pytest.raises(InvalidName):
        check_session(DATABASE)
    with pytest.raises(InvalidName):
        check_database(SESSION)


@pytest.mark.parametrize("value", [None, 5, 1.5, True, DATABASE.encode(), [DATABASE], {"name": DATABASE}, object()])
def test_other_types_are_refused_by_type_and_rule(value: Any) -> None:
    """A value that is no text is refused as `InvalidType`, with its type and the form in the message."""
    for check, form in ((check_database, DATABASE_FORM), (check_session, SESSION_FORM), (database_of, SESSION_FORM)):
        with pytest.raises(InvalidType) as error:
            check(value)
        assert type(value).__name__ in str(error.value)
        assert form in str(error.value)
