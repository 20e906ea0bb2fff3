"""The command list."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spanner_grpc_sessions.cli.options import DATABASE, DURATION, Where, connects, examples
from spanner_grpc_sessions.cli.output import Output, ago
from spanner_grpc_sessions.cli.selection import Selection, seconds
from spanner_grpc_sessions.service.types import Session

# Seconds for a page: Google's timeout of an hour would leave a user without a word.
TIMEOUT: Final = 60.0


@click.command(
    "list",
    epilog=examples(
        "spanner-sessions list $DB --limit 20",
        "spanner-sessions list $DB --filter labels.team:checkout --older-than 2h",
        "spanner-sessions list $DB | jq -r .name",
    ),
)
@click.argument("database", type=DATABASE, metavar="DATABASE")
@click.option(
    "--filter", "filter_", default="", metavar="FILTER", help="Only with a label: labels.KEY:* or labels.KEY:TEXT."
)
@click.option("--older-than", type=DURATION, metavar="AGE", help="Only of at least this age: 90s, 30m, 2h, 1d.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after this many sessions.")
@click.option("--json", "json_", is_flag=True, help="Print JSON on a terminal too.")
@connects(timeout=TIMEOUT)
def list_(
    output: Output,
    where: Where,
    database: str,
    filter_: str,
    older_than: float | None,
    limit: int | None,
    json_: bool,
) -> None:
    """List the sessions of a database.

    DATABASE is projects/P/instances/I/databases/D. Prints a table on a terminal, and JSON into a pipe or a file.
    Spanner does not list multiplexed sessions.
    """
    selection = Selection(filter_, older_than)
    with where.client(output) as client:
        sessions = selection.sessions(client, database, where.timeout, limit=limit)
        if json_ or not output.for_people:
            with output.waiting("listing"):
                for session in sessions:
                    output.bodies(session)
            return
        found: list[Session] = []
        try:
            with output.waiting("listing"):
                found.extend(sessions)
        except BaseException:
            if found:
                show(output, found)
            raise
    show(output, found)


def show(output: Output, sessions: list[Session]) -> None:
    """Print sessions as a table."""
    if sessions:
        console = Console(highlight=False)
        console.print(table(sessions, time.time()))
    output.tell(f"{len(sessions):,} session{'s' * (len(sessions) != 1)}")


def table(sessions: Iterable[Session], now: float) -> Table:
    """Return a table of sessions, by their ids: the database is the same in all."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    result.add_column("session", overflow="fold", ratio=None)
    result.add_column("age", justify="right", no_wrap=True)
    result.add_column("idle", justify="right", no_wrap=True)
    result.add_column("labels", overflow="fold")
    for session in sessions:
        labels = " ".join(f"{key}={value}" for key, value in sorted(session.get("labels", {}).items()))
        role = session.get("creatorRole", "")
        result.add_row(
            Text(session["name"].rpartition("/")[2]),
            ago(now - seconds(session["createTime"])),
            ago(now - seconds(session["approximateLastUseTime"])),
            Text(f"{labels} role: {role}".strip() if role else labels),
        )
    return result
