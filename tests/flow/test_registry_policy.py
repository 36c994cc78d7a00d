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

from services.policy.wiring import build as build_policy
from services.shared.bus import MemoryBus
from services.shared.clock import SystemClock
from services.shared.config.model import PolicyConfig
from services.shared.process import Deps
from services.shared.rpc import LocalChannel, LocalServer
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

    async def until(self, done: Callable[[list[pb.Node]], bool]) -> list[pb.Node]:
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
