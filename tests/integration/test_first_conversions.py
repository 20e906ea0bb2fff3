"""The first conversions of a client's calls, interrupted at each line: the next call converts as always."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from spanner_grpc_sessions import AsyncSessionsClient, SessionsClient, rest
from tests.support.conversions import forgetting
from tests.support.interrupting import each_line
from tests.support.servers import Server

_REST: Final = str(Path(rest.__path__[0]))


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that makes the next use of each message class its first."""
    return forgetting(monkeypatch)


def _converts(filename: str) -> bool:
    return filename.startswith((_REST, "<encode ", "<decode "))


def test_a_call_that_is_interrupted_in_its_conversions_can_be_made_again(
    server: Server, forget: Callable[[], None]
) -> None:
    """Of the path and query into the request, and of the answer into JSON."""
    database = server.new_database()
    with SessionsClient(server.credentials(), options=server.options()) as client:
        client.create_session(database, labels={"env": "prod"})
        expected = client.list_sessions(database)
        for moment in each_line(of=_converts):
            forget()
            with moment:
                client.rest("GET", f"/v1/{database}/sessions", query={"pageSize": 5})
            assert moment.place is None or moment.error is moment.raised
            assert client.rest("GET", f"/v1/{database}/sessions", query={"pageSize": 5}) == expected, moment


def test_a_call_in_asyncio_that_fails_in_its_conversions_can_be_made_again(
    server: Server, forget: Callable[[], None]
) -> None:
    """The same by RecursionError: KeyboardInterrupt ends the loop itself."""
    asyncio.run(_fail_in_asyncio(server, forget))


async def _fail_in_asyncio(server: Server, forget: Callable[[], None]) -> None:
    database = server.new_database()
    async with AsyncSessionsClient(server.credentials(), options=server.options()) as client:
        await client.create_session(database, labels={"env": "prod"})
        expected = await client.list_sessions(database)
        for moment in each_line(RecursionError, of=_converts):
            forget()
            with moment:
                await client.rest("GET", f"/v1/{database}/sessions", query={"pageSize": 5})
            assert moment.place is None or moment.error is moment.raised
            assert await client.rest("GET", f"/v1/{database}/sessions", query={"pageSize": 5}) == expected, moment
