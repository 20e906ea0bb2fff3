"""The command serve."""

from __future__ import annotations

import json
import shlex
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanner_grpc_sessions.cli.options import examples
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.errors import SpannerSessionsError

if TYPE_CHECKING:
    from spanner_grpc_sessions.local import LocalSpanner

_ROOT = "root-certificates.pem"
_KEY = "service-account.json"
# Variables of a shell by the names of the JSON.
_EXPORTED = {
    "endpoint": "SPANNER_SESSIONS_ENDPOINT",
    "rootCertificates": "SPANNER_SESSIONS_ROOT_CERTIFICATES",
}


@click.command(
    epilog=examples(
        "spanner-sessions serve",
        "spanner-sessions serve --plaintext --port 9010",
        "spanner-sessions serve --export --directory ~/.local-spanner > env.sh",
        ". ./env.sh   # in another shell",
    )
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1 (default: a free one).")
@click.option("--plaintext", is_flag=True, help="Use no TLS and no tokens, like Google's emulator.")
@click.option("--export", is_flag=True, help="Print lines for a shell instead of JSON.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the certificate and the key here, and keep them; otherwise they are removed at the end.",
)
@click.pass_obj
def serve(output: Output, port: int, plaintext: bool, export: bool, directory: Path | None) -> None:
    """Run a local Spanner server for tests, until Ctrl-C.

    Prints how to connect to it. It knows sessions, SELECT 1 and transactions, and has no SQL engine.
    """
    from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - not loaded for other commands

    stopped = _signals()
    spanner = LocalSpanner(tls=not plaintext, port=port)
    try:
        spanner.start()
    except RuntimeError as error:
        raise SpannerSessionsError(f"cannot listen on port {port}: another program may be using it") from error
    with spanner, ExitStack() as stack:
        environment = spanner.environment() if plaintext else stack.enter_context(_files(spanner, directory))
        output.write(_exports(environment) if export else f"{json.dumps(environment)}\n")
        output.tell("LocalSpanner is running (session RPCs and SELECT 1); press Ctrl-C to stop")
        stopped.wait()


def _signals() -> threading.Event:
    """Return an event that the signals set which end a server."""
    stopped = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP, and `nohup` has it ignored
        if number is not None and (name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, lambda *_: stopped.set())
    return stopped


@contextmanager
def _files(spanner: LocalSpanner, directory: Path | None) -> Iterator[dict[str, str]]:
    """Write what clients need, and give what they must know; without a directory the files end with the block."""
    with ExitStack() as stack:
        if directory is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = directory.absolute()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_key(folder / _KEY)
        root = folder / _ROOT
        root.write_bytes(spanner.root_certificates or b"")
        key = spanner.service_account_file(folder / _KEY)
        yield {
            "endpoint": spanner.endpoint,
            "rootCertificates": str(root),
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        }


def _remove_key(file: Path) -> None:
    """Remove the key of an earlier server; one of a real account is left, and then cannot be written."""
    from spanner_grpc_sessions.local.tokens import PROJECT  # noqa: PLC0415 - see above

    if not file.exists():
        return
    try:
        project = json.loads(file.read_text(encoding="utf-8")).get("project_id")
    except ValueError:
        project = None
    if project != PROJECT:
        raise SpannerSessionsError(f"{file} is not a key of LocalSpanner: choose another directory")
    file.unlink()


def _exports(environment: dict[str, str]) -> str:
    pairs = ((_EXPORTED.get(name, name), value) for name, value in environment.items())
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in pairs)
