import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PolicyVersion(_message.Message):
    __slots__ = ("number", "author", "reason", "created_at", "etag", "text")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    number: int
    author: str
    reason: str
    created_at: _timestamp_pb2.Timestamp
    etag: str
    text: str
    def __init__(self, number: _Optional[int] = ..., author: _Optional[str] = ..., reason: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class PolicyExplanation(_message.Message):
    __slots__ = ("source", "destination", "allowed", "visible", "rules", "near")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    allowed: bool
    visible: bool
    rules: _containers.RepeatedScalarFieldContainer[str]
    near: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., allowed: _Optional[bool] = ..., visible: _Optional[bool] = ..., rules: _Optional[_Iterable[str]] = ..., near: _Optional[_Iterable[str]] = ...) -> None: ...

class PolicyDifference(_message.Message):
    __slots__ = ("node", "peers_added", "peers_removed", "packet_filter", "ssh", "capabilities", "routes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PEERS_ADDED_FIELD_NUMBER: _ClassVar[int]
    PEERS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    PACKET_FILTER_FIELD_NUMBER: _ClassVar[int]
    SSH_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    node: str
    peers_added: _containers.RepeatedScalarFieldContainer[str]
    peers_removed: _containers.RepeatedScalarFieldContainer[str]
    packet_filter: bool
    ssh: bool
    capabilities: bool
    routes: bool
    def __init__(self, node: _Optional[str] = ..., peers_added: _Optional[_Iterable[str]] = ..., peers_removed: _Optional[_Iterable[str]] = ..., packet_filter: _Optional[bool] = ..., ssh: _Optional[bool] = ..., capabilities: _Optional[bool] = ..., routes: _Optional[bool] = ...) -> None: ...
