"""The command delete."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

import click

from spanner_grpc_sessions.cli.crew import side_by_side
from spanner_grpc_sessions.cli.listing import TIMEOUT, show
from spanner_grpc_sessions.cli.options import DATABASE, DURATION, Where, connects, examples
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.cli.selection import Selection
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.errors.rpc import SessionNotFound
from spanner_grpc_sessions.options import DEFAULT
from spanner_grpc_sessions.service.names import check_session
from spanner_grpc_sessions.service.types import Session

_WORKERS: Final = 16


@click.command(
    epilog=examples(
        "spanner-sessions delete $DB/sessions/AB12",
        "spanner-sessions delete --all $DB --filter labels.team:checkout --dry-run",
        "spanner-sessions delete --all $DB --older-than 1d --yes",
        "spanner-sessions list $DB | grep checkout | spanner-sessions delete -",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]... | -")
@click.option("--all", "database", type=DATABASE, metavar="DATABASE", help="Delete all sessions of a database.")
@click.option(
    "--filter",
    "filter_",
    default="",
    metavar="FILTER",
    help="With --all: only with a label, labels.KEY:* or labels.KEY:TEXT.",
)
@click.option(
    "--older-than", type=DURATION, metavar="AGE", help="With --all: only of at least this age: 90s, 30m, 2h, 1d."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Print the sessions, and delete none.")
@click.option("--missing-ok", is_flag=True, help="Ignore sessions that do not exist, as --all does.")
@connects()
def delete(
    output: Output,
    where: Where,
    names: tuple[str, ...],
    database: str | None,
    filter_: str,
    older_than: float | None,
    yes: bool,
    dry_run: bool,
    missing_ok: bool,
) -> None:
    """Delete sessions, up to the first error.

    NAME is projects/P/instances/I/databases/D/sessions/S. "-" reads names, or sessions as `list` prints them, from
    standard input, one per line. Filters are checked here too: emulators ignore them.
    """
    selection = Selection(filter_, older_than)
    if (database is None) == (not names):
        raise click.UsageError("Give either NAMEs, or - for those of standard input, or --all DATABASE.")
    if database is None and selection != Selection():
        raise click.UsageError("--filter and --older-than need --all.")
    sessions = _named(names) if database is None else []
    with where.client(output) as client:
        if database is not None:
            sessions = _found(output, where, client, database, selection)
        if dry_run:
            _print(output, sessions)
        elif database is None or _is_wanted(output, database, len(sessions), yes):
            _delete(output, where, client, sessions, missing_ok=missing_ok or database is not None)


def _named(names: tuple[str, ...]) -> list[Session]:
    """Return sessions of which only the names are known, all checked before one is deleted."""
    given = _read() if names == ("-",) else names
    sessions: list[Any] = [{"name": check_session(name)} for name in given]
    return sessions


def _read() -> Iterator[str]:
    for line in map(str.strip, sys.stdin):
        if line.startswith("{"):
            try:
                body = json.loads(line)
            except ValueError as error:
                raise InvalidValue(f"standard input has a line that is no JSON: {error}") from error
            yield str(body.get("name", ""))
        elif line:
            yield line


def _found(output: Output, where: Where, client: SessionsClient, database: str, selection: Selection) -> list[Session]:
    timeout = TIMEOUT if where.timeout is DEFAULT else where.timeout
    try:
        with output.waiting("listing"):
            return list(selection.sessions(client, database, timeout))
    except KeyboardInterrupt:
        output.tell("interrupted: nothing was deleted")
        raise


def _print(output: Output, sessions: list[Session]) -> None:
    if output.for_people and all("createTime" in session for session in sessions):
        show(output, sessions)
    else:
        output.bodies(*sessions)


def _is_wanted(output: Output, database: str, count: int, yes: bool) -> bool:
    """Say how many sessions would be deleted, and return whether to."""
    output.tell(f"{count:,} session{'s' * (count != 1)} of {database}")
    if yes or not count:
        return bool(count)
    if not sys.stdin.isatty():
        raise InvalidValue("--all needs --yes where there is no terminal to ask at; --dry-run shows the sessions")
    if click.confirm("Delete?", err=True):
        return True
    output.tell("nothing was deleted")
    return False


def _delete(output: Output, where: Where, client: SessionsClient, sessions: list[Session], *, missing_ok: bool) -> None:
    def delete_one(session: Session) -> dict[str, Any]:
        try:
            return client.delete_session(session["name"], timeout=where.timeout)
        except SessionNotFound:
            if not missing_ok:
                raise
            return {}

    with output.work("deleting", "deleted", len(sessions)) as work:
        workers = min(_WORKERS, max(len(sessions), 1))
        for body in side_by_side(delete_one, sessions, workers=workers, stop=client.close):
            if not (output.for_people and len(sessions) > 1):
                output.bodies(body)
            work.advance()
