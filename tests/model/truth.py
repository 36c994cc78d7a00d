"""What each client must hold, worked out naively: all of it anew, from the records alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.map_streamer.ingest.records import node_record, user_record
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessUser
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.inventory import access_node, is_expired
from tests.fakes.netmap import Json, Netmap

STUN_PREFIX = "198.51.100."
"""Endpoints found by STUN have such addresses here: they may be told late, so they are not compared."""
_OF_THE_MACHINE = ("Machine", "Hostinfo", "MachineAuthorized", "Created", "StableID", "LastSeen", "KeyExpiry")

Expected = tuple[dict[int, Json], list[Any], set[str]]
"""Peers by id, packet filter, the node's own AllowedIPs."""


class Truth:
    """A tailnet at one position of its logs."""

    def __init__(
        self,
        nodes: Mapping[int, node_types.Node],
        users: Mapping[int, user_types.User],
        policy: CompiledPolicy,
        now: datetime,
    ) -> None:
        people = [user_record(user) for user in users.values()]
        suspended = {user.id for user in people if user.suspended}
        self._now = now
        self._all = {node.id: node_record(node) for node in nodes.values()}
        self._nodes = {node_id: n for node_id, n in self._all.items() if n.tags or n.user_id not in suspended}
        self._access = Access(
            policy,
            [AccessUser(u.id, u.name, u.email, u.provider_id, u.role, frozenset(u.groups)) for u in people],
            [
                access_node(n, n.created, n.attributes, expired=is_expired(n.recorded_expired, n.expiry, now))
                for _, n in sorted(self._nodes.items())
            ],
            prefixes=("100.64.0.0/10", "fd7a:115c:a1e0::/48"),
        )

    def of(self, viewer_id: int) -> Expected:
        """What this node's client must hold."""
        own = self._all[viewer_id]
        addresses = {f"{own.ipv4}/32", f"{own.ipv6}/128"}
        if viewer_id not in self._nodes:
            return {}, [], addresses
        peers = {peer_id: self._peer(viewer_id, peer_id) for peer_id in self._access.peers_of(viewer_id)}
        rules: list[Any] = orjson.loads(orjson.dumps(self._access.packet_filter(viewer_id)))
        return peers, rules, {*addresses, *self._access.self_routes(viewer_id)}

    def _peer(self, viewer_id: int, peer_id: int) -> Json:
        node = self._nodes[peer_id]
        expired = node.recorded_expired or (node.expiry is not None and node.expiry <= self._now)
        addresses = [f"{node.ipv4}/32", f"{node.ipv6}/128"]
        kinds = zip(node.endpoints, node.endpoint_types, strict=True)
        return {
            "ID": peer_id,
            "Name": f"{node.given_name}.tail.example.net.",
            "User": int(TAGGED_DEVICES_USER) if node.tags else node.user_id,
            "Key": "nodekey:" + node.node_key.hex(),
            "DiscoKey": "discokey:" + (bytes(32) if expired else node.disco_key).hex(),
            "Addresses": addresses,
            "AllowedIPs": addresses + list(self._access.allowed_routes(viewer_id, peer_id)),
            "PrimaryRoutes": list(self._access.primary_routes(viewer_id, peer_id)),
            "Endpoints": set() if expired else {endpoint for endpoint, kind in kinds if kind not in (2, 4)},
            "HomeDERP": node.home_derp,
            "Cap": node.cap_version,
            "Tags": list(node.tags),
            "Online": node.online,
            "Expired": expired,
        }


def held(netmap: Netmap) -> Expected | None:
    """A client's netmap in the same form; None when it has none."""
    if netmap.node is None:
        return None
    peers = {}
    for peer_id, peer in netmap.peers.items():
        view = {name: value for name, value in peer.items() if name not in _OF_THE_MACHINE}
        view.setdefault("PrimaryRoutes", [])
        view.setdefault("Tags", [])
        view.setdefault("Expired", False)
        view["Endpoints"] = {one for one in peer.get("Endpoints", []) if not one.startswith(STUN_PREFIX)}
        peers[peer_id] = view
    return peers, netmap.filters.get("base", []), set(netmap.node["AllowedIPs"])


def differences(found: Expected | None, wanted: Expected) -> list[str]:
    """What is wrong, in words."""
    if found is None:
        return ["no map"]
    out = []
    if lacking := wanted[0].keys() - found[0].keys():
        out.append(f"lacks peers {sorted(lacking)}")
    if surplus := found[0].keys() - wanted[0].keys():
        out.append(f"has peers {sorted(surplus)} too many")
    for peer_id in found[0].keys() & wanted[0].keys():
        has, should = found[0][peer_id], wanted[0][peer_id]
        out += [
            f"peer {peer_id}: {name} is {has.get(name)!r}, not {should.get(name)!r}"
            for name in has.keys() | should.keys()
            if has.get(name) != should.get(name)
        ]
    if found[1] != wanted[1]:
        out.append(f"filter is {found[1]}, not {wanted[1]}")
    if found[2] != wanted[2]:
        out.append(f"own AllowedIPs are {found[2]}, not {wanted[2]}")
    return out
