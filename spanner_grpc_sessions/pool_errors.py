"""What a pool raises by itself. Pure: no gRPC.

PoolError
├── PoolTimeout (also TimeoutError)     no session came free in time
├── PoolClosed                          the pool was closed
└── PoolOverloaded                      too many wait already
"""

from __future__ import annotations

from spanner_grpc_sessions.errors import SpannerSessionsError

__all__ = ["PoolClosed", "PoolError", "PoolOverloaded", "PoolTimeout"]


class PoolError(SpannerSessionsError):
    """The pool could not do what it was asked for: a lease that was given back already, or one of another pool."""


class PoolTimeout(PoolError, TimeoutError):
    """No session came free within the acquire's timeout. Its cause, if it has one, is why none could be created."""


class PoolClosed(PoolError):
    """The pool was closed, before the acquire or while it waited."""


class PoolOverloaded(PoolError):
    """As many acquires wait as `max_waiting` allows. Raised at once; shed the load, or come again later."""


for _error_class in (PoolError, PoolTimeout, PoolClosed, PoolOverloaded):
    # Tracebacks and pickles show the name that users import.
    _error_class.__module__ = "spanner_grpc_sessions"
