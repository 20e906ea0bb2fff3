"""The simulated network: in the place of the channel of grpc.aio, a channel whose calls meet latency, loss and outage.

A request and its answer travel as bytes. Their fate is drawn when they are sent and when they arrive, and a call always
ends at its deadline, as gRPC's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.local.status import RpcStatus, trailers
from spanner_grpc_sessions.service.rpcs import rpc_of
from tests.simulation.calm import Calm
from tests.simulation.journal import Journal
from tests.simulation.server import SimulatedSpanner

_REFUSED: Final = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:443: Connection refused"
_NEVER_TAKEN_UP: Final = "GOAWAY received; Error code: 0; Debug Text: session_timed_out"
_CUT: Final = "Socket closed"
_NO_METADATA: Final = grpc.aio.Metadata()


@dataclass
class Conditions:
    """What calls meet on their way.

    Attributes:
        state: "up", "refused" (no connection, said at once) or "silent" (no answer).
        latency: seconds of one way, on average.
        lost: the share of calls that are never answered.
        cut: the share of calls whose connection breaks.
    """

    state: str = "up"
    latency: float = 0.01
    lost: float = 0.0
    cut: float = 0.0


class Network:
    """The way between one client and its server. Knows all calls in flight."""

    def __init__(self, server: SimulatedSpanner, journal: Journal, calm: Calm, random: Random) -> None:
        self.server = server
        self.journal = journal
        self.random = random
        self.conditions = Conditions()
        self.in_flight: dict[SimulatedCall, None] = {}
        self.calm = calm
        # Is told the end of each call, before its caller is.
        self.ended: Callable[[SimulatedCall], None] = lambda call: None

    def one_way(self) -> float:
        """Return the seconds that a message takes."""
        return self.random.lognormvariate(0.0, 0.5) * self.conditions.latency

    def cut(self) -> None:
        """Break the connection, with all calls on it."""
        for call in tuple(self.in_flight):
            call.arrives = self.random.random() < 0.5
            call.fail(grpc.StatusCode.UNAVAILABLE, _CUT if call.arrives else _NEVER_TAKEN_UP)


class SimulatedChannel:
    """In the place of a `grpc.aio.Channel`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._closed = False

    def unary_unary(
        self, path: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Callable[..., SimulatedCall]:
        """Return an RPC as something to call."""
        rpc = rpc_of(path)

        def call(
            request: Any, *, timeout: float | None = None, metadata: Any = (), credentials: Any = None, **_: Any
        ) -> SimulatedCall:
            if self._closed:
                raise grpc.aio.UsageError("Channel is closed.")
            data = request if request_serializer is None else request_serializer(request)
            headers = dict(tuple(metadata))
            return SimulatedCall(self._network, rpc, data, response_deserializer, timeout, headers, credentials)

        return call

    unary_stream = stream_unary = stream_stream = unary_unary

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the connection."""
        up = self._network.conditions.state == "up"
        return grpc.ChannelConnectivity.READY if up else grpc.ChannelConnectivity.TRANSIENT_FAILURE

    async def close(self, grace: float | None = None) -> None:
        """End all calls, as cancelled."""
        self._closed = True
        for call in tuple(self._network.in_flight):
            call.cancel()


class SimulatedCall:
    """In the place of a `grpc.aio.UnaryUnaryCall`.

    Attributes:
        method: the name of its RPC.
        request: the message at the server.
        token: what it carries.
        arrives: whether it may arrive at the server after its end.
    """

    def __init__(
        self,
        network: Network,
        rpc: Any,
        data: bytes,
        parse: Callable[[bytes], Any],
        timeout: float | None,
        metadata: dict[str, Any],
        credentials: Any,
    ) -> None:
        self.method = rpc.name
        self.request = rpc.request_class.FromString(data)
        self._network = network
        self._parse = parse
        self.token = metadata.get("authorization", "").removeprefix("Bearer ")
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()
        self._deadline = None if timeout is None else self._loop.time() + timeout
        self._timer: asyncio.TimerHandle | None = None
        self.arrives = self._is_lost = False
        network.in_flight[self] = None
        self._future.add_done_callback(self._ended)
        if credentials is None:
            self._send()
        else:
            # As gRPC does: the call waits for the token of its credentials, and its deadline goes on.
            self._fetching = asyncio.ensure_future(self._fetch(credentials))

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._future.__await__()

    def cancel(self) -> bool:
        """End the call, as `grpc.aio.Call.cancel`."""
        return self._future.cancel()

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._future.cancelled()

    def done(self) -> bool:
        """Return whether it has ended."""
        return self._future.done()

    def add_done_callback(self, function: Callable[[Any], None]) -> None:
        """Call back when it has ended."""
        self._future.add_done_callback(lambda _: function(self))

    def outcome(self) -> Any:
        """Return its answer, or the exception that it ended with."""
        if self._future.cancelled():
            return asyncio.CancelledError()
        return self._future.exception() or self._future.result()

    async def code(self) -> grpc.StatusCode:
        """Return its status when it has ended."""
        await asyncio.wait((self._future,))
        outcome = self.outcome()
        if isinstance(outcome, asyncio.CancelledError):
            return grpc.StatusCode.CANCELLED
        return outcome.code() if isinstance(outcome, grpc.aio.AioRpcError) else grpc.StatusCode.OK

    def fail(self, code: grpc.StatusCode, details: str, trailing: Any = _NO_METADATA) -> None:
        """End it with a status."""
        if not self._future.done():
            self._network.calm.trouble()
            self._future.set_exception(grpc.aio.AioRpcError(code, _NO_METADATA, trailing, details))

    async def _fetch(self, tokens: Any) -> None:
        left = 60.0 if self._deadline is None else self._deadline - self._loop.time()
        self._after(left, self._expire)
        try:
            headers = await tokens.wait_async(60.0)
        except SpannerSessionsError as error:
            self.fail(grpc.StatusCode.UNAVAILABLE, f"Getting metadata from plugin failed with error: {error}")
        else:
            self.token = dict(headers).get("authorization", "").removeprefix("Bearer ")
            if not self._future.done():
                self._send()

    def _send(self) -> None:
        network, conditions = self._network, self._network.conditions
        if conditions.state == "refused":
            self._after(0.001, self.fail, grpc.StatusCode.UNAVAILABLE, _REFUSED)
        elif conditions.state == "silent" or network.random.random() < conditions.lost:
            self._lose()
        elif network.random.random() < conditions.cut:
            self._after(network.one_way(), self.fail, grpc.StatusCode.UNAVAILABLE, _NEVER_TAKEN_UP)
        else:
            self._after(network.one_way(), self._arrive)

    def _arrive(self) -> None:
        network, conditions = self._network, self._network.conditions
        network.journal.note(self.method, getattr(self.request, "session", "") or getattr(self.request, "name", ""))
        answer: Any
        try:
            answer = network.server.answer(self.method, self.request, self.token)
        except RpcStatus as status:
            answer = status
        if conditions.state == "silent" or network.random.random() < conditions.lost:
            self._lose()
        elif network.random.random() < conditions.cut:
            self._after(network.one_way(), self.fail, grpc.StatusCode.UNAVAILABLE, _CUT)
        else:
            data = None if isinstance(answer, RpcStatus) else answer.SerializeToString()
            self._after(network.one_way(), self._answer, answer, data)

    def _answer(self, answer: Any, data: bytes | None) -> None:
        if data is None:
            code = grpc.StatusCode[answer.status]
            self.fail(code, answer.message, grpc.aio.Metadata(*trailers(answer)))
        elif not self._future.done():
            self._future.set_result(self._parse(data))

    def _after(self, seconds: float | None, then: Callable[..., None], *arguments: Any) -> None:
        """Go on after some time, or never; at its deadline the call ends."""
        if self._timer is not None:
            self._timer.cancel()
        at = None if seconds is None else self._loop.time() + seconds
        if self._deadline is not None and (at is None or self._deadline <= at):
            at, then, arguments = self._deadline, self._expire, ()
        if at is not None:
            self._timer = self._loop.call_at(at, then, *arguments)

    def _lose(self) -> None:
        self._is_lost = True
        self._network.calm.begin()
        self._after(None, self._expire)

    def _expire(self) -> None:
        self.fail(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _ended(self, _: object) -> None:
        del self._network.in_flight[self]
        # What was sent arrives in spite of a cancellation, or of the end of its connection, about as often as not.
        arrives = self.arrives or self._future.cancelled()
        if self._timer is not None and not (arrives and self._network.random.random() < 0.5):
            self._timer.cancel()
        if self._is_lost:
            self._network.calm.end()
        self._network.ended(self)
