from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from spanner_grpc_sessions_pb import keys_pb2 as _keys_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mutation(_message.Message):
    __slots__ = ("insert", "update", "insert_or_update", "replace", "delete", "send", "ack")
    class Write(_message.Message):
        __slots__ = ("table", "columns", "values")
        TABLE_FIELD_NUMBER: _ClassVar[int]
        COLUMNS_FIELD_NUMBER: _ClassVar[int]
        VALUES_FIELD_NUMBER: _ClassVar[int]
        table: str
        columns: _containers.RepeatedScalarFieldContainer[str]
        values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
        def __init__(self, table: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping[str, object]]]] = ...) -> None: ...
    class Delete(_message.Message):
        __slots__ = ("table", "key_set")
        TABLE_FIELD_NUMBER: _ClassVar[int]
        KEY_SET_FIELD_NUMBER: _ClassVar[int]
        table: str
        key_set: _keys_pb2.KeySet
        def __init__(self, table: _Optional[str] = ..., key_set: _Optional[_Union[_keys_pb2.KeySet, _Mapping[str, object]]] = ...) -> None: ...
    class Send(_message.Message):
        __slots__ = ("queue", "key", "deliver_time", "payload")
        QUEUE_FIELD_NUMBER: _ClassVar[int]
        KEY_FIELD_NUMBER: _ClassVar[int]
        DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
        PAYLOAD_FIELD_NUMBER: _ClassVar[int]
        queue: str
        key: _struct_pb2.ListValue
        deliver_time: _timestamp_pb2.Timestamp
        payload: _struct_pb2.Value
        def __init__(self, queue: _Optional[str] = ..., key: _Optional[_Union[_struct_pb2.ListValue, _Mapping[str, object]]] = ..., deliver_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., payload: _Optional[_Union[_struct_pb2.Value, _Mapping[str, object]]] = ...) -> None: ...
    class Ack(_message.Message):
        __slots__ = ("queue", "key", "ignore_not_found")
        QUEUE_FIELD_NUMBER: _ClassVar[int]
        KEY_FIELD_NUMBER: _ClassVar[int]
        IGNORE_NOT_FOUND_FIELD_NUMBER: _ClassVar[int]
        queue: str
        key: _struct_pb2.ListValue
        ignore_not_found: bool
        def __init__(self, queue: _Optional[str] = ..., key: _Optional[_Union[_struct_pb2.ListValue, _Mapping[str, object]]] = ..., ignore_not_found: bool = ...) -> None: ...
    INSERT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    INSERT_OR_UPDATE_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    insert: Mutation.Write
    update: Mutation.Write
    insert_or_update: Mutation.Write
    replace: Mutation.Write
    delete: Mutation.Delete
    send: Mutation.Send
    ack: Mutation.Ack
    def __init__(self, insert: _Optional[_Union[Mutation.Write, _Mapping[str, object]]] = ..., update: _Optional[_Union[Mutation.Write, _Mapping[str, object]]] = ..., insert_or_update: _Optional[_Union[Mutation.Write, _Mapping[str, object]]] = ..., replace: _Optional[_Union[Mutation.Write, _Mapping[str, object]]] = ..., delete: _Optional[_Union[Mutation.Delete, _Mapping[str, object]]] = ..., send: _Optional[_Union[Mutation.Send, _Mapping[str, object]]] = ..., ack: _Optional[_Union[Mutation.Ack, _Mapping[str, object]]] = ...) -> None: ...
