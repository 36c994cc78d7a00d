"""The registry through its gRPC border, on SQLite, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb

from tests.fakes.registry import RegistryClient, machine, node_key, start_registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    service, channel, _ = await start_registry(tmp_path)
    yield RegistryClient(channel)
    await service.stop()


async def test_a_node_gets_addresses_of_both_families_and_its_name(registry: RegistryClient) -> None:
    user = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=user.id, hostname="Bob's MacBook Pro.local")
    assert (node.ipv4, node.ipv6) == ("100.64.0.1", "fd7a:115c:a1e0::1")
    assert node.given_name == "bobs-macbook-pro"
    assert node.hostname == "Bob's MacBook Pro.local"
    assert node.user_id == user.id and node.machine_key == machine(1).raw
    assert await registry.nodes() == [node]


async def test_every_change_is_in_the_log_in_order(registry: RegistryClient) -> None:
    user = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=user.id)
    await registry.stub.DeleteNode(pb.DeleteNodeRequest(id=node.id))
    changes = await registry.changes()
    assert [change.seq for change in changes] == [1, 2, 3]
    assert [change.WhichOneof("fact") for change in changes] == ["user_put", "node_put", "node_removed"]
    assert changes[1].node_put == node


async def test_an_unknown_node_is_not_found(registry: RegistryClient) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await registry.node(7)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
