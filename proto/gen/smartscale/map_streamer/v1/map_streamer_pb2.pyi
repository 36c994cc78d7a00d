from smartscale.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_REASON_UNSPECIFIED: _ClassVar[RefusalReason]
    REFUSAL_REASON_UNKNOWN_NODE: _ClassVar[RefusalReason]
    REFUSAL_REASON_WRONG_MACHINE: _ClassVar[RefusalReason]
    REFUSAL_REASON_OVERLOADED: _ClassVar[RefusalReason]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_NODE_REMOVED: _ClassVar[EndReason]
    END_REASON_KEY_ROTATED: _ClassVar[EndReason]
    END_REASON_SUPERSEDED: _ClassVar[EndReason]
    END_REASON_DONE: _ClassVar[EndReason]
    END_REASON_RESYNC: _ClassVar[EndReason]
REFUSAL_REASON_UNSPECIFIED: RefusalReason
REFUSAL_REASON_UNKNOWN_NODE: RefusalReason
REFUSAL_REASON_WRONG_MACHINE: RefusalReason
REFUSAL_REASON_OVERLOADED: RefusalReason
END_REASON_UNSPECIFIED: EndReason
END_REASON_NODE_REMOVED: EndReason
END_REASON_KEY_ROTATED: EndReason
END_REASON_SUPERSEDED: EndReason
END_REASON_DONE: EndReason
END_REASON_RESYNC: EndReason

