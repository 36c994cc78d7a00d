from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Relay(_message.Message):
    __slots__ = ("region_id", "region_code", "region_name", "name", "host_name", "cert_name", "ipv4", "ipv6", "derp_port", "stun_port")
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_CODE_FIELD_NUMBER: _ClassVar[int]
    REGION_NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    CERT_NAME_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    DERP_PORT_FIELD_NUMBER: _ClassVar[int]
    STUN_PORT_FIELD_NUMBER: _ClassVar[int]
    region_id: int
    region_code: str
    region_name: str
    name: str
    host_name: str
    cert_name: str
    ipv4: str
    ipv6: str
    derp_port: int
    stun_port: int
    def __init__(self, region_id: _Optional[int] = ..., region_code: _Optional[str] = ..., region_name: _Optional[str] = ..., name: _Optional[str] = ..., host_name: _Optional[str] = ..., cert_name: _Optional[str] = ..., ipv4: _Optional[str] = ..., ipv6: _Optional[str] = ..., derp_port: _Optional[int] = ..., stun_port: _Optional[int] = ...) -> None: ...
