# Generated from pool/pool_async.py by scripts/unasync.py. Do not edit: edit that file and run `make sync`.
"""The session pool: sessions that are ready when they are needed."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import PoolError, checks
from spanner_grpc_sessions.errors.rpc import RpcError, SessionNotFound
from spanner_grpc_sessions.options import DEFAULT, Timeout, check_timeout
from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.pool.lease import Lease
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.runner import PoolRunner
from spanner_grpc_sessions.pool.stats import PoolStats
from spanner_grpc_sessions.pool.watched import WatchedIdle
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from spanner_grpc_sessions.runtime.fork import forks_without_hooks, notice_fork, reset_after_fork, retain_after_fork
from spanner_grpc_sessions.service.names import check_database

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVarTuple, Unpack

    _Args = TypeVarTuple("_Args")

# ruff: noqa: SLF001 - a pool and its leases are one

_Result = TypeVar("_Result")


class SessionPool:
    """Sessions of one database, handed out to one caller at a time. Safe to share between threads.

    A context manager. It opens on first use. Close it to delete its sessions. In the background it creates missing
    sessions, keeps idle ones alive and replaces old ones. An acquire makes no call while there is a fresh session;
    otherwise it waits, first come, first served.

    In a forked child it starts empty: the sessions belong to the parent.

    Args:
        client: makes the calls. Close it after the pool.
        database: `projects/{project}/instances/{instance}/databases/{database}`.
        options: the number of sessions, their lifetime, and the limits of waiting.
        clock: for tests.

    Raises:
        InvalidName: `database` is not a database name.
        InvalidType: an argument has the wrong type.
    """

    def __init__(
        self,
        client: SessionsClient,
        database: str,
        *,
        options: PoolOptions | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._client = checks.instance("client", client, SessionsClient)
        self._database = check_database(database)
        self._options = checks.optional("options", options, PoolOptions) or PoolOptions()
        self._clock = checks.instance("clock", clock, Clock)
        self._now = clock.now
        self._reset()
        reset_after_fork(self)

    def __repr__(self) -> str:
        stats = self.stats()
        counts = f"size={stats.size} idle={stats.idle} leased={stats.leased} waiting={stats.waiting}"
        return f"<{type(self).__name__} {self._client._connection.address} {self._database} {self._state} {counts}>"

    def __del__(self) -> None:
        if hasattr(self, "_core") and self._state == "open":
            text = f"unclosed {self!r}"
            self._runner.abandon()
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)

    __reduce_ex__: Any = checks.uncopyable("share it, or create one in each process with a client of its own")

    def __enter__(self) -> Self:
        try:
            return self.open()
        except BaseException:
            # The block is not entered: nothing else would close the pool.
            self.close(0.0)
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, timeout: float | None = 60.0) -> Self:
        """Create `min_size` sessions, unless they exist. Idempotent, and done once for all callers.

        Failures that the client retries are retried until the timeout. A pool that could not be opened can be used all
        the same, and opened again; as a context manager it is closed.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            RpcError, CredentialsError, ClientClosed: they could not be created; the next use tries again.
            PoolTimeout: they were not created in time.
            PoolClosed: the pool is closed.
        """
        self._runner.fill(check_timeout(timeout), patient=False)
        return self

    def close(self, timeout: float | None = 30.0) -> None:
        """Delete the idle sessions and end the background work. Idempotent; callers that wait get `PoolClosed`.

        It does not wait for leased sessions: each is deleted when it is released, if the client is still open. `drain`
        waits for them.

        Args:
            timeout: seconds to wait for the deletes, None for no limit. The server drops the sessions that are not
                deleted by then when they have been idle for an hour.
        """
        self._runner.close(check_timeout(timeout), drain=False)

    def drain(self, timeout: float | None = 30.0) -> bool:
        """Close the pool, and wait until the leased sessions are released and deleted too.

        Args:
            timeout: seconds, None for no limit.

        Returns:
            Whether all sessions were released and deleted in time.
        """
        return self._runner.close(check_timeout(timeout), drain=True)

    def wait(self, timeout: float | None = 30.0) -> None:
        """Wait until `min_size` sessions exist, also while creating them fails.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            PoolTimeout: they do not exist in time.
            RpcError, CredentialsError, ClientClosed: they cannot be created, and trying again is unlikely to help.
            PoolClosed: the pool is closed.
        """
        self._runner.fill(check_timeout(timeout), patient=True)

    def acquire(self, timeout: Timeout = DEFAULT) -> Lease:
        """Return a session for this caller alone. Release it with `release`; better, use `session`.

        Keep the lease as long as its session is used: a lease that is dropped without a release cannot come back, and
        the pool deletes its session: after about ten seconds, or ten minutes where the pool is hardly used.

        Args:
            timeout: seconds to wait; None for no limit, 0 to try once; by default the `acquire_timeout` of the options.

        Raises:
            PoolTimeout: no session became available in time. `__cause__` is why none could be created, if so.
            PoolOverloaded: `max_waiting` callers are waiting already.
            PoolClosed: the pool is closed.
            RpcError, CredentialsError, ClientClosed: no session can be created, and trying again is unlikely to help.
        """
        if timeout is not DEFAULT:
            check_timeout(timeout)
        try:
            # Read first and then called: as methods, which they are not, Python would look for them for longer.
            take = self._take
            record = take()
        except IndexError:
            pass
        else:
            read_clock = self._now
            now = read_clock()
            if now < record.valid_until:
                record.last_used_at = now
                record.holder = lease = Lease()
                lease._record = record
                lease._owner = self._runner
                return lease
            self._core.idle.append(record)
        notice_fork()
        lease = Lease()
        self._runner.acquire(lease, self._options.acquire_timeout if timeout is DEFAULT else timeout)
        return lease

    def release(self, lease: Lease) -> None:
        """Release a session to the pool.

        Raises:
            PoolError: the lease was released before, or belongs to another pool or to the parent process. Nothing
                changes.
            InvalidType: it is not a lease.
        """
        try:
            if lease._owner is not self._runner:
                raise PoolError(f"{lease!r} belongs to another pool, or to the process that this one was forked from")
            # Of two callers that release one lease, only one can do this.
            del lease._owner
        except AttributeError:
            raise _not_leased(lease) from None
        record, core = lease._record, self._core
        if core.contended or record.discarded:
            used = self._now() - record.last_used_at
            self._runner.dispatch(core.give_back, record)
            self._runner.watch.tell("session_released", used)
        else:
            record.holder = None
            put = self._put
            put(record)
            if core.contended:
                self._runner.dispatch(core.serve_waiters)

    def session(self, timeout: Timeout = DEFAULT) -> LeasedSession:
        """Return a context manager that acquires a session as a lease, and releases it. It can be entered once.

        If the block raises the `SessionNotFound` of its session, the session is replaced.

        Args:
            timeout: see `acquire`.
        """
        leased = LeasedSession()
        leased._pool = self
        leased._timeout = timeout
        return leased

    def run(
        self,
        function: Callable[[Lease, Unpack[_Args]], _Result],
        *args: Unpack[_Args],
        timeout: Timeout = DEFAULT,
    ) -> _Result:
        """Return the result of `function(lease, *args)`, called again on another session if its session was lost.

        Args:
            function: called again from the start if its session was lost, so it must be safe to repeat.
            args: further arguments of the function.
            timeout: see `acquire`; for each of the two calls.

        Raises:
            SessionNotFound: both sessions were lost.
            InvalidType: `function` cannot be called, or is a coroutine function or a generator function.
            Exception: whatever `acquire` or the function raises.
        """
        checks.function("function", function)
        lease = self.acquire(timeout)
        try:
            return self._use(lease, function, args)
        except SessionNotFound as error:
            if not error.concerns(lease.name):
                raise
        return self._use(self.acquire(timeout), function, args)

    def stats(self) -> PoolStats:
        """Return the numbers of the pool at this moment, without waiting."""
        return self._core.stats()

    def after_fork(self) -> None:
        """Start empty in a forked child, without what belongs to the parent."""
        parent, closed = self._runner, self._core.closing
        retain_after_fork(parent)
        parent.watch.end()
        self._reset()
        if closed:
            self._core.close(self._now())
            self._runner.watch.end()

    @property
    def _state(self) -> str:
        return "closed" if self._core.closing else "open" if self._runner.started else "new"

    def _reset(self) -> None:
        self._runner = PoolRunner(self._client, self._database, self._options, self._clock)
        self._core = self._runner.core
        # The fast path that `core.machine` describes. Leaks are noted under the lock, and then there is none.
        watch = self._runner.watch
        idle = self._core.idle if watch.observer is None else WatchedIdle(self._core.idle, watch, self._now)
        take = idle.pop if self._runner.leaks is None else deque[SessionRecord]().pop
        self._take = _take_after_fork(take) if forks_without_hooks() else take
        self._put = idle.append

    def _use(
        self,
        lease: Lease,
        function: Callable[[Lease, Unpack[_Args]], _Result],
        args: tuple[Unpack[_Args]],
    ) -> _Result:
        try:
            return function(lease, *args)
        except RpcError as error:
            lease._report(error)
            raise
        finally:
            self.release(lease)


class LeasedSession:
    """The context manager that `SessionPool.session` returns. The pool sets it up: an `__init__` costs more."""

    __slots__ = ("_lease", "_pool", "_timeout")

    _lease: Lease
    _pool: SessionPool
    _timeout: Timeout

    def __enter__(self) -> Lease:
        try:
            timeout = self._timeout
            # Of two callers that enter it, only one can do this.
            del self._timeout
        except AttributeError:
            raise PoolError("a session() was entered before: call session() for each block") from None
        self._lease = lease = self._pool.acquire(timeout)
        return lease

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            lease = self._lease
        except AttributeError:
            raise PoolError("a session() was left that has no session") from None
        if error is not None:
            lease._report(error)
        self._pool.release(lease)


def _take_after_fork(take: Callable[[], SessionRecord]) -> Callable[[], SessionRecord]:
    def take_here() -> SessionRecord:
        if notice_fork():
            raise IndexError
        return take()

    return take_here


def _not_leased(lease: object) -> PoolError:
    return PoolError(f"{checks.instance('lease', lease, Lease).name} was released before")
