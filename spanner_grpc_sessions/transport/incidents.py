"""What an operator must know of a connection, told to the log at INFO: once for each incident, not for each call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from spanner_grpc_sessions.errors.origin import was_never_taken_up
from spanner_grpc_sessions.runtime.log import log

if TYPE_CHECKING:
    from spanner_grpc_sessions.auth import Tokens
    from spanner_grpc_sessions.auth.token import TokenHeaders
    from spanner_grpc_sessions.errors.rpc import RpcError

# gRPC's own words for a connection that broke or cannot be made: a server that is unavailable answers in others.
_OF_GRPC: Final = (
    *("failed to connect", "connection refused", "connection reset", "connection timed out", "connection closed"),
    *("socket closed", "broken pipe", "goaway", "stream removed", "dns resolution", "name resolution", "recvmsg"),
    *("sendmsg", "keepalive", "ping timeout", "unreachable", "endpoint closing", "handshake"),
)


class Incidents:
    """The incidents of one connection. Safe to share between threads: at worst a line is logged twice.

    Attributes:
        lost: whether the last call failed for want of a connection; then the next success is to be told to `back`.
    """

    def __init__(self, address: str, tokens: Tokens) -> None:
        self.lost: bool = False
        self._address = address
        self._tokens = tokens
        self._since = 0.0

    def note(self, failure: RpcError, token: TokenHeaders | None) -> None:
        """Log what the failure of a call says of the connection and its token, and replace a token that was rejected.

        `token` is what the call carried, None if that is not known.
        """
        if was_never_taken_up(failure):
            # It is sent again at once, to the server's next connection.
            return
        if failure.status == "UNAVAILABLE" and not self.lost and _is_of_grpc(failure.message):
            self._since = time.monotonic()
            self.lost = True
            log.info("lost the connection to %s: %s", self._address, failure.message)
        elif failure.status == "UNAUTHENTICATED" and self._tokens.reject(token):
            log.info("%s rejected the token: %s", self._address, failure.message)

    def back(self) -> None:
        """Log that a call has succeeded again."""
        self.lost = False
        log.info("the connection to %s is back after %.1f s", self._address, time.monotonic() - self._since)


class NewestFailure(Incidents):
    """The incidents of a connection, as one object sees them that keeps the newest failure of an attempt of its own.

    Attributes:
        failure: of the newest attempt that failed, until it is set to None.
    """

    def __init__(self, incidents: Incidents) -> None:
        self.failure: BaseException | None = None
        self._incidents = incidents

    @property
    def lost(self) -> bool:  # type: ignore[override]  # that of the connection
        """Whether the last call of all failed for want of a connection."""
        return self._incidents.lost

    def note(self, failure: RpcError, token: TokenHeaders | None) -> None:
        """Keep the failure, and note it."""
        self.failure = failure
        self._incidents.note(failure, token)

    def back(self) -> None:
        """Log that a call has succeeded again."""
        self._incidents.back()


def _is_of_grpc(message: str) -> bool:
    words = message.lower()
    return any(phrase in words for phrase in _OF_GRPC)
