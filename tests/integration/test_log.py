"""What a client writes to the log, in both colours: life events at INFO, a line per call at DEBUG, never a secret."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    DeadlineExceeded,
    MultiplexedSession,
    PoolError,
    RetryOptions,
    RpcError,
    SessionNotFound,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
    Unauthenticated,
    Unavailable,
)
from spanner_grpc_sessions.errors.rpc import DATABASE_RESOURCES
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.proxy import Proxy
from tests.support.waiting import until

_LOGGER = "spanner_grpc_sessions"
_DATABASE = "projects/p/instances/i/databases/d"
_REQUEST_ID = "x-goog-spanner-request-id"
_AT_ONCE = RetryOptions(initial_delay=0)


def _lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if (record.name, record.levelno) == (_LOGGER, level)]


def _request_ids(local: LocalSpanner) -> list[str]:
    return [str(call.header(_REQUEST_ID)) for call in local.calls]


def test_opening_and_closing_are_logged_once(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    """One INFO line each, with the address, however often it is done; calls that go well add none."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.open()
        client.delete_session(client.create_session(_DATABASE)["name"])
        client.open()
        assert _lines(caplog, logging.INFO) == [f"opened a client of {local.endpoint}, TLS"]
        client.close()
        client.close()
    assert _lines(caplog, logging.INFO)[1:] == [f"closed the client of {local.endpoint}, TLS"]
    assert len(caplog.records) == 2


