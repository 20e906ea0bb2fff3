"""Every exception of the library, the canonical statuses, and the checks that raise before anything is sent. No I/O.

SpannerSessionsError
├── InvalidValue (also ValueError)      a value breaks a rule; nothing was sent
│   └── InvalidName                     not the name of a database or session
├── InvalidType (also TypeError)        a value has the wrong type; nothing was sent
├── CredentialsError                    no token could be obtained, or it must not be sent
├── ClientClosed                        the client is closed, or belongs to another event loop
├── PoolError                           a lease was released twice, or to the wrong pool
│   ├── PoolTimeout (also TimeoutError) no session became available in time
│   ├── PoolClosed                      the pool, or the multiplexed session, is closed
│   └── PoolOverloaded                  too many callers are waiting already
└── RpcError (also grpc.RpcError)       the server or the network failed the call: see `errors.rpc`

Only `errors.rpc` loads gRPC. Pure.
"""

from __future__ import annotations

import copy

__all__ = [
    "ClientClosed",
    "CredentialsError",
    "InvalidName",
    "InvalidType",
    "InvalidValue",
    "PoolClosed",
    "PoolError",
    "PoolOverloaded",
    "PoolTimeout",
    "SpannerSessionsError",
]


class SpannerSessionsError(Exception):
    """The base class of every exception that this library raises."""

    def __init_subclass__(cls) -> None:
        # Tracebacks and pickles show the name that users import.
        if cls.__module__.startswith(__name__):
            cls.__module__ = "spanner_grpc_sessions"


class InvalidValue(SpannerSessionsError, ValueError):
    """A value breaks a rule. Raised before anything is sent; the message names the value and the rule."""


class InvalidType(SpannerSessionsError, TypeError):
    """A value has the wrong type. Raised before anything is sent; the message names the value and the type."""


class InvalidName(InvalidValue):
    """A database or session name is malformed. Raised before anything is sent."""


class CredentialsError(SpannerSessionsError):
    """No token could be obtained, or the connection must not carry one.

    Raised before any RPC is sent and never retried. `__cause__` is the error that the credentials raised.
    """


class ClientClosed(SpannerSessionsError):
    """The client was used after `close()`, or in another event loop than the one it was opened in."""

    @classmethod
    def during_call(cls) -> ClientClosed:
        """Return the exception of a call that the end of its client ended."""
        return cls("the client was closed during the call")

    @classmethod
    def between_attempts(cls) -> ClientClosed:
        """Return the exception of a call that the end of its client kept from another attempt."""
        return cls("the client was closed between two attempts of the call")


class PoolError(SpannerSessionsError):
    """A lease was released twice or to the wrong pool, or the server cannot serve the pool."""


class PoolTimeout(PoolError, TimeoutError):
    """No session became available in time. `__cause__`, if there is one, is why none could be created."""


class PoolClosed(PoolError):
    """The pool or multiplexed session was closed, before the call or while it waited."""


class PoolOverloaded(PoolError):
    """`max_waiting` callers are waiting already. Raised at once; shed the load or try again later."""


SpannerSessionsError.__module__ = "spanner_grpc_sessions"


def copy_to_raise(error: Exception) -> Exception:
    """Return a copy of an exception that several threads or tasks raise, so that each has a traceback of its own."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - the exception may be of a class that cannot be copied
        return error
