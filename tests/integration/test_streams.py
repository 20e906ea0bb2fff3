"""Streams in unkind hands: several readers, interruptions, streams that are dropped, cancelled or carried elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions import AsyncSessionsClient, Cancelled, ClientClosed, SessionsClient
from spanner_grpc_sessions.options import ClientOptions
from tests.support.scripted import scripted_server
from tests.support.waiting import WAIT

_STREAM = ("POST", "/v1/projects/p/instances/i/databases/d/sessions/s:executeStreamingSql", {"sql": "SELECT 1"})


class Query:
    """A query with some answers, after which it goes on until it is told to stop."""

    def __init__(self, answers: int = 1, *, ends: bool = False) -> None:
        self.ended = threading.Event()
        self._answers = answers
        self._ends = ends

    def __call__(self, _: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Answer."""
        context.add_callback(self.ended.set)
        for number in range(self._answers):
            yield result_set_pb2.PartialResultSet(resume_token=bytes([number]))
        if not self._ends:
            self.ended.wait(WAIT)


@contextlib.contextmanager
def client_of(query: Query) -> Iterator[SessionsClient]:
    """Give a client of a server with that query."""
    with scripted_server(ExecuteStreamingSql=query) as options:
        with SessionsClient(AnonymousCredentials(), options=options) as client:
            yield client


@contextlib.asynccontextmanager
async def async_client_of(options: ClientOptions) -> AsyncIterator[AsyncSessionsClient]:
    """Give an asynchronous client."""
    async with AsyncSessionsClient(AnonymousCredentials(), options=options) as client:
        yield client


def test_threads_can_share_a_stream() -> None:
    """Each message goes to one of them, and the channel lives on."""
    with client_of(Query(200, ends=True)) as client, ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            stream = client.rest(*_STREAM)
            parts = [part for parts in threads.map(lambda _, stream=stream: list(stream), range(8)) for part in parts]
            assert len({part.get("resumeToken", "") for part in parts}) == len(parts) == 200


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_an_interrupted_wait_ends_the_stream() -> None:
    """What a signal handler raises goes through, and the server is told; later reads fail, with an error of ours."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    query = Query()
    with client_of(query) as client:
        stream = client.rest(*_STREAM)
        next(stream)
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                next(stream)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert query.ended.wait(WAIT)
        with pytest.raises(Cancelled):
            next(stream)


def test_dropping_an_async_stream_ends_the_work_of_the_server() -> None:
    """A loop that is left early drops its stream, and the server is told."""
    query = Query()

    async def leave() -> None:
        async with async_client_of(options) as client:
            async for _ in await client.rest(*_STREAM):
                break
            gc.collect()
            assert await asyncio.to_thread(query.ended.wait, WAIT)

    with scripted_server(ExecuteStreamingSql=query) as options:
        asyncio.run(leave())


def test_a_stream_whose_read_was_cancelled_has_ended() -> None:
    """Later reads say so, with an error and not by a cancellation of the task."""
    query = Query()

    async def read() -> None:
        async with async_client_of(options) as client:
            stream = await client.rest(*_STREAM)
            await anext(stream)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            for _ in range(2):
                with pytest.raises(Cancelled, match="earlier read of the stream was cancelled"):
                    await anext(stream)
            await stream.close()
            assert [part async for part in stream] == []

    with scripted_server(ExecuteStreamingSql=query) as options:
        asyncio.run(read())


def test_closing_a_stream_does_not_cancel_its_readers() -> None:
    """A task that waits for a message finds the end of the stream."""
    query = Query()

    async def read() -> None:
        async with async_client_of(options) as client:
            stream = await client.rest(*_STREAM)
            await anext(stream)
            task = asyncio.ensure_future(_rest_of(stream))
            await asyncio.sleep(0)
            await stream.close()
            assert await asyncio.wait_for(task, WAIT) == []

    with scripted_server(ExecuteStreamingSql=query) as options:
        asyncio.run(read())


async def _rest_of(stream: Any) -> list[Any]:
    return [part async for part in stream]


def test_a_stream_belongs_to_its_loop() -> None:
    """Reading or closing it in another one is told, and does nothing."""

    async def begin() -> tuple[Any, Any]:
        client = AsyncSessionsClient(AnonymousCredentials(), options=options)
        return client, await client.rest(*_STREAM)

    async def wrong(stream: Any) -> None:
        with pytest.raises(ClientClosed, match="another event loop"):
            await anext(stream)
        with pytest.raises(ClientClosed, match="another event loop"):
            await stream.close()

    async def right(client: Any, stream: Any) -> None:
        assert await anext(stream) == {"resumeToken": "AA=="}
        await stream.close()
        await client.close()

    with scripted_server(ExecuteStreamingSql=Query()) as options:
        loop = asyncio.new_event_loop()
        client, stream = loop.run_until_complete(begin())
        asyncio.run(wrong(stream))
        loop.run_until_complete(right(client, stream))
        loop.close()
