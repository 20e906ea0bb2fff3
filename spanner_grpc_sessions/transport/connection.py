"""A client's connection: its channels, its tokens, how they begin and end. `connection_async` is its mirror image."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc

from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.errors.rpc import DeadlineExceeded
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.runtime.fork import begin_anew_after_fork, leave_to_the_parent, require_usable
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.channel import Target, open_channel
from spanner_grpc_sessions.transport.channel_pool import Lanes

__all__ = ["Connection"]

_POLLING: Final = 0.5
"""Seconds in which gRPC's thread that polls a channel's state ends, once nobody listens: it looks every 0.2 s."""
_log: Final = logging.getLogger("spanner_grpc_sessions")


class Connection:
    """Channels to one target and the tokens for them. Safe to share between threads.

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
    """

    def __init__(self, target: Target, options: ClientOptions, tokens: TokenSource) -> None:
        self.address = target.address
        self.tokens = tokens
        self.calls: dict[Method, Callable[..., Any]] = {}
        self.closing = threading.Event()
        self._target = target
        self._options = options
        self.channel: Any = None
        # Reentrant, for a signal handler may close the client while its thread opens it.
        self._changing = threading.RLock()
        self._warming: set[threading.Event] = set()
        self._pollers: list[threading.Thread] = []
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
            ClientClosed: the connection was closed, or gRPC does not work in this process.
        """
        with self._changing:
            if self.closing.is_set():
                raise ClientClosed("the client is closed: make a new one")
            require_usable()
            if self.channel is None:
                channel = self._make_channel()
                if self.closing.is_set():
                    channel.close()
                    raise ClientClosed("the client was closed while it was opened")
                self.channel = channel
                self.tokens.start()
                if self.tokens.current() is None:
                    # Else the call that waits for the token would wait for the connection afterwards.
                    for single in _channels_of(channel):
                        self._listen(single, _ignore)
                        single.unsubscribe(_ignore)
                _log.info("opened %r", self)
            return self.channel

    def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        with self._changing:
            self.closing.set()
            channel, self.channel = self.channel, None
            self.calls.clear()
        for ready in tuple(self._warming):
            ready.set()
        if channel is not None:
            self._await_pollers()
            channel.close()
            _log.info("closed %r", self)
        self.tokens.close()

    def abandon(self) -> None:
        """End what nobody holds any more, without waiting."""
        self.closing.set()
        self.tokens.close(timeout=0.0)

    def warm_up(self, timeout: float | None) -> None:
        """Connect all channels and have a token, side by side.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: not all were connected in time.
            CredentialsError: there was no token in time.
            ClientClosed: the connection is, or was meanwhile, closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        channels = _channels_of(self.open())
        with self._changing:
            waiting = [self._connecting(channel) for channel in channels]
        try:
            if self.tokens.current() is None:
                self.tokens.wait(timeout)
            for ready, _ in waiting:
                in_time = ready.wait(None if deadline is None else max(deadline - time.monotonic(), 0.0))
                if self.closing.is_set():
                    raise ClientClosed("the client was closed while it warmed up")
                if not in_time:
                    raise DeadlineExceeded(f"no connection to {self.address} in time", method="warm_up")
        finally:
            for channel, (ready, callback) in zip(channels, waiting, strict=True):
                self._warming.discard(ready)
                channel.unsubscribe(callback)

    def _connecting(self, channel: grpc.Channel) -> tuple[threading.Event, Callable[[Any], None]]:
        """Have a channel connect; return the event of its being ready, and what listens for it."""
        ready = threading.Event()

        def callback(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.READY:
                ready.set()

        self._warming.add(ready)
        self._listen(channel, callback)
        return ready, callback

    def _listen(self, channel: grpc.Channel, callback: Callable[[Any], None]) -> None:
        """Have a channel connect and tell of it; gRPC starts a thread for that, if there is none yet."""
        others = set(threading.enumerate())
        channel.subscribe(callback, try_to_connect=True)
        self._pollers += [thread for thread in threading.enumerate() if thread.daemon and thread not in others]

    def _await_pollers(self) -> None:
        # A poller that finds its channel closed would print a traceback.
        deadline = time.monotonic() + _POLLING
        for poller in self._pollers:
            poller.join(max(deadline - time.monotonic(), 0.0))

    def prepare(self, method: Method) -> Callable[..., Any]:
        """Return an RPC that is ready to be called, opening the connection if need be."""
        with self._changing:
            channel = self.open()
            prepare = channel.unary_stream if method.streams else channel.unary_unary
            call: Callable[..., Any] = prepare(method.path, method.serialize, method.read)
            self.calls[method] = call
        return call

    def after_fork(self) -> None:
        """Begin anew in a forked child: with a channel of its own, made when it is needed."""
        closed = self.closing.is_set()
        self._changing, self.closing = threading.RLock(), threading.Event()
        if closed:
            self.closing.set()
        leave_to_the_parent((self.channel, dict(self.calls)))
        self.channel = None
        self.calls.clear()

    def _make_channel(self) -> Any:
        if self._options.channels == 1:
            return open_channel(self._target, self._options)
        return Lanes([open_channel(self._target, self._options) for _ in range(self._options.channels)])


def _channels_of(channel: Any) -> tuple[grpc.Channel, ...]:
    channels: tuple[grpc.Channel, ...] = getattr(channel, "channels", (channel,))
    return channels


def _ignore(state: grpc.ChannelConnectivity) -> None:
    pass
