"""What the failure of a call means for a pool and its sessions. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spanner_grpc_sessions.errors import PoolError, PoolTimeout, SpannerSessionsError
from spanner_grpc_sessions.errors.connecting import why_final
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound
from spanner_grpc_sessions.pool.core import PoolCore

_TRANSIENT: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED", "CANCELLED"}
)


def of_job(name: str, error: BaseException) -> Exception:
    """Return the failure of a call of the pool's own, also for what an observer of the user's raised."""
    if isinstance(error, SpannerSessionsError):
        return error
    failure = PoolError(f"{name} ended in {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def is_permanent(error: Exception) -> bool:
    """Return whether repeating a create that failed like this is unlikely to help."""
    if not (isinstance(error, RpcError) and error.status in _TRANSIENT):
        return True
    return why_final(error.message) is not None


def is_transient(error: Exception, statuses: Collection[str] | None) -> bool:
    """Return whether to wait on after a create failed like this: with one of the statuses, or None for all of them."""
    return not is_permanent(error) and (statuses is None or getattr(error, "status", "") in statuses)


def is_loss(error: Exception) -> bool:
    """Return whether a ping that failed like this says that the session is gone, alone or with its database."""
    return isinstance(error, SessionNotFound | DatabaseNotFound)


def timed_out(what: str, timeout: float, core: PoolCore) -> PoolTimeout:
    """Return the error of a wait that ended without a session, caused by the newest failure of a create."""
    stats, cause = core.stats(), core.last_error
    numbers = f"{stats.leased} leased, {stats.idle} idle, {stats.waiting} waiting"
    why = "" if cause is None else f"; no session could be created: {cause}"
    error = PoolTimeout(f"{what} within {timeout:g} s: {stats.size} of {core.max_size} sessions: {numbers}{why}")
    error.__cause__ = cause
    return error
