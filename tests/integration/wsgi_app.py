"""A WSGI application that uses a client, a pool and a multiplexed session of before the fork. Run by test_wsgi_servers.

Answers each request with a line of JSON: the process, what came of the request, and the session that the process leases
from now on. No request ends before one in the other worker does, so that both workers answer.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.oauth2 import service_account

from spanner_grpc_sessions import (
    ClientOptions,
    MultiplexedSession,
    PoolOptions,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
)

DATABASE = "projects/p/instances/i/databases/d"
TIMEOUT = 10.0
FOLDER, PHASE = Path(os.environ["FOLDER"]), os.environ["PHASE"]
OPTIONS = ClientOptions(
    endpoint=(FOLDER / "endpoint").read_text(), root_certificates=(FOLDER / "root.pem").read_bytes()
)

# A token of another account comes from the server's token endpoint, where its lifetime is the server's.
credentials = service_account.Credentials.from_service_account_file(FOLDER / "key.json", subject="user@example.com")
client = SessionsClient(credentials, options=OPTIONS)
often: dict[str, Any] = {"keep_alive_after": 0.02} if PHASE == "busy" else {}
pool = SessionPool(client, DATABASE, options=PoolOptions(min_size=4, max_size=8, **often)).open()
multiplexed = MultiplexedSession(client, DATABASE).open()
master = (pool.acquire(), client._caller.connection.tokens.current())
both = multiprocessing.get_context("fork").Barrier(2)
leased: list[str] = []


def keep_calling() -> None:
    """Be in calls, one after the other."""
    while True:
        client.ping_session(master[0].name)


if PHASE == "busy":
    threading.Thread(target=keep_calling, daemon=True).start()
time.sleep(0.05)


def work() -> str:
    """Use everything."""
    client.create_session(DATABASE, timeout=TIMEOUT)
    if not leased:
        leased.append(pool.acquire(TIMEOUT).name)
    client.ping_session(leased[0], timeout=TIMEOUT)
    client.ping_session(multiplexed.name, timeout=TIMEOUT)
    return "works"


def application(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer a request."""
    began = time.monotonic()
    try:
        outcome = work()
    except SpannerSessionsError as error:
        outcome = f"{type(error).__name__}: {error}"
    answer = {
        "process": os.getpid(),
        "outcome": outcome,
        "leased": [master[0].name, *leased],
        "in_time": time.monotonic() - began < TIMEOUT,
        "renewed": client._caller.connection.tokens.current() != master[1],
    }
    both.wait(TIMEOUT)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
