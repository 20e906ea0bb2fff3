from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from spanner_grpc_sessions_pb import location_pb2 as _location_pb2
from spanner_grpc_sessions_pb import query_plan_pb2 as _query_plan_pb2
from spanner_grpc_sessions_pb import transaction_pb2 as _transaction_pb2
from spanner_grpc_sessions_pb import type_pb2 as _type_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResultSet(_message.Message):
    __slots__ = ("metadata", "rows", "stats", "precommit_token", "cache_update")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    PRECOMMIT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CACHE_UPDATE_FIELD_NUMBER: _ClassVar[int]
    metadata: ResultSetMetadata
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
    stats: ResultSetStats
    precommit_token: _transaction_pb2.MultiplexedSessionPrecommitToken
    cache_update: _location_pb2.CacheUpdate
    def __init__(self, metadata: _Optional[_Union[ResultSetMetadata, _Mapping[str, object]]] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping[str, object]]]] = ..., stats: _Optional[_Union[ResultSetStats, _Mapping[str, object]]] = ..., precommit_token: _Optional[_Union[_transaction_pb2.MultiplexedSessionPrecommitToken, _Mapping[str, object]]] = ..., cache_update: _Optional[_Union[_location_pb2.CacheUpdate, _Mapping[str, object]]] = ...) -> None: ...

class PartialResultSet(_message.Message):
    __slots__ = ("metadata", "values", "chunked_value", "resume_token", "stats", "precommit_token", "last", "cache_update")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    CHUNKED_VALUE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    PRECOMMIT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CACHE_UPDATE_FIELD_NUMBER: _ClassVar[int]
    metadata: ResultSetMetadata
    values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    chunked_value: bool
    resume_token: bytes
    stats: ResultSetStats
    precommit_token: _transaction_pb2.MultiplexedSessionPrecommitToken
    last: bool
    cache_update: _location_pb2.CacheUpdate
    def __init__(self, metadata: _Optional[_Union[ResultSetMetadata, _Mapping[str, object]]] = ..., values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping[str, object]]]] = ..., chunked_value: bool = ..., resume_token: _Optional[bytes] = ..., stats: _Optional[_Union[ResultSetStats, _Mapping[str, object]]] = ..., precommit_token: _Optional[_Union[_transaction_pb2.MultiplexedSessionPrecommitToken, _Mapping[str, object]]] = ..., last: bool = ..., cache_update: _Optional[_Union[_location_pb2.CacheUpdate, _Mapping[str, object]]] = ...) -> None: ...

class ResultSetMetadata(_message.Message):
    __slots__ = ("row_type", "transaction", "undeclared_parameters")
    ROW_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    UNDECLARED_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    row_type: _type_pb2.StructType
    transaction: _transaction_pb2.Transaction
    undeclared_parameters: _type_pb2.StructType
    def __init__(self, row_type: _Optional[_Union[_type_pb2.StructType, _Mapping[str, object]]] = ..., transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping[str, object]]] = ..., undeclared_parameters: _Optional[_Union[_type_pb2.StructType, _Mapping[str, object]]] = ...) -> None: ...

class ResultSetStats(_message.Message):
    __slots__ = ("query_plan", "query_stats", "row_count_exact", "row_count_lower_bound")
    QUERY_PLAN_FIELD_NUMBER: _ClassVar[int]
    QUERY_STATS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_EXACT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_LOWER_BOUND_FIELD_NUMBER: _ClassVar[int]
    query_plan: _query_plan_pb2.QueryPlan
    query_stats: _struct_pb2.Struct
    row_count_exact: int
    row_count_lower_bound: int
    def __init__(self, query_plan: _Optional[_Union[_query_plan_pb2.QueryPlan, _Mapping[str, object]]] = ..., query_stats: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, object]]] = ..., row_count_exact: _Optional[int] = ..., row_count_lower_bound: _Optional[int] = ...) -> None: ...
