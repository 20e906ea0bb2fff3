"""Several connections as one channel, in both colours; of a channel, what the RPCs of Spanner need.

One connection carries about 100 calls at a time; further ones wait inside gRPC, unseen, while their deadline runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from spanner_grpc_sessions.service.rpcs import RPC_BY_PATH
from spanner_grpc_sessions.transport.affinity import Affinity, Lane

__all__ = ["AsyncLanes", "Lanes"]


class _Rpc:
    """An RPC on every lane."""

    def __init__(self, affinity: Affinity, kind: str, path: str, write: Any, read: Any, **settings: Any) -> None:
        self._affinity = affinity
        self._rpc = RPC_BY_PATH.get(path)
        self._on = {
            lane: getattr(lane.channel, kind)(path, write, affinity.reader(self._rpc, lane, read), **settings)
            for lane in affinity.lanes
        }

    def _choose(self, request: Any) -> tuple[Lane, Any]:
        lane = self._affinity.choose(self._rpc, request)
        return lane, self._on[lane]


class _Blocking(_Rpc):
    """An RPC whose call returns with the answer."""

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._within("__call__", request, args, kwargs)

    def with_call(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._within("with_call", request, args, kwargs)

    def future(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        lane, call = self._choose(request)
        return _counted(lane, call.future(request, *args, **kwargs))

    def _within(self, way: str, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        lane, call = self._choose(request)
        mark = object()
        lane.in_flight.add(mark)
        try:
            return getattr(call, way)(request, *args, **kwargs)
        finally:
            lane.in_flight.discard(mark)


class _Begun(_Rpc):
    """An RPC whose call returns an object that tells when it is done: streams, and all of asyncio's."""

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        lane, call = self._choose(request)
        return _counted(lane, call(request, *args, **kwargs))


def _counted(lane: Lane, call: Any) -> Any:
    lane.in_flight.add(call)
    call.add_done_callback(lane.in_flight.discard)
    return call


class Lanes:
    """Several channels to one target as one.

    Args:
        channels: each with a connection of its own. Closed with this one.
    """

    def __init__(self, channels: Sequence[grpc.Channel]) -> None:
        self.channels = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, write: Any = None, read: Any = None, **settings: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_unary` does."""
        return _Blocking(self._affinity, "unary_unary", path, write, read, **settings)

    def unary_stream(self, path: str, write: Any = None, read: Any = None, **settings: Any) -> Any:
        """Return an RPC as `grpc.Channel.unary_stream` does."""
        return _Begun(self._affinity, "unary_stream", path, write, read, **settings)

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        """Call back with the states of the first connection, which stands for all."""
        self.channels[0].subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Stop calling back."""
        self.channels[0].unsubscribe(callback)

    def close(self) -> None:
        """Close all channels."""
        for channel in self.channels:
            channel.close()


class AsyncLanes:
    """Several asyncio channels to one target as one.

    Args:
        channels: each with a connection of its own. Closed with this one.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self.channels = tuple(channels)
        self._affinity = Affinity(self.channels)

    def unary_unary(self, path: str, write: Any = None, read: Any = None, **settings: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_unary` does."""
        return _Begun(self._affinity, "unary_unary", path, write, read, **settings)

    def unary_stream(self, path: str, write: Any = None, read: Any = None, **settings: Any) -> Any:
        """Return an RPC as `grpc.aio.Channel.unary_stream` does."""
        return _Begun(self._affinity, "unary_stream", path, write, read, **settings)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the first connection, which stands for all."""
        return self.channels[0].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the first connection has another state."""
        await self.channels[0].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until all are connected."""
        await asyncio.gather(*(channel.channel_ready() for channel in self.channels))

    async def close(self, grace: float | None = None) -> None:
        """Close all channels."""
        await asyncio.gather(*(channel.close(grace) for channel in self.channels))
