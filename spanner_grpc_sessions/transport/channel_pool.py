"""Several channels as one; of a channel, what the RPCs of Spanner need.

A connection carries about 100 calls at a time; further ones wait inside gRPC, unseen, while their deadline runs. A
session stays on one connection: moving it costs the server work and may abort its transaction. A multiplexed session
is made for any number of them.
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
_TELLING_MULTIPLEXED: Final = frozenset({"CreateSession", "GetSession"})


class PooledChannel:
    """A channel, its number from 1, and its load: calls in flight and sessions.

    The calls are a set, since adding, discarding and counting need no lock.
    """

    __slots__ = ("channel", "in_flight", "number", "sessions")

    def __init__(self, channel: Any, number: int) -> None:
        self.channel: Any = channel
        self.number: int = number
        self.in_flight: set[object] = set()
        self.sessions: int = 0


_UNBOUND: Final = PooledChannel(None, 0)


class Affinity:
    """Which channel each session is bound to: evenly, by its first use. Safe to share between threads."""

    def __init__(self, channels: Sequence[Any]) -> None:
        self.channels: tuple[PooledChannel, ...] = tuple(
            PooledChannel(channel, number) for number, channel in enumerate(channels, 1)
        )
        # None stands for a multiplexed session, which any channel may serve.
        self._channel_of: dict[str, PooledChannel | None] = {}
        self._binding = Lock()

    def choose(self, rpc: Rpc, request: Any) -> PooledChannel:
        """Return the channel for a request: the one of its session, or the least loaded one."""
        if rpc.on is None or rpc.on == "database":
            return self._least_loaded()
        session = getattr(request, rpc.on, None)
        if session is None:
            # A stub may send something else than messages.
            return self._least_loaded()
        channel = self._channel_of.get(session, _UNBOUND)
        if channel is _UNBOUND:
            channel = self._bind(session)
        if rpc.name == "DeleteSession":
            self._forget(session)
        return channel or self._least_loaded()

    def reader(self, rpc: Rpc, read: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
        """Return what deserializes the answers to an RPC, and notes the multiplexed sessions among them."""
        if read is None or rpc.name not in _TELLING_MULTIPLEXED:
            return read

        def read_and_note(data: bytes) -> Any:
            answer = read(data)
            if getattr(answer, "multiplexed", False):
                self._forget(answer.name)
                self._channel_of[answer.name] = None
            return answer

        return read_and_note

    def _least_loaded(self) -> PooledChannel:
        return min(self.channels, key=lambda channel: len(channel.in_flight))

    def _bind(self, session: str) -> PooledChannel | None:
        with self._binding:
            if session in self._channel_of:
                return self._channel_of[session]
            if len(self._channel_of) >= _MAX_SESSIONS:
                self._drop(next(iter(self._channel_of)))
            channel = min(self.channels, key=lambda channel: (channel.sessions, len(channel.in_flight)))
            channel.sessions += 1
            self._channel_of[session] = channel
            return channel

    def _forget(self, session: str) -> None:
        with self._binding:
            self._drop(session)

    def _drop(self, session: str) -> None:
        channel = self._channel_of.pop(session, None)
        if channel is not None:
            channel.sessions -= 1


class _Rpc:
    """An RPC on every channel.

    Args:
        call_class: calls it on one of them.
        affinity: chooses the channel.
        kind: the name of the method of a channel that makes it callable.
    """

    def __init__(
        self,
        call_class: type[_NonBlockingCall],
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
        read = affinity.reader(self._rpc, response_deserializer)
        self._on = {
            pooled: call_class(pooled, getattr(pooled.channel, kind)(path, request_serializer, read, *others, **named))
            for pooled in affinity.channels
        }

    def choose(self, request: Any) -> tuple[Callable[..., Any], int]:
        """Return what makes a call with this request, on the channel for it, and the number of the channel."""
        pooled = self._affinity.choose(self._rpc, request)
        return self._on[pooled], pooled.number


class _NonBlockingCall:
    """An RPC on a channel whose call returns an object that tells when it is done: streams, and all of asyncio."""

    __slots__ = ("_call", "_pooled")

    def __init__(self, pooled: PooledChannel, call: Any) -> None:
        self._pooled = pooled
        self._call = call

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return _counted(self._pooled, self._call(request, *args, **kwargs))


class _BlockingCall(_NonBlockingCall):
    """An RPC on a channel whose call returns with the answer."""

    __slots__ = ()

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._blocking(self._call, request, args, kwargs)

    def with_call(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._blocking(self._call.with_call, request, args, kwargs)

    def future(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return _counted(self._pooled, self._call.future(request, *args, **kwargs))

    def _blocking(self, call: Any, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        mark = object()
        self._pooled.in_flight.add(mark)
        try:
            return call(request, *args, **kwargs)
        finally:
            self._pooled.in_flight.discard(mark)


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
        self.channels: tuple[grpc.Channel, ...] = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_unary` does, to choose a channel for each call of."""
        return _Rpc(_BlockingCall, self._affinity, "unary_unary", path, *args, **kwargs)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_stream` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "unary_stream", path, *args, **kwargs)

    def stream_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.stream_unary` does, to choose a channel for each call of."""
        return _Rpc(_BlockingCall, self._affinity, "stream_unary", path, *args, **kwargs)

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.Channel.stream_stream` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "stream_stream", path, *args, **kwargs)

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
        self.channels: tuple[grpc.aio.Channel, ...] = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_unary` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "unary_unary", path, *args, **kwargs)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_stream` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "unary_stream", path, *args, **kwargs)

    def stream_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.stream_unary` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "stream_unary", path, *args, **kwargs)

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.stream_stream` does, to choose a channel for each call of."""
        return _Rpc(_NonBlockingCall, self._affinity, "stream_stream", path, *args, **kwargs)

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
        # One after the other: without a grace none waits. Tasks that were cancelled before they began would close none.
        for channel in self.channels:
            await channel.close(grace)
