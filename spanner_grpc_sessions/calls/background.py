"""Calls that go on in the background of an object, on its client's connection, and end with the object."""

from __future__ import annotations

import concurrent.futures
import copy
from functools import partial
from threading import Event
from typing import Any

import grpc

from spanner_grpc_sessions.auth.token_source import TokenHeaders
from spanner_grpc_sessions.calls.call import CallPath
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.connection import Connection

__all__ = ["Background"]


class Background:
    """What a call path takes for its connection and its tokens, and whose calls can be ended apart from all others'.

    A call that blocks cannot be interrupted from outside, so these are futures that their threads wait for.

    Args:
        connection: the client's.

    Attributes:
        tokens: itself: it waits for the client's tokens.
        calls: nothing, for an RPC is made ready at each call.
    """

    def __init__(self, connection: Connection) -> None:
        self.tokens = self
        self.calls: dict[Method, Any] = {}
        self._connection = connection
        self._in_flight: set[Any] = set()
        self._end: concurrent.futures.Future[None] = concurrent.futures.Future()

    def path(self, path: CallPath) -> CallPath:
        """Return a call path like the client's, with its numbers and observers, for the calls of the background."""
        own = copy.copy(path)
        own.__dict__.update(_connection=self, _tokens=self, _calls=self.calls)
        return own

    def end_calls(self) -> None:
        """End what is in flight; calls that begin later are not touched."""
        end, self._end = self._end, concurrent.futures.Future()
        end.set_result(None)
        for call in tuple(self._in_flight):
            call.cancel()

    @property
    def closing(self) -> Event:
        """Set once the client is closed."""
        return self._connection.closing

    def prepare(self, method: Method) -> Any:
        """Return an RPC to be called."""
        call = self._connection.calls.get(method) or self._connection.prepare(method)
        return partial(self._call, call)

    def current(self) -> TokenHeaders | None:
        """Return the headers of a valid token, or None if there is none."""
        return self._connection.tokens.current()

    def wait(self, timeout: float | None) -> TokenHeaders:
        """Return them, waiting for a token."""
        return self._connection.tokens.wait(timeout, unless=self._end)

    def _call(self, call: Any, request: Any, timeout: float | None, metadata: Any) -> Any:
        try:
            future = call.future(request, timeout, metadata)
        except RuntimeError:  # gRPC needs a thread for it, and there are no more when the interpreter ends
            return call(request, timeout, metadata)
        self._in_flight.add(future)
        try:
            # `result` would turn the status CANCELLED, also a server's, into an exception without status.
            if future.code() is grpc.StatusCode.OK:
                return future.result()
            raise future
        finally:
            self._in_flight.discard(future)
