from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("public_key", "region_id", "name", "cert_name", "clients", "mesh_peers", "packets", "dropped")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CERT_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    MESH_PEERS_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    region_id: int
    name: str
    cert_name: str
    clients: int
    mesh_peers: int
    packets: int
    dropped: int
    def __init__(self, public_key: _Optional[bytes] = ..., region_id: _Optional[int] = ..., name: _Optional[str] = ..., cert_name: _Optional[str] = ..., clients: _Optional[int] = ..., mesh_peers: _Optional[int] = ..., packets: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...
