"""The policy service and the map streamer read one registry alike: what one explains, the other's filters let through.

Both are given the same records of a random tailnet by the messages that they get in production, with suspended users,
tagged nodes, posture attributes and times.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.map_streamer.ingest.records import node_record, user_record
from services.map_streamer.snapshot import AccessSettings, Cursor, NodePut, PolicyPut, Snapshot, UserPut, empty, fold
from services.policy.clients import RegistrySubjects
from services.policy.explain import explain_in
from services.policy.model.checks.topology import Topology
from services.registry import wire
from services.registry.model.attribute import CustomAttribute
from services.registry.model.node import Node
from services.registry.model.user import User
from services.shared.ids import DEFAULT_TAILNET, NodeId, UserId
from services.shared.inventory import access_user, is_suspended
from services.shared.keys import MachineKey, NodeKey
from tests.fakes.clock import FakeClock
from tests.fakes.subjects import Subjects
from tests.unit.access import random_tailnets as random

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PORTS = (22, 53, 85)
PEOPLE = random.USERS
SYSTEMS = {"linux": b'{"OS":"linux"}', "macos": b'{"OS":"macOS","IPNVersion":"1.90.0"}', "": b"{}"}
POSTURES = {
    "posture:linux": ["node:os == 'linux'"],
    "posture:new": ["node:tsVersion >= '1.80'"],
    "posture:five": ["custom:tier == '5'"],
}
SET_BY_ADMINISTRATORS = ((), *((CustomAttribute("custom:tier", value),) for value in (5, "5", 6, True)))
grants = st.lists(
    st.builds(
        lambda grant, postures: grant | ({"srcPosture": postures} if postures else {}),
        st.one_of(random.plain_grants, random.self_grants),
        st.sampled_from([[], ["posture:linux"], ["posture:new"], ["posture:five"]]),
    ),
    max_size=5,
)


@st.composite
def inventories(draw: st.DrawFn) -> tuple[list[User], list[Node]]:
    """Users, some suspended, and nodes of all kinds and ages."""
    users = [
        User(
            id=UserId(one.id),
            name=one.name,
            email=one.email,
            role=one.role,
            created_at=NOW,
            suspended=draw(st.booleans()),
        )
        for one in PEOPLE
    ]
    nodes = []
    for one in draw(random.tailnets()):
        ends = draw(st.sampled_from([None, NOW - timedelta(days=1), NOW + timedelta(days=1)]))
        nodes.append(
            Node(
                id=NodeId(one.id),
                stable_id=f"n{one.id}",
                machine_key=MachineKey(bytes(31) + bytes([one.id])),
                node_key=NodeKey(bytes(30) + bytes([one.id, 1])),
                created_at=NOW - timedelta(days=draw(st.integers(0, 3))),
                given_name=f"node{one.id}",
                user_id=UserId(0 if one.tags else one.user_id),
                tags=one.tags,
                ipv4=one.ipv4,
                ipv6=one.ipv6,
                custom_attributes=draw(st.sampled_from(SET_BY_ADMINISTRATORS)),
                hostinfo=SYSTEMS[draw(st.sampled_from(sorted(SYSTEMS)))],
                advertised_routes=one.advertised_routes,
                approved_routes=one.approved_routes,
                online=draw(st.booleans()),
                expiry=ends,
                expired=draw(st.booleans()),  # also before its expiry, or without one: an administrator expired it
            )
        )
    return users, nodes


async def as_policy_reads(users: list[User], nodes: list[Node]) -> Topology:
    """The tailnet that the policy service checks and explains."""
    owners = {user.id: user for user in users}
    registry = Subjects()
    registry.users = [wire.user_to_proto(user, DEFAULT_TAILNET) for user in users]
    registry.subjects = [
        wire.subject_to_proto(node, is_suspended(node.tags, owners.get(node.user_id))) for node in nodes
    ]
    found = await RegistrySubjects(registry.channel, FakeClock(NOW)).read()
    assert found is not None
    return found


def as_streamer_reads(users: list[User], nodes: list[Node], text: str) -> Snapshot:
    """The snapshot that the map streamer renders from."""
    facts = [UserPut(user_record(wire.user_to_proto(user, DEFAULT_TAILNET))) for user in users]
    facts += [NodePut(node_record(wire.node_to_proto(node, DEFAULT_TAILNET))) for node in nodes]
    facts.append(PolicyPut(random.compile_policy(text).policy))
    return fold(empty(AccessSettings()), facts, Cursor(1, 1), NOW, AccessSettings())


@settings(deadline=None, max_examples=50)
@given(inventory=inventories(), rules=grants)
async def test_what_is_explained_is_what_the_filters_let_through(
    inventory: tuple[list[User], list[Node]], rules: list[dict[str, Any]]
) -> None:
    users, nodes = inventory
    text = json.dumps(random.FRAME | {"postures": POSTURES, "grants": rules})
    tailnet = await as_policy_reads(users, nodes)
    snapshot = as_streamer_reads(users, nodes, text)
    assert {node.id: node for node in tailnet.nodes.values()} == dict(snapshot.access_nodes)
    assert list(tailnet.users) == [access_user(user) for user in snapshot.users.values()]
    let_through = random.permitted(snapshot.access, list(snapshot.access_nodes.values()))
    for source, target in itertools.permutations(nodes, 2):
        for port in PORTS:
            answer = explain_in(tailnet, text, source.given_name, f"{target.given_name}:{port}", protocol="tcp")
            (one,) = answer["answers"]
            assert one["allowed"] == _passes(let_through, source, target, port), one
            cut = {source.id, target.id} - snapshot.access_nodes.keys()
            assert one["visible"] == (not cut and snapshot.access.sees(source.id, target.id)), one


def _passes(let_through: set[tuple[int, str, str, int, int]], source: Node, target: Node, port: int) -> bool:
    """Whether the target's filter lets TCP from the source's IPv4 address in to its own."""
    return any(
        (node_id, sender, number) == (target.id, source.ipv4, port) and protocol in (0, 6) and _covers(place, target)
        for node_id, sender, place, protocol, number in let_through
    )


def _covers(place: str, target: Node) -> bool:
    return ":" not in place and random.covers(place, target.ipv4)
