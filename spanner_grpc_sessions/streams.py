"""The streams that `rest()` returns for RPCs that answer with any number of messages."""

from spanner_grpc_sessions.calls.stream import AsyncStream, Stream

__all__ = ["AsyncStream", "Stream"]
