"""The state of a channel, read and awaited on the caller's own thread.

gRPC's public `subscribe` starts a thread inside gRPC that outlives its last listener by 0.2 s: a child that is forked
meanwhile crashes, and where no thread can be started there is no state at all. `grpc.aio` has these two as methods.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import Any, Final

import grpc

from spanner_grpc_sessions.errors import ClientClosed
from spanner_grpc_sessions.runtime.deadline import Deadline

# ruff: noqa: SLF001 - gRPC has no public way

# Seconds between two looks at the channel, which may have been closed: closing it waits for a thread that waits here.
_LOOK: Final = 0.05
_STATES: Final = {state.value[0]: state for state in grpc.ChannelConnectivity}


def grpc_channel(channel: Any) -> Any:
    """Return the channel that gRPC made, inside what instrumentations of the process may have wrapped around it."""
    while not hasattr(channel._channel, "check_connectivity_state"):
        channel = channel._channel
    return channel


def connectivity(channel: Any) -> grpc.ChannelConnectivity:
    """Return the state of a channel, and have it connect if it does not."""
    try:
        return _STATES[grpc_channel(channel)._channel.check_connectivity_state(True)]
    except ValueError:
        raise ClientClosed("the client was closed") from None
    except BaseException:
        unlock(channel)
        raise


def await_change(channel: Any, state: grpc.ChannelConnectivity, deadline: Deadline) -> None:
    """Wait until a channel has another state, or a moment, or until the deadline."""
    left = deadline.left()
    until = time.time() + (_LOOK if left is None else min(left, _LOOK))
    try:
        grpc_channel(channel)._channel.watch_connectivity_state(state.value[0], until)
    except ValueError:
        raise ClientClosed("the client was closed") from None
    except BaseException:
        unlock(channel)
        raise


def unlock(channel: Any) -> None:
    """Release the lock of a channel that this thread, which is in none of its calls any more, left held.

    gRPC takes it by Python code, in which a signal handler may raise: every third Ctrl-C in a call would leave it held,
    and every other thread that uses the channel would wait without end.
    """
    for state in gc.get_referents(grpc_channel(channel)._channel):
        for lock in gc.get_referents(state):
            while isinstance(lock, threading.Condition) and lock._is_owned():  # type: ignore[attr-defined]  # it has it
                lock.release()
