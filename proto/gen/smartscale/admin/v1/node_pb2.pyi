import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeDescription(_message.Message):
    __slots__ = ("id", "given_name", "client_version", "capability_version", "os", "os_version", "distribution", "device_model", "online", "last_seen", "home_derp", "endpoints", "network")
    ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_VERSION_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    OS_VERSION_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    HOME_DERP_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    id: int
    given_name: str
    client_version: str
    capability_version: int
    os: str
    os_version: str
    distribution: str
    device_model: str
    online: bool
    last_seen: _timestamp_pb2.Timestamp
    home_derp: int
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    network: NetworkReport
    def __init__(self, id: _Optional[int] = ..., given_name: _Optional[str] = ..., client_version: _Optional[str] = ..., capability_version: _Optional[int] = ..., os: _Optional[str] = ..., os_version: _Optional[str] = ..., distribution: _Optional[str] = ..., device_model: _Optional[str] = ..., online: _Optional[bool] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., home_derp: _Optional[int] = ..., endpoints: _Optional[_Iterable[str]] = ..., network: _Optional[_Union[NetworkReport, _Mapping]] = ...) -> None: ...

class NetworkReport(_message.Message):
    __slots__ = ("udp", "ipv6", "varying_mappings", "port_mapping")
    UDP_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    VARYING_MAPPINGS_FIELD_NUMBER: _ClassVar[int]
    PORT_MAPPING_FIELD_NUMBER: _ClassVar[int]
    udp: bool
    ipv6: bool
    varying_mappings: bool
    port_mapping: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, udp: _Optional[bool] = ..., ipv6: _Optional[bool] = ..., varying_mappings: _Optional[bool] = ..., port_mapping: _Optional[_Iterable[str]] = ...) -> None: ...

class DescribeNodesRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class DescribeNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeDescription]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeDescription, _Mapping]]] = ...) -> None: ...
