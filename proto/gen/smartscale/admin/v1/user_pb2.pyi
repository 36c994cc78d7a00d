import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from smartscale.auth.v1 import auth_pb2 as _auth_pb2
from smartscale.types.v1 import user_pb2 as _user_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListUsersRequest(_message.Message):
    __slots__ = ("id", "name", "email", "role")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    email: str
    role: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[_user_pb2.User]
    def __init__(self, users: _Optional[_Iterable[_Union[_user_pb2.User, _Mapping]]] = ...) -> None: ...

class SetRoleRequest(_message.Message):
    __slots__ = ("user", "role")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    user: str
    role: str
    def __init__(self, user: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class SetRoleResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class SuspendUserRequest(_message.Message):
    __slots__ = ("user", "reason")
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user: str
    reason: str
    def __init__(self, user: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SuspendUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class RestoreUserRequest(_message.Message):
    __slots__ = ("user", "reason")
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user: str
    reason: str
    def __init__(self, user: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RestoreUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class UserGroup(_message.Message):
    __slots__ = ("name", "source", "issuer", "since", "counts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    issuer: str
    since: _timestamp_pb2.Timestamp
    counts: bool
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., issuer: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., counts: _Optional[bool] = ...) -> None: ...

class UserNode(_message.Message):
    __slots__ = ("id", "given_name", "addresses", "online", "last_seen", "expiry", "expired", "login")
    ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    id: int
    given_name: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    online: bool
    last_seen: _timestamp_pb2.Timestamp
    expiry: _timestamp_pb2.Timestamp
    expired: bool
    login: _auth_pb2.NodeLogin
    def __init__(self, id: _Optional[int] = ..., given_name: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., online: _Optional[bool] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expired: _Optional[bool] = ..., login: _Optional[_Union[_auth_pb2.NodeLogin, _Mapping]] = ...) -> None: ...

class ShowUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: str
    def __init__(self, user: _Optional[str] = ...) -> None: ...

class ShowUserResponse(_message.Message):
    __slots__ = ("user", "links", "last_login", "groups", "standing", "verdicts", "nodes", "history")
    USER_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    LAST_LOGIN_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    links: _containers.RepeatedCompositeFieldContainer[_user_pb2.Link]
    last_login: _timestamp_pb2.Timestamp
    groups: _containers.RepeatedCompositeFieldContainer[UserGroup]
    standing: _user_pb2.StandingRecord
    verdicts: _containers.RepeatedCompositeFieldContainer[_auth_pb2.Verdict]
    nodes: _containers.RepeatedCompositeFieldContainer[UserNode]
    history: _containers.RepeatedCompositeFieldContainer[_user_pb2.HistoryEntry]
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., links: _Optional[_Iterable[_Union[_user_pb2.Link, _Mapping]]] = ..., last_login: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[UserGroup, _Mapping]]] = ..., standing: _Optional[_Union[_user_pb2.StandingRecord, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[_auth_pb2.Verdict, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[UserNode, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[_user_pb2.HistoryEntry, _Mapping]]] = ...) -> None: ...

class LinkUserRequest(_message.Message):
    __slots__ = ("user", "issuer", "subject")
    USER_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    user: str
    issuer: str
    subject: str
    def __init__(self, user: _Optional[str] = ..., issuer: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class LinkUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class UnlinkUserRequest(_message.Message):
    __slots__ = ("issuer", "subject")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class UnlinkUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class RelinkUserRequest(_message.Message):
    __slots__ = ("user", "to")
    USER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    user: str
    to: str
    def __init__(self, user: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class RelinkUserResponse(_message.Message):
    __slots__ = ("user", "links", "nodes", "left")
    USER_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    links: int
    nodes: int
    left: int
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., links: _Optional[int] = ..., nodes: _Optional[int] = ..., left: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("name", "in_policy", "members", "by_policy", "by_provider")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IN_POLICY_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    BY_POLICY_FIELD_NUMBER: _ClassVar[int]
    BY_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    in_policy: bool
    members: int
    by_policy: int
    by_provider: int
    def __init__(self, name: _Optional[str] = ..., in_policy: _Optional[bool] = ..., members: _Optional[int] = ..., by_policy: _Optional[int] = ..., by_provider: _Optional[int] = ...) -> None: ...

class GroupMember(_message.Message):
    __slots__ = ("user_id", "user", "email", "membership")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    user: str
    email: str
    membership: UserGroup
    def __init__(self, user_id: _Optional[int] = ..., user: _Optional[str] = ..., email: _Optional[str] = ..., membership: _Optional[_Union[UserGroup, _Mapping]] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    def __init__(self, groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ...) -> None: ...

class GetGroupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetGroupResponse(_message.Message):
    __slots__ = ("group", "members")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    group: Group
    members: _containers.RepeatedCompositeFieldContainer[GroupMember]
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., members: _Optional[_Iterable[_Union[GroupMember, _Mapping]]] = ...) -> None: ...
