"""A client's connection in asyncio: its channels, its tokens, how they begin and end. The mirror of `connection`."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any, Final

from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.errors.rpc import DeadlineExceeded
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.runtime.fork import begin_anew_after_fork, leave_to_the_parent, require_usable, set_unusable
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.channel import Target, open_async_channel
from spanner_grpc_sessions.transport.channel_pool import AsyncLanes

__all__ = ["AsyncConnection"]

_log: Final = logging.getLogger("spanner_grpc_sessions")


class AsyncConnection:
    """Channels to one target and the tokens for them. For the tasks of one event loop.

    Args:
        target: where to connect.
        options: of the client.
        tokens: where the token of each call comes from. Closed with the connection.

    Attributes:
        address: "host:port" of the server.
        tokens: where the token of each call comes from.
        channel: what calls are made on while it is open, else None.
        calls: the RPCs that are ready to be called on that channel.
        closing: set once the connection is closed.
        streams: calls in flight that stream their answers. Older gRPC does not end them with their channel.
        loop: the event loop that it belongs to, once it is open.
    """

    def __init__(self, target: Target, options: ClientOptions, tokens: TokenSource) -> None:
        self.address = target.address
        self.tokens = tokens
        self.calls: dict[Method, Callable[..., Any]] = {}
        self.closing = asyncio.Event()
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._target = target
        self._options = options
        self.channel: Any = None
        begin_anew_after_fork(self)

    def __repr__(self) -> str:
        return f"{self.address} {self._target.security.value} {self.state}"

    @property
    def state(self) -> str:
        """One of "new", "open" and "closed"."""
        return "closed" if self.closing.is_set() else "open" if self.channel else "new"

    def open(self) -> Any:
        """Return the channel; make it, and fetch a token while it connects, at the first time. Waits for neither.

        Raises:
            ClientClosed: the connection was closed, or opened in another event loop, or gRPC does not work in this
                process.
        """
        if self.closing.is_set():
            raise ClientClosed("the client is closed: make a new one")
        require_usable()
        loop = asyncio.get_running_loop()
        if self.channel is None:
            self.loop = loop
            self.channel = self._make_channel()
            self.tokens.start()
            if self.tokens.current() is None:
                # Else the call that waits for the token would wait for the connection afterwards.
                for single in getattr(self.channel, "channels", (self.channel,)):
                    single.get_state(try_to_connect=True)
            _log.info("opened %r", self)
        if self.loop is not loop:
            raise ClientClosed("the client belongs to another event loop: make one per loop")
        return self.channel

    async def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        self.closing.set()
        channel, self.channel = self.channel, None
        self.calls.clear()
        for stream in tuple(self.streams):
            stream.cancel()
        if channel is not None:
            await channel.close()
            _log.info("closed %r", self)
        await self.tokens.close_async()

    def abandon(self) -> None:
        """End what nobody holds any more, without waiting."""
        self.closing.set()
        self.tokens.close(timeout=0.0)

    async def warm_up(self, timeout: float | None) -> None:
        """Connect all channels and have a token, side by side.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: not all were connected in time.
            CredentialsError: there was no token in time.
            ClientClosed: the connection is, or was meanwhile, closed.
        """
        connecting = asyncio.ensure_future(self.open().channel_ready())
        closing = asyncio.ensure_future(self.closing.wait())
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            if self.tokens.current() is None:
                await self.tokens.wait_async(timeout)
            left = None if deadline is None else max(deadline - asyncio.get_running_loop().time(), 0.0)
            await asyncio.wait((connecting, closing), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self.closing.is_set():
                raise ClientClosed("the client was closed while it warmed up")
            if not connecting.done():
                raise DeadlineExceeded(f"no connection to {self.address} in time", method="warm_up")
        finally:
            connecting.cancel()
            closing.cancel()
            await asyncio.gather(connecting, closing, return_exceptions=True)

    def prepare(self, method: Method) -> Callable[..., Any]:
        """Return an RPC that is ready to be called, opening the connection if need be."""
        channel = self.open()
        prepare = channel.unary_stream if method.streams else channel.unary_unary
        call: Callable[..., Any] = prepare(method.path, method.serialize, method.read)
        self.calls[method] = call
        return call

    def after_fork(self) -> None:
        """Begin anew in a forked child; or not at all: where an asyncio channel was open, gRPC does not work."""
        if self.channel is not None:
            set_unusable()
        leave_to_the_parent((self.channel, dict(self.calls)))
        self.channel = self.loop = None
        self.calls.clear()

    def _make_channel(self) -> Any:
        if self._options.channels == 1:
            return open_async_channel(self._target, self._options)
        return AsyncLanes([open_async_channel(self._target, self._options) for _ in range(self._options.channels)])
