"""Renders nodes as JSON: own node, peers, patches, user profiles. A peer is encoded once per record and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from services.map_streamer.compact_bytes import compact_copy
from services.map_streamer.diff import Patch
from services.map_streamer.render.frames import Frame
from services.map_streamer.snapshot import NodeRecord, UserRecord
from services.map_streamer.snapshot.records import ZERO_KEY
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.tailcfg.node import MapNode, encode_node

_OPTIONS = orjson.OPT_UTC_Z
_NO_KEY = "discokey:" + ZERO_KEY.hex()
_LEGACY_DERP_ADDRESS = "127.3.3.40"
"""`tailcfg.DerpMagicIP`."""


class Shape(msgspec.Struct, frozen=True, gc=False):
    """Everything besides its record that a node's JSON depends on."""

    allowed: tuple[str, ...] = ()
    primary: tuple[str, ...] = ()
    caps: bytes = b""
    """`CapMap` as JSON; empty: none is sent."""
    without_ipv4: bool = False
    legacy: bool = False


PLAIN = Shape()


class Fragment:
    """The JSON of one node in one shape; `serial` identifies the bytes."""

    __slots__ = ("frames", "json", "serial", "shape")

    def __init__(self, serial: int, json: bytes, shape: Shape = PLAIN) -> None:
        self.serial = serial
        self.json = json
        self.shape = shape
        self.frames: tuple[Frame, ...] = ()
        """Frames that contain it; they are retired with it."""

    def joined(self, frame: Frame) -> None:
        """Record that a frame contains it; forget frames that were retired."""
        self.frames = *(other for other in self.frames if other.kept), frame


def _addresses(node: NodeRecord, shape: Shape) -> list[str]:
    """Return the node's addresses, IPv4 first: the Rust client reads them by position."""
    addresses = [f"{node.ipv4}/32"] if node.ipv4 and not shape.without_ipv4 else []
    return [*addresses, f"{node.ipv6}/128"] if node.ipv6 else addresses


def full_name(given_name: str, domain: str) -> str:
    """Return the FQDN that is sent to clients, with its trailing dot."""
    return f"{given_name}.{domain}." if domain else f"{given_name}."


def _node(node: NodeRecord, domain: str, shape: Shape) -> MapNode:
    addresses = _addresses(node, shape)
    disco = _NO_KEY if node.expired else f"discokey:{node.disco_key.hex()}"
    out: MapNode = {
        "ID": node.id,
        "StableID": node.stable_id,
        "Name": full_name(node.given_name, domain),
        "User": node.owner,
        "Key": f"nodekey:{node.node_key.hex()}",
        "Machine": f"mkey:{node.machine_key.hex()}",
        "DiscoKey": disco,
        "Addresses": addresses,
        "AllowedIPs": [*addresses, *shape.allowed],
        "Hostinfo": orjson.Fragment(node.hostinfo),
        "Created": node.created,
        "MachineAuthorized": True,
    }
    if node.expiry is not None:
        out["KeyExpiry"] = node.expiry
    if node.expired:
        out["Expired"] = True
    if node.home_derp:
        out["HomeDERP"] = node.home_derp
        if shape.legacy:
            out["DERP"] = f"{_LEGACY_DERP_ADDRESS}:{node.home_derp}"
    if node.cap_version:
        out["Cap"] = node.cap_version
    if node.tags:
        out["Tags"] = node.tags
    if shape.primary:
        out["PrimaryRoutes"] = shape.primary
    if shape.caps:
        out["CapMap"] = orjson.Fragment(shape.caps)
    return out


def peer_json(node: NodeRecord, domain: str, shape: Shape) -> bytes:
    """Encode a node as a peer is sent it."""
    out = _node(node, domain, shape)
    out["Online"] = node.online
    if not node.online and node.last_seen is not None:
        out["LastSeen"] = node.last_seen
    if node.endpoints and not node.expired:
        out["Endpoints"] = node.endpoints
    return encode_node(out)


