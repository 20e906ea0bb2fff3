"""A process that works with little memory left. Started by the fault of that name; prints what is not as it must be.

Memory may be missing anywhere, so MemoryError may come out of any call: what must not is a wrong answer, or a hang.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final

from spanner_grpc_sessions import ClientOptions, PoolOptions, SessionPool, SessionsClient, SpannerSessionsError
from tests.chaos.side import DATABASE
from tests.support.token_server import refreshed_credentials

_SECONDS: Final = 1.0
# After this it tells where its threads are, for the fault is about to take it as hung.
_HUNG: Final = 20.0
_TIMEOUT: Final = 2.0


def _check(client: SessionsClient, pool: SessionPool, number: int, hoard: list[bytes]) -> None:
    tag = f"starved-{number}"
    hoard.append(bytes(1_000_000))
    session = client.create_session(DATABASE, labels={"tag": tag}, timeout=_TIMEOUT)
    assert session["labels"] == {"tag": tag}, session
    with pool.session(_TIMEOUT) as lease:
        client.ping_session(lease.name, timeout=_TIMEOUT)


def main() -> None:
    """Work, and keep a megabyte more each time until there is no more."""
    faulthandler.dump_traceback_later(_HUNG)
    given: dict[str, Any] = json.loads(sys.argv[1])
    credentials = refreshed_credentials(given["token_uri"])
    options = ClientOptions(endpoint=given["endpoint"], root_certificates=given["root"].encode())
    with (
        SessionsClient(credentials, options=options) as client,
        SessionPool(client, DATABASE, options=PoolOptions(min_size=2, max_size=4)) as pool,
    ):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + int(given["megabytes"] * 1e6)
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
        hoard: list[bytes] = []
        end, number = time.monotonic() + _SECONDS, 0
        while time.monotonic() < end:
            number += 1
            try:
                _check(client, pool, number, hoard)
            except (MemoryError, SpannerSessionsError):
                hoard[:] = hoard[: len(hoard) // 2]
            except Exception as error:  # noqa: BLE001 - told
                print(repr(error))  # noqa: T201 - its answer
        hoard.clear()
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
