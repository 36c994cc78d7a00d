"""The registry beside the real policy service: routes that need no asking, tags that must exist."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.policy.wiring import build as build_policy
from services.shared.bus import MemoryBus
from services.shared.config.model import PolicyConfig
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from tests.fakes.registry import TOPIC, RegistryClient, machine, node_key, registry_config, start_registry

APPROVING = {
    "tagOwners": {"tag:router": ["alice@"]},
    "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:router"], "192.168.0.0/16": ["alice@"]}, "exitNode": ["alice@"]},
    "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
}


class World:
    """A policy and a registry over one channel and bus."""

    def __init__(self, channel: LocalChannel, bus: MemoryBus) -> None:
        self.bus = bus
        self.registry = RegistryClient(channel)
        self.policy = policy_pb2_grpc.PolicyServiceStub(channel)  # type: ignore[no-untyped-call]

    async def set_policy(self, document: object) -> None:
        await self.policy.SetPolicy(policy_pb2.SetPolicyRequest(text=json.dumps(document)), timeout=10)

    async def until(self, done: Callable[[list[node_types.Node]], bool]) -> list[node_types.Node]:
        """Wait, change by change, until the nodes are so."""
        async with asyncio.timeout(10), self.bus.subscribe(TOPIC) as messages:
            while not done(nodes := await self.registry.nodes()):
                await anext(messages)
        return nodes


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    config = replace(registry_config(tmp_path), policy=PolicyConfig(mode="database"))
    bus, server = MemoryBus(), LocalServer()
    channel = LocalChannel(server)
    policy = await build_policy(config, Deps(clock=SystemClock(), bus=bus, channels={}))
    policy.add_to(server)
    await policy.start()
    service, _, _ = await start_registry(tmp_path, config=config, bus=bus, channels={"policy": channel})
    service.add_to(server)
    world = World(channel, bus)
    yield world
    await service.stop()
    await policy.stop()


async def advertise(world: World, number: int, routes: list[str]) -> None:
    hostinfo = json.dumps({"Hostname": "host", "RoutableIPs": routes}).encode()
    await world.registry.update(machine(number), pb.UpdateNodeRequest(node_key=node_key(number).raw, hostinfo=hostinfo))


async def test_routes_advertised_before_the_policy_are_approved_when_it_comes(world: World) -> None:
    alice, bob = await world.registry.user("alice"), await world.registry.user("bob")
    await world.registry.admit(machine(1), node_key(1), user_id=alice.id)
    await world.registry.admit(machine(2), node_key(2), user_id=bob.id)
    for number in (1, 2):
        await advertise(world, number, ["192.168.7.0/24", "10.1.0.0/16", "0.0.0.0/0", "::/0"])
    await world.set_policy(APPROVING)
    nodes = await world.until(lambda nodes: bool(nodes[0].approved_routes))
    assert list(nodes[0].approved_routes) == ["0.0.0.0/0", "192.168.7.0/24", "::/0"]
    assert not nodes[1].approved_routes


async def test_routes_advertised_after_the_policy_are_approved_at_once_and_never_taken_back(world: World) -> None:
    await world.registry.user("alice")
    await world.registry.admit(machine(9), node_key(9), tags=["tag:router"])
    await advertise(world, 9, ["10.9.0.0/16"])
    await world.set_policy(APPROVING)
    await world.until(lambda nodes: bool(nodes[0].approved_routes))
    await world.registry.admit(machine(1), node_key(1), tags=["tag:router"])
    await advertise(world, 1, ["10.1.0.0/16", "172.16.0.0/12"])
    assert list((await world.registry.node(2)).approved_routes) == ["10.1.0.0/16"]
    await advertise(world, 1, [])
    assert list((await world.registry.node(2)).approved_routes) == ["10.1.0.0/16"]


async def test_a_tag_that_the_policy_does_not_know_is_refused(world: World) -> None:
    alice = await world.registry.user("alice")
    node = await world.registry.admit(machine(1), node_key(1), user_id=alice.id)
    await advertise(world, 1, ["192.168.7.0/24"])
    await world.set_policy(APPROVING)
    await world.until(lambda nodes: bool(nodes[0].approved_routes))
    with pytest.raises(grpc.aio.AioRpcError, match="invalid or not permitted") as caught:
        await world.registry.stub.SetTags(pb.SetTagsRequest(id=node.id, tags=["tag:nobody"]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    tagged = await world.registry.stub.SetTags(pb.SetTagsRequest(id=node.id, tags=["tag:router"]))
    assert list(tagged.node.tags) == ["tag:router"]


async def test_new_nodes_get_addresses_of_the_first_pool_that_names_them(world: World) -> None:
    alice, bob = await world.registry.user("alice"), await world.registry.user("bob")
    before = await world.registry.admit(machine(1), node_key(1), user_id=alice.id)
    await world.set_policy(POOLED)
    await world.registry.admit(machine(8), node_key(8), tags=["tag:router"])
    await pools_known(world)
    ours = [await world.registry.admit(machine(n), node_key(n), user_id=alice.id) for n in (2, 3)]
    theirs = [await world.registry.admit(machine(n), node_key(n), user_id=bob.id) for n in (4, 5)]
    tagged = await world.registry.admit(machine(6), node_key(6), tags=["tag:lab"])
    assert (await world.registry.node(before.id)).ipv4 == before.ipv4 == "100.64.0.1"
    assert [node.ipv4 for node in ours] == ["100.81.0.1", "100.81.0.2"]
    assert [node.ipv4 for node in theirs] == ["100.64.0.3", "100.64.0.4"]
    assert tagged.ipv4 == "100.82.0.1"


async def test_a_full_pool_gives_way_to_the_next_and_then_refuses_by_name(world: World) -> None:
    await world.set_policy(POOLED)
    await world.registry.admit(machine(8), node_key(8), tags=["tag:router"])
    await pools_known(world)
    given = [(await world.registry.admit(machine(n), node_key(n), tags=["tag:lab"])).ipv4 for n in (1, 2, 3)]
    assert given == ["100.82.0.1", "100.82.0.2", "100.83.0.9"]
    with pytest.raises(grpc.aio.AioRpcError, match=r"ipPool 100\.82\.0\.0/30, 100\.83\.0\.9") as caught:
        await world.registry.admit(machine(4), node_key(4), tags=["tag:lab"])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    other = await world.registry.admit(machine(5), node_key(5), tags=["tag:router"])
    assert other.ipv4 == "100.64.0.2"


POOLED = {
    "groups": {"group:ours": ["alice@"]},
    "tagOwners": {"tag:router": [], "tag:lab": []},
    "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:router"]}},
    "nodeAttrs": [
        {"target": ["group:ours"], "attr": ["funnel"]},
        {"target": ["group:ours"], "ipPool": ["100.81.0.0/16"]},
        {"target": ["tag:lab"], "ipPool": ["100.82.0.0/30", "100.83.0.9"]},
        {"target": ["autogroup:member"], "ipPool": []},
        {"target": ["tag:lab", "group:ours"], "ipPool": ["100.84.0.0/16"]},
    ],
    "grants": [],
}


async def pools_known(world: World) -> None:
    """Wait until the registry follows the policy: it then approves a route."""
    await advertise(world, 8, ["10.8.0.0/16"])
    await world.until(lambda nodes: any(node.approved_routes for node in nodes))


async def test_routes_are_approved_when_their_owner_comes_to_be_who_the_policy_approves(world: World) -> None:
    approvers = {"routes": {"10.0.0.0/8": ["autogroup:it-admin"], "192.168.0.0/16": ["carol@"]}}
    alice = await world.registry.user("alice")
    await world.registry.admit(machine(1), node_key(1), user_id=alice.id)
    await advertise(world, 1, ["10.1.0.0/16", "192.168.7.0/24"])
    await world.registry.user("first")
    await world.registry.admit(machine(8), node_key(8), tags=["tag:router"])
    document = APPROVING | {"autoApprovers": {"routes": {**approvers["routes"], "10.8.0.0/16": ["tag:router"]}}}
    await world.set_policy(document)
    await pools_known(world)
    assert not (await world.registry.node(1)).approved_routes
    await world.registry.stub.SetUserRole(pb.SetUserRoleRequest(id=alice.id, role="it-admin"))
    assert list((await world.registry.node(1)).approved_routes) == ["10.1.0.0/16"]
    await world.registry.stub.RenameUser(pb.RenameUserRequest(id=alice.id, new_name="carol"))
    assert list((await world.registry.node(1)).approved_routes) == ["10.1.0.0/16", "192.168.7.0/24"]


async def test_the_only_owner_can_neither_step_down_nor_be_deleted(world: World) -> None:
    alice, bob = await world.registry.user("alice"), await world.registry.user("bob")

    async def give(user: user_types.User, role: str) -> str:
        answer = await world.registry.stub.SetUserRole(pb.SetUserRoleRequest(id=user.id, role=role, actor="root"))
        return str(answer.user.role)

    assert await give(alice, "owner") == "owner"
    for refused in (give(alice, "admin"), world.registry.stub.DeleteUser(pb.DeleteUserRequest(id=alice.id))):
        with pytest.raises(grpc.aio.AioRpcError, match="alice is the only owner: make another user owner") as caught:
            await refused
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await give(bob, "owner") == "owner"
    assert await give(alice, "admin") == "admin"
    told = (await world.registry.stub.GetPerson(pb.GetPersonRequest(user_id=alice.id))).history
    said = [(entry.before, entry.after, entry.source) for entry in told if entry.attribute == "role"]
    assert said == [("owner", "admin", "administrator (root)"), ("member", "owner", "administrator (root)")]
    await world.registry.stub.DeleteUser(pb.DeleteUserRequest(id=alice.id))
