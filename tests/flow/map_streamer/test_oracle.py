"""After any sequence of changes every client's netmap equals one that is worked out anew, naively, from the records."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from smartscale.types.v1 import node_pb2 as node_types

from services.map_streamer.ingest.records import node_record, user_record
from services.shared.access.compiled import ALLOW_ALL, Alias, AliasKind, CompiledPolicy, Grant, NetworkAccess
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessUser
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.inventory import access_node, is_expired
from services.shared.runtime.clock import SystemClock
from tests.fakes.change_logs import changed, key, make_node, make_user
from tests.fakes.gateway_stream import GatewaySession, GatewayStream
from tests.fakes.netmap import Json
from tests.fakes.streamer import Lab, streamer_lab, until

ANY_PORT = (NetworkAccess(),)
USERS = [Alias(AliasKind.USER, f"user{number}@example.com") for number in (1, 2, 3)]
TAG = Alias(AliasKind.TAG, "tag:server")
SUBNET = Alias(AliasKind.PREFIXES, "10.2.0.0/16", ("10.2.0.0/16",))
POLICIES = [
    ALLOW_ALL,
    CompiledPolicy(grants=(Grant((USERS[0],), (USERS[0],), ANY_PORT),)),
    CompiledPolicy(grants=(Grant((USERS[1], USERS[2]), (TAG,), ANY_PORT), Grant((USERS[0],), (SUBNET,), ANY_PORT))),
    CompiledPolicy(
        grants=(
            Grant((Alias(AliasKind.MEMBER),), (Alias(AliasKind.SELF),), ANY_PORT),
            Grant((TAG,), (USERS[2],), ANY_PORT),
        )
    ),
    CompiledPolicy(),
]
MACHINE_FIELDS = ("Machine", "Hostinfo", "MachineAuthorized", "Created", "StableID")


def expected_peers(lab: Lab, viewer_id: int) -> tuple[dict[int, Json], list[Any], set[str]]:
    """Peers, packet filter and own AllowedIPs of one viewer, from nothing but the registry's and policy's state."""
    users = [user_record(user) for user in lab.registry.users.values()]
    people = [AccessUser(u.id, u.name, u.email, u.provider_id, u.role, frozenset(u.groups)) for u in users]
    suspended = {user.id for user in users if user.suspended}
    nodes = {
        node.id: node_record(node) for node in lab.registry.nodes.values() if node.tags or node.user_id not in suspended
    }
    access = Access(
        lab.policy.compiled,
        people,
        [
            access_node(n, n.created, n.attributes, expired=is_expired(n.recorded_expired, n.expiry, datetime.now(UTC)))
            for _, n in sorted(nodes.items())
        ],
        prefixes=("100.64.0.0/10", "fd7a:115c:a1e0::/48"),
    )
    if viewer_id not in nodes:
        own = node_record(lab.registry.nodes[viewer_id])
        return {}, [], {f"{own.ipv4}/32", f"{own.ipv6}/128"}
    peers = {}
    for peer_id in access.peers_of(viewer_id):
        node = nodes[peer_id]
        expired = node.recorded_expired or (node.expiry is not None and node.expiry <= datetime.now(UTC))
        addresses = [f"{node.ipv4}/32", f"{node.ipv6}/128"]
        peers[peer_id] = {
            "ID": peer_id,
            "Name": f"{node.given_name}.tail.example.net.",
            "User": int(TAGGED_DEVICES_USER) if node.tags else node.user_id,
            "Key": "nodekey:" + node.node_key.hex(),
            "DiscoKey": "discokey:" + (bytes(32) if expired else node.disco_key).hex(),
            "Addresses": addresses,
            "AllowedIPs": addresses + list(access.allowed_routes(viewer_id, peer_id)),
            "PrimaryRoutes": list(access.primary_routes(viewer_id, peer_id)),
            "Endpoints": set() if expired else fixed(node.endpoints, node.endpoint_types),
            "HomeDERP": node.home_derp,
            "Cap": node.cap_version,
            "Tags": list(node.tags),
            "Online": node.online,
            "Expired": expired,
        }
    own = nodes[viewer_id]
    routes = {f"{own.ipv4}/32", f"{own.ipv6}/128", *access.self_routes(viewer_id)}
    return peers, orjson.loads(orjson.dumps(access.packet_filter(viewer_id))), routes


def fixed(endpoints: Any, types: Any) -> set[str]:
    """Endpoints without those found by STUN, which may be told late."""
    return {endpoint for endpoint, kind in zip(endpoints, types, strict=True) if kind not in (2, 4)}


def seen_peers(session: GatewaySession) -> dict[int, Json]:
    """The client's netmap in the same form."""
    out = {}
    for peer_id, peer in session.netmap.peers.items():
        view = {name: value for name, value in peer.items() if name not in MACHINE_FIELDS}
        view.pop("LastSeen", None)
        view.pop("KeyExpiry", None)
        view.setdefault("PrimaryRoutes", [])
        view.setdefault("Tags", [])
        view.setdefault("Expired", False)
        # STUN's endpoints have 198.51.100.* here.
        view["Endpoints"] = {one for one in peer.get("Endpoints", []) if not one.startswith("198.51.100.")}
        out[peer_id] = view
    return out