class AttachRequest(_message.Message):
    __slots__ = ("hello", "opened", "closed", "paused", "resumed", "dropped")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    opened: SessionOpened
    closed: SessionClosed
    paused: SessionPaused
    resumed: SessionResumed
    dropped: FramesDropped
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., closed: _Optional[_Union[SessionClosed, _Mapping]] = ..., paused: _Optional[_Union[SessionPaused, _Mapping]] = ..., resumed: _Optional[_Union[SessionResumed, _Mapping]] = ..., dropped: _Optional[_Union[FramesDropped, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("gateway_id",)
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    def __init__(self, gateway_id: _Optional[str] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session_id", "machine_key", "node_key", "cap_version", "zstd", "once", "held", "whole")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_KEY_FIELD_NUMBER: _ClassVar[int]
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    CAP_VERSION_FIELD_NUMBER: _ClassVar[int]
    ZSTD_FIELD_NUMBER: _ClassVar[int]
    ONCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    machine_key: bytes
    node_key: bytes
    cap_version: int
    zstd: bool
    once: bool
    held: _common_pb2.Cursor
    whole: bool
    def __init__(self, session_id: _Optional[int] = ..., machine_key: _Optional[bytes] = ..., node_key: _Optional[bytes] = ..., cap_version: _Optional[int] = ..., zstd: _Optional[bool] = ..., once: _Optional[bool] = ..., held: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ..., whole: _Optional[bool] = ...) -> None: ...

class SessionClosed(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    def __init__(self, session_id: _Optional[int] = ...) -> None: ...

class SessionPaused(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    def __init__(self, session_id: _Optional[int] = ...) -> None: ...

class SessionResumed(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    def __init__(self, session_id: _Optional[int] = ...) -> None: ...

class FramesDropped(_message.Message):
    __slots__ = ("frame_ids",)
    FRAME_IDS_FIELD_NUMBER: _ClassVar[int]
    frame_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, frame_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class AttachResponse(_message.Message):
    __slots__ = ("accepted", "refused", "frame", "full", "delta", "ended", "retired")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    accepted: SessionAccepted
    refused: SessionRefused
    frame: Frame
    full: Full
    delta: Delta
    ended: SessionEnded
    retired: FramesRetired
    def __init__(self, accepted: _Optional[_Union[SessionAccepted, _Mapping]] = ..., refused: _Optional[_Union[SessionRefused, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., full: _Optional[_Union[Full, _Mapping]] = ..., delta: _Optional[_Union[Delta, _Mapping]] = ..., ended: _Optional[_Union[SessionEnded, _Mapping]] = ..., retired: _Optional[_Union[FramesRetired, _Mapping]] = ...) -> None: ...

class SessionAccepted(_message.Message):
    __slots__ = ("session_id", "node_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    node_id: int
    def __init__(self, session_id: _Optional[int] = ..., node_id: _Optional[int] = ...) -> None: ...

class SessionRefused(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    reason: RefusalReason
    def __init__(self, session_id: _Optional[int] = ..., reason: _Optional[_Union[RefusalReason, str]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("frame_id", "data")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    frame_id: int
    data: bytes
    def __init__(self, frame_id: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("data", "frame_id")
    DATA_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    frame_id: int
    def __init__(self, data: _Optional[bytes] = ..., frame_id: _Optional[int] = ...) -> None: ...

class Full(_message.Message):
    __slots__ = ("session_id", "parts", "cursor")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    cursor: _common_pb2.Cursor
    def __init__(self, session_id: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ..., cursor: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("session_ids", "data", "cursor", "traceparent")
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    session_ids: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    cursor: _common_pb2.Cursor
    traceparent: str
    def __init__(self, session_ids: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ..., cursor: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class SessionEnded(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    reason: EndReason
    def __init__(self, session_id: _Optional[int] = ..., reason: _Optional[_Union[EndReason, str]] = ...) -> None: ...

class FramesRetired(_message.Message):
    __slots__ = ("frame_ids",)
    FRAME_IDS_FIELD_NUMBER: _ClassVar[int]
    frame_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, frame_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class FindSshCheckRequest(_message.Message):
    __slots__ = ("source_id", "destination_id", "local_user")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCAL_USER_FIELD_NUMBER: _ClassVar[int]
    source_id: int
    destination_id: int
    local_user: str
    def __init__(self, source_id: _Optional[int] = ..., destination_id: _Optional[int] = ..., local_user: _Optional[str] = ...) -> None: ...

class FindSshCheckResponse(_message.Message):
    __slots__ = ("period_seconds", "everywhere", "action")
    PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    period_seconds: int
    everywhere: bool
    action: bytes
    def __init__(self, period_seconds: _Optional[int] = ..., everywhere: _Optional[bool] = ..., action: _Optional[bytes] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("cursor", "nodes", "sessions", "gateways")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    cursor: _common_pb2.Cursor
    nodes: int
    sessions: int
    gateways: int
    def __init__(self, cursor: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ..., nodes: _Optional[int] = ..., sessions: _Optional[int] = ..., gateways: _Optional[int] = ...) -> None: ...

class ShowNodesRequest(_message.Message):
    __slots__ = ("node_ids", "with_map")
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_MAP_FIELD_NUMBER: _ClassVar[int]
    node_ids: _containers.RepeatedScalarFieldContainer[int]
    with_map: bool
    def __init__(self, node_ids: _Optional[_Iterable[int]] = ..., with_map: _Optional[bool] = ...) -> None: ...

class ShowNodesResponse(_message.Message):
    __slots__ = ("nodes", "more")
    NODES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[ShownNode]
    more: bool
    def __init__(self, nodes: _Optional[_Iterable[_Union[ShownNode, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class ShownNode(_message.Message):
    __slots__ = ("id", "given_name", "class_number", "peer_ids", "packet_filter", "ssh_policy", "cap_map", "allowed_routes", "primary_routes", "map_response")
    ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PEER_IDS_FIELD_NUMBER: _ClassVar[int]
    PACKET_FILTER_FIELD_NUMBER: _ClassVar[int]
    SSH_POLICY_FIELD_NUMBER: _ClassVar[int]
    CAP_MAP_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_ROUTES_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_ROUTES_FIELD_NUMBER: _ClassVar[int]
    MAP_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    id: int
    given_name: str
    class_number: int
    peer_ids: _containers.RepeatedScalarFieldContainer[int]
    packet_filter: bytes
    ssh_policy: bytes
    cap_map: bytes
    allowed_routes: _containers.RepeatedScalarFieldContainer[str]
    primary_routes: _containers.RepeatedScalarFieldContainer[str]
    map_response: bytes
    def __init__(self, id: _Optional[int] = ..., given_name: _Optional[str] = ..., class_number: _Optional[int] = ..., peer_ids: _Optional[_Iterable[int]] = ..., packet_filter: _Optional[bytes] = ..., ssh_policy: _Optional[bytes] = ..., cap_map: _Optional[bytes] = ..., allowed_routes: _Optional[_Iterable[str]] = ..., primary_routes: _Optional[_Iterable[str]] = ..., map_response: _Optional[bytes] = ...) -> None: ...

class ShowDerpMapRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShowDerpMapResponse(_message.Message):
    __slots__ = ("derp_map",)
    DERP_MAP_FIELD_NUMBER: _ClassVar[int]
    derp_map: bytes
    def __init__(self, derp_map: _Optional[bytes] = ...) -> None: ...

class ShowSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShowSessionsResponse(_message.Message):
    __slots__ = ("cursor", "told", "window_seconds", "gateways")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    cursor: _common_pb2.Cursor
    told: _common_pb2.Cursor
    window_seconds: float
    gateways: _containers.RepeatedCompositeFieldContainer[ShownGateway]
    def __init__(self, cursor: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ..., told: _Optional[_Union[_common_pb2.Cursor, _Mapping]] = ..., window_seconds: _Optional[float] = ..., gateways: _Optional[_Iterable[_Union[ShownGateway, _Mapping]]] = ...) -> None: ...

class ShownGateway(_message.Message):
    __slots__ = ("id", "live", "held", "waiting", "opening", "paused", "queued_messages", "queued_bytes", "congested")
    ID_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONGESTED_FIELD_NUMBER: _ClassVar[int]
    id: str
    live: int
    held: int
    waiting: int
    opening: int
    paused: int
    queued_messages: int
    queued_bytes: int
    congested: bool
    def __init__(self, id: _Optional[str] = ..., live: _Optional[int] = ..., held: _Optional[int] = ..., waiting: _Optional[int] = ..., opening: _Optional[int] = ..., paused: _Optional[int] = ..., queued_messages: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., congested: _Optional[bool] = ...) -> None: ...
