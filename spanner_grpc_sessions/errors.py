"""The exceptions that need no RPC, the root of all of them, and how their texts show values. Pure: no gRPC.

SpannerSessionsError
├── InvalidValue (also ValueError)      a value that breaks a rule; nothing was sent
│   └── InvalidName                     a database or session name that is not one
├── InvalidType (also TypeError)        a value of the wrong type; nothing was sent
├── CredentialsError                    no token could be had, or it may not be sent
├── ClientClosed                        the client was closed, or its event loop is another one
└── RpcError (also grpc.RpcError)       what the server or the network answered: see `rpc_errors`
"""

from __future__ import annotations

import reprlib
from typing import Final

__all__ = [
    "ClientClosed",
    "CredentialsError",
    "InvalidName",
    "InvalidType",
    "InvalidValue",
    "SpannerSessionsError",
    "short",
    "shorten",
]


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


class _Short(reprlib.Repr):
    """`repr` that is quick and does not fail: a value may be as long and as deep as its sender likes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write long integers in decimal.
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"an integer of {x.bit_length()} bits"


def short(value: object) -> str:
    """Return the `repr` of a value on one line, at most 80 characters of it, for the text of an exception."""
    try:
        text = _repr(value)
    except Exception:  # noqa: BLE001 - a class of anybody's making, which may even be called "list"
        text = f"<{type(value).__name__}>"
    return shorten(text.replace("\n", " "), 80)


def shorten(text: str, longest: int) -> str:
    """Return a text without its middle if it is longer than `longest` characters."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


_repr: Final = _Short().repr


for _error_class in (SpannerSessionsError, InvalidValue, InvalidType, InvalidName, CredentialsError, ClientClosed):
    # Tracebacks and pickles show the name that users import.
    _error_class.__module__ = "spanner_grpc_sessions"
