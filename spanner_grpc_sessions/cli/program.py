"""The program, and the run of one command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from click.shell_completion import shell_complete

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.cli.create import create
from spanner_grpc_sessions.cli.delete import delete
from spanner_grpc_sessions.cli.doctor.command import doctor
from spanner_grpc_sessions.cli.listing import list_
from spanner_grpc_sessions.cli.options import examples
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.cli.serve import serve
from spanner_grpc_sessions.cli.sessions import get, ping
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, InvalidType, InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.errors.statuses import HTTP_CODES

_NAME: Final = "spanner-sessions"
_COMPLETION: Final = "_SPANNER_SESSIONS_COMPLETE"
# Statuses whose cause may lie on the way to the server.
_FOR_DOCTOR: Final = frozenset({"UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "DEADLINE_EXCEEDED"})
_SETTINGS: Final = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


@click.group(
    context_settings=_SETTINGS,
    no_args_is_help=False,
    epilog=examples(
        "spanner-sessions doctor $DB",
        "spanner-sessions create $DB --local",
        "spanner-sessions COMMAND --help",
        "# Completion in bash; zsh_source and fish_source are for zsh and fish:",
        'eval "$(_SPANNER_SESSIONS_COMPLETE=bash_source spanner-sessions)"',
    ),
)
@click.version_option(__version__, message="%(version)s")
def program() -> None:
    """Cloud Spanner sessions over gRPC.

    Prints the JSON of the REST API, one object per line. Uses application default credentials, or none if
    SPANNER_EMULATOR_HOST is set.
    """


for _command in (create, get, list_, delete, ping, serve, doctor):
    program.add_command(_command)


def run(arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit status."""
    completion = os.environ.get(_COMPLETION)
    if completion:
        return shell_complete(program, {}, _NAME, _COMPLETION, completion)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _open_streams()
        return _run(given)
    except (InvalidValue, InvalidType) as error:
        print(f"{_NAME}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of the output has closed it; Python must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (RpcError, CredentialsError, ClientClosed) as error:
        print(json.dumps(_rest_body(error), indent=2 if sys.stderr.isatty() else None), file=sys.stderr)
        if sys.stderr.isatty() and (isinstance(error, CredentialsError) or getattr(error, "status", "") in _FOR_DOCTOR):
            print(f"{_NAME} doctor DATABASE finds out why", file=sys.stderr)
        return 1
    except (SpannerSessionsError, OSError) as error:
        print(f"{_NAME}: {error}", file=sys.stderr)
        return 1


def _open_streams() -> None:
    """Open what the shell has closed, which is None in Python; raise if the output of the command would be lost."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if sys.stdout is None:
        raise InvalidValue("standard output is closed")


def _run(arguments: list[str]) -> int:
    try:
        # Not `program.main`, which prints an empty line for Ctrl-C.
        with program.make_context(_NAME, arguments, obj=Output()) as context:
            if not arguments:
                print(context.get_help(), file=sys.stderr)
                return 2
            program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        print(f"{_NAME}: no answer", file=sys.stderr)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


def _rest_body(error: RpcError | CredentialsError | ClientClosed) -> dict[str, Any]:
    if isinstance(error, RpcError):
        return error.to_rest()
    status = "UNAUTHENTICATED" if isinstance(error, CredentialsError) else "CANCELLED"
    return {"error": {"code": HTTP_CODES[status], "message": str(error), "status": status}}
