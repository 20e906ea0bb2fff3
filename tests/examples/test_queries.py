"""The example of a streamed query: on the emulator, which cuts values, and on a scripted server that breaks streams."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import ClientOptions, InvalidArgument, Unavailable
from spanner_grpc_sessions.testing import Emulator
from tests.examples.example import Example, fail, session_answers
from tests.support.colours import Colour
from tests.support.scripted import scripted_server
from tests.support.servers import EmulatorServer

COLUMNS = result_set_pb2.ResultSetMetadata(row_type={"fields": [{}, {}]})
BROKEN = 0.0
LONG = """
    SELECT REPEAT('a', 900000), REPEAT('b', 300000), [REPEAT('c', 400000), NULL, REPEAT('d', 400000)], number
    FROM UNNEST([1, 2, NULL]) AS number WITH OFFSET ORDER BY OFFSET
"""


@pytest.fixture
def example(colour: Colour) -> Example:
    """The example in each colour."""
    return Example("queries", colour)


def test_rows_are_whole(example: Example, kind: str, emulator: Emulator, database: str) -> None:
    """The emulator cuts them into pieces of a megabyte, in the middle of strings and arrays."""

    async def scenario() -> Any:
        async with example.session(EmulatorServer(emulator).options(), kind, database=database) as session:
            with pytest.raises(InvalidArgument):
                await example.call("stream_rows", session, "SELECT nothing")
            assert await example.call("stream_rows", session, "SELECT Name FROM Singers") == []
            assert await example.call("stream_rows", session, "SELECT CONCAT(@n, 'y')", {"n": "x"}) == [["xy"]]
            return await example.call("stream_rows", session, LONG)

    long = ["a" * 900_000, "b" * 300_000, ["c" * 400_000, None, "d" * 400_000]]
    assert asyncio.run(scenario()) == [[*long, "1"], [*long, "2"], [*long, None]]


def piece(*values: str, chunked: bool = False, token: bytes = b"") -> result_set_pb2.PartialResultSet:
    """Return a piece of a stream of two columns."""
    cells = [{"string_value": value} for value in values]
    return result_set_pb2.PartialResultSet(metadata=COLUMNS, values=cells, chunked_value=chunked, resume_token=token)


class Script:
    """A server whose streams are as a test says, and which keeps the requests.

    Args:
        streams: what the streams give, one after the other: pieces, and if it breaks the seconds that UNAVAILABLE asks
            to wait.
    """

    def __init__(self, *streams: list[Any]) -> None:
        self._streams = iter(streams)
        self.requests: list[spanner_pb2.ExecuteSqlRequest] = []
        self.ended = threading.Event()

    def stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Answer a query."""
        self.requests.append(request)
        context.add_callback(self.ended.set)
        for part in next(self._streams):
            if isinstance(part, float):
                fail(context, grpc.StatusCode.UNAVAILABLE, retry_delay=part)
            yield part

    @contextlib.contextmanager
    def served(self) -> Iterator[ClientOptions]:
        """Serve it."""
        with scripted_server(**session_answers(), ExecuteStreamingSql=self.stream) as options:
            yield options

    def rows(self, example: Example, kind: str, **settings: Any) -> Any:
        """Return the rows of a query."""

        async def scenario(options: ClientOptions) -> Any:
            async with example.session(options, kind) as session:
                return await example.call("stream_rows", session, "SELECT 1, 2", **settings)

        with self.served() as options:
            return asyncio.run(scenario(options))


def test_a_broken_stream_goes_on_after_its_token(example: Example, kind: str) -> None:
    """What came after the token comes again, in other pieces; the token may lie in the middle of a value."""
    script = Script(
        [piece("a", "b", "c", chunked=True, token=b"1"), piece("d", "e"), BROKEN],
        [piece("d", chunked=True), BROKEN],
        [piece("d", "e", "f", token=b"2"), piece("g"), BROKEN],
        [piece("g")],
    )
    assert script.rows(example, kind) == [["a", "b"], ["cd", "e"], ["f", "g"]]
    assert [request.resume_token for request in script.requests] == [b"", b"1", b"1", b"2"]
    for request in script.requests:
        request.resume_token = b""
    assert all(request == script.requests[0] for request in script.requests)
    assert script.requests[0].transaction.single_use.read_only.strong


def test_a_stream_that_breaks_before_its_first_token_is_restarted(example: Example, kind: str) -> None:
    """No row is given twice."""
    script = Script([BROKEN], [piece("a", "b", "c"), BROKEN], [piece("a", "b"), piece("c", "d", token=b"1")])
    assert script.rows(example, kind) == [["a", "b"], ["c", "d"]]
    assert [request.resume_token for request in script.requests] == [b"", b"", b""]


def test_a_stream_that_cannot_be_resumed_fails(example: Example) -> None:
    """When rows had to be given without a token: better an error than a row twice."""
    script = Script([piece("a", "b")] * 200 + [BROKEN])
    with pytest.raises(Unavailable):
        script.rows(example, "pool")
    assert len(script.requests) == 1


def test_resuming_ends_at_the_deadline(example: Example) -> None:
    """With the error of the last stream, as soon as it is clear that there is no time for another."""
    script = Script([BROKEN], [BROKEN], [31.0])
    with pytest.raises(Unavailable):
        script.rows(example, "multiplexed", timeout=30.0)
    assert len(script.requests) == 3


def test_a_reader_that_stops_early_ends_the_stream(example: Example, kind: str) -> None:
    """The server does not go on sending."""
    script = Script([piece("a", "b", token=b"1")] * 1_000_000)

    async def scenario(options: ClientOptions) -> None:
        async with example.session(options, kind) as session:
            rows = example.module.stream_rows(session, "SELECT 1, 2")
            assert await (anext(rows) if example.is_async else asyncio.to_thread(next, rows)) == ["a", "b"]
            await rows.aclose() if example.is_async else rows.close()
            assert await asyncio.to_thread(script.ended.wait, 10)

    with script.served() as options:
        asyncio.run(scenario(options))
