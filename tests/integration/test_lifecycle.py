"""A client's life: opened by need, closed for good, with nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from google.oauth2 import credentials as user_credentials

from spanner_grpc_sessions import AsyncSessionsClient, ClientClosed, RetryOptions, SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.transport.channel import open_channel
from tests.support.colours import Colour
from tests.support.waiting import WAIT, until, until_async

_DATABASE = "projects/p/instances/i/databases/d"


def _own_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("spanner-sessions")}


def test_making_a_client_starts_nothing(local: LocalSpanner) -> None:
    """A constructor stores: no thread, no connection, and the repr says that it is new."""
    client = SessionsClient(local.credentials(), options=local.client_options())
    assert repr(client) == f"<SessionsClient {local.endpoint} TLS new>"
    assert _own_threads() == set()
    client.close()


def test_first_call_opens_the_client(local: LocalSpanner) -> None:
    """A client that was not opened opens itself."""
    client = SessionsClient(local.credentials(), options=local.client_options())
    client.create_session(_DATABASE)
    assert repr(client).endswith(" open>")
    client.close()


def test_first_call_opens_the_async_client(local: LocalSpanner) -> None:
    """An async client that was not opened opens itself, in the loop of the call."""

    async def call() -> None:
        client = AsyncSessionsClient(local.credentials(), options=local.client_options())
        await client.create_session(_DATABASE)
        assert repr(client) == f"<AsyncSessionsClient {local.endpoint} TLS open>"
        await client.close()

    asyncio.run(call())


def test_closed_client_refuses_and_leaves_no_thread(local: LocalSpanner, colour: Colour) -> None:
    """After close every call says that the client is closed; closing again does nothing; no thread is left."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.create_session(_DATABASE)
        client.close()
        client.close()
        assert "closed" in repr(client)
        for call in (lambda: client.create_session(_DATABASE), client.open):
            with pytest.raises(ClientClosed, match="closed"):
                call()
        assert _own_threads() == set()


def test_client_that_was_never_opened_can_be_closed(colour: Colour) -> None:
    """Closing a new client is no error and needs no credentials."""
    with colour.client() as client:
        client.close()


def test_call_in_flight_ends_when_the_client_is_closed(local: LocalSpanner, colour: Colour) -> None:
    """A call that waits for its answer ends with ClientClosed, at once."""
    with colour.client(local.credentials(), options=local.client_options()) as client, ThreadPoolExecutor() as threads:
        client.list_sessions(_DATABASE)
        local.faults.add("CreateSession", drop=True)
        call = threads.submit(client.create_session, _DATABASE, timeout=60)
        until(lambda: any(call.method == "CreateSession" for call in local.calls))
        client.close()
        _assert_ends_closed(call)


def test_pause_between_attempts_ends_when_the_client_is_closed(local: LocalSpanner, colour: Colour) -> None:
    """A call that waits for its next attempt does not outlive the client."""
    local.faults.add("CreateSession", status="UNAVAILABLE", retry_delay=30, times=None)
    with colour.client(local.credentials(), options=local.client_options()) as client, ThreadPoolExecutor() as threads:
        call = threads.submit(client.create_session, _DATABASE, timeout=60)
        until(lambda: len(local.calls) == 1)
        client.close()
        _assert_ends_closed(call)


def test_wait_for_the_first_token_ends_when_the_client_is_closed(local: LocalSpanner, colour: Colour) -> None:
    """A call that waits for a token ends as closed, not as a failure of the credentials."""
    release = threading.Event()

    class Slow(user_credentials.Credentials):
        def refresh(self, request: object) -> None:
            release.wait(WAIT)

    credentials = Slow(None)  # type: ignore[no-untyped-call]  # google.oauth2 is typed in part only
    with colour.client(credentials, options=local.client_options()) as client, ThreadPoolExecutor() as threads:
        call = threads.submit(client.create_session, _DATABASE, timeout=60)
        until(_own_threads)
        closing = threads.submit(client.close)
        _assert_ends_closed(call)
        release.set()
        closing.result(WAIT)


def test_a_signal_handler_can_close_the_client(local: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is closed while its own thread opens it says so, and does not hang."""
    client = SessionsClient(local.credentials(), options=local.client_options())

    def close_and_open(*arguments: Any) -> Any:
        client.close()
        return open_channel(*arguments)

    monkeypatch.setattr("spanner_grpc_sessions.transport.connection.open_channel", close_and_open)
    with pytest.raises(ClientClosed, match="while it was opened"):
        client.open()
    assert repr(client).endswith(" closed>")


def test_other_event_loop_is_refused(local: LocalSpanner) -> None:
    """An async client says so when it is used from another loop than its own."""
    client = AsyncSessionsClient(local.credentials(), options=local.client_options())
    first = asyncio.new_event_loop()
    try:
        first.run_until_complete(client.create_session(_DATABASE))
        with pytest.raises(ClientClosed, match="event loop"):
            asyncio.run(_create(client))
        first.run_until_complete(client.close())
    finally:
        first.close()


async def _create(client: AsyncSessionsClient) -> None:
    await client.create_session(_DATABASE)


def test_cancelled_task_cancels_its_call(local: LocalSpanner) -> None:
    """Cancelling a task ends its call with CancelledError, and the client goes on."""

    async def cancel() -> None:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            await client.create_session(_DATABASE)
            local.faults.add("CreateSession", drop=True)
            task = asyncio.create_task(client.create_session(_DATABASE))
            await until_async(lambda: len(local.calls) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.create_session(_DATABASE)

    asyncio.run(cancel())


def test_many_threads_share_a_client(local: LocalSpanner) -> None:
    """Eight threads open and use one client at once; one channel, one token, as many sessions as calls."""
    client = SessionsClient(local.credentials(), options=local.client_options(retry=RetryOptions.none()))
    with ThreadPoolExecutor(8) as threads:
        sessions = list(threads.map(lambda _: client.create_session(_DATABASE), range(64)))
    client.close()
    assert len({session["name"] for session in sessions}) == 64
    assert len({call.header("authorization") for call in local.calls}) == 1


def test_many_tasks_share_a_client(local: LocalSpanner) -> None:
    """Sixty-four tasks open and use one client at once."""

    async def create() -> list[Any]:
        async with AsyncSessionsClient(local.credentials(), options=local.client_options()) as client:
            return await asyncio.gather(*(client.create_session(_DATABASE) for _ in range(64)))

    assert len({session["name"] for session in asyncio.run(create())}) == 64


def _assert_ends_closed(call: Future[Any]) -> None:
    error = call.exception(WAIT)
    assert isinstance(error, ClientClosed), error
