"""A lease: a session of a pool in the hands of one caller, in both colours."""

from __future__ import annotations

from typing import Any, Protocol

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.errors import PoolError
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.rest import to_rest
from spanner_grpc_sessions.service.types import Session

__all__ = ["AsyncLease", "Lease"]


class _Shell(Protocol):
    @property
    def stub(self) -> Any:
        """The stub that all leases of the pool share."""

    def lose(self, record: SessionRecord, *, proven: bool) -> None:
        """Note that the server no longer knows a session."""

    def report(self, failure: RpcError, name: str) -> None:
        """Note what the failure of a call says of a session, or of the database."""


class _AnyLease:
    # `_lessor` is there until the lease is given back: only one of two that release it can delete it.
    __slots__ = ("_lessor", "_record")

    _record: SessionRecord
    _lessor: _Shell

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{'' if hasattr(self, '_lessor') else ' given back'}>"

    @property
    def name(self) -> str:
        """The full name of the session."""
        name: str = self._record.name
        return name

    @property
    def resource(self) -> Session:
        """The session as REST's `sessions.create` gives it, a dict of the caller's own: as it was created."""
        resource: Session = to_rest(self._record.resource)
        return resource

    def invalidate(self) -> None:
        """Say that the server no longer knows the session: nobody else gets it, and it is replaced.

        The pool finds out by itself when a call or a stream of `stub` meets `SessionNotFound`, and when a block or
        `run` ends in it. It deletes a session that is invalidated without that, for it may be alive.
        """
        shell = getattr(self, "_lessor", None)
        if shell is not None:
            shell.lose(self._record, proven=False)

    def _report(self, error: BaseException) -> None:
        shell = getattr(self, "_lessor", None)
        if shell is not None and isinstance(error, RpcError):
            shell.report(error, self.name)

    def _stub(self) -> Any:
        try:
            shell = self._lessor
        except AttributeError:
            raise PoolError(f"the lease of {self.name} was given back: its session may be another caller's") from None
        return shell.stub


class Lease(_AnyLease):
    """A session that is yours until you give it back to its `SessionPool`."""

    __slots__ = ()

    @property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The service's stub on the session's own connection. Its calls raise `RpcError`, a `grpc.RpcError` too.

        Raises:
            PoolError: the lease was given back.
        """
        stub: spanner_pb2_grpc.SpannerStub = self._stub()
        return stub


class AsyncLease(_AnyLease):
    """A session that is yours until you give it back to its `AsyncSessionPool`."""

    __slots__ = ()

    @property
    def stub(self) -> spanner_pb2_grpc.SpannerAsyncStub:
        """The service's stub on the session's own connection. Its calls raise `RpcError`, a `grpc.RpcError` too.

        Raises:
            PoolError: the lease was given back.
        """
        stub: spanner_pb2_grpc.SpannerAsyncStub = self._stub()
        return stub


for _lease_class in (Lease, AsyncLease):
    # Tracebacks and representations show the name that users import.
    _lease_class.__module__ = "spanner_grpc_sessions"