def self_json(node: NodeRecord, domain: str, shape: Shape) -> bytes:
    """Encode a node as it is sent itself."""
    out = _node(node, domain, shape)
    out["Online"] = True
    return encode_node(out)


def patch_json(node: NodeRecord, patch: Patch) -> bytes:
    """Return the `PeerChange`s of a patch, joined by commas.

    Clients from 1.98 refuse one that has a disco key together with Online false (they may have learnt a newer key
    from the peer itself), so the disco key then travels in one of its own.
    """
    fields = patch.fields
    out: dict[str, Any] = {"NodeID": node.id}
    if "home_derp" in fields:
        out["DERPRegion"] = node.home_derp
    if "cap_version" in fields:
        out["Cap"] = node.cap_version
    if "endpoints" in fields:
        out["Endpoints"] = node.endpoints
    if "node_key" in fields:
        out["Key"] = f"nodekey:{node.node_key.hex()}"
    if "expiry" in fields:
        out["KeyExpiry"] = node.expiry
    leaving = "last_seen" in fields or ("online" in fields and not node.online)
    apart = b""
    if "disco_key" in fields:
        disco = f"discokey:{node.disco_key.hex()}"
        if leaving:
            apart = orjson.dumps({"NodeID": node.id, "DiscoKey": disco})
        else:
            out["DiscoKey"] = disco
    if "online" in fields:
        out["Online"] = node.online
    if leaving and node.last_seen is not None:
        out["LastSeen"] = node.last_seen
    text = orjson.dumps(out, option=_OPTIONS)
    return apart + b"," + text if apart else text


class Fragments:
    """Peer fragments of the current records, one per shape in use."""

    def __init__(self, domain: str, retire: Callable[[Frame], None] = lambda _frame: None) -> None:
        """`retire` is called with frames that contain an outdated form of a node."""
        self._domain = domain
        self._retire = retire
        self._known: dict[int, tuple[NodeRecord, Fragment]] = {}
        self._others: dict[int, dict[Shape, Fragment]] = {}
        """Further shapes of the few nodes that have several."""
        self._next = 1

    def peer(self, node: NodeRecord, shape: Shape) -> Fragment:
        """Return the node as a peer; encoded if its record or shape is new."""
        known = self._known.get(node.id)
        if known is None or known[0] is not node:
            self.forget(node.id)
            fragment = self._make(node, shape)
            self._known[node.id] = node, fragment
            return fragment
        if known[1].shape == shape:
            return known[1]
        others = self._others.setdefault(node.id, {})
        other = others.get(shape)
        if other is None:
            other = others[shape] = self._make(node, shape)
        return other

    def _make(self, node: NodeRecord, shape: Shape) -> Fragment:
        self._next += 1
        return Fragment(self._next, compact_copy(peer_json(node, self._domain, shape)), shape)

    def forget(self, node_id: int) -> None:
        """Drop the fragments of a node that was deleted or changed, and retire their frames."""
        known = self._known.pop(node_id, None)
        if known is None:
            return
        for fragment in (known[1], *self._others.pop(node_id, {}).values()):
            for frame in fragment.frames:
                self._retire(frame)


def profile_json(user_id: int, user: UserRecord | None) -> bytes:
    """Return the `UserProfile` of an owner as JSON; an unknown one is named `user-ID`."""
    if user_id == TAGGED_DEVICES_USER:
        return orjson.dumps({"ID": user_id, "LoginName": "tagged-devices", "DisplayName": "Tagged Devices"})
    if user is None:
        return orjson.dumps({"ID": user_id, "LoginName": f"user-{user_id}", "DisplayName": f"user-{user_id}"})
    login = user.email or user.name
    profile = {"ID": user_id, "LoginName": login, "DisplayName": user.display_name or user.name or login}
    if user.profile_pic_url.startswith(("https://", "http://")):
        profile["ProfilePicURL"] = user.profile_pic_url
    return orjson.dumps(profile)
