from google.protobuf import struct_pb2 as _struct_pb2
from spanner_grpc_sessions_pb import type_pb2 as _type_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Range(_message.Message):
    __slots__ = ("start_key", "limit_key", "group_uid", "split_id", "generation")
    START_KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_KEY_FIELD_NUMBER: _ClassVar[int]
    GROUP_UID_FIELD_NUMBER: _ClassVar[int]
    SPLIT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    start_key: bytes
    limit_key: bytes
    group_uid: int
    split_id: int
    generation: bytes
    def __init__(self, start_key: _Optional[bytes] = ..., limit_key: _Optional[bytes] = ..., group_uid: _Optional[int] = ..., split_id: _Optional[int] = ..., generation: _Optional[bytes] = ...) -> None: ...

class Tablet(_message.Message):
    __slots__ = ("tablet_uid", "server_address", "location", "role", "incarnation", "distance", "skip")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Tablet.Role]
        READ_WRITE: _ClassVar[Tablet.Role]
        READ_ONLY: _ClassVar[Tablet.Role]
    ROLE_UNSPECIFIED: Tablet.Role
    READ_WRITE: Tablet.Role
    READ_ONLY: Tablet.Role
    TABLET_UID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    tablet_uid: int
    server_address: str
    location: str
    role: Tablet.Role
    incarnation: bytes
    distance: int
    skip: bool
    def __init__(self, tablet_uid: _Optional[int] = ..., server_address: _Optional[str] = ..., location: _Optional[str] = ..., role: _Optional[_Union[Tablet.Role, str]] = ..., incarnation: _Optional[bytes] = ..., distance: _Optional[int] = ..., skip: bool = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("group_uid", "tablets", "leader_index", "generation")
    GROUP_UID_FIELD_NUMBER: _ClassVar[int]
    TABLETS_FIELD_NUMBER: _ClassVar[int]
    LEADER_INDEX_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    group_uid: int
    tablets: _containers.RepeatedCompositeFieldContainer[Tablet]
    leader_index: int
    generation: bytes
    def __init__(self, group_uid: _Optional[int] = ..., tablets: _Optional[_Iterable[_Union[Tablet, _Mapping[str, object]]]] = ..., leader_index: _Optional[int] = ..., generation: _Optional[bytes] = ...) -> None: ...

class KeyRecipe(_message.Message):
    __slots__ = ("table_name", "index_name", "operation_uid", "part")
    class Part(_message.Message):
        __slots__ = ("tag", "order", "null_order", "type", "identifier", "value", "random", "struct_identifiers")
        class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            ORDER_UNSPECIFIED: _ClassVar[KeyRecipe.Part.Order]
            ASCENDING: _ClassVar[KeyRecipe.Part.Order]
            DESCENDING: _ClassVar[KeyRecipe.Part.Order]
        ORDER_UNSPECIFIED: KeyRecipe.Part.Order
        ASCENDING: KeyRecipe.Part.Order
        DESCENDING: KeyRecipe.Part.Order
        class NullOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            NULL_ORDER_UNSPECIFIED: _ClassVar[KeyRecipe.Part.NullOrder]
            NULLS_FIRST: _ClassVar[KeyRecipe.Part.NullOrder]
            NULLS_LAST: _ClassVar[KeyRecipe.Part.NullOrder]
            NOT_NULL: _ClassVar[KeyRecipe.Part.NullOrder]
        NULL_ORDER_UNSPECIFIED: KeyRecipe.Part.NullOrder
        NULLS_FIRST: KeyRecipe.Part.NullOrder
        NULLS_LAST: KeyRecipe.Part.NullOrder
        NOT_NULL: KeyRecipe.Part.NullOrder
        TAG_FIELD_NUMBER: _ClassVar[int]
        ORDER_FIELD_NUMBER: _ClassVar[int]
        NULL_ORDER_FIELD_NUMBER: _ClassVar[int]
        TYPE_FIELD_NUMBER: _ClassVar[int]
        IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        RANDOM_FIELD_NUMBER: _ClassVar[int]
        STRUCT_IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
        tag: int
        order: KeyRecipe.Part.Order
        null_order: KeyRecipe.Part.NullOrder
        type: _type_pb2.Type
        identifier: str
        value: _struct_pb2.Value
        random: bool
        struct_identifiers: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, tag: _Optional[int] = ..., order: _Optional[_Union[KeyRecipe.Part.Order, str]] = ..., null_order: _Optional[_Union[KeyRecipe.Part.NullOrder, str]] = ..., type: _Optional[_Union[_type_pb2.Type, _Mapping[str, object]]] = ..., identifier: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping[str, object]]] = ..., random: bool = ..., struct_identifiers: _Optional[_Iterable[int]] = ...) -> None: ...
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_UID_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    operation_uid: int
    part: _containers.RepeatedCompositeFieldContainer[KeyRecipe.Part]
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., operation_uid: _Optional[int] = ..., part: _Optional[_Iterable[_Union[KeyRecipe.Part, _Mapping[str, object]]]] = ...) -> None: ...

