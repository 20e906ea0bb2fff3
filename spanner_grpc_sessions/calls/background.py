"""Calls of an object's background threads, on its client's connection, that can be ended apart from all others."""

from __future__ import annotations

import concurrent.futures
from functools import partial
from threading import Event
from typing import Any, Final

import grpc

from spanner_grpc_sessions.auth.token_source import TokenHeaders
from spanner_grpc_sessions.calls.call import Caller
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.connection import Connection


class BackgroundConnection:
    """A client's connection whose calls `end_calls` ends. A blocking call cannot be interrupted: these are futures."""

    CALL_ERRORS: Final = Connection.CALL_ERRORS
    CLOSED_ERROR: Final = Connection.CLOSED_ERROR

    def __init__(self, connection: Connection) -> None:
        self.tokens = self
        self.address = connection.address
        self.rpc_error = connection.rpc_error
        self.closes_within = connection.closes_within
        self._connection = connection
        self._in_flight: set[Any] = set()
        self._end: concurrent.futures.Future[None] = concurrent.futures.Future()

    def end_calls(self) -> None:
        """End the calls in flight; later ones are not affected."""
        end, self._end = self._end, concurrent.futures.Future()
        end.set_result(None)
        for call in tuple(self._in_flight):
            call.cancel()

    @property
    def closing(self) -> Event:
        """Set once the client is closed."""
        return self._connection.closing

    def ready(self, rpc: Rpc) -> Any:
        """Return an RPC that is ready to be called."""
        return partial(self._call, self._connection.ready(rpc))

    def current(self) -> TokenHeaders | None:
        """Return the headers of a valid token, or None if there is none."""
        return self._connection.tokens.current()

    def wait(self, timeout: float | None) -> TokenHeaders:
        """Return them, waiting for a token."""
        tokens: Any = self._connection.tokens
        headers: TokenHeaders = tokens.wait(timeout, unless=self._end)
        return headers

    def _call(self, call: Any, request: Any, *, timeout: float | None, metadata: Any) -> Any:
        try:
            future = call.future(request, timeout, metadata)
        except RuntimeError:  # at the end of the interpreter gRPC cannot start the thread that a future needs
            return call(request, timeout, metadata)
        self._in_flight.add(future)
        try:
            # `result` raises an exception without status for CANCELLED, also for a server's.
            if future.code() is grpc.StatusCode.OK:
                return future.result()
            raise future
        finally:
            self._in_flight.discard(future)


def background_caller(caller: Caller, connection: BackgroundConnection) -> Caller:
    """Return a caller like the client's, for the calls of the background."""
    own: Any = connection
    return Caller(own, caller.options, caller.preparation)
