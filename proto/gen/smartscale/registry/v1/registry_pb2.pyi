import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from smartscale.common.v1 import common_pb2 as _common_pb2
from smartscale.types.v1 import node_pb2 as _node_pb2
from smartscale.types.v1 import relay_pb2 as _relay_pb2
from smartscale.types.v1 import user_pb2 as _user_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Standing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STANDING_UNSPECIFIED: _ClassVar[Standing]
    STANDING_SUSPENDED: _ClassVar[Standing]
    STANDING_GOOD: _ClassVar[Standing]
STANDING_UNSPECIFIED: Standing
STANDING_SUSPENDED: Standing
STANDING_GOOD: Standing

class Change(_message.Message):
    __slots__ = ("seq", "time", "node_put", "node_removed", "user_put", "user_removed", "relay_put", "relay_removed")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NODE_PUT_FIELD_NUMBER: _ClassVar[int]
    NODE_REMOVED_FIELD_NUMBER: _ClassVar[int]
    USER_PUT_FIELD_NUMBER: _ClassVar[int]
    USER_REMOVED_FIELD_NUMBER: _ClassVar[int]
    RELAY_PUT_FIELD_NUMBER: _ClassVar[int]
    RELAY_REMOVED_FIELD_NUMBER: _ClassVar[int]
    seq: int
    time: _timestamp_pb2.Timestamp
    node_put: _node_pb2.Node
    node_removed: int
    user_put: _user_pb2.User
    user_removed: int
    relay_put: _relay_pb2.Relay
    relay_removed: str
    def __init__(self, seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., node_put: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., node_removed: _Optional[int] = ..., user_put: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., user_removed: _Optional[int] = ..., relay_put: _Optional[_Union[_relay_pb2.Relay, _Mapping]] = ..., relay_removed: _Optional[str] = ...) -> None: ...

class CreateUserRequest(_message.Message):
    __slots__ = ("name", "display_name", "email", "profile_pic_url")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PROFILE_PIC_URL_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    email: str
    profile_pic_url: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., email: _Optional[str] = ..., profile_pic_url: _Optional[str] = ...) -> None: ...

class CreateUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ("id", "name", "email")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    email: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., email: _Optional[str] = ...) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[_user_pb2.User]
    def __init__(self, users: _Optional[_Iterable[_Union[_user_pb2.User, _Mapping]]] = ...) -> None: ...

class UpsertLoginRequest(_message.Message):
    __slots__ = ("issuer", "subject", "names", "display_name", "email", "profile_pic_url", "groups", "groups_unknown", "create", "namespace")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PROFILE_PIC_URL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    names: _containers.RepeatedScalarFieldContainer[str]
    display_name: str
    email: str
    profile_pic_url: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    groups_unknown: bool
    create: bool
    namespace: str
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., display_name: _Optional[str] = ..., email: _Optional[str] = ..., profile_pic_url: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., groups_unknown: _Optional[bool] = ..., create: _Optional[bool] = ..., namespace: _Optional[str] = ...) -> None: ...

class UpsertLoginResponse(_message.Message):
    __slots__ = ("user", "created")
    USER_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    created: bool
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class ChangeRightsRequest(_message.Message):
    __slots__ = ("user_id", "number", "standing", "source", "actor", "reason", "groups")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    number: int
    standing: Standing
    source: str
    actor: str
    reason: str
    groups: LoginGroups
    def __init__(self, user_id: _Optional[int] = ..., number: _Optional[int] = ..., standing: _Optional[_Union[Standing, str]] = ..., source: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., groups: _Optional[_Union[LoginGroups, _Mapping]] = ...) -> None: ...

class LoginGroups(_message.Message):
    __slots__ = ("issuer", "subject", "names")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetPersonRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    def __init__(self, user_id: _Optional[int] = ...) -> None: ...

class GetPersonResponse(_message.Message):
    __slots__ = ("user", "links", "standing", "history", "nodes")
    USER_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    links: _containers.RepeatedCompositeFieldContainer[_user_pb2.Link]
    standing: _user_pb2.StandingRecord
    history: _containers.RepeatedCompositeFieldContainer[_user_pb2.HistoryEntry]
    nodes: _containers.RepeatedCompositeFieldContainer[_node_pb2.Node]
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., links: _Optional[_Iterable[_Union[_user_pb2.Link, _Mapping]]] = ..., standing: _Optional[_Union[_user_pb2.StandingRecord, _Mapping]] = ..., history: _Optional[_Iterable[_Union[_user_pb2.HistoryEntry, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[_node_pb2.Node, _Mapping]]] = ...) -> None: ...

class ListLinksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLinksResponse(_message.Message):
    __slots__ = ("links",)
    LINKS_FIELD_NUMBER: _ClassVar[int]
    links: _containers.RepeatedCompositeFieldContainer[_user_pb2.Link]
    def __init__(self, links: _Optional[_Iterable[_Union[_user_pb2.Link, _Mapping]]] = ...) -> None: ...

