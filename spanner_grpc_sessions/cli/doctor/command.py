"""The command itself: the rows, for people or as JSON."""

from __future__ import annotations

from typing import Final

import click
from rich.table import Table
from rich.text import Text

from spanner_grpc_sessions.cli.doctor.case import Case
from spanner_grpc_sessions.cli.doctor.finding import Row
from spanner_grpc_sessions.cli.doctor.steps import take
from spanner_grpc_sessions.cli.options import DATABASE, Where, connects, examples
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.options import DEFAULT

_STYLES: Final = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
# Characters of the columns; the text has the rest.
_TIME: Final = 10
_WIDTHS: Final = (7, 11, _TIME, None)
_TIMEOUT: Final = 10.0


@click.command(
    epilog=examples(
        "spanner-sessions doctor $DB",
        "spanner-sessions doctor $DB --json | jq 'select(.status == \"failed\")'",
        "SPANNER_EMULATOR_HOST=localhost:9010 spanner-sessions doctor $DB",
    )
)
@click.argument("database", type=DATABASE, metavar="DATABASE")
@click.option("--json", "json_", is_flag=True, help="Print each step as a line of JSON on standard output.")
@connects(timeout=_TIMEOUT)
def doctor(output: Output, where: Where, database: str, json_: bool) -> None:
    """Find out why sessions cannot be created, and how long each step takes.

    DATABASE is projects/P/instances/I/databases/D. Checks the environment, DNS, TCP, TLS, HTTP/2, credentials, token,
    the first RPC, twenty more, multiplexed sessions and each permission. Creates a session and deletes it. Exits with
    1 if a step failed.
    """
    failed: list[str] = []
    warned: list[str] = []
    left_out: list[str] = []
    with where.means(output) as (credentials, options):
        timeout = _TIMEOUT if where.timeout is DEFAULT or where.timeout is None else where.timeout
        for row in take(Case(database, options, output, credentials, timeout)):
            if row.finding.status == "failed":
                failed.append(row.step)
            elif row.finding.status == "warning":
                warned.append(row.step)
            if json_:
                output.bodies(row.body())
            elif row.because:
                left_out.append(label(row.step))
            else:
                show(output, row)
    if not json_:
        _conclude(output, failed, warned, left_out)
    if failed:
        click.get_current_context().exit(1)


def label(step: str) -> str:
    """Return the name of a step as people see it."""
    return step.partition(":")[0]


def _conclude(output: Output, failed: list[str], warned: list[str], left_out: list[str]) -> None:
    if left_out:
        output.tell(f"not tried: {', '.join(dict.fromkeys(left_out))}")
    if failed:
        output.tell(f"failed: {', '.join(failed)}", "bold red")
    elif warned:
        output.tell(f"no step failed; warnings: {', '.join(warned)}", "yellow")
    else:
        output.tell("every step succeeded", "bold green")


def show(output: Output, row: Row) -> None:
    """Print a row for people; on a terminal its text keeps to its column."""
    finding = row.finding
    took = "" if finding.status == "skipped" else f"{row.seconds * 1e3:,.1f} ms"
    if not output.people.is_terminal:
        output.tell(f"{finding.status:8} {label(row.step):12} {took:>11}  {finding.text}")
        return
    grid = Table.grid(padding=(0, 1))
    for width in _WIDTHS:
        grid.add_column(width=width, justify="right" if width == _TIME else "left", overflow="fold")
    grid.add_row(Text(finding.status, _STYLES[finding.status]), label(row.step), took, Text(finding.text))
    output.people.print(grid)
