"""Protobuf messages as the JSON of Spanner's REST API, and back.

The mapping is that of proto3 JSON, as `google.protobuf.json_format` implements it. The code for a message class is
compiled from its descriptor at the first use of the class, so that no call pays for reflection: all of it or none, so
that an exception or a fork in the middle leaves the next use to compile it again. Pure: no I/O.
Importing it loads no decoder: `from_rest` and `decoder_of` are loaded at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanner_grpc_sessions.rest.encoder import encoder_of, to_rest

if TYPE_CHECKING:
    from spanner_grpc_sessions.rest.decoder import decoder_of, from_rest

__all__ = ["decoder_of", "encoder_of", "from_rest", "to_rest"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spanner_grpc_sessions.rest import decoder  # noqa: PLC0415 - what this function is for

    value: object = getattr(decoder, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
