"""What the failure of a call means for a pool and its sessions. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spanner_grpc_sessions.errors import PoolTimeout
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound

_TRANSIENT: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED", "CANCELLED"}
)


def is_permanent(error: Exception) -> bool:
    """Return whether repeating a create that failed like this is unlikely to help."""
    return not (isinstance(error, RpcError) and error.status in _TRANSIENT)


def is_transient(error: Exception, statuses: Collection[str] | None) -> bool:
    """Return whether to wait on after a create failed like this: with one of the statuses, or None for all of them."""
    return not is_permanent(error) and (statuses is None or getattr(error, "status", "") in statuses)


def is_loss(error: Exception) -> bool:
    """Return whether a ping that failed like this says that the session is gone, alone or with its database."""
    return isinstance(error, SessionNotFound | DatabaseNotFound)


def timed_out(what: str, timeout: float, cause: Exception | None) -> PoolTimeout:
    """Return the error of a wait that ended without a session, caused by the newest failure of a create."""
    error = PoolTimeout(f"{what} within {timeout:g} s")
    error.__cause__ = cause
    return error
