"""Which of several connections a call takes: its session's own, or the one with the fewest calls in flight.

A session should stay on one connection: moving it costs the server work and may abort its transaction. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

from spanner_grpc_sessions.service.rpcs import Method

__all__ = ["Affinity", "Lane"]

_MOST_SESSIONS: Final = 100_000
"""Sessions whose lane is remembered. Past it the oldest is forgotten, and gets a lane anew with its next call."""


class Lane:
    """One connection, and the calls that are on it: a set, since adding, discarding and counting need no lock."""

    __slots__ = ("channel", "in_flight")

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.in_flight: set[object] = set()


class Affinity:
    """The lanes, and which session is on which. Safe to share between threads.

    Args:
        channels: one for each lane.
    """

    def __init__(self, channels: Sequence[Any]) -> None:
        self.lanes = tuple(map(Lane, channels))
        self._lane_of: dict[str, Lane] = {}
        self._binding = Lock()

    def choose(self, rpc: Method | None, request: Any) -> Lane:
        """Return the lane for a request. A session that has none yet is bound to the one that it gets.

        Args:
            rpc: whose request it is; None for one that is not known.
            request: a message with the fields of the RPC's request, of any class.
        """
        if rpc is None or rpc.routing_field == "database":
            return self._emptiest()
        session = getattr(request, rpc.routing_field)
        lane = self._lane_of.get(session) or self._bind(session, self._emptiest())
        if rpc.name == "DeleteSession":
            self._forget(session)
        return lane

    def reader(
        self, rpc: Method | None, lane: Lane, read: Callable[[bytes], Any] | None
    ) -> Callable[[bytes], Any] | None:
        """Return what deserializes the answers that come on a lane, and binds the new sessions among them to it."""
        if read is None or rpc is None or rpc.name not in {"CreateSession", "BatchCreateSessions"}:
            return read

        def read_and_bind(data: bytes) -> Any:
            answer = read(data)
            for session in answer.session if rpc.name == "BatchCreateSessions" else (answer,):
                name, multiplexed = _name_and_multiplexed(session)
                # A multiplexed session is made for any number of connections.
                if not multiplexed:
                    self._bind(name, lane)
            return answer

        return read_and_bind

    def _emptiest(self) -> Lane:
        return min(self.lanes, key=lambda lane: len(lane.in_flight))

    def _bind(self, session: str, lane: Lane) -> Lane:
        with self._binding:
            if len(self._lane_of) >= _MOST_SESSIONS:
                del self._lane_of[next(iter(self._lane_of))]
            return self._lane_of.setdefault(session, lane)

    def _forget(self, session: str) -> None:
        with self._binding:
            self._lane_of.pop(session, None)


def _name_and_multiplexed(session: Any) -> tuple[str, bool]:
    """Return what a session, a message of any class or its REST body, says of itself."""
    if isinstance(session, dict):
        return session.get("name", ""), session.get("multiplexed", False)
    return session.name, session.multiplexed
