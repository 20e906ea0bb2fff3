"""For tests of asyncio alone, of what the blocking face of the tests does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from spanner_grpc_sessions import AsyncSessionsClient
from spanner_grpc_sessions.local import LocalSpanner

__all__ = ["in_asyncio"]


def in_asyncio(local: LocalSpanner, test: Callable[[AsyncSessionsClient], Awaitable[None]]) -> None:
    """Run a test with an open client in an event loop."""

    async def run() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            await test(client)

    asyncio.run(run())
