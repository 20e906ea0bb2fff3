"""The commands for one session: get and ping."""

from __future__ import annotations

import click

from spanner_grpc_sessions.cli.options import SESSION, Where, connects, examples
from spanner_grpc_sessions.cli.output import Output


@click.command(epilog=examples("spanner-sessions get $DB/sessions/AB12"))
@click.argument("name", type=SESSION, metavar="NAME")
@connects()
def get(output: Output, where: Where, name: str) -> None:
    """Show a session.

    NAME is projects/P/instances/I/databases/D/sessions/S.
    """
    with where.client(output) as client, output.waiting("looking the session up"):
        body = client.get_session(name, timeout=where.timeout)
    output.bodies(body)


@click.command(epilog=examples("spanner-sessions ping $DB/sessions/AB12"))
@click.argument("name", type=SESSION, metavar="NAME")
@connects()
def ping(output: Output, where: Where, name: str) -> None:
    """Keep a session alive with SELECT 1.

    NAME is projects/P/instances/I/databases/D/sessions/S. Nothing is printed: there is no body.
    """
    with where.client(output) as client, output.waiting("pinging the session"):
        client.ping_session(name, timeout=where.timeout)
