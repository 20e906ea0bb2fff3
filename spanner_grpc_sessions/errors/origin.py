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

# As text: compiling them would make each start of a process half a millisecond longer. `re` keeps what it compiles.
_OVER_A_LIMIT: Final = r"(?i:metadata size exceeds|message larger than max)"
_BROKEN_OFF: Final = (
    r"RST_STREAM"
    r"|HTTP/2 error code: INTERNAL_ERROR"
    r"|Connection closed with unknown cause"
    r"|Received unexpected EOS on DATA frame from server"
    r"|Authentication backend internal server error\. Please retry\."
)
# Of a stream that a GOAWAY leaves out, of one that found its connection closed, and of REFUSED_STREAM. A call that had
# reached the server ends with "Socket closed" instead.
_NEVER_TAKEN_UP: Final = (
    r"(Stream removed \()?(RST_STREAM \()?(GOAWAY received|Transport closed|Received RST_STREAM with error code 7\b)"
)
_NEVER_CONNECTED: Final = rf"{CANNOT_CONNECT}|DNS resolution failed|Name resolution failed"
_NO_SUCH_METHOD: Final = (
    r"(?i:http2 header with status|method not found|unknown (service|method)|is unimplemented|not implemented)"
)


def is_over_a_limit(failure: RpcError) -> bool:
    """Return whether a message or its headers were larger than gRPC's limits, here or at the server."""
    return failure.status == "RESOURCE_EXHAUSTED" and bool(re.search(_OVER_A_LIMIT, failure.message))


def is_broken_off(failure: RpcError) -> bool:
    """Return whether the transport broke the call off, or Google's front end asks to repeat it, under INTERNAL."""
    return failure.status == "INTERNAL" and bool(re.search(_BROKEN_OFF, failure.message))


def was_never_taken_up(failure: RpcError) -> bool:
    """Return whether a call ended before the server looked at it: it can be sent again, whatever it does."""
    return failure.status == "UNAVAILABLE" and bool(re.match(_NEVER_TAKEN_UP, failure.message))


def never_connected(failure: RpcError) -> bool:
    """Return whether there was no connection to send a call on."""
    return failure.status == "UNAVAILABLE" and bool(re.match(_NEVER_CONNECTED, failure.message))


def lacks_method(failure: RpcError) -> bool:
    """Return whether what answered does not know the RPC at all: it may be no Spanner."""
    return failure.status == "UNIMPLEMENTED" and bool(re.search(_NO_SUCH_METHOD, failure.message))
