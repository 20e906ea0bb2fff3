"""What the failure of a call means for a pool and its sessions. Pure: no I/O."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Final

from spanner_grpc_sessions.errors import PoolError, PoolTimeout
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound, Unimplemented

__all__ = ["again", "is_fatal", "is_loss", "is_loss_of", "may_pass", "multiplexed_failure", "timed_out"]

_PASSING: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED", "CANCELLED"}
)


def is_fatal(error: Exception) -> bool:
    """Return whether to repeat a create that failed so will hardly help."""
    return not (isinstance(error, RpcError) and error.status in _PASSING)


def may_pass(error: Exception, statuses: Collection[str] | None) -> bool:
    """Return whether to wait on after a create that failed so.

    Args:
        error: why.
        statuses: that pass; None for all that are not fatal.
    """
    return not is_fatal(error) and (statuses is None or getattr(error, "status", "") in statuses)


def is_loss(error: Exception) -> bool:
    """Return whether a ping that failed so says that the session is gone, alone or with its database."""
    return isinstance(error, SessionNotFound | DatabaseNotFound)


def is_loss_of(name: str, error: BaseException | None) -> bool:
    """Return whether an error says that the server no longer knows this session.

    Args:
        name: of the session that was in use.
        error: a `SessionNotFound` that names no session is taken for one about this.
    """
    if not isinstance(error, SessionNotFound):
        return False
    named = [detail["resourceName"] for detail in error.error_details if detail.get("resourceName")]
    return not named or name in named


def multiplexed_failure(error: BaseException, database: str) -> Exception:
    """Return what the failure of the creation of a multiplexed session means for those who waited for it."""
    if isinstance(error, Unimplemented):
        return PoolError(f"the server of {database} has no multiplexed sessions: use a SessionPool")
    if isinstance(error, Exception):
        return error
    return PoolError(f"the creation of a multiplexed session of {database} was interrupted")


def again(error: Exception) -> Exception:
    """Return an exception to raise in place of one that several threads or tasks get: each has its own traceback."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - of a class that cannot be copied, whatever it raises
        return error


def timed_out(what: str, timeout: float, cause: Exception | None) -> PoolTimeout:
    """Return the error of a wait in vain, caused by the failure of the newest create if it failed."""
    error = PoolTimeout(f"{what} within {timeout:g} s")
    error.__cause__ = cause
    return error
