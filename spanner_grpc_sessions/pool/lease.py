"""A lease: a session of a pool in the hands of one caller. And the detection of leases that are kept for too long."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from spanner_grpc_sessions.errors import PoolError, SpannerSessionsError, checks
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.rest import to_rest

if TYPE_CHECKING:
    import grpc
    import grpc.aio
    from spanner_grpc_sessions_pb import spanner_pb2_grpc

    from spanner_grpc_sessions.options import RetryOptions
    from spanner_grpc_sessions.service.types import Session

_PACKAGE: Final = str(Path(__file__).parents[1])


class _AnyLease:
    # `_owner` is there until the lease is released: of two threads that release it, only one can delete it.
    __slots__ = ("_owner", "_record")

    _record: SessionRecord
    _owner: Any  # the runner of the pool

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{'' if hasattr(self, '_owner') else ' released'}>"

    __reduce_ex__: Any = checks.uncopyable(
        "only its holder may use and release it; hand on its name, or acquire another"
    )

    @property
    def name(self) -> str:
        """The full name of the session."""
        try:
            name: str = self._record.name
        except AttributeError:
            raise PoolError(f"this {type(self).__name__} has no session: `acquire` of a pool returns leases") from None
        return name

    @property
    def resource(self) -> Session:
        """The session as it was created, as the body of REST's `sessions.create`."""
        resource: Session = to_rest(self._record.resource)
        return resource

    def invalidate(self) -> None:
        """Have the session replaced, because the server has lost it.

        The pool detects a loss by itself when a call or a stream of `stub` raises `SessionNotFound`, and when that
        leaves a block or `run`. A session that is invalidated without it is deleted, since it may be alive.
        """
        runner = getattr(self, "_owner", None)
        if runner is not None:
            runner.require_loop()
            runner.dispatch(runner.core.lost, self._record, proven=False)

    def _report(self, error: BaseException) -> None:
        runner = getattr(self, "_owner", None)
        if runner is not None and isinstance(error, RpcError):
            runner.report(error, self.name, self._record)

    def _runner(self) -> Any:
        runner = getattr(self, "_owner", None)
        if runner is None:
            raise PoolError(f"the lease of {self.name} was released: its session may be another caller's")
        return runner

    def _channel(self, retry: RetryOptions | None, interceptors: Iterable[Any]) -> Any:
        runner, record = self._runner(), self._record

        def report(failure: RpcError, name: str) -> None:
            runner.report(failure, name, record if name == record.name else None)

        return runner.channel(report, retry, interceptors)


class Lease(_AnyLease):
    """A session that is yours until you release it to its `SessionPool`."""

    __slots__ = ()

    @property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The stub of the service, on the session's own connection. Its calls raise `RpcError`.

        Raises:
            PoolError: the lease was released.
        """
        stub: spanner_pb2_grpc.SpannerStub = self._runner().stub
        return stub

    def channel(self, *, interceptors: Iterable[Any] = (), retry: RetryOptions | None = None) -> grpc.Channel:
        """Return a channel for stubs of your own, as the client's `channel`. It finds the loss of the session.

        Args:
            interceptors: gRPC's client interceptors, the first one outermost.
            retry: which failures are retried; None is `ClientOptions.stub_retry`.

        Raises:
            PoolError: the lease was released.
            InvalidType: an interceptor or `retry` has the wrong type.
        """
        channel: grpc.Channel = self._channel(retry, interceptors)
        return channel


class AsyncLease(_AnyLease):
    """A session that is yours until you release it to its `AsyncSessionPool`."""

    __slots__ = ()

    @property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The stub of the service, on the session's own connection. Its calls raise `RpcError`.

        Raises:
            PoolError: the lease was released.
        """
        stub: spanner_pb2_grpc.SpannerAsyncStub = self._runner().stub
        return stub

    def channel(
        self, *, interceptors: Iterable[grpc.aio.ClientInterceptor] = (), retry: RetryOptions | None = None
    ) -> grpc.aio.Channel:
        """Return a channel for stubs of your own, as the client's `channel`. It finds the loss of the session.

        Args:
            interceptors: gRPC's client interceptors, the first one outermost.
            retry: which failures are retried; None is `ClientOptions.stub_retry`.

        Raises:
            PoolError: the lease was released.
            InvalidType: an interceptor or `retry` has the wrong type.
        """
        channel: grpc.aio.Channel = self._channel(retry, interceptors)
        return channel


for _lease_class in (Lease, AsyncLease):
    # Tracebacks and representations show the name that users import.
    _lease_class.__module__ = SpannerSessionsError.__module__


@dataclass(frozen=True, slots=True)
class Leak:
    """A lease, and where it was acquired. Its text is the warning: to read the lines of source takes time.

    Attributes:
        name: of its session.
        holder: the lease.
        since: when it was acquired.
        stack: the code and the line of each caller of the acquire, the innermost first.
    """

    name: str
    holder: Any
    since: float
    stack: list[tuple[CodeType, int]]

    def warning(self, now: float) -> str:
        """Return what is logged of it."""
        lines = traceback.format_list(
            [
                (code.co_filename, line, code.co_name, None)
                for code, line in reversed(self.stack)
                if not code.co_filename.startswith(_PACKAGE)
            ]
        )
        return f"{self.name} has been leased for {now - self.since:.0f} s, and was acquired here:\n{''.join(lines)}"


class LeakDetector:
    """Reports each lease that is kept for more than `after` seconds, once. For use under a lock, or in one loop."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._noted: dict[SessionRecord, Leak] = {}

    @staticmethod
    def lease(record: SessionRecord, now: float) -> Leak:
        """Return what is to be noted of a lease, with the stack of its acquire. This needs no lock."""
        frames = traceback.walk_stack(sys._getframe(1))  # noqa: SLF001 - as `traceback` does
        return Leak(record.name, record.holder, now, [(frame.f_code, line) for frame, line in frames])

    def note(self, record: SessionRecord, lease: Leak) -> None:
        """Note a lease, in the place of the session's last one."""
        self._noted[record] = lease

    def due(self) -> float:
        """Return when to look next."""
        return min((lease.since for lease in self._noted.values()), default=inf) + self._after

    def overdue(self, now: float) -> list[Leak]:
        """Return the leases that are to be warned of, without the lock."""
        leaks = []
        for record, lease in tuple(self._noted.items()):
            if record.holder is not lease.holder:
                del self._noted[record]
            elif now >= lease.since + self._after:
                del self._noted[record]
                leaks.append(lease)
        return leaks
