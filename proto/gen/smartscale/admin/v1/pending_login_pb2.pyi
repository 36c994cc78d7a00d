import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PendingLogin(_message.Message):
    __slots__ = ("auth_id", "hostname", "os", "remote_address", "machine_key", "created_at", "expires_at")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_KEY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    hostname: str
    os: str
    remote_address: str
    machine_key: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, auth_id: _Optional[str] = ..., hostname: _Optional[str] = ..., os: _Optional[str] = ..., remote_address: _Optional[str] = ..., machine_key: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PendingSshSession(_message.Message):
    __slots__ = ("auth_id", "source_id", "source", "user", "destination_id", "destination", "local_user", "created_at", "expires_at")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    LOCAL_USER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    source_id: int
    source: str
    user: str
    destination_id: int
    destination: str
    local_user: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, auth_id: _Optional[str] = ..., source_id: _Optional[int] = ..., source: _Optional[str] = ..., user: _Optional[str] = ..., destination_id: _Optional[int] = ..., destination: _Optional[str] = ..., local_user: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListPendingLoginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPendingLoginsResponse(_message.Message):
    __slots__ = ("logins", "ssh_sessions")
    LOGINS_FIELD_NUMBER: _ClassVar[int]
    SSH_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    logins: _containers.RepeatedCompositeFieldContainer[PendingLogin]
    ssh_sessions: _containers.RepeatedCompositeFieldContainer[PendingSshSession]
    def __init__(self, logins: _Optional[_Iterable[_Union[PendingLogin, _Mapping]]] = ..., ssh_sessions: _Optional[_Iterable[_Union[PendingSshSession, _Mapping]]] = ...) -> None: ...
