import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from smartscale.common.v1 import common_pb2 as _common_pb2
from smartscale.types.v1 import policy_pb2 as _policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Subject(_message.Message):
    __slots__ = ("id", "user_id", "tags", "ipv4", "ipv6", "advertised_routes", "approved_routes", "name", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    ADVERTISED_ROUTES_FIELD_NUMBER: _ClassVar[int]
    APPROVED_ROUTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    user_id: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    ipv4: str
    ipv6: str
    advertised_routes: _containers.RepeatedScalarFieldContainer[str]
    approved_routes: _containers.RepeatedScalarFieldContainer[str]
    name: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[int] = ..., user_id: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., ipv4: _Optional[str] = ..., ipv6: _Optional[str] = ..., advertised_routes: _Optional[_Iterable[str]] = ..., approved_routes: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Person(_message.Message):
    __slots__ = ("id", "name", "email", "provider_id", "role", "groups")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    email: str
    provider_id: str
    role: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., provider_id: _Optional[str] = ..., role: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ...) -> None: ...

class Population(_message.Message):
    __slots__ = ("nodes", "users")
    NODES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Subject]
    users: _containers.RepeatedCompositeFieldContainer[Person]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Subject, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[Person, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("seq", "time", "compiled", "version")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    COMPILED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    seq: int
    time: _timestamp_pb2.Timestamp
    compiled: bytes
    version: int
    def __init__(self, seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., compiled: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: _policy_pb2.PolicyVersion
    def __init__(self, version: _Optional[_Union[_policy_pb2.PolicyVersion, _Mapping]] = ...) -> None: ...

class SetPolicyRequest(_message.Message):
    __slots__ = ("text", "author", "reason", "if_match", "population")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    text: str
    author: str
    reason: str
    if_match: str
    population: Population
    def __init__(self, text: _Optional[str] = ..., author: _Optional[str] = ..., reason: _Optional[str] = ..., if_match: _Optional[str] = ..., population: _Optional[_Union[Population, _Mapping]] = ...) -> None: ...

class SetPolicyResponse(_message.Message):
    __slots__ = ("version", "warnings")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    version: _policy_pb2.PolicyVersion
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[_Union[_policy_pb2.PolicyVersion, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckPolicyRequest(_message.Message):
    __slots__ = ("text", "population")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    text: str
    population: Population
    def __init__(self, text: _Optional[str] = ..., population: _Optional[_Union[Population, _Mapping]] = ...) -> None: ...

class CheckPolicyResponse(_message.Message):
    __slots__ = ("warnings",)
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainPolicyRequest(_message.Message):
    __slots__ = ("source", "destination", "protocol", "population", "text")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    protocol: str
    population: Population
    text: str
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., protocol: _Optional[str] = ..., population: _Optional[_Union[Population, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class ExplainPolicyResponse(_message.Message):
    __slots__ = ("allowed", "answers")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    answers: _containers.RepeatedCompositeFieldContainer[_policy_pb2.PolicyExplanation]
    def __init__(self, allowed: _Optional[bool] = ..., answers: _Optional[_Iterable[_Union[_policy_pb2.PolicyExplanation, _Mapping]]] = ...) -> None: ...

class PreviewPolicyRequest(_message.Message):
    __slots__ = ("text", "population")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    text: str
    population: Population
    def __init__(self, text: _Optional[str] = ..., population: _Optional[_Union[Population, _Mapping]] = ...) -> None: ...

class PreviewPolicyResponse(_message.Message):
    __slots__ = ("differences", "unchanged", "warnings")
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    differences: _containers.RepeatedCompositeFieldContainer[_policy_pb2.PolicyDifference]
    unchanged: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, differences: _Optional[_Iterable[_Union[_policy_pb2.PolicyDifference, _Mapping]]] = ..., unchanged: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("limit", "before")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    before: int
    def __init__(self, limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[_policy_pb2.PolicyVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[_policy_pb2.PolicyVersion, _Mapping]]] = ...) -> None: ...

class GetCompiledRequest(_message.Message):
    __slots__ = ("tailnet_id",)
    TAILNET_ID_FIELD_NUMBER: _ClassVar[int]
    tailnet_id: str
    def __init__(self, tailnet_id: _Optional[str] = ...) -> None: ...

class GetCompiledResponse(_message.Message):
    __slots__ = ("seq", "compiled", "version")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    COMPILED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    seq: int
    compiled: bytes
    version: int
    def __init__(self, seq: _Optional[int] = ..., compiled: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

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
