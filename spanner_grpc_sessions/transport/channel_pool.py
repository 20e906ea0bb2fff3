"""Several channels as one; of a channel, what the RPCs of Spanner need.

A connection carries about 100 calls at a time; further ones wait inside gRPC, unseen, while their deadline runs. A
session stays on one connection: moving it costs the server work and may abort its transaction.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

import grpc
import grpc.aio

from spanner_grpc_sessions.service.rpcs import Rpc, rpc_of

# Sessions whose channel is remembered. At the limit the oldest is forgotten, and bound again by its next call.
_MAX_SESSIONS: Final = 100_000


class PooledChannel:
    """A channel, and its calls in flight: a set, since adding, discarding and counting need no lock."""

    __slots__ = ("channel", "in_flight")

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.in_flight: set[object] = set()


class Affinity:
    """Which channel each session is bound to. Safe to share between threads."""

    def __init__(self, channels: Sequence[Any]) -> None:
        self.channels = tuple(map(PooledChannel, channels))
        self._channel_of: dict[str, PooledChannel] = {}
        self._binding = Lock()

    def choose(self, rpc: Rpc, request: Any) -> PooledChannel:
        """Return the channel for a request: the one of its session, or the least loaded one."""
        if rpc.on is None or rpc.on == "database":
            return self._least_loaded()
        session = getattr(request, rpc.on, None)
        if session is None:
            # A stub may send something else than messages.
            return self._least_loaded()
        channel = self._channel_of.get(session) or self._bind(session, self._least_loaded())
        if rpc.name == "DeleteSession":
            with self._binding:
                self._channel_of.pop(session, None)
        return channel

    def reader(
        self, rpc: Rpc, channel: PooledChannel, read: Callable[[bytes], Any] | None
    ) -> Callable[[bytes], Any] | None:
        """Return what deserializes the answers on a channel, and binds the sessions that they create to it."""
        if read is None or not rpc.may_leave_session:
            return read

        def read_and_bind(data: bytes) -> Any:
            answer = read(data)
            for session in getattr(answer, "session", None) or (answer,):
                # Any connection may serve a multiplexed session.
                if not getattr(session, "multiplexed", True):
                    self._bind(session.name, channel)
            return answer

        return read_and_bind

    def _least_loaded(self) -> PooledChannel:
        return min(self.channels, key=lambda channel: len(channel.in_flight))

    def _bind(self, session: str, channel: PooledChannel) -> PooledChannel:
        with self._binding:
            if len(self._channel_of) >= _MAX_SESSIONS:
                del self._channel_of[next(iter(self._channel_of))]
            return self._channel_of.setdefault(session, channel)


class _Rpc:
    """An RPC on every channel."""

    def __init__(
        self,
        affinity: Affinity,
        kind: str,
        path: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *others: Any,
        **named: Any,
    ) -> None:
        self._affinity = affinity
        self._rpc = rpc_of(path)
        self._on = {
            pooled: getattr(pooled.channel, kind)(
                path, request_serializer, affinity.reader(self._rpc, pooled, response_deserializer), *others, **named
            )
            for pooled in affinity.channels
        }

    def _choose(self, request: Any) -> tuple[PooledChannel, Any]:
        pooled = self._affinity.choose(self._rpc, request)
        return pooled, self._on[pooled]


class _BlockingRpc(_Rpc):
    """An RPC whose call returns with the answer."""

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._blocking("__call__", request, args, kwargs)

    def with_call(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._blocking("with_call", request, args, kwargs)

    def future(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        pooled, call = self._choose(request)
        return _counted(pooled, call.future(request, *args, **kwargs))

    def _blocking(self, way: str, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        pooled, call = self._choose(request)
        mark = object()
        pooled.in_flight.add(mark)
        try:
            return getattr(call, way)(request, *args, **kwargs)
        finally:
            pooled.in_flight.discard(mark)


class _NonBlockingRpc(_Rpc):
    """An RPC whose call returns an object that tells when it is done: streams, and all calls of asyncio."""

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        pooled, call = self._choose(request)
        return _counted(pooled, call(request, *args, **kwargs))


def _counted(pooled: PooledChannel, call: Any) -> Any:
    mark = object()
    if isinstance(call, grpc.Call):
        # Nothing may hold the call itself, as the callbacks of its future do: gRPC ends a stream that is dropped.
        pooled.in_flight.add(mark)
        weakref.finalize(call, pooled.in_flight.discard, mark)
        if not call.add_callback(lambda: pooled.in_flight.discard(mark)):
            pooled.in_flight.discard(mark)
    elif isinstance(call, grpc.aio.Call):
        pooled.in_flight.add(mark)
        call.add_done_callback(lambda _: pooled.in_flight.discard(mark))
    # The contributed instrumentation of OpenTelemetry makes a generator of a stream, which tells no end.
    return call


class ChannelPool:
    """Several channels to one target as one, which closes them."""

    def __init__(self, channels: Sequence[grpc.Channel]) -> None:
        self.channels = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_unary` does."""
        return _BlockingRpc(self._affinity, "unary_unary", path, *args, **kwargs)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_stream` does."""
        return _NonBlockingRpc(self._affinity, "unary_stream", path, *args, **kwargs)

    def stream_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.stream_unary` does."""
        return _BlockingRpc(self._affinity, "stream_unary", path, *args, **kwargs)

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.stream_stream` does."""
        return _NonBlockingRpc(self._affinity, "stream_stream", path, *args, **kwargs)

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        """Call back with the states of the first channel, which stands for all."""
        self.channels[0].subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Stop calling back."""
        self.channels[0].unsubscribe(callback)

    def close(self) -> None:
        """Close all channels."""
        for channel in self.channels:
            channel.close()


class AsyncChannelPool:
    """Several asyncio channels to one target as one, which closes them."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self.channels = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_unary` does."""
        return _NonBlockingRpc(self._affinity, "unary_unary", path, *args, **kwargs)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_stream` does."""
        return _NonBlockingRpc(self._affinity, "unary_stream", path, *args, **kwargs)

    def stream_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.stream_unary` does."""
        return _NonBlockingRpc(self._affinity, "stream_unary", path, *args, **kwargs)

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.stream_stream` does."""
        return _NonBlockingRpc(self._affinity, "stream_stream", path, *args, **kwargs)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the first channel, which stands for all."""
        return self.channels[0].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the first channel has another state."""
        await self.channels[0].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until all channels are connected."""
        await asyncio.gather(*(channel.channel_ready() for channel in self.channels))

    async def close(self, grace: float | None = None) -> None:
        """Close all channels."""
        await asyncio.gather(*(channel.close(grace) for channel in self.channels))
