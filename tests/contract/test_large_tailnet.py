"""100,000 nodes with 2 KiB of hostinfo over TCP: every list arrives whole, in messages within customary limits.

Clients outside our control refuse messages above 4 MiB, gRPC's default; so do these.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from smartscale.admin.v1 import node_pb2 as admin_pb2
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc

import services.policy.wiring
import services.registry.wiring
from gateway.admin.calls.table import all_methods
from gateway.admin.context import CallContext
from gateway.admin.services import Services
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.wiring import RegistryService
from services.shared.bus import MemoryBus
from services.shared.config.model import DatabaseConfig, ServicesConfig, SqliteConfig
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc import OutgoingChannel, RpcServer
from services.shared.rpc.caller import DIRECT, Caller
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from services.shared.scopes import ALL
from services.shared.telemetry import Telemetry
from tests.fakes.registry import registry_config

NODES = 100_000
USERS = 1_000
LIMIT = 4 << 20
TOKEN = "only for this test"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTINFO = json.dumps({"OS": "linux", "IPNVersion": "1.90.0", "Services": "x" * 2000}).encode()


@dataclass
class Large:
    """A registry and a policy service with a large tailnet, behind sockets."""

    registry: Any
    policy: Any
    services: Services


def large_state() -> State:
    """As many nodes and users as the test is about; the first thousand nodes are routers."""
    users = [User(id=UserId(n), name=f"user{n}", created_at=NOW, suspended=n == 2) for n in range(1, USERS + 1)]
    nodes = [
        Node(
            id=NodeId(n),
            stable_id=f"n{n}",
            machine_key=MachineKey(n.to_bytes(32, "big")),
            node_key=NodeKey((n + (1 << 40)).to_bytes(32, "big")),
            created_at=NOW,
            given_name=f"node{n}",
            user_id=UserId(n % USERS + 1),
            ipv4=f"100.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}",
            hostinfo=HOSTINFO,
            advertised_routes=(f"10.{n >> 8}.{n & 255}.0/24",) if n <= 1000 else (),
            approved_routes=(f"10.{n >> 8}.{n & 255}.0/24",) if n <= 1000 else (),
        )
        for n in range(1, NODES + 1)
    ]
    return State(nodes, users)


@asynccontextmanager
async def served(service: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the service over TCP, with the limit and the token on it."""
    server = RpcServer(ServicesConfig(token=TOKEN), Telemetry())
    server.add(service)
    port = await server.start("127.0.0.1:0")
    await server.set_ready(True)
    options = (("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT))
    async with OutgoingChannel([grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)], TOKEN) as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[Large]:
    async with AsyncExitStack() as stack:
        config = registry_config(tmp_path)
        registry: RegistryService = await services.registry.wiring.build(config, Deps(SystemClock(), MemoryBus(), {}))
        await registry.start()
        stack.push_async_callback(registry.stop)
        registry.ledger._state = large_state()
        channel = await stack.enter_async_context(served(registry))
        database = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "policy.sqlite"))
        deps = Deps(SystemClock(), MemoryBus(), {"registry": channel})
        policy = await services.policy.wiring.build(replace(config, database=database), deps)
        await policy.start()
        stack.push_async_callback(policy.stop)
        policies = await stack.enter_async_context(served(policy))
        yield Large(
            registry_pb2_grpc.RegistryServiceStub(channel),
            policy_pb2_grpc.PolicyServiceStub(policies),
            Services({"registry": channel, "policy": policies, "auth": channel}),
        )


async def numbers(stream: AsyncIterator[Any], field: str) -> list[int]:
    """The ids in a stream, whose messages are counted in bytes."""
    found: list[int] = []
    async for part in stream:
        assert part.ByteSize() < LIMIT
        assert len(getattr(part, field)) <= 500
        found += [one.id for one in getattr(part, field)]
    return found


async def test_a_large_tailnet_goes_over_every_wire_in_parts(large: Large) -> None:
    everybody = list(range(1, NODES + 1))
    assert await numbers(large.registry.ListNodes(pb.ListNodesRequest(), timeout=300), "nodes") == everybody
    assert await numbers(large.registry.GetSnapshot(pb.GetSnapshotRequest(), timeout=300), "nodes") == everybody
    assert await numbers(large.registry.ListSubjects(pb.ListSubjectsRequest(), timeout=300), "subjects") == everybody
    routers = pb.ListSubjectsRequest(routers_only=True)
    assert await numbers(large.registry.ListSubjects(routers, timeout=300), "subjects") == everybody[:1000]
    named = await large.registry.GetNode(pb.GetNodeRequest(given_name="Node77777"), timeout=60)
    assert named.node.id == 77777

    methods, call = all_methods(large.services), CallContext(Caller(DIRECT), frozenset({ALL}))
    pages = methods["smartscale.admin.v1.NodeAdminService.ListNodes"].handler
    for after in (0, 50_000, NODES - 1000):
        page: Any = await pages(admin_pb2.ListNodesRequest(after=after, limit=1000), call)
        assert page.ByteSize() < LIMIT
        assert [node.id for node in page.nodes] == everybody[after : after + 1000]
        assert page.total == NODES - after
        assert bool(page.nodes[1].subnet_routes) == (after == 0)  # the owner of the first is suspended
    described: Any = await methods["smartscale.admin.v1.NodeAdminService.DescribeNodes"].handler(
        admin_pb2.DescribeNodesRequest(after=99_000, limit=1000), call
    )
    assert described.ByteSize() < LIMIT
    assert (len(described.nodes), described.total) == (1000, 1000)


async def test_a_policy_is_checked_and_explained_in_a_large_tailnet(large: Large) -> None:
    text = '{"acls": [{"action": "accept", "src": ["user1@", "user2@"], "dst": ["*:22"]}]}'
    await large.policy.CheckPolicy(policy_pb2.CheckPolicyRequest(text=text), timeout=120)
    for source, allowed in (("node1000", True), ("node1", False), ("node2", False)):
        request = policy_pb2.ExplainPolicyRequest(source=source, destination="node5000:22", text=text)
        answer = await large.policy.ExplainPolicy(request, timeout=120)
        assert [one.allowed for one in answer.answers] == [allowed], source
        assert answer.ByteSize() < LIMIT
