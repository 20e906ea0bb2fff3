"""The exceptions that need no RPC, and the root of all of them. Pure: no gRPC.

SpannerSessionsError
├── InvalidValue (also ValueError)      a value that breaks a rule; nothing was sent
│   └── InvalidName                     a database or session name that is not one
├── InvalidType (also TypeError)        a value of the wrong type; nothing was sent
├── CredentialsError                    no token could be had, or it may not be sent
├── ClientClosed                        the client was closed, or its event loop is another one
└── RpcError (also grpc.RpcError)       what the server or the network answered: see `rpc_errors`
"""

from __future__ import annotations

__all__ = ["ClientClosed", "CredentialsError", "InvalidName", "InvalidType", "InvalidValue", "SpannerSessionsError"]


class SpannerSessionsError(Exception):
    """The root of every exception that this library raises."""


class InvalidValue(SpannerSessionsError, ValueError):
    """A value breaks a rule. Raised before anything is sent; the message names the value and the rule."""


class InvalidType(SpannerSessionsError, TypeError):
    """A value has the wrong type. Raised before anything is sent; the message names the value and the type."""


class InvalidName(InvalidValue):
    """A database or session name does not have the form of one. Raised before anything is sent."""


class CredentialsError(SpannerSessionsError):
    """No token could be had, or the connection may not carry one.

    Raised at once, without an RPC. The cause, chained, is what the credentials raised. Mend the credentials: this
    is never retried as an unavailable server would be.
    """


class ClientClosed(SpannerSessionsError):
    """The client was used after `close()`, or from another event loop than the one it was opened in."""


for _name in __all__:
    # Tracebacks and pickles show the name that users import.
    globals()[_name].__module__ = "spanner_grpc_sessions"
