"""The command create."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from spanner_grpc_sessions.cli.crew import side_by_side
from spanner_grpc_sessions.cli.options import DATABASE, LABEL, Where, connects, examples
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.service.limits import MAX_BATCH
from spanner_grpc_sessions.service.types import Session

# Batches at a time: Spanner advises against many at once in one database.
_WORKERS: Final = 4


@click.command(
    epilog=examples(
        "spanner-sessions create $DB --label team=checkout",
        "spanner-sessions create $DB --count 10000 > sessions.jsonl",
        "spanner-sessions create $DB --local",
    )
)
@click.argument("database", type=DATABASE, metavar="DATABASE")
@click.option("--count", type=click.IntRange(min=1), default=1, metavar="N", help="Number of sessions (default: 1).")
@click.option(
    "--label",
    type=LABEL,
    multiple=True,
    metavar="KEY=VALUE",
    help="A label of the sessions; can be given several times.",
)
@click.option("--creator-role", metavar="ROLE", help="Database role of the sessions.")
@click.option("--multiplexed", is_flag=True, help="Create a multiplexed session.")
@connects()
def create(
    output: Output,
    where: Where,
    database: str,
    count: int,
    label: tuple[tuple[str, str], ...],
    creator_role: str | None,
    multiplexed: bool,
) -> None:
    """Create sessions.

    DATABASE is projects/P/instances/I/databases/D. Prints each session as soon as it exists.
    """
    labels = dict(label)
    if len(labels) < len(label):
        raise InvalidValue("--label must not repeat a key")
    if multiplexed and count > 1:
        raise InvalidValue("--multiplexed cannot be used with --count: one session serves any number of transactions")
    template: dict[str, Any] = {"labels": labels, "creator_role": creator_role, "timeout": where.timeout}
    with where.client(output) as client:
        if count == 1:
            with output.waiting("creating a session"):
                body = client.create_session(database, multiplexed=multiplexed, **template)
            output.bodies(body)
            return
        with output.work("creating", "created", count) as work:
            for sessions in _batches(client, database, count, template):
                output.bodies(*sessions)
                work.advance(len(sessions))


def _batches(client: SessionsClient, database: str, count: int, template: Mapping[str, Any]) -> Iterator[list[Session]]:
    """Create sessions in batches. A server may create fewer than asked, and creates at most 100 in a batch."""

    def batch(size: int) -> list[Session]:
        return client.batch_create_sessions(database, size, **template).get("session", [])

    missing = count
    while missing > 0:
        before = missing
        sizes = [min(MAX_BATCH, missing - begin) for begin in range(0, missing, MAX_BATCH)]
        for sessions in side_by_side(batch, sizes, workers=_WORKERS, stop=client.close):
            missing -= len(sessions)
            yield sessions
        if missing == before:
            raise SpannerSessionsError(f"the server created no more sessions; {missing} of {count} are missing")
