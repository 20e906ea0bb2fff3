"""Cloud Spanner sessions over gRPC, with the JSON that the REST API answers.

    from spanner_grpc_sessions import SessionsClient

    with SessionsClient() as client:
        session = client.create_session("projects/p/instances/i/databases/d", labels={"team": "checkout"})

Importing this package does no I/O, starts no thread and loads neither gRPC nor google-auth: each name is loaded when
it is first used.
"""

from __future__ import annotations

import importlib

from spanner_grpc_sessions._version import __version__

# Type checkers take a constant of this name for true; `typing` itself would be half of the time that the import takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spanner_grpc_sessions.client import SessionsClient
    from spanner_grpc_sessions.client_async import AsyncSessionsClient
    from spanner_grpc_sessions.errors import (
        ClientClosed,
        CredentialsError,
        InvalidName,
        InvalidType,
        InvalidValue,
        SpannerSessionsError,
    )
    from spanner_grpc_sessions.lease import AsyncLease, Lease
    from spanner_grpc_sessions.multiplexed import MultiplexedSession
    from spanner_grpc_sessions.multiplexed_async import AsyncMultiplexedSession
    from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions
    from spanner_grpc_sessions.pool import SessionPool
    from spanner_grpc_sessions.pool_async import AsyncSessionPool
    from spanner_grpc_sessions.pool_errors import PoolClosed, PoolError, PoolOverloaded, PoolTimeout
    from spanner_grpc_sessions.pool_options import MultiplexedOptions, PoolOptions
    from spanner_grpc_sessions.pool_stats import PoolStats
    from spanner_grpc_sessions.resources import ListSessionsBody, Session, SessionsBody
    from spanner_grpc_sessions.rpc_errors import (
        Aborted,
        AlreadyExists,
        Cancelled,
        DatabaseNotFound,
        DataLoss,
        DeadlineExceeded,
        FailedPrecondition,
        Internal,
        InvalidArgument,
        InvalidRequest,
        NotFound,
        OutOfRange,
        PermissionDenied,
        ResourceExhausted,
        RpcError,
        SessionNotFound,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        Unknown,
        UnknownPath,
    )

__all__ = [
    "DEFAULT",
    "Aborted",
    "AlreadyExists",
    "AsyncLease",
    "AsyncMultiplexedSession",
    "AsyncSessionPool",
    "AsyncSessionsClient",
    "Cancelled",
    "ClientClosed",
    "ClientOptions",
    "CredentialsError",
    "DataLoss",
    "DatabaseNotFound",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "InvalidName",
    "InvalidRequest",
    "InvalidType",
    "InvalidValue",
    "Lease",
    "ListSessionsBody",
    "MultiplexedOptions",
    "MultiplexedSession",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PoolClosed",
    "PoolError",
    "PoolOptions",
    "PoolOverloaded",
    "PoolStats",
    "PoolTimeout",
    "ResourceExhausted",
    "RetryOptions",
    "RpcError",
    "Session",
    "SessionNotFound",
    "SessionPool",
    "SessionsBody",
    "SessionsClient",
    "SpannerSessionsError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownPath",
    "__version__",
]

_MODULES = {
    "client": {"SessionsClient"},
    "client_async": {"AsyncSessionsClient"},
    "errors": {
        "ClientClosed",
        "CredentialsError",
        "InvalidName",
        "InvalidType",
        "InvalidValue",
        "SpannerSessionsError",
    },
    "multiplexed": {"MultiplexedSession"},
    "multiplexed_async": {"AsyncMultiplexedSession"},
    "lease": {"AsyncLease", "Lease"},
    "options": {"DEFAULT", "ClientOptions", "RetryOptions"},
    "pool": {"SessionPool"},
    "pool_async": {"AsyncSessionPool"},
    "pool_errors": {"PoolClosed", "PoolError", "PoolOverloaded", "PoolTimeout"},
    "pool_options": {"MultiplexedOptions", "PoolOptions"},
    "pool_stats": {"PoolStats"},
    "resources": {"ListSessionsBody", "Session", "SessionsBody"},
}
# The names that are left are the classes of failed calls, the one module with many.
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE_OF.get(name, 'rpc_errors')}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