class FrozenClock(SystemClock):
    """Real time of day, but no interval ever ends."""

    def monotonic(self) -> float:
        return 0.0


class Story:
    """Random changes to a tailnet, and random behaviour of its clients."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.next_id = 1
        self.keys = 1000
        self.sessions: dict[int, tuple[GatewayStream, GatewaySession]] = {}
        self.paused: set[int] = set()
        self.gateway: GatewayStream | None = None
        self.told = 0

    def node(self) -> node_types.Node:
        return self.random.choice(list(self.lab.registry.nodes.values()))

    async def join(self) -> None:
        user_id = self.random.choice([1, 2, 3])
        await self.lab.registry.put_node(make_node(self.next_id, user_id=user_id))
        self.next_id += 1

    async def step(self) -> None:
        """One change."""
        registry, node = self.lab.registry, self.node()
        number = self.random.randrange(1, 60000)
        self.keys += 1
        match self.random.randrange(19):
            case 0 | 1:
                await self.join()
            case 2 if len(registry.nodes) > 4:
                self.sessions.pop(node.id, None)
                self.paused.discard(node.id)
                await registry.remove_node(node.id)
            case 3 | 4:
                await registry.put_node(changed(node, endpoints=[f"192.0.2.1:{number}"], endpoint_types=[1]))
            case 5:
                stun = [*[e for e in node.endpoints if not e.startswith("198.")], f"198.51.100.1:{number}"]
                await registry.put_node(changed(node, endpoints=stun, endpoint_types=[1] * (len(stun) - 1) + [2]))
            case 6:
                away = changed(node, online=False, last_seen=datetime.now(UTC))
                await registry.put_node(changed(away, disco_key=key(5, self.keys)) if number % 2 else away)
            case 7:
                await registry.put_node(changed(node, online=True))
            case 8:
                await registry.put_node(changed(node, home_derp=900 + number % 3))
            case 9:
                await registry.put_node(changed(node, given_name=f"name{number}"))
            case 10:
                tags = [] if node.tags else ["tag:server"]
                await registry.put_node(changed(node, tags=tags))
            case 11:
                routes = ["10.2.0.0/16", "0.0.0.0/0", "::/0"][: 1 + 2 * (number % 2)]
                approved = routes if number % 3 else []
                await registry.put_node(changed(node, advertised_routes=routes, approved_routes=approved))
            case 12 | 13:
                await self.lab.policy.put(self.random.choice(POLICIES))
            case 14:
                user = registry.users[self.random.choice([1, 2, 3])]
                await registry.put_user(make_user(user.id, suspended=not user.suspended, display_name=f"U{number}"))
            case 15:
                await registry.put_node(changed(node, disco_key=key(5, self.keys)))
            case 16:
                await registry.put_node(changed(node, expired=not node.expired, expiry=node.created_at.ToDatetime(UTC)))
            case 17:
                self.sessions.pop(node.id, None)
                self.paused.discard(node.id)
                await registry.put_node(changed(node, node_key=key(6, self.keys)))
            case 18:
                await registry.put_node(changed(node, hostinfo=b'{"OS":"linux","Hostname":"h%d"}' % number))

    async def behave(self) -> None:
        """A client comes, goes, dawdles or hurries."""
        assert self.gateway is not None
        node = self.node()
        known = self.sessions.get(node.id)
        match self.random.randrange(7):
            case 0 | 1 | 6 if known is None:
                session = self.gateway.open(node, zstd=self.random.random() < 0.6, cap_version=113)
                self.sessions[node.id] = self.gateway, session
            case 2 if known is not None:
                known[0].pause(known[1])
                self.paused.add(node.id)
            case 3 if self.paused:
                self.resume(self.random.choice(sorted(self.paused)))
            case 4:
                self.lab.registry.log.lose = self.random.random() < 0.3
            case 5 if self.random.random() < 0.2:
                self.lab.bus.interrupt()

    async def breathe(self) -> None:
        """Let what is under way arrive, and what has arrived be told."""
        for _ in range(12):
            await asyncio.sleep(0)
        for service in self.lab.services:
            # Replicas fold in windows of their own, so a cursor that one gave may lie between two views of the other.
            if self.random.random() < 0.6:
                service.tailnet.flush()
        for _ in range(12):
            await asyncio.sleep(0)

    def resume(self, node_id: int) -> None:
        self.paused.discard(node_id)
        gateway, session = self.sessions[node_id]
        gateway.resume(session)

    async def move(self) -> None:
        """The gateway loses its replica and brings its sessions to the other one."""
        assert self.gateway is not None
        await self.gateway.close()
        if self.gateway.error is not None:
            raise self.gateway.error
        replica = self.random.randrange(2)
        gateway = self.lab.attach("a", replica)
        for node_id, (_, old) in list(self.sessions.items()):
            node = self.lab.registry.nodes[node_id]
            held = old.cursor
            session = gateway.open(node, zstd=old.zstd, cursor=held) if held else gateway.open(node, zstd=old.zstd)
            session.netmap = old.netmap
            session.cursor = held
            self.sessions[node_id] = gateway, session
        self.paused.clear()
        self.gateway = gateway

    async def settle(self) -> None:
        """Let all news arrive."""
        assert self.gateway is not None
        for node_id in sorted(self.paused):
            self.resume(node_id)
        self.lab.registry.log.lose = False
        self.lab.bus.interrupt()
        for service in self.lab.services:
            tailnet = service.tailnet
            await until(lambda tailnet=tailnet: tailnet.position.registry == self.lab.registry.log.last)  # type: ignore[misc]
            await until(lambda tailnet=tailnet: tailnet.position.policy == self.lab.policy.log.last)  # type: ignore[misc]
            tailnet.flush()
        for node_id, (gateway, session) in self.sessions.items():
            if session.ended is None:
                want = lambda session=session, node_id=node_id: self.agrees(session, node_id) or session.ended  # noqa: E731
                try:
                    await gateway.until(want)
                except TimeoutError:
                    self.compare(session, node_id)

    def agrees(self, session: GatewaySession, node_id: int) -> bool:
        peers, rules, own = expected_peers(self.lab, node_id)
        node = session.netmap.node
        return (
            node is not None
            and seen_peers(session) == peers
            and session.netmap.filters == {"base": rules}
            and set(node["AllowedIPs"]) == own
        )

    def compare(self, session: GatewaySession, node_id: int) -> None:
        peers, rules, own = expected_peers(self.lab, node_id)
        assert seen_peers(session) == peers
        assert session.netmap.filters == {"base": rules}
        assert session.netmap.node is not None
        assert set(session.netmap.node["AllowedIPs"]) == own
        raise AssertionError("it agreed too late")


@pytest.mark.parametrize("seed", range(8))
async def test_netmaps_equal_a_naive_recomputation_after_random_changes(seed: int) -> None:
    # The clock stands still, so that views are made only when the story says so.
    async with streamer_lab(FrozenClock()) as lab:
        story = Story(lab, seed)
        for user_id in (2, 3):
            await lab.registry.put_user(make_user(user_id))
        for _ in range(story.random.choice([3, 10, 45])):
            await story.join()
        await lab.start()
        await lab.start()
        story.gateway = lab.attach()
        for _ in range(6):
            for _ in range(10):
                await story.step()
                await story.behave()
                if story.random.random() < 0.5:
                    await story.breathe()
                if story.random.random() < 0.06:
                    await story.move()
            await story.settle()
            story.told += sum(len(session.deltas) for _, session in story.sessions.values())
        assert story.told > 10
