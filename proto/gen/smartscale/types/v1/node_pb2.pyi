import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGISTER_METHOD_UNSPECIFIED: _ClassVar[RegisterMethod]
    REGISTER_METHOD_AUTH_KEY: _ClassVar[RegisterMethod]
    REGISTER_METHOD_CLI: _ClassVar[RegisterMethod]
    REGISTER_METHOD_OIDC: _ClassVar[RegisterMethod]
REGISTER_METHOD_UNSPECIFIED: RegisterMethod
REGISTER_METHOD_AUTH_KEY: RegisterMethod
REGISTER_METHOD_CLI: RegisterMethod
REGISTER_METHOD_OIDC: RegisterMethod

class Node(_message.Message):
    __slots__ = ("id", "tailnet_id", "stable_id", "machine_key", "node_key", "disco_key", "user_id", "hostname", "given_name", "given_name_fixed", "ipv4", "ipv6", "tags", "hostinfo", "endpoints", "endpoint_types", "home_derp", "cap_version", "created_at", "expiry", "last_seen", "online", "ephemeral", "register_method", "pre_auth_key_id", "advertised_routes", "approved_routes", "requested_tags", "expired", "reported_by", "report_order")
    ID_FIELD_NUMBER: _ClassVar[int]
    TAILNET_ID_FIELD_NUMBER: _ClassVar[int]
    STABLE_ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_KEY_FIELD_NUMBER: _ClassVar[int]
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    DISCO_KEY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIXED_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    HOSTINFO_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_TYPES_FIELD_NUMBER: _ClassVar[int]
    HOME_DERP_FIELD_NUMBER: _ClassVar[int]
    CAP_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    REGISTER_METHOD_FIELD_NUMBER: _ClassVar[int]
    PRE_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ADVERTISED_ROUTES_FIELD_NUMBER: _ClassVar[int]
    APPROVED_ROUTES_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_TAGS_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    REPORTED_BY_FIELD_NUMBER: _ClassVar[int]
    REPORT_ORDER_FIELD_NUMBER: _ClassVar[int]
    id: int
    tailnet_id: str
    stable_id: str
    machine_key: bytes
    node_key: bytes
    disco_key: bytes
    user_id: int
    hostname: str
    given_name: str
    given_name_fixed: bool
    ipv4: str
    ipv6: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    hostinfo: bytes
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    endpoint_types: _containers.RepeatedScalarFieldContainer[int]
    home_derp: int
    cap_version: int
    created_at: _timestamp_pb2.Timestamp
    expiry: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    online: bool
    ephemeral: bool
    register_method: RegisterMethod
    pre_auth_key_id: int
    advertised_routes: _containers.RepeatedScalarFieldContainer[str]
    approved_routes: _containers.RepeatedScalarFieldContainer[str]
    requested_tags: _containers.RepeatedScalarFieldContainer[str]
    expired: bool
    reported_by: str
    report_order: int
    def __init__(self, id: _Optional[int] = ..., tailnet_id: _Optional[str] = ..., stable_id: _Optional[str] = ..., machine_key: _Optional[bytes] = ..., node_key: _Optional[bytes] = ..., disco_key: _Optional[bytes] = ..., user_id: _Optional[int] = ..., hostname: _Optional[str] = ..., given_name: _Optional[str] = ..., given_name_fixed: _Optional[bool] = ..., ipv4: _Optional[str] = ..., ipv6: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., hostinfo: _Optional[bytes] = ..., endpoints: _Optional[_Iterable[str]] = ..., endpoint_types: _Optional[_Iterable[int]] = ..., home_derp: _Optional[int] = ..., cap_version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., online: _Optional[bool] = ..., ephemeral: _Optional[bool] = ..., register_method: _Optional[_Union[RegisterMethod, str]] = ..., pre_auth_key_id: _Optional[int] = ..., advertised_routes: _Optional[_Iterable[str]] = ..., approved_routes: _Optional[_Iterable[str]] = ..., requested_tags: _Optional[_Iterable[str]] = ..., expired: _Optional[bool] = ..., reported_by: _Optional[str] = ..., report_order: _Optional[int] = ...) -> None: ...
