"""The connection of a client in asyncio: its channels and tokens, their beginning and end. Mirrors `connection`."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.errors.connecting import why_final
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.runtime.clock import TimedEvent, let_scope_cancel, task_is_cancelled
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.fork import (
    mark_grpc_unusable,
    notice_fork,
    require_grpc_usable,
    reset_after_fork,
    retain_after_fork,
)
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.runtime.threads import no_thread, note_no_thread
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.channel import Security, Target, open_async_channel
from spanner_grpc_sessions.transport.incidents import Incidents
from spanner_grpc_sessions.transport.reachability import PROBE, PROBE_TIMEOUT, not_connected, reason_of

if TYPE_CHECKING:
    from spanner_grpc_sessions.auth import Tokens


class AsyncConnection:
    """Channels to one target and the tokens for them. For the tasks of one event loop.

    Attributes:
        address: "host:port" of the server.
        on_emulator: calls travel in plaintext and carry no token.
        tokens: the source of the token of each call, closed with the connection.
        incidents: is told each failure, for the log.
        channel: what calls are made on while it is open, else None.
        closing: set once the connection is closed.
        streams: streaming calls in flight. Older gRPC does not end them with their channel.
        loop: the event loop that it belongs to, once it is open.
    """

    # What a call raises: UsageError when the channel is closed, and when it closes, CancelledError in every call.
    CALL_ERRORS: Final = (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError)
    CLOSED_ERROR: Final = grpc.aio.UsageError

    def __init__(self, target: Target, options: ClientOptions, tokens: Tokens) -> None:
        self.address: str = target.address
        self.on_emulator: bool = target.security == Security.PLAINTEXT
        self.tokens = tokens
        self.incidents: Incidents = Incidents(target.address, tokens)
        self._calls: dict[Rpc, Callable[..., Any]] = {}
        self.closing: TimedEvent = TimedEvent()
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._target = target
        self._options = options
        self._has_choice = options.channels > 1
        self.channel: Any = None
        reset_after_fork(self)

    def __repr__(self) -> str:
        return f"{self.address} {self._target.security} {self.state}"

    @property
    def state(self) -> str:
        """One of "new", "open" and "closed"."""
        return "closed" if self.closing.is_set() else "open" if self.channel else "new"

    def open(self) -> Any:
        """Return the channel. The first time, create it and fetch a token while it connects; wait for neither."""
        if self.closing.is_set():
            raise ClientClosed("the client is closed: create a new one")
        notice_fork()
        require_grpc_usable()
        loop = asyncio.get_running_loop()
        if self.channel is None:
            self.loop = loop
            self.channel = self._make_channel()
            self.tokens.start()
            if self.tokens.current() is None:
                # Otherwise the first call would wait for its token first, and for the connection afterwards.
                for single in _channels_of(self.channel):
                    single.get_state(try_to_connect=True)
            log.info("opened a client of %s, %s", self.address, self._target.security)
        if self.loop is not loop:
            raise ClientClosed("the client was opened in another event loop; create one client per loop")
        return self.channel

    async def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        self.closing.set()
        # First, for what follows may be cancelled.
        self.tokens.close(timeout=0.0)
        channel, self.channel = self.channel, None
        self._calls.clear()
        for stream in tuple(self.streams):
            stream.cancel()
        if channel is not None:
            await channel.close()
            log.info("closed the client of %s, %s", self.address, self._target.security)
        await self.tokens.close_async()

    def abandon(self) -> None:
        """End without waiting, for a client that was dropped."""
        self.closing.set()
        self.tokens.close(timeout=0.0)

    async def warm_up(self, timeout: float | None) -> None:
        """Connect all channels and get a token, at the same time."""
        channels = _channels_of(self.open())
        connecting = asyncio.ensure_future(self._connect(channels))
        closing = asyncio.ensure_future(self.closing.wait())
        deadline = Deadline(timeout)
        try:
            if self.tokens.current() is None:
                await self.tokens.wait_async(timeout)
            await asyncio.wait((connecting, closing), timeout=deadline.left(), return_when=asyncio.FIRST_COMPLETED)
            if self.closing.is_set():
                raise ClientClosed("the client was closed while it warmed up")
            if not connecting.done():
                raise not_connected(self.address, await self._failure_of(channels))
            connecting.result()
        finally:
            connecting.cancel()
            closing.cancel()
            await asyncio.gather(connecting, closing, return_exceptions=True)

    async def _connect(self, channels: tuple[grpc.aio.Channel, ...]) -> None:
        """Wait until the channels are connected; raise as soon as one never will be."""
        for channel in channels:
            channel.get_state(try_to_connect=True)
        for channel in channels:
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                reason = await self._failure_of((channel,))
                if why_final(reason) is not None:
                    raise not_connected(self.address, reason)
                await channel.wait_for_state_change(state)

    async def _failure_of(self, channels: tuple[grpc.aio.Channel, ...]) -> str:
        """Return why the first that fails to connect does, in gRPC's words; "" if none fails."""
        for channel in channels:
            if channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                probe: Any = channel.unary_unary(PROBE)
                try:
                    await probe(b"", timeout=PROBE_TIMEOUT)
                except self.CALL_ERRORS as error:
                    return reason_of(await self.rpc_error(error))
        return ""

    def ready(self, rpc: Rpc, request: Any) -> tuple[Callable[..., Any], int]:
        """Return what makes a call, opening the connection if need be, and the number of its channel."""
        call = self._calls.get(rpc)
        if call is None or asyncio.get_running_loop() is not self.loop:
            call = self._prepare(rpc)
        return call.choose(request) if self._has_choice else (call, 1)  # type: ignore[attr-defined]  # of a channel pool

    def choose(self, call: Any, request: Any) -> tuple[Callable[..., Any], int]:
        """Return what makes a call of an RPC with this request, and the number of the channel that it is made on."""
        return call.choose(request) if self._has_choice else (call, 1)

    @staticmethod
    def begin(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make a call that goes on when this returns."""
        return call(*args, **named)

    def interrupted(self, error: BaseException) -> None:
        """Do nothing: a signal handler that raises ends the event loop."""

    @staticmethod
    def telling(call: Callable[..., Any], tell: Callable[[Any], None]) -> Callable[..., Any]:
        """Return a call that tells the headers of its answer."""

        async def make(request: Any, *, timeout: float | None, metadata: Any) -> Any:
            made = call(request, timeout=timeout, metadata=metadata)
            answer = await made
            tell(await made.initial_metadata())
            return answer

        return make

    def _prepare(self, rpc: Rpc) -> Callable[..., Any]:
        channel = self.open()
        make = channel.unary_stream if rpc.streams else channel.unary_unary
        call: Callable[..., Any] = make(rpc.path, rpc.request_class.SerializeToString, rpc.response_class.FromString)
        self._calls[rpc] = call
        return call

    async def rpc_error(self, error: BaseException) -> grpc.RpcError:
        """Return the error of a call as gRPC's; raise `ClientClosed` if the end of the connection caused it."""
        if isinstance(error, asyncio.CancelledError) and (not self.closing.is_set() or task_is_cancelled()):
            await let_scope_cancel()
            raise error
        if self.closing.is_set() or not isinstance(error, grpc.RpcError):
            raise ClientClosed.during_call() from error
        return error

    async def closes_within(self, seconds: float) -> bool:
        """Wait so long, and return whether the connection was closed before."""
        await self.closing.wait_within(seconds)
        return self.closing.is_set()

    def after_fork(self) -> None:
        """Give a forked child a channel of its own, unless one was open: then gRPC does not work in the child."""
        if self.channel is not None:
            mark_grpc_unusable()
        retain_after_fork((self.channel, dict(self._calls)))
        self.channel = self.loop = None
        self._calls.clear()

    def _make_channel(self) -> Any:
        # The first channel of a process starts gRPC's thread for asyncio.
        try:
            return self._new_channel()
        except RuntimeError as error:
            note_no_thread(error)
            raise no_thread() from error

    def _new_channel(self) -> Any:
        if self._options.channels == 1:
            return open_async_channel(self._target, self._options)
        from spanner_grpc_sessions.transport.channel_pool import AsyncChannelPool  # noqa: PLC0415 - most have one

        return AsyncChannelPool(
            [open_async_channel(self._target, self._options) for _ in range(self._options.channels)]
        )


def _channels_of(channel: Any) -> tuple[grpc.aio.Channel, ...]:
    channels: tuple[grpc.aio.Channel, ...] = getattr(channel, "channels", (channel,))
    return channels
