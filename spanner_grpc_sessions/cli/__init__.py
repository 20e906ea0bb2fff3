"""The command line `spanner-sessions`: JSON on standard output, everything for people on standard error.

An error prints its REST body on standard error and exits with 1; wrong usage exits with 2. It needs the extra `cli`,
which nothing outside this folder imports.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_INTERRUPTED = 130  # as in shells: 128 plus the number of SIGINT
_EXTRA = {"click", "rich"}
_NO_EXTRA = "spanner-sessions: the command line needs click and rich: pip install 'spanner-grpc-sessions[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.

    Args:
        arguments: of the command line; None for those of the process.
    """
    try:
        # Most of the time that a short command takes: Ctrl-C may come here too.
        from spanner_grpc_sessions.cli.program import run  # noqa: PLC0415

        return run(arguments)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
        print(_NO_EXTRA, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
