"""The whole way, shown: a server, a key, application default credentials, TLS, a token, CreateSession, the JSON.

Everything happens on this machine and in a temporary folder; nothing is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors.rpc import SessionNotFound, Unauthenticated
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import RetryOptions

__all__ = ["main"]

_DATABASE = "projects/demo/instances/demo/databases/demo"
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


def main() -> int:
    """Show it, and return 0 if all went as it should."""
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        with _step("start LocalSpanner: gRPC over TLS, a certificate made just now, a token endpoint"):
            spanner = stack.enter_context(LocalSpanner())
        with _step("write a service-account key for it, and let application default credentials find it"):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            key = spanner.service_account_file(Path(folder, "service-account.json"))
            stack.enter_context(_environment(_CREDENTIALS, str(key)))
        client = stack.enter_context(SessionsClient(options=spanner.client_options()))
        with _step("create a session: read the key, sign a token, connect, call CreateSession"):
            session = client.create_session(_DATABASE, labels={"team": "checkout"})
        with _step("create another: everything is ready now"):
            client.create_session(_DATABASE)
        with _step("use the session (SELECT 1), delete it, and see that it is gone"):
            client.ping_session(session["name"])
            client.delete_session(session["name"])
            _require_gone(client, session["name"])
        with _step("call without a token, and see that the server minds"):
            _require_refused(spanner)
        _tell_what_was_verified(spanner)
    print("\nThe body that Spanner's REST API would have answered:")
    print(json.dumps(session, indent=2))
    print(f"\nAll in {time.perf_counter() - started:.2f} s.")
    return 0


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{(time.perf_counter() - start) * 1000:8.1f} ms  {what}", flush=True)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _require_gone(client: SessionsClient, name: str) -> None:
    with contextlib.suppress(SessionNotFound):
        client.ping_session(name)
        raise SystemExit("a deleted session still answers")


def _require_refused(spanner: LocalSpanner) -> None:
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - for this step only

    options = spanner.client_options(retry=RetryOptions.none())
    with SessionsClient(AnonymousCredentials(), options=options) as nobody, contextlib.suppress(Unauthenticated):
        nobody.create_session(_DATABASE)
        raise SystemExit("the server took a call without a token")


def _tell_what_was_verified(spanner: LocalSpanner) -> None:
    call = spanner.calls[0]
    print("\nThe server verified, for each call:")
    print(f"  its token: a {call.auth} of {call.principal} (signature, scope, expiry)")
    print("  and received with it:")
    for key, value in call.metadata:
        if key.startswith(("google-", "x-goog-")):
            print(f"    {key}: {value!s}")


if __name__ == "__main__":
    sys.exit(main())
