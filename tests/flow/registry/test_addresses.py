"""Addresses that administrators choose: given, kept over a new sign-in, and refused with the reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.registry.usecases.approval import NoPolicy
from tests.fakes.registry import RegistryClient, machine, node_key, start_registry

POOL = ("100.64.7.0/24",)


class PooledPolicy(NoPolicy):
    """A policy whose `ipPool` keeps one prefix for the nodes of tag:pooled."""

    def pools(self, node: object, owner: object) -> tuple[str, ...]:
        """The prefix, for tagged nodes of the pool."""
        return POOL if "tag:pooled" in getattr(node, "tags", ()) else ()

    def kept_pools(self) -> tuple[str, ...]:
        """The prefix."""
        return POOL


class World:
    """A registry with two nodes."""

    def __init__(self, registry: RegistryClient, first: node_types.Node, second: node_types.Node) -> None:
        self.registry, self.first, self.second = registry, first, second

    async def set(self, ipv4: str = "", ipv6: str = "", node: int = 0) -> node_types.Node:
        request = pb.SetNodeAddressRequest(id=node or self.first.id, ipv4=ipv4, ipv6=ipv6)
        answer: pb.SetNodeAddressResponse = await self.registry.stub.SetNodeAddress(request)
        return answer.node

    async def refusal(self, ipv4: str = "", ipv6: str = "", node: int = 0) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.set(ipv4, ipv6, node)
        return refused.value.code(), refused.value.details() or ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    service, channel, _ = await start_registry(tmp_path)
    registry = RegistryClient(channel)
    first = await registry.admit(machine(1), node_key(1), tags=["tag:a"], hostname="laptop")
    second = await registry.admit(machine(2), node_key(2), tags=["tag:a"], hostname="printer")
    yield World(registry, first, second)
    await service.stop()


async def test_a_node_gets_the_addresses_and_keeps_them_over_a_new_sign_in(world: World) -> None:
    await world.set("100.64.9.9", "fd7a:115c:a1e0::99")
    await world.registry.admit(machine(1), node_key(7), old=node_key(1), tags=["tag:a"], hostname="laptop")
    node = await world.registry.node(world.first.id)
    assert (node.ipv4, node.ipv6) == ("100.64.9.9", "fd7a:115c:a1e0::99")


async def test_a_family_that_is_left_out_stays(world: World) -> None:
    node = await world.set(ipv6="fd7a:115c:a1e0::99")
    assert (node.ipv4, node.ipv6) == (world.first.ipv4, "fd7a:115c:a1e0::99")


async def test_the_former_address_is_free_for_others(world: World) -> None:
    await world.set("100.64.9.9")
    assert (await world.set(world.first.ipv4, node=world.second.id)).ipv4 == world.first.ipv4


async def test_the_same_address_again_changes_nothing(world: World) -> None:
    before = len(await world.registry.changes())
    await world.set(world.first.ipv4)
    assert len(await world.registry.changes()) == before


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "text"),
    [
        ("", "", "give an address"),
        ("10.0.0.1", "", "10.0.0.1 is outside of 100.64.0.0/10"),
        ("", "2001:db8::1", "outside of fd7a:115c:a1e0::/48"),
        ("100.100.100.100", "", "is reserved"),
        ("", "fd7a:115c:a1e0::53", "is reserved"),
        ("100.64.0.0", "", "network or broadcast address"),
        ("100.127.255.255", "", "network or broadcast address"),
        ("100.64.0.02", "", "not an IPv4 address"),
        ("fd7a:115c:a1e0::9", "", "not an IPv4 address"),
        ("", "fd7a:115c:a1e0:0::9", "not an IPv6 address"),
        ("x" * 10_000, "", "not an IPv4 address"),
    ],
)
async def test_an_address_that_no_node_may_have_is_refused(world: World, ipv4: str, ipv6: str, text: str) -> None:
    code, details = await world.refusal(ipv4, ipv6)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and text in details


async def test_the_address_of_another_node_is_refused_with_its_name(world: World) -> None:
    code, details = await world.refusal(world.second.ipv4)
    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert details == f"ipv4: another node, printer (id {world.second.id}), has this address"


async def test_a_pool_of_the_policy_is_for_its_targets_alone(tmp_path: Path) -> None:
    service, channel, _ = await start_registry(tmp_path)
    registry = RegistryClient(channel)
    plain = await registry.admit(machine(1), node_key(1), tags=["tag:a"])
    pooled = await registry.admit(machine(2), node_key(2), tags=["tag:pooled"])
    service.policies.current = PooledPolicy()
    world = World(registry, plain, pooled)
    assert "kept for other nodes" in (await world.refusal("100.64.7.9"))[1]
    assert "gives this node an address of 100.64.7.0/24" in (await world.refusal("100.64.8.9", node=pooled.id))[1]
    assert (await world.set("100.64.7.9", node=pooled.id)).ipv4 == "100.64.7.9"
    await service.stop()


async def test_an_admission_gives_the_addresses_to_a_new_node_and_to_one_that_comes_again(world: World) -> None:
    admit = world.registry.admit
    node = await admit(machine(3), node_key(3), tags=["tag:a"], ipv4="100.64.9.9", ipv6="fd7a:115c:a1e0::99")
    assert (node.ipv4, node.ipv6) == ("100.64.9.9", "fd7a:115c:a1e0::99")
    again = await admit(machine(3), node_key(4), old=node_key(3), tags=["tag:a"], ipv4="100.64.9.10")
    assert (again.id, again.ipv4, again.ipv6) == (node.id, "100.64.9.10", "fd7a:115c:a1e0::99")
    change = (await world.registry.changes())[-1]
    assert (change.departure.ipv4, change.departure.reason) == ("100.64.9.9", pb.DEPARTURE_REASON_READDRESSED)


@pytest.mark.parametrize(
    ("ipv4", "code", "reason"),
    [
        ("192.0.2.7", grpc.StatusCode.INVALID_ARGUMENT, "outside of 100.64.0.0/10"),
        ("100.100.100.100", grpc.StatusCode.INVALID_ARGUMENT, "reserved"),
        ("100.64.0.1 ", grpc.StatusCode.INVALID_ARGUMENT, "not an IPv4 address in its usual form"),
        ("100.64.0.1", grpc.StatusCode.ALREADY_EXISTS, "another node, laptop (id 1), has this address"),
    ],
)
async def test_an_address_that_a_new_node_cannot_have_is_refused_when_asked_and_when_admitted(
    world: World, ipv4: str, code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as asked:
        await world.registry.stub.CheckAddresses(pb.CheckAddressesRequest(ipv4=ipv4))
    with pytest.raises(grpc.aio.AioRpcError) as admitted:
        await world.registry.admit(machine(3), node_key(3), tags=["tag:a"], ipv4=ipv4)
    for refused in (asked.value, admitted.value):
        assert refused.code() is code
        assert reason in (refused.details() or "")
    assert len(await world.registry.nodes()) == 2
    await world.registry.stub.CheckAddresses(pb.CheckAddressesRequest(ipv4="100.64.9.9", ipv6="fd7a:115c:a1e0::99"))


async def test_an_admission_keeps_to_the_policys_pools(tmp_path: Path) -> None:
    service, channel, _ = await start_registry(tmp_path)
    service.policies.current = PooledPolicy()
    registry = RegistryClient(channel)
    with pytest.raises(grpc.aio.AioRpcError, match="kept for other nodes"):
        await registry.admit(machine(3), node_key(3), tags=["tag:a"], ipv4="100.64.7.9")
    with pytest.raises(grpc.aio.AioRpcError, match="gives this node an address of"):
        await registry.admit(machine(3), node_key(3), tags=["tag:pooled"], ipv4="100.64.9.9")
    node = await registry.admit(machine(3), node_key(3), tags=["tag:pooled"], ipv4="100.64.7.9")
    assert node.ipv4 == "100.64.7.9"
    await service.stop()
