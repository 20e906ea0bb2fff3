"""The session pool: sessions that are there when they are needed. `pool_async` is its mirror image."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidType, PoolError
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.rpc import RpcError, SessionNotFound
from spanner_grpc_sessions.options import DEFAULT, Timeout, check_timeout
from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.pool.failures import is_loss_of
from spanner_grpc_sessions.pool.lease import Lease
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.pool.runner import PoolShell
from spanner_grpc_sessions.pool.stats import PoolStats
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from spanner_grpc_sessions.runtime.fork import reset_after_fork, retain_after_fork
from spanner_grpc_sessions.service.names import check_database

if TYPE_CHECKING:
    from typing_extensions import Self

# ruff: noqa: SLF001 - a pool and its leases are one

__all__ = ["LeasedSession", "SessionPool"]

_Result = TypeVar("_Result")
_OPEN_TIMEOUT: Final = 60.0
"""Seconds: what Google publishes for BatchCreateSessions, attempts and waits included."""


class SessionPool:
    """Sessions of one database, handed out to one caller at a time. Safe to share between threads.

    A context manager. It opens at the first use if it was not opened before, and should be closed: that deletes its
    sessions. In the background it creates what is missing, keeps idle sessions alive and replaces old ones. An acquire
    makes no call while there is a fresh session; otherwise it waits, first come first served.

    After a fork it begins anew in the child, empty: the sessions are the parent's.

    Args:
        client: to make the calls with. It stays yours; close it after the pool.
        database: `projects/{project}/instances/{instance}/databases/{database}`.
        options: how many sessions, how long they live, who may wait.
        clock: for tests.

    Raises:
        InvalidName: `database` is not a name of one.
        InvalidType: an argument is something else.
    """

    def __init__(
        self,
        client: SessionsClient,
        database: str,
        *,
        options: PoolOptions | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        if not isinstance(client, SessionsClient):
            raise InvalidType(f"client must be a SessionsClient, got {short(client)}")
        if options is not None and not isinstance(options, PoolOptions):
            raise InvalidType(f"options must be PoolOptions or None, got {short(options)}")
        self._client = client
        self._database = check_database(database)
        self._options = options or PoolOptions()
        self._clock = clock
        self._now = clock.now
        self._begin()
        reset_after_fork(self)

    def __repr__(self) -> str:
        stats = self.stats()
        counts = f"size={stats.size} idle={stats.idle} leased={stats.leased} waiting={stats.waiting}"
        return f"<{type(self).__name__} {self._client._connection.address} {self._database} {self._state} {counts}>"

    def __del__(self) -> None:
        if hasattr(self, "_core") and self._state == "open":
            text = f"unclosed {self!r}"
            self._shell.abandon()
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> Self:
        """Create `min_size` sessions, if they are not there. Idempotent, and done once however many callers come.

        Failures that the client repeats are repeated, up to a minute.

        Raises:
            RpcError: they could not be created; the next `open` or acquire tries again.
            CredentialsError, ClientClosed: the same.
            PoolTimeout: they were not created in time.
            PoolClosed: the pool was closed.
        """
        self._shell.fill(_OPEN_TIMEOUT, patient=False)
        return self

    def close(self, timeout: float | None = 30.0) -> None:
        """Delete all sessions and end all threads. Idempotent; whoever waits for a session gets `PoolClosed`.

        Idle sessions are deleted at once, leased ones when they are given back, also after the timeout.

        Args:
            timeout: seconds for all of it, None for no limit.
        """
        self._shell.close(check_timeout(timeout))

    def wait(self, timeout: float | None = 30.0) -> None:
        """Wait until `min_size` sessions are there, however often creating them fails meanwhile.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            PoolTimeout: they are not there in time.
            RpcError, CredentialsError, ClientClosed: to try again will hardly help.
            PoolClosed: the pool is, or was meanwhile, closed.
        """
        self._shell.fill(check_timeout(timeout), patient=True)

    def acquire(self, timeout: Timeout = DEFAULT) -> Lease:
        """Return a session for the caller alone, to be given back by `release`; better use `session`.

        Args:
            timeout: seconds to wait; None for no limit, 0 to try once, by default the `acquire_timeout` of the options.

        Raises:
            PoolTimeout: no session came free in time. Its cause is why none could be created, if that is so.
            PoolOverloaded: `max_waiting` others wait.
            PoolClosed: the pool is, or was meanwhile, closed.
            RpcError, CredentialsError, ClientClosed: no session can be created, and to try again will hardly help.
        """
        if timeout is not DEFAULT:
            check_timeout(timeout)
        try:
            record = self._take()
        except IndexError:
            pass
        else:
            now = self._now()
            if now < record.valid_until:
                record.last_used_at = now
                record.holder = lease = Lease()
                lease._record = record
                lease._lessor = self._shell
                return lease
            self._put(record)
        return self._acquire(timeout)

    def release(self, lease: Lease) -> None:
        """Give a session back.

        Raises:
            PoolError: the lease was given back already, is of another pool, or of this pool's parent process. Nothing
                was changed.
            InvalidType: it is no lease.
        """
        try:
            if lease._lessor is not self._shell:
                raise PoolError(f"{lease!r} is not of this pool, or of the process that this one was forked from")
            # Of two threads with one lease, only one can do this.
            del lease._lessor
        except AttributeError:
            raise _refusal(lease) from None
        record, core = lease._record, self._core
        if core.contended or record.discarded:
            self._shell.give_back(record)
        else:
            record.holder = None
            self._put(record)
            if core.contended:
                self._shell.tell(core.serve_waiters)

    def session(self, timeout: Timeout = DEFAULT) -> LeasedSession:
        """Return a context manager that acquires a session, gives it as a `Lease`, and gives it back.

        A block that ends in the `SessionNotFound` of its session has it replaced.

        Args:
            timeout: see `acquire`.
        """
        return LeasedSession(self, timeout)

    def run(self, function: Callable[..., _Result], *args: Any, timeout: Timeout = DEFAULT) -> _Result:
        """Return `function(lease, *args)`, called with a session; once more, on another one, if that session was lost.

        Args:
            function: what it did before it met `SessionNotFound` is done again.
            args: further arguments.
            timeout: see `acquire`; for each of the two.

        Raises:
            SessionNotFound: both sessions were lost.
            Exception: what `acquire` or the function raises.
        """
        lease = self.acquire(timeout)
        try:
            return self._use(lease, function, args)
        except SessionNotFound as error:
            if not is_loss_of(lease.name, error):
                raise
        return self._use(self.acquire(timeout), function, args)

    def stats(self) -> PoolStats:
        """Return the pool's numbers at this moment, without waiting for anything."""
        return self._core.stats()

    def after_fork(self) -> None:
        """Begin anew in a forked child, without the sessions, the threads and the lock of the parent."""
        parent, closed = self._shell, self._core.closing
        retain_after_fork(parent)
        self._begin()
        if closed:
            self._core.close(self._now())

    @property
    def _state(self) -> str:
        return "closed" if self._core.closing else "open" if self._shell.started else "new"

    def _begin(self) -> None:
        self._shell = PoolShell(self._client, self._database, self._options, self._clock)
        self._core = self._shell.core
        # What `pool_core.machine` allows without the lock. Leaks are noted under it, so then all is done there.
        self._take = self._core.idle.pop if self._shell.leaks is None else deque[SessionRecord]().pop
        self._put = self._core.idle.append

    def _use(self, lease: Lease, function: Callable[..., _Result], args: tuple[Any, ...]) -> _Result:
        try:
            return function(lease, *args)
        except RpcError as error:
            lease._report(error)
            raise
        finally:
            self.release(lease)

    def _acquire(self, timeout: Timeout) -> Lease:
        limit = self._options.acquire_timeout if timeout is DEFAULT else timeout
        lease = Lease()
        self._shell.acquire(lease, limit)
        return lease


class LeasedSession:
    """What `SessionPool.session` returns: a context manager, to be entered once at a time."""

    __slots__ = ("_lease", "_pool", "_timeout")

    def __init__(self, pool: SessionPool, timeout: Timeout) -> None:
        self._pool = pool
        self._timeout = timeout

    def __enter__(self) -> Lease:
        self._lease = lease = self._pool.acquire(self._timeout)
        return lease

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease = self._lease
        if error is not None:
            lease._report(error)
        self._pool.release(lease)


def _refusal(lease: object) -> Exception:
    if isinstance(lease, Lease):
        return PoolError(f"{lease.name} was given back already")
    return InvalidType(f"release takes a Lease, got {short(lease)}")