def test_every_call_is_logged_at_debug(local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """A line per call with method, resource, status, attempts and the last request id; a stream when it has ended.

    An attempt that is repeated has a line before.
    """
    caplog.set_level(logging.DEBUG, logger=_LOGGER)
    options = local.client_options(retry=_AT_ONCE)
    with colour.client(local.credentials(), options=options) as client:
        name = client.create_session(_DATABASE)["name"]
        local.faults.add("GetSession", status="UNAVAILABLE")
        client.get_session(name)
        with pytest.raises(SessionNotFound):
            client.ping_session(f"{_DATABASE}/sessions/none")
        stream = client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"})
        assert len(_lines(caplog, logging.DEBUG)) == 4
        list(stream)
        stream.close()
    ids = _request_ids(local)
    first, repeated, *rest = _lines(caplog, logging.DEBUG)
    lines = [first, *rest]
    failure = f"GetSession: UNAVAILABLE: a fault of LocalSpanner [request id {ids[1]}]"
    assert repeated.partition(": another attempt in ")[::2] == (failure, "0.00 s")
    assert [line.partition(" after ")[0] for line in lines] == [
        f"CreateSession of {_DATABASE}: OK",
        f"GetSession of {name}: OK",
        f"ExecuteSql of {_DATABASE}/sessions/none: NOT_FOUND",
        f"ExecuteStreamingSql of {name}: OK",
    ]
    assert [line.partition(" ms, ")[2] for line in lines] == [
        f"1 attempt, request id {ids[0]}",
        f"2 attempts, request id {ids[2]}",
        f"1 attempt, request id {ids[3]}",
        f"1 attempt, request id {ids[4]}",
    ]


@pytest.mark.parametrize("method", ["CreateSession", "BatchCreateSessions"])
def test_a_session_that_may_be_left_behind_is_logged(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """A create whose answers got lost makes one INFO line, with the last request id: the server may have sessions."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    local.faults.add(method, status="UNAVAILABLE", message="lost", times=2)
    with colour.client(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
        if method == "CreateSession":
            client.create_session(_DATABASE)
        else:
            client.batch_create_sessions(_DATABASE, 2)
    _, second, _ = _request_ids(local)
    failure = f"{method}: UNAVAILABLE: lost (after 2 attempts) [request id {second}]"
    assert _lines(caplog, logging.INFO)[1:-1] == [
        f"{method} may have left sessions behind, in 2 attempts: {failure}",
    ]


def test_a_create_that_runs_out_of_time_is_logged_too(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets the error, and the log says what may be on the server."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    local.faults.add("CreateSession", drop=True)
    with colour.client(local.credentials(), options=local.client_options()) as client:
        client.warm_up()
        with pytest.raises(DeadlineExceeded):
            client.create_session(_DATABASE, timeout=0.2)
    (line,) = _lines(caplog, logging.INFO)[1:-1]
    assert line.startswith(
        "CreateSession may have left sessions behind, in 1 attempt: CreateSession: DEADLINE_EXCEEDED: "
    )


@pytest.mark.parametrize(("method", "status"), [("CreateSession", "PERMISSION_DENIED"), ("GetSession", "UNAVAILABLE")])
def test_failures_that_leave_no_session_behind_are_not_logged(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, method: str, status: str
) -> None:
    """A create that the server refused, and calls that create nothing, make no line."""
    with colour.client(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client:
        name = client.create_session(_DATABASE)["name"]
        caplog.set_level(logging.INFO, logger=_LOGGER)
        local.faults.add(method, status=status)
        with suppress(RpcError):
            client.create_session(_DATABASE) if method == "CreateSession" else client.get_session(name)
        assert _lines(caplog, logging.INFO) == []


@pytest.mark.parametrize("way", ["own", "stub", "stream"])
def test_a_lost_connection_is_logged_once(colour: Colour, caplog: pytest.LogCaptureFixture, way: str) -> None:
    """However many calls fail; the first that succeeds again makes the other line. A server's own words make none."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    query = spanner_pb2.ExecuteSqlRequest(sql="SELECT 1")
    with LocalSpanner() as local, Proxy(local.endpoint) as proxy:
        options = local.client_options(endpoint=proxy.endpoint, retry=RetryOptions.none())
        with colour.client(local.credentials(), options=options) as client:
            query.session = client.create_session(_DATABASE)["name"]
            ways: dict[str, Callable[[], object]] = {
                "own": lambda: client.ping_session(query.session, timeout=5),
                "stub": lambda: client.stub.ExecuteSql(query, timeout=5),
                "stream": lambda: list(client.stub.ExecuteStreamingSql(query, timeout=5)),
            }
            call = ways[way]
            local.faults.add(status="UNAVAILABLE", message="busy")
            with pytest.raises(Unavailable):
                call()
            proxy.refuse()
            proxy.cut()
            for _ in range(3):
                with pytest.raises(Unavailable):
                    call()
            proxy.listen()
            until(lambda: _succeeds(call))
            call()
            lines = _lines(caplog, logging.INFO)[1:]
    assert len(lines) == 2
    assert lines[0].startswith(f"lost the connection to {proxy.endpoint}: ")
    assert "busy" not in lines[0]
    assert re.fullmatch(rf"the connection to {proxy.endpoint} is back after \d+\.\d s", lines[1])


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("way", ["own", "stub"])
def test_a_rejected_token_is_logged_once(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """However many calls it fails, and without the token."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    local.faults.add(status="UNAUTHENTICATED", message="not this one", times=None)
    request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
    with colour.client(local.credentials(), options=local.client_options()) as client:
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                client.create_session(_DATABASE) if way == "own" else client.stub.CreateSession(request)
    assert _lines(caplog, logging.INFO)[1:-1] == [f"{local.endpoint} rejected the token: not this one"]


def test_no_secret_is_ever_logged(local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """Over a whole life with every logger at DEBUG, no record holds the token, the caller's metadata or a label."""
    caplog.set_level(logging.DEBUG)
    metadata = [("x-key", "s3cret-key")]
    with colour.client(local.credentials(), options=local.client_options(retry=_AT_ONCE)) as client:
        client.warm_up(10)
        local.faults.add("CreateSession", status="UNAVAILABLE")
        name = client.create_session(_DATABASE, labels={"team": "s3cret-label"}, metadata=metadata)["name"]
        client.ping_session(name, metadata=metadata)
        list(client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}, metadata=metadata))
        local.faults.add("GetSession", status="INTERNAL")
        with pytest.raises(RpcError):
            client.get_session(name, metadata=metadata)
        client.delete_session(name, metadata=metadata)
    shown = "\n".join(
        f"{record.getMessage()} {record.args} {record.exc_info} {record.exc_text}" for record in caplog.records
    )
    assert len(_lines(caplog, logging.DEBUG)) == 6
    tokens = {str(call.header("authorization")).removeprefix("Bearer ") for call in local.calls}
    for secret in (*tokens, "s3cret"):
        assert secret
        assert secret not in shown


def test_log_above_debug_costs_nothing(local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an observer, and at INFO, no call makes anything to be watched by."""

    def refuse(*_: object) -> None:
        raise AssertionError("a call was watched")

    monkeypatch.setattr("spanner_grpc_sessions.observers.Observation.__init__", refuse)
    local.faults.add("GetSession", status="UNAVAILABLE")
    with colour.client(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client:
        name = client.create_session(_DATABASE)["name"]
        with pytest.raises(Unavailable):
            client.get_session(name)
        list(client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}))


def test_an_emulator_that_takes_the_credentials_their_effect_is_told(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that was set by accident is in the log, once for each client; the calls work."""
    with LocalSpanner(tls=False) as emulator:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.endpoint)
        with colour.client(local.credentials()) as client:
            client.create_session(_DATABASE)
        with colour.client() as client:
            client.create_session(_DATABASE)
    (line,) = _lines(caplog, logging.WARNING)
    assert line.startswith(
        f"SPANNER_EMULATOR_HOST is set: calls go to {emulator.endpoint} in plaintext, and credentials"
    )


class _Lying(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("not to be read")

    def isprintable(self) -> bool:
        return True


@pytest.mark.parametrize(
    "name",
    ["a\nb", "\x1b[2J", "\u2028", "\ud800", "n" * 1_000_000, _Lying("a\nb"), 7, b"a\nb", None, ["\n"]],
    ids=lambda name: f"{type(name).__name__} {str.__repr__(name)[:20] if isinstance(name, str) else name!r}",
)
def test_a_refused_name_is_one_short_line(
    local: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, name: Any
) -> None:
    """A stub may be called with any name; the DEBUG line of its call is one line, and short."""
    caplog.set_level(logging.DEBUG, logger=_LOGGER)
    with colour.client(local.credentials(), options=local.client_options()) as client:
        get: Any = client.channel().unary_unary("/google.spanner.v1.Spanner/GetSession", lambda _: b"")
        with pytest.raises(SpannerSessionsError):
            get(SimpleNamespace(name=name))
    (line,) = _lines(caplog, logging.DEBUG)
    assert line.isprintable()
    assert len(line) < 300
    assert ": INVALID_ARGUMENT after " in line


def _fail_from_now_on(
    local: LocalSpanner, caplog: pytest.LogCaptureFixture, status: str, session: str
) -> spanner_pb2.ExecuteSqlRequest:
    """Have all calls fail with a long text of many lines; return a query."""
    caplog.set_level(logging.INFO, logger=_LOGGER)
    gone = error_details_pb2.ResourceInfo(resource_type=DATABASE_RESOURCES[0])
    details = [gone] if status == "NOT_FOUND" else []
    message = "connection reset\nforged line \x1b[31m" + "m" * 3000
    local.faults.add(status=status, message=message, details=details, times=None)
    return spanner_pb2.ExecuteSqlRequest(session=session, sql="SELECT 1")


def _require_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Require that the text was logged, on one line each time."""
    lines = [record.getMessage() for record in caplog.records if record.name == _LOGGER]
    assert any("forged line" in line for line in lines)
    assert all(line.isprintable() and len(line) <= 3000 for line in lines)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "UNAUTHENTICATED", "NOT_FOUND"])
def test_a_text_of_the_server_makes_no_line_of_its_own(
    local: LocalSpanner, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    """Of a call, of a pool and of a multiplexed session: line breaks and escape codes are escaped, long texts cut."""
    with (
        SessionsClient(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client,
        SessionPool(client, _DATABASE) as pool,
        MultiplexedSession(client, _DATABASE) as session,
        pool.session() as lease,
    ):
        query = _fail_from_now_on(local, caplog, status, session.name)
        with suppress(RpcError):
            client.create_session(_DATABASE)
        with suppress(PoolError, RpcError):
            pool.acquire(timeout=0.2)
        with suppress(RpcError):
            session.stub.ExecuteSql(query)
        query.session = lease.name
        with suppress(RpcError):
            lease.stub.ExecuteSql(query)
    _require_lines(caplog)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "UNAUTHENTICATED", "NOT_FOUND"])
def test_a_text_of_the_server_makes_no_line_of_its_own_in_asyncio(
    local: LocalSpanner, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    """The same in asyncio."""

    async def test() -> None:
        options = local.client_options(retry=RetryOptions.none())
        async with (
            AsyncSessionsClient(local.credentials(), options=options) as client,
            AsyncSessionPool(client, _DATABASE) as pool,
            AsyncMultiplexedSession(client, _DATABASE) as session,
            pool.session() as lease,
        ):
            query = _fail_from_now_on(local, caplog, status, session.name)
            with suppress(RpcError):
                await client.create_session(_DATABASE)
            with suppress(PoolError, RpcError):
                await pool.acquire(timeout=0.2)
            with suppress(RpcError):
                await session.stub.ExecuteSql(query)
            query.session = lease.name
            with suppress(RpcError):
                await lease.stub.ExecuteSql(query)

    asyncio.run(test())
    _require_lines(caplog)
