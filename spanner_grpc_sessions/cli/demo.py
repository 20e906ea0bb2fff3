"""A demo of all steps to a session: server, key, application default credentials, TLS, token, CreateSession, JSON.

Everything happens on this machine and in a temporary folder that is removed at the end.
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

from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors.rpc import SessionNotFound, Unauthenticated
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.options import RetryOptions

_DATABASE = "projects/demo/instances/demo/databases/demo"


def main() -> int:
    """Run the demo, and return 0 if every step succeeded."""
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        with _step("start LocalSpanner: gRPC over TLS with a new certificate, and a token endpoint"):
            spanner = stack.enter_context(LocalSpanner())
        with _step("write a service account key, and set GOOGLE_APPLICATION_CREDENTIALS to it"):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            key = spanner.service_account_file(Path(folder, "service-account.json"))
            os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(key)
        client = stack.enter_context(SessionsClient(options=spanner.client_options()))
        with _step("create a session: read the key, sign a token, connect, call CreateSession"):
            session = client.create_session(_DATABASE, labels={"team": "checkout"})
        with _step("create another one, with everything ready"):
            client.create_session(_DATABASE)
        with _step("ping the session (SELECT 1), delete it, and check that it is gone"):
            client.ping_session(session["name"])
            client.delete_session(session["name"])
            _require_gone(client, session["name"])
        with _step("call without a token, and check that the server rejects it"):
            _require_rejected(spanner)
        _print_verified(spanner)
    print("\nThe JSON of the session, as in Spanner's REST API:")
    print(json.dumps(session, indent=2))
    print(f"\nTotal: {time.perf_counter() - started:.2f} s.")
    return 0


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{(time.perf_counter() - start) * 1000:8.1f} ms  {what}", flush=True)


def _require_gone(client: SessionsClient, name: str) -> None:
    with contextlib.suppress(SessionNotFound):
        client.ping_session(name)
        raise SystemExit("a deleted session still answers")


def _require_rejected(spanner: LocalSpanner) -> None:
    options = spanner.client_options(retry=RetryOptions.none())
    with SessionsClient(AnonymousCredentials(), options=options) as client, contextlib.suppress(Unauthenticated):
        client.create_session(_DATABASE)
        raise SystemExit("the server accepted a call without a token")


def _print_verified(spanner: LocalSpanner) -> None:
    call = spanner.calls[0]
    print("\nFor each call the server verified:")
    print(f"  the token: a {call.auth} of {call.principal} (signature, scope, expiry)")
    print("  and received these headers:")
    for key, value in call.metadata:
        if key.startswith(("google-", "x-goog-")):
            print(f"    {key}: {value!s}")


if __name__ == "__main__":
    sys.exit(main())
