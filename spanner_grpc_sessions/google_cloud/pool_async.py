"""Sessions of this library for google-cloud-spanner: a pool, or the multiplexed session, as its `pool=`."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from google.cloud.spanner_v1._async.database import Database
from google.cloud.spanner_v1._async.database_sessions_manager import DatabaseSessionsManager
from google.cloud.spanner_v1._opentelemetry_tracing import add_span_event, get_current_span

from spanner_grpc_sessions.errors import PoolError, checks
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.google_cloud.bases_async import AbstractSessionPool, Session
from spanner_grpc_sessions.google_cloud.common import (
    check_database,
    end,
    failure_of,
    give_up,
    session_lost,
    to_google,
)
from spanner_grpc_sessions.multiplexed.session_async import AsyncMultiplexedSession as _OurMultiplexed
from spanner_grpc_sessions.options import DEFAULT
from spanner_grpc_sessions.pool.lease import AsyncLease
from spanner_grpc_sessions.pool.pool_async import AsyncSessionPool as _OurPool

__all__ = ["AsyncAdapter", "AsyncMultiplexedSession", "AsyncSessionPool"]

# ruff: noqa: SLF001 - one library; and what google-cloud-spanner has no public name for, `fit` looks for


class AsyncAdapter(AbstractSessionPool):
    """A session pool of google-cloud-spanner whose sessions are this library's.

    Args:
        source: the pool or the multiplexed session.
        labels: of its sessions.
    """

    multiplexed: ClassVar[bool]
    _database: Any = None  # the `Database` that was bound last

    def __init__(self, source: _OurPool | _OurMultiplexed, labels: dict[str, str]) -> None:
        super().__init__(labels=labels, database_role=source._options.creator_role)
        self._source = source

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._source!r}>"

    def bind(self, database: Database) -> None:
        """Have all transactions of a `Database` run on these sessions; google-cloud-spanner calls it.

        Without this, google-cloud-spanner would create a multiplexed session of its own and leave the pool unused,
        unless three `GOOGLE_CLOUD_SPANNER_MULTIPLEXED_SESSIONS…` variables were set to "false". Several `Database`
        objects of the same name may share one pool. Nothing is sent.

        Raises:
            InvalidType: `database` is something else, or of google-cloud-spanner's other form, sync or asyncio.
            InvalidValue: the sessions are those of another database, or do not have its `database_role`.
        """
        checks.instance("database", database, Database)
        check_database(database, self._source._database, self.database_role)
        self._database = database
        database._sessions_manager = _SessionsManager(database, self)

    async def get(self, timeout: float | None = None) -> Session:
        """Return a session for this caller, to be put back.

        Args:
            timeout: seconds to wait for it; None for the default of this library's pool.

        Raises:
            PoolError: `bind` was not called: `Instance.database(…)` does that, not `Database(…)`.
        """
        if self._database is None:
            raise PoolError("the pool is not bound to a Database: make it by instance.database(…, pool=…)")
        return await self.lend(self._database, timeout)

    async def lend(self, database: Database, timeout: float | None = None) -> Session:
        """Return a session that makes its calls through that `Database`."""
        raise NotImplementedError

    def report(self, failure: RpcError, name: str) -> None:
        """Note what the failure of a call says about the session or database `name`."""
        raise NotImplementedError


class AsyncSessionPool(AsyncAdapter):
    """This library's `AsyncSessionPool` as the `pool=` of google-cloud-spanner's `Instance.database`.

    Every transaction of that `Database` has a session of its own, out of the pool. A session that the server has lost
    is replaced: the pool learns of it from a `NotFound` that leaves a transaction, and after `use(database, client)`
    from each call. A session that is garbage-collected without `put` leaves the pool, which replaces it too.

    Opening and closing the pool is up to you: it opens at the first `get`, and `Database.close()` does not close it.

    Args:
        pool: with the labels and the `creator_role` that the sessions shall have, in its options.

    Raises:
        InvalidType: `pool` is something else.
    """

    multiplexed = False

    def __init__(self, pool: _OurPool) -> None:
        checks.instance("pool", pool, _OurPool)
        super().__init__(pool, dict(pool._options.labels or {}))
        self._pool = pool

    async def lend(self, database: Database, timeout: float | None = None) -> PooledSession:
        """Return a session that makes its calls through that `Database`. For arguments and errors see `get`."""
        return PooledSession(database, self, await self._acquire(timeout))

    async def get(self, timeout: float | None = None) -> Session:
        """Return a session for this caller alone, to be put back.

        Args:
            timeout: seconds to wait for it; None for the `acquire_timeout` of the pool's options.

        Raises:
            PoolTimeout: no session became available in time.
            PoolOverloaded: too many callers are waiting already.
            PoolClosed: the pool is closed.
            PoolError: `bind` was not called: `Instance.database(…)` does that, not `Database(…)`.
            google.api_core.exceptions.GoogleAPICallError: the server refuses to create sessions.
            CredentialsError, ClientClosed: no session can be created.
        """
        return await super().get(timeout)

    async def put(self, session: Session) -> None:
        """Take a session back. If an exception is being handled that says that it is lost, it is replaced.

        Raises:
            PoolError: it was put back before, or is not a session of this pool. Nothing changes.
        """
        if not isinstance(session, PooledSession) or session._pool is not self:
            raise PoolError(f"{checks.short(session)} is not a session of this pool")
        lease = session._lease
        if lease is None:
            return  # it was lost or deleted, and has left the pool
        failure = failure_of(sys.exc_info()[1])
        if failure is not None:
            self.report(failure, lease.name)
        await self._pool.release(lease)

    async def clear(self) -> None:
        """Delete all sessions that are idle. The pool stays open, and creates `min_size` sessions again."""
        runner = self._pool._runner
        if runner.started:
            runner.dispatch(runner.core.clear)

    def report(self, failure: RpcError, name: str) -> None:
        """Note what the failure of a call says about the session or database `name`."""
        self._pool._runner.report(failure, name)

    def _new_session(self) -> PooledSession:
        # What google-cloud-spanner puts back in place of a session that was lost, once it is created.
        return PooledSession(self._database, self, None)

    async def _acquire(self, timeout: float | None) -> AsyncLease:
        try:
            return await self._pool.acquire(DEFAULT if timeout is None else timeout)
        except RpcError as error:
            raise to_google(error) from error


class AsyncMultiplexedSession(AsyncAdapter):
    """This library's `AsyncMultiplexedSession` as the `pool=` of google-cloud-spanner's `Instance.database`.

    Every transaction of that `Database` runs on the one session. If the server loses it, it is replaced: that is
    learned from a `NotFound` that leaves a transaction, and after `use(database, client)` from each call.

    Opening and closing the session is up to you: it opens at the first `get`, and `Database.close()` does not close it.

    Args:
        session: with the `creator_role` that it shall have, in its options.

    Raises:
        InvalidType: `session` is something else.
    """

    multiplexed = True

    def __init__(self, session: _OurMultiplexed) -> None:
        super().__init__(checks.instance("session", session, _OurMultiplexed), {})
        self._session = session

    async def lend(self, database: Database, timeout: float | None = None) -> SharedSession:
        """Return the session, for calls through that `Database`. It need not be put back.

        Args:
            timeout: is ignored: the session is there, or is created within the timeout of its RPC.

        Raises:
            PoolClosed: it is closed.
            PoolError: the server has no multiplexed sessions.
            google.api_core.exceptions.GoogleAPICallError: it could not be created.
            CredentialsError, ClientClosed: the same.
        """
        try:
            await self._session.open()
        except RpcError as error:
            raise to_google(error) from error
        return SharedSession(database, self, self._session.name)

    async def put(self, session: Session) -> None:
        """Note whether an exception that is being handled says that the session is lost."""
        failure = failure_of(sys.exc_info()[1])
        if failure is not None:
            self.report(failure, session.name)

    async def clear(self) -> None:
        """Do nothing: Spanner does not allow deleting a multiplexed session."""

    def report(self, failure: RpcError, name: str) -> None:
        """Note what the failure of a call says about the session `name`."""
        self._session._report(failure, name)

    def _new_session(self) -> SharedSession:
        return SharedSession(self._database, self, self._session.name)


class PooledSession(Session):
    """A session of google-cloud-spanner that holds a lease until it is put back."""

    def __init__(self, database: Any, pool: AsyncSessionPool, lease: AsyncLease | None) -> None:
        super().__init__(database, labels=pool.labels, database_role=pool.database_role)
        self._pool = pool
        self._take(lease)

    def __del__(self) -> None:
        lease = getattr(self, "_lease", None)
        if lease is not None:
            give_up(lease, self._pool._pool)

    async def create(self) -> None:
        """Take a session of the pool.

        Raises:
            ValueError: it has one.
        """
        if self._session_id is not None:
            raise ValueError("Session ID already set by back-end")
        self._take(await self._pool._acquire(None))

    async def exists(self) -> bool:
        """Return whether the server has the session. If not, it leaves the pool, which replaces it."""
        found: bool = await super().exists()
        if not found and self._lease is not None:
            self._pool.report(session_lost(self.name), self.name)
            self._leave(lost=True)
        return found

    async def delete(self) -> None:
        """Take the session out of the pool, which deletes it in the background and replaces it. Idempotent.

        Raises:
            ValueError: it has not been created.
        """
        if self._session_id is None:
            raise ValueError("Session ID not set by back-end")
        self._leave(lost=False)

    def _take(self, lease: AsyncLease | None) -> None:
        self._lease = lease
        if lease is not None:
            self._session_id = lease.name.rpartition("/")[2]

    def _leave(self, *, lost: bool) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            end(lease, lost=lost)


class SharedSession(Session):
    """The multiplexed session, as one of google-cloud-spanner."""

    def __init__(self, database: Any, pool: AsyncMultiplexedSession, name: str) -> None:
        super().__init__(database, database_role=pool.database_role, is_multiplexed=True)
        self._pool = pool
        self._session_id = name.rpartition("/")[2]

    async def create(self) -> None:
        """Do nothing: the session is there."""

    async def exists(self) -> bool:
        """Return whether the server has the session. If not, it is replaced."""
        found: bool = await super().exists()
        if not found:
            self._pool.report(session_lost(self.name), self.name)
        return found


class _SessionsManager(DatabaseSessionsManager):
    """Gives a `Database` the sessions of its pool alone; Google's own takes a multiplexed session of its own first."""

    def __init__(self, database: Database, adapter: AsyncAdapter) -> None:
        super().__init__(database, adapter)
        self._adapter = adapter

    async def get_session(self, transaction_type: Any) -> Session:
        """Return a session for a transaction of any type."""
        session = await self._adapter.lend(self._database)
        event = {"id": session.session_id, "multiplexed": session.is_multiplexed}
        add_span_event(get_current_span(), "Using session", event)
        return session

    async def put_session(self, session: Session) -> None:
        """Take a session back."""
        event = {"id": session.session_id, "multiplexed": session.is_multiplexed}
        add_span_event(get_current_span(), "Returning session", event)
        await self._adapter.put(session)

    def _use_multiplexed(self, transaction_type: Any) -> bool:  # type: ignore[override]  # Google's is the same for all
        return self._adapter.multiplexed
