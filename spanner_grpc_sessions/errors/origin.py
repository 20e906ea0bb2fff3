"""Which failures were made on the way, by this process or by the transport, and not by the server. Pure.

gRPC gives them the statuses of a server's own failures; only their texts tell them apart. The texts are those of
gRPC 1.66 to 1.85, and those that Google's clients for Java and Go look for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanner_grpc_sessions.errors.connecting import CANNOT_CONNECT

if TYPE_CHECKING:
    from spanner_grpc_sessions.errors.rpc import RpcError

_OVER_A_LIMIT: Final = re.compile(r"metadata size exceeds|message larger than max", re.IGNORECASE)
_BROKEN_OFF: Final = re.compile(
    r"RST_STREAM"
    r"|HTTP/2 error code: INTERNAL_ERROR"
    r"|Connection closed with unknown cause"
    r"|Received unexpected EOS on DATA frame from server"
    r"|Authentication backend internal server error\. Please retry\."
)
# Of a stream that a GOAWAY leaves out, of one that found its connection closed, and of REFUSED_STREAM. A call that had
# reached the server ends with "Socket closed" instead.
_NEVER_TAKEN_UP: Final = re.compile(
    r"(Stream removed \()?(RST_STREAM \()?(GOAWAY received|Transport closed|Received RST_STREAM with error code 7\b)"
)
_NEVER_CONNECTED: Final = re.compile(rf"{CANNOT_CONNECT}|DNS resolution failed|Name resolution failed")
_NO_SUCH_METHOD: Final = re.compile(
    r"http2 header with status|method not found|unknown (service|method)|is unimplemented|not implemented",
    re.IGNORECASE,
)


def is_over_a_limit(failure: RpcError) -> bool:
    """Return whether a message or its headers were larger than gRPC's limits, here or at the server."""
    return failure.status == "RESOURCE_EXHAUSTED" and bool(_OVER_A_LIMIT.search(failure.message))


def is_broken_off(failure: RpcError) -> bool:
    """Return whether the transport broke the call off, or Google's front end asks to repeat it, under INTERNAL."""
    return failure.status == "INTERNAL" and bool(_BROKEN_OFF.search(failure.message))


def was_never_taken_up(failure: RpcError) -> bool:
    """Return whether a call ended before the server looked at it: it can be sent again, whatever it does."""
    return failure.status == "UNAVAILABLE" and bool(_NEVER_TAKEN_UP.match(failure.message))


def never_connected(failure: RpcError) -> bool:
    """Return whether there was no connection to send a call on."""
    return failure.status == "UNAVAILABLE" and bool(_NEVER_CONNECTED.match(failure.message))


def lacks_method(failure: RpcError) -> bool:
    """Return whether what answered does not know the RPC at all: it may be no Spanner."""
    return failure.status == "UNIMPLEMENTED" and bool(_NO_SUCH_METHOD.search(failure.message))
