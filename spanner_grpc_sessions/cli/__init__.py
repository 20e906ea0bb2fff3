"""The command line `spanner-sessions`: JSON on standard output, everything for people on standard error.

An error prints its REST body on standard error and exits with 1; wrong usage exits with 2.
"""

from __future__ import annotations

from collections.abc import Sequence

_INTERRUPTED = 130  # as in shells: 128 plus the number of SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.

    Args:
        arguments: of the command line; None for those of the process.
    """
    try:
        # Most of the time that a short command takes: Ctrl-C may come here too.
        from spanner_grpc_sessions.cli.program import run  # noqa: PLC0415

        return run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
