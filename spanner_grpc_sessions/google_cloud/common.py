"""What both forms share: which `Database` fits, what a failure says about a session, how a session leaves its pool."""

from __future__ import annotations

import contextlib
from typing import Any

import grpc
from google.api_core import exceptions as google_exceptions

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.rpc import RpcError, SessionNotFound, from_grpc

# ruff: noqa: SLF001 - one library


def check_database(database: Any, name: str, role: str | None) -> None:
    """Require that sessions of a database and a role are those that a `Database` of google-cloud-spanner means.

    Raises:
        InvalidValue: they are not; the message names both.
    """
    if database.name != name:
        raise InvalidValue(f"the sessions are those of {name}, and the Database is {short(database.name)}")
    # A role of the sessions alone is fine, as in Google's pools. One of the Database alone would be widened.
    if database.database_role is not None and database.database_role != role:
        raise InvalidValue(
            f"the Database has database_role {short(database.database_role)}, and the sessions have the creator_role "
            f"{short(role)}: set the same in the options of both"
        )


def failure_of(error: BaseException | None) -> RpcError | None:
    """Return the exception of this library for a NotFound of google-cloud-spanner; None for all others."""
    if not isinstance(error, google_exceptions.NotFound):
        return None
    cause = next(iter(error.errors), None)
    if isinstance(cause, RpcError):
        return cause
    return from_grpc(cause, method="", request_id="") if isinstance(cause, grpc.RpcError) else None


def session_lost(name: str) -> SessionNotFound:
    """Return the exception of a session that a GetSession did not find."""
    return SessionNotFound(f"Session not found: {name}", method="GetSession")


def to_google(error: RpcError) -> google_exceptions.GoogleAPICallError:
    """Return the exception that google-cloud-spanner's callers expect for one of a pool."""
    failure: google_exceptions.GoogleAPICallError = google_exceptions.from_grpc_error(error)
    return failure


def end(lease: Any, *, lost: bool) -> None:
    """Take a leased session out of its pool. A lost one is forgotten, another one deleted on the server. Idempotent."""
    try:
        runner = lease._owner
        # Of two callers, only one can do this.
        del lease._owner
    except AttributeError:
        return
    lease._record.mark_discarded(lost=lost)
    runner.dispatch(runner.core.give_back, lease._record)


def give_up(lease: Any, pool: Any) -> None:
    """Forget a session whose holder was garbage-collected, in whichever thread. Its name may still be in use.

    A BatchSnapshot passes the name of its session on to other processes. So it is not deleted; the server drops it an
    hour after its last use.
    """
    runner = getattr(lease, "_owner", None)
    if runner is None or runner is not pool._runner:
        return  # the second: it belongs to the parent process
    loop = getattr(runner, "loop", None)
    if loop is None:
        end(lease, lost=True)
    else:
        # A closed loop takes no more calls, and its pool has ended.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: end(lease, lost=True))