class LinkUserRequest(_message.Message):
    __slots__ = ("user_id", "issuer", "subject", "actor")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    issuer: str
    subject: str
    actor: str
    def __init__(self, user_id: _Optional[int] = ..., issuer: _Optional[str] = ..., subject: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class LinkUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class UnlinkUserRequest(_message.Message):
    __slots__ = ("issuer", "subject", "actor")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    actor: str
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class UnlinkUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class RelinkUserRequest(_message.Message):
    __slots__ = ("from_user_id", "to_user_id", "actor")
    FROM_USER_ID_FIELD_NUMBER: _ClassVar[int]
    TO_USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    from_user_id: int
    to_user_id: int
    actor: str
    def __init__(self, from_user_id: _Optional[int] = ..., to_user_id: _Optional[int] = ..., actor: _Optional[str] = ...) -> None: ...

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

class ChangeRightsResponse(_message.Message):
    __slots__ = ("user", "changed")
    USER_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    changed: bool
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ..., changed: _Optional[bool] = ...) -> None: ...

class RenameUserRequest(_message.Message):
    __slots__ = ("id", "new_name")
    ID_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    new_name: str
    def __init__(self, id: _Optional[int] = ..., new_name: _Optional[str] = ...) -> None: ...

class RenameUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class SetUserRoleRequest(_message.Message):
    __slots__ = ("id", "role", "actor")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    role: str
    actor: str
    def __init__(self, id: _Optional[int] = ..., role: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class SetUserRoleResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FindNodeRequest(_message.Message):
    __slots__ = ("node_key", "old_node_key")
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    OLD_NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    node_key: bytes
    old_node_key: bytes
    def __init__(self, node_key: _Optional[bytes] = ..., old_node_key: _Optional[bytes] = ...) -> None: ...

class FindNodeResponse(_message.Message):
    __slots__ = ("by_node_key", "by_old_node_key", "of_machine", "users")
    BY_NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    BY_OLD_NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    OF_MACHINE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    by_node_key: _node_pb2.Node
    by_old_node_key: _node_pb2.Node
    of_machine: _containers.RepeatedCompositeFieldContainer[_node_pb2.Node]
    users: _containers.RepeatedCompositeFieldContainer[_user_pb2.User]
    def __init__(self, by_node_key: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., by_old_node_key: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., of_machine: _Optional[_Iterable[_Union[_node_pb2.Node, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[_user_pb2.User, _Mapping]]] = ...) -> None: ...

class AdmitNodeRequest(_message.Message):
    __slots__ = ("node_key", "old_node_key", "user_id", "tags", "ephemeral", "expiry", "hostinfo", "cap_version", "register_method", "pre_auth_key_id", "no_expiry")
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    OLD_NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    HOSTINFO_FIELD_NUMBER: _ClassVar[int]
    CAP_VERSION_FIELD_NUMBER: _ClassVar[int]
    REGISTER_METHOD_FIELD_NUMBER: _ClassVar[int]
    PRE_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NO_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    node_key: bytes
    old_node_key: bytes
    user_id: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    ephemeral: bool
    expiry: _timestamp_pb2.Timestamp
    hostinfo: bytes
    cap_version: int
    register_method: _node_pb2.RegisterMethod
    pre_auth_key_id: int
    no_expiry: bool
    def __init__(self, node_key: _Optional[bytes] = ..., old_node_key: _Optional[bytes] = ..., user_id: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., ephemeral: _Optional[bool] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hostinfo: _Optional[bytes] = ..., cap_version: _Optional[int] = ..., register_method: _Optional[_Union[_node_pb2.RegisterMethod, str]] = ..., pre_auth_key_id: _Optional[int] = ..., no_expiry: _Optional[bool] = ...) -> None: ...

class AdmitNodeResponse(_message.Message):
    __slots__ = ("node", "user")
    NODE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    user: _user_pb2.User
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class LogOutNodeRequest(_message.Message):
    __slots__ = ("node_key", "expiry")
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    node_key: bytes
    expiry: _timestamp_pb2.Timestamp
    def __init__(self, node_key: _Optional[bytes] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LogOutNodeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdateNodeRequest(_message.Message):
    __slots__ = ("node_key", "disco_key", "endpoints", "endpoint_types", "hostinfo", "cap_version", "order", "gateway_id")
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    DISCO_KEY_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_TYPES_FIELD_NUMBER: _ClassVar[int]
    HOSTINFO_FIELD_NUMBER: _ClassVar[int]
    CAP_VERSION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    node_key: bytes
    disco_key: bytes
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    endpoint_types: _containers.RepeatedScalarFieldContainer[int]
    hostinfo: bytes
    cap_version: int
    order: int
    gateway_id: str
    def __init__(self, node_key: _Optional[bytes] = ..., disco_key: _Optional[bytes] = ..., endpoints: _Optional[_Iterable[str]] = ..., endpoint_types: _Optional[_Iterable[int]] = ..., hostinfo: _Optional[bytes] = ..., cap_version: _Optional[int] = ..., order: _Optional[int] = ..., gateway_id: _Optional[str] = ...) -> None: ...

class UpdateNodeResponse(_message.Message):
    __slots__ = ("changed",)
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    changed: bool
    def __init__(self, changed: _Optional[bool] = ...) -> None: ...

class MapSession(_message.Message):
    __slots__ = ("session_id", "node_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    node_id: int
    def __init__(self, session_id: _Optional[int] = ..., node_id: _Optional[int] = ...) -> None: ...

class ReportSessionsRequest(_message.Message):
    __slots__ = ("gateway_id", "opened", "closed", "stopping", "complete")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    opened: _containers.RepeatedCompositeFieldContainer[MapSession]
    closed: _containers.RepeatedCompositeFieldContainer[MapSession]
    stopping: bool
    complete: bool
    def __init__(self, gateway_id: _Optional[str] = ..., opened: _Optional[_Iterable[_Union[MapSession, _Mapping]]] = ..., closed: _Optional[_Iterable[_Union[MapSession, _Mapping]]] = ..., stopping: _Optional[bool] = ..., complete: _Optional[bool] = ...) -> None: ...

class ReportSessionsResponse(_message.Message):
    __slots__ = ("resend",)
    RESEND_FIELD_NUMBER: _ClassVar[int]
    resend: bool
    def __init__(self, resend: _Optional[bool] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetNodeResponse(_message.Message):
    __slots__ = ("node", "user")
    NODE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    user: _user_pb2.User
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    def __init__(self, user_id: _Optional[int] = ...) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes", "users")
    NODES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[_node_pb2.Node]
    users: _containers.RepeatedCompositeFieldContainer[_user_pb2.User]
    def __init__(self, nodes: _Optional[_Iterable[_Union[_node_pb2.Node, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[_user_pb2.User, _Mapping]]] = ...) -> None: ...

class ExpireNodeRequest(_message.Message):
    __slots__ = ("id", "expiry", "disable_expiry")
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    DISABLE_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    id: int
    expiry: _timestamp_pb2.Timestamp
    disable_expiry: bool
    def __init__(self, id: _Optional[int] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., disable_expiry: _Optional[bool] = ...) -> None: ...

class ExpireNodeResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ...) -> None: ...

class RenameNodeRequest(_message.Message):
    __slots__ = ("id", "new_name")
    ID_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    new_name: str
    def __init__(self, id: _Optional[int] = ..., new_name: _Optional[str] = ...) -> None: ...

class RenameNodeResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ...) -> None: ...

class DeleteNodeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class DeleteNodeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetTagsRequest(_message.Message):
    __slots__ = ("id", "tags")
    ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class SetTagsResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ...) -> None: ...

class SetApprovedRoutesRequest(_message.Message):
    __slots__ = ("id", "routes")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    routes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., routes: _Optional[_Iterable[str]] = ...) -> None: ...

class SetApprovedRoutesResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ...) -> None: ...

class BackfillNodeIpsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BackfillNodeIpsResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changes: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyNodeKeyRequest(_message.Message):
    __slots__ = ("node_key",)
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    node_key: bytes
    def __init__(self, node_key: _Optional[bytes] = ...) -> None: ...

class VerifyNodeKeyResponse(_message.Message):
    __slots__ = ("allow", "node_id")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    allow: bool
    node_id: int
    def __init__(self, allow: _Optional[bool] = ..., node_id: _Optional[int] = ...) -> None: ...

class AnnounceRelayRequest(_message.Message):
    __slots__ = ("relay",)
    RELAY_FIELD_NUMBER: _ClassVar[int]
    relay: _relay_pb2.Relay
    def __init__(self, relay: _Optional[_Union[_relay_pb2.Relay, _Mapping]] = ...) -> None: ...

class AnnounceRelayResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSnapshotRequest(_message.Message):
    __slots__ = ("tailnet_id",)
    TAILNET_ID_FIELD_NUMBER: _ClassVar[int]
    tailnet_id: str
    def __init__(self, tailnet_id: _Optional[str] = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("seq", "nodes", "users", "relays")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    RELAYS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    nodes: _containers.RepeatedCompositeFieldContainer[_node_pb2.Node]
    users: _containers.RepeatedCompositeFieldContainer[_user_pb2.User]
    relays: _containers.RepeatedCompositeFieldContainer[_relay_pb2.Relay]
    def __init__(self, seq: _Optional[int] = ..., nodes: _Optional[_Iterable[_Union[_node_pb2.Node, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[_user_pb2.User, _Mapping]]] = ..., relays: _Optional[_Iterable[_Union[_relay_pb2.Relay, _Mapping]]] = ...) -> None: ...

class GetChangesRequest(_message.Message):
    __slots__ = ("tailnet_id", "after")
    TAILNET_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    tailnet_id: str
    after: int
    def __init__(self, tailnet_id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class GetChangesResponse(_message.Message):
    __slots__ = ("records", "reset", "last")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogRecord]
    reset: bool
    last: int
    def __init__(self, records: _Optional[_Iterable[_Union[_common_pb2.LogRecord, _Mapping]]] = ..., reset: _Optional[bool] = ..., last: _Optional[int] = ...) -> None: ...
