"""Why a channel does not connect. gRPC tells a listener that it does not, and only a call why."""

from __future__ import annotations

from typing import Final

import grpc

from spanner_grpc_sessions.errors.connecting import explained, why_final
from spanner_grpc_sessions.errors.rpc import DeadlineExceeded, RpcError, Unavailable

# A call that does nothing, if it reaches a server after all. A channel that fails to connect answers it at once.
PROBE: Final = "/grpc.health.v1.Health/Check"
PROBE_TIMEOUT: Final = 0.1


def reason_of(error: grpc.RpcError) -> str:
    """Return gRPC's words for why a probe found no connection, "" if that is not why it failed."""
    return str(error.details() or "") if error.code() is grpc.StatusCode.UNAVAILABLE else ""


def not_connected(address: str, reason: str) -> RpcError:
    """Return the error of a warm-up that found no connection to "host:port", for this reason."""
    why = explained(reason) if reason else "it did not answer"
    if why_final(reason) is not None:
        return Unavailable(f"no connection to {address}: {why}", method="warm_up")
    return DeadlineExceeded(f"no connection to {address} in time: {why}", method="warm_up")
