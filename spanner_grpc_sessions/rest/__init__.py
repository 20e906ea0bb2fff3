"""Messages as REST JSON, and back: the dict that Spanner's REST API would have answered or taken.

The mapping is the one of proto3 JSON, as `google.protobuf.json_format` implements it; the code for a message class
is compiled from its descriptor at the first use of the class, so that no call pays for reflection. Pure: no I/O.
"""

from spanner_grpc_sessions.rest.decoder import decoder_of, from_rest
from spanner_grpc_sessions.rest.encoder import encoder_of, to_rest

__all__ = ["decoder_of", "encoder_of", "from_rest", "to_rest"]
