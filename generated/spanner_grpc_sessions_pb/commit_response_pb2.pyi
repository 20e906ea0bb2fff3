from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from spanner_grpc_sessions_pb import location_pb2 as _location_pb2
from spanner_grpc_sessions_pb import transaction_pb2 as _transaction_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommitResponse(_message.Message):
    __slots__ = ("commit_timestamp", "commit_stats", "precommit_token", "snapshot_timestamp", "cache_update", "isolation_level", "read_lock_mode")
    class CommitStats(_message.Message):
        __slots__ = ("mutation_count",)
        MUTATION_COUNT_FIELD_NUMBER: _ClassVar[int]
        mutation_count: int
        def __init__(self, mutation_count: _Optional[int] = ...) -> None: ...
    COMMIT_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    COMMIT_STATS_FIELD_NUMBER: _ClassVar[int]
    PRECOMMIT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CACHE_UPDATE_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_LEVEL_FIELD_NUMBER: _ClassVar[int]
    READ_LOCK_MODE_FIELD_NUMBER: _ClassVar[int]
    commit_timestamp: _timestamp_pb2.Timestamp
    commit_stats: CommitResponse.CommitStats
    precommit_token: _transaction_pb2.MultiplexedSessionPrecommitToken
    snapshot_timestamp: _timestamp_pb2.Timestamp
    cache_update: _location_pb2.CacheUpdate
    isolation_level: _transaction_pb2.TransactionOptions.IsolationLevel
    read_lock_mode: _transaction_pb2.TransactionOptions.ReadWrite.ReadLockMode
    def __init__(self, commit_timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., commit_stats: _Optional[_Union[CommitResponse.CommitStats, _Mapping[str, object]]] = ..., precommit_token: _Optional[_Union[_transaction_pb2.MultiplexedSessionPrecommitToken, _Mapping[str, object]]] = ..., snapshot_timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., cache_update: _Optional[_Union[_location_pb2.CacheUpdate, _Mapping[str, object]]] = ..., isolation_level: _Optional[_Union[_transaction_pb2.TransactionOptions.IsolationLevel, str]] = ..., read_lock_mode: _Optional[_Union[_transaction_pb2.TransactionOptions.ReadWrite.ReadLockMode, str]] = ...) -> None: ...
