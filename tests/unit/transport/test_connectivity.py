"""The state of a channel, on the caller's thread, and what is left of a call that a signal interrupts."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from spanner_grpc_sessions import ClientClosed
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.transport import connectivity
from tests.support.waiting import WAIT

_USES: list[Callable[[Any], object]] = [
    connectivity.connectivity,
    lambda channel: connectivity.await_change(channel, grpc.ChannelConnectivity.IDLE, Deadline(WAIT)),
]
_uses = pytest.mark.parametrize("use", _USES, ids=["state", "change"])


class _Interrupted:
    """The channel of gRPC, in which a signal handler raises while the thread holds its lock. No server can do that."""

    __slots__ = ("_state",)

    def __init__(self, channel: Any) -> None:
        (self._state,) = (each for each in gc.get_referents(channel) if _lock_of(each) is not None)

    def check_connectivity_state(self, *_: object) -> int:
        _lock_of(self._state).acquire()
        raise KeyboardInterrupt

    watch_connectivity_state = check_connectivity_state


class _Wrapped:
    """A channel in the hands of an instrumentation."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel


def _lock_of(state: object) -> Any:
    return next((each for each in gc.get_referents(state) if isinstance(each, threading.Condition)), None)


def test_a_channel_connects_and_its_state_changes() -> None:
    """Until it is ready, also where an instrumentation has wrapped it."""
    with LocalSpanner(tls=False) as local, grpc.insecure_channel(local.endpoint) as channel:
        wrapped, deadline = _Wrapped(channel), Deadline(WAIT)
        while (state := connectivity.connectivity(wrapped)) is not grpc.ChannelConnectivity.READY:
            assert not deadline.has_passed()
            connectivity.await_change(wrapped, state, deadline)


@_uses
def test_a_closed_channel_belongs_to_a_closed_client(use: Callable[[Any], object]) -> None:
    """Another thread may close it at any time."""
    channel = grpc.insecure_channel("127.0.0.1:1")
    channel.close()
    with pytest.raises(ClientClosed, match="the client was closed"):
        use(channel)


@_uses
def test_an_interruption_leaves_the_channel_to_other_threads(use: Callable[[Any], object]) -> None:
    """They would wait without end for its lock."""
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        interrupted = _Interrupted(channel._channel)  # type: ignore[attr-defined]  # gRPC's own
        lock = _lock_of(interrupted._state)
        with pytest.raises(KeyboardInterrupt):
            use(_Wrapped(interrupted))
        assert not lock._is_owned()


def test_a_lock_of_another_thread_stays_with_it() -> None:
    """That thread is in a call."""
    held, leave = threading.Event(), threading.Event()
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        lock = _lock_of(_Interrupted(channel._channel)._state)  # type: ignore[attr-defined]  # gRPC's own

        def hold() -> None:
            with lock:
                held.set()
                leave.wait(WAIT)

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            assert held.wait(WAIT)
            connectivity.unlock(channel)
            assert not lock.acquire(blocking=False)
        finally:
            leave.set()
            thread.join(WAIT)
