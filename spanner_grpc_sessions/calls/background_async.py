"""Calls in the background of an object in asyncio. Tasks can be ended; only the newest failure is to be kept."""

from __future__ import annotations

from spanner_grpc_sessions.calls.call_async import AsyncCaller
from spanner_grpc_sessions.transport.incidents import NewestFailure


class AsyncBackgroundCaller(AsyncCaller):
    """A caller like that of a client.

    Attributes:
        incidents: has the newest failure of its calls.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller.connection, caller.options, caller.preparation)
        self.incidents: NewestFailure = NewestFailure(caller.connection.incidents)
        self._incidents = self.incidents
