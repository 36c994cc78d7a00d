"""A client's view of its tailnet: applies full maps and deltas as clients do. Pure; refuses what clients choke on.

The rules are protocol.md's 4.5 and 4.6 as the Go client (`control/controlclient/map.go`) applies them, and where the
Rust client is stricter, its rule: a message that breaks one raises `BadMapError` with the reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import zstandard

Json = dict[str, Any]

KEEPALIVE = b'{"KeepAlive":true}'
_COPIED = {
    "Endpoints": "Endpoints",
    "DERPRegion": "HomeDERP",
    "Cap": "Cap",
    "CapMap": "CapMap",
    "Key": "Key",
    "DiscoKey": "DiscoKey",
    "Online": "Online",
    "LastSeen": "LastSeen",
    "KeyExpiry": "KeyExpiry",
}
_ARRAYS = ("Peers", "PeersRemoved", "PeersChanged", "PeersChangedPatch", "UserProfiles", "PacketFilter")


class BadMapError(AssertionError):
    """A message that a real client would refuse, drop or misread."""


def unpack(data: bytes, *, zstd: bool) -> bytes:
    """Undo the message's encoding: one or several concatenated zstd frames without content size, or plain JSON."""
    if not zstd:
        return data
    out, rest = [], data
    while rest:
        reader = zstandard.ZstdDecompressor().decompressobj()
        out.append(reader.decompress(rest))
        if not reader.eof:
            raise BadMapError("truncated zstd frame")
        rest = reader.unused_data
    return b"".join(out)


@dataclass
class Netmap:
    """What one map session has been told so far."""

    node: Json | None = None
    peers: dict[int, Json] = field(default_factory=dict)
    profiles: dict[int, Json] = field(default_factory=dict)
    filters: dict[str, list[Json]] = field(default_factory=dict)
    derp_map: Json | None = None
    dns: Json | None = None
    ssh: Json | None = None
    domain: str = ""
    shown: dict[str, Json] = field(default_factory=dict)
    """Messages to the person at the device, by id."""
    health: list[str] = field(default_factory=list)
    """The same for clients before 1.86."""
    messages: int = 0
    history: list[Json] = field(default_factory=list)

    def receive(self, data: bytes, *, zstd: bool = True) -> Json:
        """Take one whole message as sent; return it decoded.

        Raises:
            BadMapError: a real client would not take it.
        """
        text = unpack(data, zstd=zstd)
        if text == KEEPALIVE:
            return {"KeepAlive": True}
        message: Json = json.loads(text)
        self.apply(message)
        return message

    def apply(self, message: Json) -> None:
        """Apply one decoded message."""
        first = self.node is None
        if first and "Node" not in message:
            raise BadMapError("initial MapResponse lacked Node")
        for name in _ARRAYS:
            if name in message and message[name] is None:
                raise BadMapError(f"null where an array belongs: {name}")
        if not first and message.get("Peers") == []:
            raise BadMapError("Peers must not be empty in a later message")
        self._take_profiles(message)
        self._take_peers(message)
        if "Node" in message:
            self.node = message["Node"]
            self._check_node(message["Node"], own=True)
        self._take_rest(message)
        self.messages += 1
        self.history.append(message)

    def _take_profiles(self, message: Json) -> None:
        for profile in message.get("UserProfiles", []):
            self.profiles[profile["ID"]] = profile

    def _take_peers(self, message: Json) -> None:
        if message.get("Peers"):
            self._check_sorted(message["Peers"])
            self.peers = {peer["ID"]: dict(peer) for peer in message["Peers"]}
            for peer in self.peers.values():
                self._check_node(peer, own=False)
            return
        for node_id in message.get("PeersRemoved", []):
            self.peers.pop(node_id, None)
        changed = message.get("PeersChanged", [])
        self._check_sorted(changed)
        for peer in changed:
            self._check_node(peer, own=False)
            self.peers[peer["ID"]] = dict(peer)
        for patch in message.get("PeersChangedPatch", []):
            self._patch(patch)

    def _patch(self, patch: Json) -> None:
        unknown = patch.keys() - _COPIED.keys() - {"NodeID", "KeySignature"}
        if unknown:
            raise BadMapError(f"unknown fields in a patch: {sorted(unknown)}")
        if self.node is not None and patch["NodeID"] == self.node["ID"]:
            raise BadMapError("a patch for the node itself")
        peer = self.peers.get(patch["NodeID"])
        if peer is None:
            raise BadMapError("a patch for a peer that was never introduced")
        if "DiscoKey" in patch and patch.get("Online") is False:
            raise BadMapError("a disco key together with Online false is refused by clients from 1.98")
        for name, target in _COPIED.items():
            value = patch.get(name)
            if name in patch and value is None:
                raise BadMapError(f"null in a patch: {name}")
            if value is not None and not (name in ("DERPRegion", "Cap") and value == 0):
                peer[target] = value
        if patch.get("Online") is True:
            peer.pop("LastSeen", None)

    def _take_rest(self, message: Json) -> None:
        if "PacketFilter" in message:
            self.filters["base"] = message["PacketFilter"]
        chunks = message.get("PacketFilters", {})
        if "*" in chunks and chunks["*"] is None:
            self.filters.clear()
        for name, rules in chunks.items():
            if rules is None:
                self.filters.pop(name, None)
            else:
                self.filters[name] = rules
        shown = message.get("DisplayMessages") or {}
        if "*" in shown:
            self.shown.clear()
        self.shown |= {name: one for name, one in shown.items() if one is not None}
        for name in [name for name, one in shown.items() if one is None]:
            self.shown.pop(name, None)
        if message.get("Health") is not None:
            self.health = message["Health"]
        if message.get("DERPMap") is not None:
            self.derp_map = message["DERPMap"]
        if message.get("DNSConfig") is not None:
            self.dns = message["DNSConfig"]
        if message.get("SSHPolicy") is not None:
            self.ssh = message["SSHPolicy"]
        self.domain = message.get("Domain") or self.domain

    def _check_node(self, node: Json, *, own: bool) -> None:
        for name in ("ID", "StableID", "Name", "User", "Key", "Created"):
            if not node.get(name):
                raise BadMapError(f"a node without {name}")
        if not node["Name"].endswith("."):
            raise BadMapError("a node name without its trailing dot")
        if not set(node.get("Addresses", [])) <= set(node.get("AllowedIPs", [])):
            raise BadMapError("AllowedIPs must contain the addresses")
        if not own and not isinstance(node.get("Online"), bool):
            raise BadMapError("a peer without Online")
        if not own and self.node is not None and node["ID"] == self.node["ID"]:
            raise BadMapError("the node itself among its peers")
        if node["User"] not in self.profiles:
            raise BadMapError("a node whose owner has no profile yet")
        if any(value is None for value in node.values()):
            raise BadMapError("null in a node")

    @staticmethod
    def _check_sorted(nodes: list[Json]) -> None:
        ids = [node["ID"] for node in nodes]
        if ids != sorted(set(ids)):
            raise BadMapError("nodes must be sorted by id, each once")
