"""The parser of the command line, and the run of one command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.cli import commands
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, InvalidType, InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.errors.statuses import HTTP_CODES
from spanner_grpc_sessions.options import DEFAULT, InstanceType, check_timeout

# Seconds for a page of a list: Google's timeout of an hour would leave a user without a word.
_LIST_TIMEOUT = 60.0


def run(arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        for body in parsed.run(parsed):
            print(json.dumps(body), flush=True)
    except (InvalidValue, InvalidType) as error:
        print(f"spanner-sessions: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of the output has closed it; Python must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (RpcError, CredentialsError, ClientClosed) as error:
        print(json.dumps(_rest_body(error)), file=sys.stderr)
        return 1
    except (SpannerSessionsError, OSError) as error:
        print(f"spanner-sessions: {error}", file=sys.stderr)
        return 1
    return 0


def _rest_body(error: RpcError | CredentialsError | ClientClosed) -> dict[str, Any]:
    if isinstance(error, RpcError):
        return error.to_rest()
    status = "UNAUTHENTICATED" if isinstance(error, CredentialsError) else "CANCELLED"
    return {"error": {"code": HTTP_CODES[status], "message": str(error), "status": status}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanner-sessions",
        description="Cloud Spanner sessions over gRPC. Prints the JSON of the REST API, one object per line.",
        epilog="Uses application default credentials, or none if SPANNER_EMULATOR_HOST is set.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    create = _add(subparsers, commands.create, "create", "create sessions")
    create.add_argument("database", metavar="DATABASE", help="projects/P/instances/I/databases/D")
    create.add_argument("--count", type=_count, default=1, metavar="N", help="number of sessions (default: 1)")
    create.add_argument(
        "--label", type=_label, action="append", default=[], metavar="KEY=VALUE", help="can be given several times"
    )
    create.add_argument("--creator-role", metavar="ROLE", help="database role of the session")
    create.add_argument("--multiplexed", action="store_true", help="create a multiplexed session")

    get = _add(subparsers, commands.get, "get", "show a session")
    get.add_argument("name", metavar="NAME", help="projects/P/instances/I/databases/D/sessions/S")

    list_ = _add(subparsers, commands.list_, "list", "list the sessions of a database")
    list_.add_argument("database", metavar="DATABASE", help="projects/P/instances/I/databases/D")
    list_.set_defaults(timeout=_LIST_TIMEOUT)
    list_.add_argument("--filter", default="", help="labels.KEY:* or labels.KEY:TEXT; Google's emulator ignores it")

    delete = _add(subparsers, commands.delete, "delete", "delete sessions, up to the first error")
    delete.add_argument("names", metavar="NAME", nargs="+", help="projects/P/instances/I/databases/D/sessions/S")

    ping = _add(subparsers, commands.ping, "ping", "keep a session alive with SELECT 1")
    ping.add_argument("name", metavar="NAME", help="projects/P/instances/I/databases/D/sessions/S")

    serve = subparsers.add_parser("serve", help="run a local Spanner server for tests")
    serve.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    serve.add_argument("--plaintext", action="store_true", help="use no TLS and no tokens, like Google's emulator")
    serve.set_defaults(run=commands.serve)
    return parser


def _add(subparsers: Any, command: commands.Command, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=summary, description=summary.capitalize() + ".")
    parser.set_defaults(run=partial(commands.run, command))
    parser.add_argument("--timeout", type=_timeout, default=DEFAULT, metavar="SECONDS", help="limit for each call")
    parser.add_argument("--local", action="store_true", help="use a local server, started for this command")
    parser.add_argument("--endpoint", metavar="HOST:PORT", help="connect here instead of to spanner.googleapis.com")
    parser.add_argument("--plaintext", action="store_true", help="use no TLS, for emulators")
    parser.add_argument(
        "--instance-type", choices=get_args(InstanceType), help="omni: Spanner Omni at the endpoint, without a token"
    )
    for option, what in (
        ("--root-certificates", "the authorities to trust"),
        ("--client-certificate", "the certificate chain to show, for mutual TLS"),
        ("--client-key", "the unencrypted private key of the certificate"),
    ):
        parser.add_argument(option, type=Path, metavar="FILE", help=f"PEM file of {what}")
    return parser


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _timeout(text: str) -> float | None:
    try:
        return check_timeout(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