class RecipeList(_message.Message):
    __slots__ = ("schema_generation", "recipe")
    SCHEMA_GENERATION_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    schema_generation: bytes
    recipe: _containers.RepeatedCompositeFieldContainer[KeyRecipe]
    def __init__(self, schema_generation: _Optional[bytes] = ..., recipe: _Optional[_Iterable[_Union[KeyRecipe, _Mapping[str, object]]]] = ...) -> None: ...

class CacheUpdate(_message.Message):
    __slots__ = ("database_id", "range", "group", "key_recipes")
    DATABASE_ID_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    KEY_RECIPES_FIELD_NUMBER: _ClassVar[int]
    database_id: int
    range: _containers.RepeatedCompositeFieldContainer[Range]
    group: _containers.RepeatedCompositeFieldContainer[Group]
    key_recipes: RecipeList
    def __init__(self, database_id: _Optional[int] = ..., range: _Optional[_Iterable[_Union[Range, _Mapping[str, object]]]] = ..., group: _Optional[_Iterable[_Union[Group, _Mapping[str, object]]]] = ..., key_recipes: _Optional[_Union[RecipeList, _Mapping[str, object]]] = ...) -> None: ...

class RoutingHint(_message.Message):
    __slots__ = ("operation_uid", "database_id", "schema_generation", "key", "limit_key", "group_uid", "split_id", "tablet_uid", "skipped_tablet_uid", "client_location")
    class SkippedTablet(_message.Message):
        __slots__ = ("tablet_uid", "incarnation")
        TABLET_UID_FIELD_NUMBER: _ClassVar[int]
        INCARNATION_FIELD_NUMBER: _ClassVar[int]
        tablet_uid: int
        incarnation: bytes
        def __init__(self, tablet_uid: _Optional[int] = ..., incarnation: _Optional[bytes] = ...) -> None: ...
    OPERATION_UID_FIELD_NUMBER: _ClassVar[int]
    DATABASE_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_GENERATION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_KEY_FIELD_NUMBER: _ClassVar[int]
    GROUP_UID_FIELD_NUMBER: _ClassVar[int]
    SPLIT_ID_FIELD_NUMBER: _ClassVar[int]
    TABLET_UID_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_TABLET_UID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_LOCATION_FIELD_NUMBER: _ClassVar[int]
    operation_uid: int
    database_id: int
    schema_generation: bytes
    key: bytes
    limit_key: bytes
    group_uid: int
    split_id: int
    tablet_uid: int
    skipped_tablet_uid: _containers.RepeatedCompositeFieldContainer[RoutingHint.SkippedTablet]
    client_location: str
    def __init__(self, operation_uid: _Optional[int] = ..., database_id: _Optional[int] = ..., schema_generation: _Optional[bytes] = ..., key: _Optional[bytes] = ..., limit_key: _Optional[bytes] = ..., group_uid: _Optional[int] = ..., split_id: _Optional[int] = ..., tablet_uid: _Optional[int] = ..., skipped_tablet_uid: _Optional[_Iterable[_Union[RoutingHint.SkippedTablet, _Mapping[str, object]]]] = ..., client_location: _Optional[str] = ...) -> None: ...
