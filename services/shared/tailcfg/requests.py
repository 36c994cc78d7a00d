"""Decodes the requests of clients inside the tunnel, register and map, from untrusted JSON into checked values.

Names of members may be in any case (tailscale-rs writes `HostInfo`), unknown ones are ignored, null is absent. A wrong
type, a bad key or a number out of range raises `ClientRequestError`, which never repeats the value that was sent.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

import msgspec

from services.shared.keys import DiscoKey, NodeKey
from services.shared.tailcfg.address import parse_endpoint
from services.shared.tailcfg.hostinfo import Hostinfo, read_hostinfo
from services.shared.tailcfg.timestamp import parse_time
from services.shared.tailcfg.untrusted import JsonFields, decode_object

MAX_VERSION = (1 << 31) - 1
MAX_ENDPOINTS = 128
MAX_SECRET = 512
MAX_URL = 2048


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /machine/register`."""

    version: int
    node_key: NodeKey
    old_node_key: NodeKey
    """Zero means none."""
    nl_key: str = ""
    auth_key: str = ""
    """Empty means none; a secret, never to be logged."""
    expiry: datetime | None = None
    """Requested key expiry. None: the server's default; in the past: log out."""
    followup: str = ""
    hostinfo: Hostinfo = Hostinfo()
    ephemeral: bool = False
    node_key_signature: bytes = b""
    tailnet: str = ""

    def __repr__(self) -> str:
        return f"RegisterRequest(version={self.version}, node_key={self.node_key})"


class MapRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /machine/map`."""

    version: int
    node_key: NodeKey
    disco_key: DiscoKey
    """Zero means unknown."""
    compress: str = ""
    keep_alive: bool = False
    stream: bool = False
    omit_peers: bool = False
    read_only: bool = False
    has_hostinfo: bool = False
    hostinfo: Hostinfo = Hostinfo()
    endpoints: tuple[str, ...] = ()
    endpoint_types: tuple[int, ...] = ()
    """One for each endpoint; 0 if the client sent none."""
    tka_head: str = ""
    debug_flags: tuple[str, ...] = ()
    map_session_handle: str = ""
    map_session_seq: int = 0


def decode_register(body: bytes) -> RegisterRequest:
    """Decode a register request.

    Raises:
        ClientRequestError: the request is malformed.
    """
    fields = JsonFields(decode_object(body))
    auth = fields.object("Auth")
    return RegisterRequest(
        version=fields.number("Version", 0, MAX_VERSION),
        node_key=_node_key(fields),
        old_node_key=fields.parsed("OldNodeKey", NodeKey.parse, NodeKey.zero()),
        nl_key=fields.text("NLKey"),
        auth_key=auth.verbatim("AuthKey", MAX_SECRET) if auth is not None else "",
        expiry=fields.parsed("Expiry", parse_time, None),
        followup=fields.verbatim("Followup", MAX_URL),
        hostinfo=read_hostinfo(fields.raw("Hostinfo")),
        ephemeral=fields.flag("Ephemeral"),
        node_key_signature=fields.parsed("NodeKeySignature", _base64, b""),
        tailnet=fields.text("Tailnet"),
    )


def decode_map(body: bytes) -> MapRequest:
    """Decode a map request.

    Raises:
        ClientRequestError: the request is malformed.
    """
    fields = JsonFields(decode_object(body))
    endpoints = fields.texts("Endpoints", MAX_ENDPOINTS, parse_endpoint)
    kinds = [
        kind if isinstance(kind, int) and 0 <= kind < 256 else 0
        for kind in fields.items("EndpointTypes", MAX_ENDPOINTS)
    ]
    return MapRequest(
        version=fields.number("Version", 0, MAX_VERSION),
        node_key=_node_key(fields),
        disco_key=fields.parsed("DiscoKey", DiscoKey.parse, DiscoKey.zero()),
        compress=fields.text("Compress", limit=16),
        keep_alive=fields.flag("KeepAlive"),
        stream=fields.flag("Stream"),
        omit_peers=fields.flag("OmitPeers"),
        read_only=fields.flag("ReadOnly"),
        has_hostinfo=fields.raw("Hostinfo") is not None,
        hostinfo=read_hostinfo(fields.raw("Hostinfo")),
        endpoints=endpoints,
        endpoint_types=tuple((kinds + [0] * len(endpoints))[: len(endpoints)]),
        tka_head=fields.text("TKAHead"),
        debug_flags=fields.texts("DebugFlags", 64),
        map_session_handle=fields.text("MapSessionHandle"),
        map_session_seq=fields.number("MapSessionSeq", -(1 << 63), (1 << 63) - 1),
    )


def _node_key(fields: JsonFields) -> NodeKey:
    key = fields.parsed("NodeKey", NodeKey.parse, NodeKey.zero())
    if key.is_zero:
        raise fields.wrong("NodeKey", "is missing or zero")
    return key


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
