"""A service that forks its workers, as Gunicorn with `preload_app` does. Started by test_forks, in its own process.

Prints a line of JSON: what each worker got, and then the master. Arguments: endpoint, file with the root certificate,
key file, colour, and which client a worker uses: the master's ("inherited") or its own ("own"), and whether the
master's is open when it forks ("open") or closed ("closed").
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.oauth2 import service_account

from spanner_grpc_sessions import AsyncSessionsClient, ClientOptions, SessionsClient, SpannerSessionsError

DATABASE = "projects/p/instances/i/databases/d"
WORKERS = 2


class AsyncService:
    """An asynchronous client with an event loop in each process, for a loop cannot be shared after a fork."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client = AsyncSessionsClient(*args, **kwargs)
        self.loops: dict[int, asyncio.AbstractEventLoop] = {}

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine in the loop of this process."""
        return self.loops.setdefault(os.getpid(), asyncio.new_event_loop()).run_until_complete(coroutine)

    def create_session(self, database: str, **kwargs: Any) -> Any:
        """Create a session."""
        return self.run(self.client.create_session(database, **kwargs))

    def close(self) -> None:
        """Close the client."""
        self.run(self.client.close())


def attempt(service: Any) -> str:
    """Return "ok", or the error of ours."""
    try:
        for _ in range(2):
            service.create_session(DATABASE, timeout=10)
        service.close()
    except SpannerSessionsError as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def work(make: Callable[[], Any] | None, inherited: Any, results: Any) -> None:
    """What a worker does."""
    results.put(attempt(inherited if make is None else make()))


def main() -> None:
    """Fork and report."""
    endpoint, root, key, colour, which, state = sys.argv[1:]
    options = ClientOptions(endpoint=endpoint, root_certificates=Path(root).read_bytes())

    def make() -> Any:
        credentials = service_account.Credentials.from_service_account_file(key)
        return (SessionsClient if colour == "sync" else AsyncService)(credentials, options=options)

    service = make()
    if state != "new":
        service.create_session(DATABASE, timeout=10)
    if state == "closed":
        service.close()
    forking = multiprocessing.get_context("fork")
    results = forking.SimpleQueue()
    workers = [
        forking.Process(target=work, args=(make if which == "own" else None, service, results)) for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    outcomes = ["ended badly" if worker.exitcode else results.get() for worker in workers]
    print(json.dumps({"workers": outcomes, "master": "closed" if state == "closed" else attempt(service)}), flush=True)  # noqa: T201 - its answer
    # The end of the interpreter, which grpcio 1.66.2 may not survive after an asyncio client, is none of this.
    os._exit(0)


if __name__ == "__main__":
    main()
