"""The command line: REST JSON on standard output, everything for people on standard error.

An error prints its REST error body on standard error and exits with 1; wrong usage exits with 2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidType, InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, check_timeout

__all__ = ["main"]

_LARGEST_BATCH = 100
_INTERRUPTED = 130  # as shells count: 128 and the number of SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for an error, 2 for wrong usage.

    Args:
        arguments: of the command line; None for those of the process.
    """
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (InvalidValue, InvalidType) as error:
        print(f"spanner-sessions: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not try to write the rest of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except RpcError as error:
        print(json.dumps(error.to_rest()), file=sys.stderr)
        return 1
    except (SpannerSessionsError, OSError) as error:
        print(f"spanner-sessions: {error}", file=sys.stderr)
        return 1
    return 0


def _create(parsed: argparse.Namespace) -> None:
    labels = dict(parsed.label)
    if len(labels) < len(parsed.label):
        raise InvalidValue("--label must not name the same key twice")
    with _client(parsed) as client:
        if parsed.count == 1:
            _print(
                client.create_session(
                    parsed.database,
                    labels=labels or None,
                    creator_role=parsed.creator_role,
                    multiplexed=parsed.multiplexed,
                    timeout=parsed.timeout,
                )
            )
        else:
            _print_all(_create_many(client, parsed, labels))


def _create_many(client: SessionsClient, parsed: argparse.Namespace, labels: Mapping[str, str]) -> Iterator[Any]:
    if parsed.multiplexed:
        raise InvalidValue("--multiplexed excludes --count: one multiplexed session serves any number of transactions")
    missing = parsed.count
    while missing:
        body = client.batch_create_sessions(
            parsed.database,
            # Beyond 100 the server would answer the same, and a count below 1 it must not answer at all.
            min(missing, _LARGEST_BATCH),
            labels=labels or None,
            creator_role=parsed.creator_role,
            timeout=parsed.timeout,
        )
        sessions = body.get("session", [])
        if not sessions:
            raise SpannerSessionsError(f"the server created no more sessions; {missing} of {parsed.count} are missing")
        yield from sessions
        missing -= len(sessions)


def _get(parsed: argparse.Namespace) -> None:
    with _client(parsed) as client:
        _print(client.get_session(parsed.name, timeout=parsed.timeout))


def _list(parsed: argparse.Namespace) -> None:
    with _client(parsed) as client:
        _print_all(client.iter_sessions(parsed.database, filter=parsed.filter, timeout=parsed.timeout))


def _delete(parsed: argparse.Namespace) -> None:
    with _client(parsed) as client:
        for name in parsed.names:
            _print(client.delete_session(name, timeout=parsed.timeout))


def _ping(parsed: argparse.Namespace) -> None:
    with _client(parsed) as client:
        client.ping_session(parsed.name, timeout=parsed.timeout)


def _serve(parsed: argparse.Namespace) -> None:
    from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - the server is not for the other commands

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    spanner = LocalSpanner(tls=not parsed.plaintext, port=parsed.port)
    try:
        spanner.start()
    except RuntimeError as error:
        raise SpannerSessionsError(f"no server can listen on port {parsed.port}: {error}") from error
    with spanner, tempfile.TemporaryDirectory() as folder:
        if parsed.plaintext:
            _print(spanner.environment())
        else:
            root = Path(folder, "root-certificates.pem")
            root.write_bytes(spanner.root_certificates or b"")
            key = spanner.service_account_file(Path(folder, "service-account.json"))
            _print(
                {
                    "endpoint": spanner.endpoint,
                    "rootCertificates": str(root),
                    "GOOGLE_APPLICATION_CREDENTIALS": str(key),
                }
            )
        print("a local Spanner serves session RPCs and SELECT 1; end it with Ctrl-C", file=sys.stderr)
        stopped.wait()


@contextlib.contextmanager
def _client(parsed: argparse.Namespace) -> Iterator[SessionsClient]:
    if not parsed.local:
        with SessionsClient(options=_options(parsed)) as client:
            yield client
        return
    from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - the server is for --local only

    if parsed.endpoint or parsed.plaintext or parsed.root_certificates:
        raise InvalidValue("--local starts a server of its own: it goes with no --endpoint and its options")
    with LocalSpanner() as spanner, SessionsClient(spanner.credentials(), options=spanner.client_options()) as client:
        print(f"a local Spanner at {spanner.endpoint}, for this command only", file=sys.stderr)
        yield client


def _options(parsed: argparse.Namespace) -> ClientOptions:
    return ClientOptions(
        endpoint=parsed.endpoint,
        plaintext=parsed.plaintext,
        root_certificates=parsed.root_certificates.read_bytes() if parsed.root_certificates else None,
    )


def _print(body: Any) -> None:
    print(json.dumps(body), flush=True)


def _print_all(bodies: Iterable[Any]) -> None:
    for body in bodies:
        _print(body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanner-sessions",
        description="Cloud Spanner sessions over gRPC. Prints REST bodies, one JSON object per line.",
        epilog="Credentials are the application default ones; none are used where SPANNER_EMULATOR_HOST is set.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    create = _command(commands, "create", _create, "create a session, or several")
    create.add_argument("database", metavar="DATABASE", help="projects/P/instances/I/databases/D")
    create.add_argument("--count", type=_count, default=1, metavar="N", help="how many (default: 1)")
    create.add_argument("--label", type=_label, action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    create.add_argument("--creator-role", metavar="ROLE", help="the database role that the session runs with")
    create.add_argument("--multiplexed", action="store_true", help="for any number of transactions at a time")

    get = _command(commands, "get", _get, "look a session up")
    get.add_argument("name", metavar="NAME", help="projects/P/instances/I/databases/D/sessions/S")

    list_ = _command(commands, "list", _list, "list the sessions of a database")
    list_.add_argument("database", metavar="DATABASE")
    list_.add_argument("--filter", default="", help="labels.KEY:* or labels.KEY:TEXT")

    delete = _command(commands, "delete", _delete, "end sessions; stops at the first that cannot be ended")
    delete.add_argument("names", metavar="NAME", nargs="+")

    ping = _command(commands, "ping", _ping, "keep a session alive: run SELECT 1 on it")
    ping.add_argument("name", metavar="NAME")

    serve = commands.add_parser("serve", help="run a local Spanner for tests, until interrupted")
    serve.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (default: a free one)")
    serve.add_argument("--plaintext", action="store_true", help="no TLS, no tokens: like Google's emulator")
    serve.set_defaults(run=_serve)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary.capitalize())
    command.set_defaults(run=run)
    command.add_argument("--timeout", type=_timeout, default=DEFAULT, metavar="SECONDS", help="for each call")
    command.add_argument("--local", action="store_true", help="use a local server, started for this command")
    command.add_argument("--endpoint", metavar="HOST:PORT", help="instead of Spanner's global endpoint")
    command.add_argument("--plaintext", action="store_true", help="no TLS: for emulators")
    command.add_argument("--root-certificates", type=Path, metavar="FILE", help="PEM of the authorities to trust")
    return command


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _timeout(text: str) -> float | None:
    try:
        return check_timeout(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
