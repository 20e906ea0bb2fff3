"""The only door to the generated code: messages, the gRPC stub and its registration.

Every other module takes the stubs from here, so that the package the stubs live in is named once.
"""

from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, spanner_pb2_grpc, type_pb2

__all__ = ["result_set_pb2", "spanner_pb2", "spanner_pb2_grpc", "type_pb2"]
