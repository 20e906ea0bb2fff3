"""The commands. Each yields the bodies to print, and prints what is for people on standard error."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidValue, SpannerSessionsError
from spanner_grpc_sessions.options import ClientOptions

Command = Callable[[SessionsClient, Namespace], Iterator[Any]]

_MAX_BATCH = 100
# Options of the command line that say where and how to connect.
_CONNECTING = ("endpoint", "plaintext", "instance_type", "root_certificates", "client_certificate", "client_key")


def run(command: Command, parsed: Namespace) -> Iterator[Any]:
    """Run a command with a client, for a local server if `--local` was given."""
    if parsed.local and any(getattr(parsed, name) for name in _CONNECTING):
        others = ", ".join(f"--{name.replace('_', '-')}" for name in _CONNECTING)
        raise InvalidValue(f"--local cannot be used with any of {others}")
    with ExitStack() as stack:
        if parsed.local:
            from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - not loaded for other commands

            spanner = stack.enter_context(LocalSpanner())
            print(f"LocalSpanner started at {spanner.endpoint}, for this command only", file=sys.stderr)
            client = SessionsClient(spanner.credentials(), options=spanner.client_options())
        else:
            client = SessionsClient(options=_options(parsed))
        yield from command(stack.enter_context(client), parsed)


def _options(parsed: Namespace) -> ClientOptions:
    """Return where to connect, as the options of the command line say."""
    if (parsed.client_certificate is None) != (parsed.client_key is None):
        raise InvalidValue("--client-certificate and --client-key need each other")
    root, chain, key = (
        path and path.read_bytes() for path in (parsed.root_certificates, parsed.client_certificate, parsed.client_key)
    )
    return ClientOptions(
        endpoint=parsed.endpoint,
        plaintext=parsed.plaintext,
        instance_type=parsed.instance_type or "cloud",
        root_certificates=root,
        client_certificate=(chain, key) if chain is not None else None,
    )


def create(client: SessionsClient, parsed: Namespace) -> Iterator[Any]:
    """Create a session by itself, or several in batches."""
    labels = dict(parsed.label)
    if len(labels) < len(parsed.label):
        raise InvalidValue("--label must not repeat a key")
    if parsed.multiplexed and parsed.count > 1:
        raise InvalidValue("--multiplexed cannot be used with --count: one session serves any number of transactions")
    arguments: dict[str, Any] = {"labels": labels, "creator_role": parsed.creator_role, "timeout": parsed.timeout}
    if parsed.count == 1:
        yield client.create_session(parsed.database, multiplexed=parsed.multiplexed, **arguments)
        return
    missing = parsed.count
    while missing > 0:
        # A server may create fewer sessions than asked, and creates at most 100 in a batch.
        body = client.batch_create_sessions(parsed.database, min(missing, _MAX_BATCH), **arguments)
        sessions = body.get("session", [])
        if not sessions:
            raise SpannerSessionsError(f"the server created no more sessions; {missing} of {parsed.count} are missing")
        yield from sessions
        missing -= len(sessions)


def get(client: SessionsClient, parsed: Namespace) -> Iterator[Any]:
    """Look a session up."""
    yield client.get_session(parsed.name, timeout=parsed.timeout)


def list_(client: SessionsClient, parsed: Namespace) -> Iterator[Any]:
    """List the sessions of a database."""
    yield from client.iter_sessions(parsed.database, filter=parsed.filter, timeout=parsed.timeout)


def delete(client: SessionsClient, parsed: Namespace) -> Iterator[Any]:
    """Delete sessions."""
    for name in parsed.names:
        yield client.delete_session(name, timeout=parsed.timeout)


def ping(client: SessionsClient, parsed: Namespace) -> Iterator[Any]:
    """Ping a session, which has no body to print."""
    client.ping_session(parsed.name, timeout=parsed.timeout)
    yield from ()


def serve(parsed: Namespace) -> Iterator[Any]:
    """Run a local server until a signal ends it; the body says how to connect to it."""
    from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - not loaded for other commands

    stopped = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP, and `nohup` has it ignored
        if number is not None and (name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, lambda *_: stopped.set())
    spanner = LocalSpanner(tls=not parsed.plaintext, port=parsed.port)
    try:
        spanner.start()
    except RuntimeError as error:
        raise SpannerSessionsError(f"cannot listen on port {parsed.port}: {error}") from error
    with spanner, tempfile.TemporaryDirectory() as folder:
        if parsed.plaintext:
            yield spanner.environment()
        else:
            root = Path(folder, "root-certificates.pem")
            root.write_bytes(spanner.root_certificates or b"")
            key = spanner.service_account_file(Path(folder, "service-account.json"))
            yield {
                "endpoint": spanner.endpoint,
                "rootCertificates": str(root),
                "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            }
        print("LocalSpanner is running (session RPCs and SELECT 1); press Ctrl-C to stop", file=sys.stderr)
        stopped.wait()
