"""Cloud Spanner sessions over gRPC, with the JSON that the REST API answers.

    from spanner_grpc_sessions import SessionsClient

    with SessionsClient() as client:
        session = client.create_session("projects/my-app/instances/prod/databases/orders", labels={"team": "checkout"})

Importing this package does no I/O, starts no thread and loads neither gRPC nor google-auth: each name is loaded when
it is first used.
"""

from __future__ import annotations

import importlib

from spanner_grpc_sessions._version import __version__ as __version__

# The public names by the module that has them. Type checkers read the same from `__init__.pyi`.
_NAMES = {
    "client": "SessionsClient",
    "client_async": "AsyncSessionsClient",
    "errors": (
        "ClientClosed CredentialsError InvalidName InvalidType InvalidValue PoolClosed PoolError PoolOverloaded "
        "PoolTimeout SpannerSessionsError"
    ),
    "errors.rpc": (
        "Aborted AlreadyExists Cancelled DataLoss DatabaseNotFound DeadlineExceeded "
        "FailedPrecondition Internal InvalidArgument InvalidRequest NotFound OutOfRange "
        "PermissionDenied ResourceExhausted RpcError SessionNotFound Unauthenticated Unavailable "
        "Unimplemented Unknown UnknownPath"
    ),
    "multiplexed.rotation": "MultiplexedOptions",
    "multiplexed.session": "MultiplexedSession",
    "multiplexed.session_async": "AsyncMultiplexedSession",
    "options": "ClientOptions DEFAULT RetryOptions",
    "pool.lease": "AsyncLease Lease",
    "pool.options": "PoolOptions",
    "pool.pool": "SessionPool",
    "pool.pool_async": "AsyncSessionPool",
    "pool.stats": "PoolStats",
    "service.types": (
        "BatchCreateSessionsRequest CreateSessionRequest ListSessionsBody Session SessionTemplate SessionsBody"
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_MODULE_OF, "__version__"])  # noqa: PLE0605 - a list, made from the table


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
