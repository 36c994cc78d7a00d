"""Auth beside the real registry and the real policy service: the same table, with nothing faked between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types

from services.auth.wiring import build as build_auth
from services.policy.wiring import build as build_policy
from services.registry.wiring import build as build_registry
from services.shared.bus import MemoryBus
from services.shared.config.model import PolicyConfig, PrefixesConfig
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.process import Deps
from tests.fakes.auth import WAIT, Client, config_for
from tests.fakes.clock import FakeClock

LOGOUT = datetime.fromtimestamp(123, UTC)


@dataclass
class Tailnet:
    """Three services in one loop."""

    auth: Any
    registry: Any
    policy: Any
    clock: FakeClock
    numbers: Any = field(default_factory=lambda: iter(range(1, 10_000)))

    def client(self, **hostinfo: object) -> Client:
        """A new device."""
        machine, node = (next(self.numbers).to_bytes(32, "big") for _ in range(2))
        return Client(self.auth, self.numbers, MachineKey(machine), NodeKey(node), NodeKey.zero(), hostinfo=hostinfo)

    async def key(self, **fields: Any) -> str:
        """A new pre-auth key."""
        return str((await self.auth.CreatePreAuthKey(pb.CreatePreAuthKeyRequest(**fields))).pre_auth_key.key)

    async def nodes(self) -> list[node_types.Node]:
        """All nodes."""
        return [node async for part in self.registry.ListNodes(registry_pb2.ListNodesRequest()) for node in part.nodes]


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    config = replace(
        config_for(tmp_path),
        prefixes=PrefixesConfig(v4="100.64.0.0/10", v6="fd7a:115c:a1e0::/48"),
        policy=PolicyConfig(mode="database"),
    )
    clock, bus, server = FakeClock(datetime.now(UTC)), MemoryBus(), LocalServer()
    channel = LocalChannel(server)
    deps = Deps(clock=clock, bus=bus, channels=dict.fromkeys(("registry", "policy", "auth"), channel))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.close)
        for build in (build_policy, build_registry, build_auth):
            service = await build(config, deps)
            service.add_to(server)
            stack.push_async_callback(service.stop)
            await service.start()
        running = Tailnet(
            auth_pb2_grpc.AuthServiceStub(channel),
            registry_pb2_grpc.RegistryServiceStub(channel),
            policy_pb2_grpc.PolicyServiceStub(channel),
            clock,
        )
        for name in ("alice", "bob"):
            await running.registry.CreateUser(registry_pb2.CreateUserRequest(name=name))
        yield running


async def admitted(answer: pb.RegisterResponse) -> node_types.Node:
    assert answer.WhichOneof("outcome") == "admitted", answer
    return answer.admitted.node


async def test_a_node_joins_by_key_restarts_rotates_and_leaves(tailnet: Tailnet) -> None:
    client, key = tailnet.client(Hostname="web"), await tailnet.key(user_id=1)
    first = await admitted(await client.register(auth_key=key))
    assert first.given_name == "web" and first.ipv4 and first.ipv6 and first.pre_auth_key_id == 1
    assert first.expiry.ToDatetime(UTC) == tailnet.clock.now() + timedelta(days=180)
    assert await admitted(await client.register(auth_key=key)) == first
    client.regenerate()
    assert (await client.register(auth_key=key)).refused
    second = await admitted(await client.register(auth_key=await tailnet.key(user_id=1)))
    assert (second.id, second.stable_id, second.ipv4, second.ipv6, second.given_name) == (
        first.id, first.stable_id, first.ipv4, first.ipv6, first.given_name,
    )  # fmt: skip
    assert (await client.register(expiry=LOGOUT)).logged_out
    assert (await client.register()).node_key_expired
    (left,) = await tailnet.nodes()
    assert left.expired and left.expiry.ToDatetime(UTC) <= tailnet.clock.now()


async def test_an_ephemeral_node_is_gone_with_its_logout(tailnet: Tailnet) -> None:
    client = tailnet.client()
    await admitted(await client.register(auth_key=await tailnet.key(user_id=1, ephemeral=True)))
    assert (await client.register(expiry=LOGOUT)).logged_out
    assert await tailnet.nodes() == []


async def test_a_person_lets_a_device_in_again_under_the_same_name(tailnet: Tailnet) -> None:
    client = tailnet.client(Hostname="laptop")
    seen = []
    for _ in range(2):
        login = (await client.register()).login_needed
        waiting = client.follow_soon(login.auth_url)
        await tailnet.auth.ApproveLogin(pb.ApproveLoginRequest(auth_id=login.auth_id, user_id=1))
        seen.append(await admitted(await asyncio.wait_for(waiting, WAIT)))
        client.regenerate()
    assert seen[0].id == seen[1].id and seen[0].ipv4 == seen[1].ipv4 and seen[0].node_key != seen[1].node_key
    login = (await client.register()).login_needed
    other = await tailnet.auth.ApproveLogin(pb.ApproveLoginRequest(auth_id=login.auth_id, user_id=2))
    assert other.node.id != seen[0].id and len(await tailnet.nodes()) == 2


async def test_an_expiry_is_shortened_only(tailnet: Tailnet) -> None:
    client = tailnet.client()
    await client.register(auth_key=await tailnet.key(user_id=1))
    soon = tailnet.clock.now() + timedelta(days=3)
    node = await admitted(await client.register(expiry=soon))
    assert abs(node.expiry.ToDatetime(UTC) - soon) < timedelta(seconds=1)
    assert (await client.register(expiry=soon + timedelta(days=1))).refused == "extending a key is not allowed"


async def test_a_tagged_key_owns_its_node_and_ends_never(tailnet: Tailnet) -> None:
    client = tailnet.client()
    node = await admitted(await client.register(auth_key=await tailnet.key(tags=["tag:web"])))
    assert list(node.tags) == ["tag:web"] and node.user_id == 0 and not node.HasField("expiry")
    assert (await client.register(expiry=LOGOUT)).logged_out
    assert (await client.register()).node_key_expired


async def test_the_policy_says_who_may_own_a_tag(tailnet: Tailnet) -> None:
    text = '{"tagOwners": {"tag:web": ["alice@"]}, "acls": []}'
    await tailnet.policy.SetPolicy(policy_pb2.SetPolicyRequest(text=text))
    alice = await tailnet.client(RequestTags=["tag:web"]).register(auth_key=await tailnet.key(user_id=1))
    bob = await tailnet.client(RequestTags=["tag:web"]).register(auth_key=await tailnet.key(user_id=2))
    assert list((await admitted(alice)).tags) == ["tag:web"]
    assert bob.refused == (
        "requested tags [tag:web] are invalid or not permitted: tagOwners in the policy must list bob for them"
    )


async def test_a_node_key_never_moves_between_machines(tailnet: Tailnet) -> None:
    victim, thief = tailnet.client(), tailnet.client()
    key = await tailnet.key(user_id=1, reusable=True)
    await victim.register(auth_key=key)
    thief.node = victim.node
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await thief.register(auth_key=key)
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_many_join_at_once_by_one_reusable_key(tailnet: Tailnet) -> None:
    key = await tailnet.key(user_id=1, reusable=True)
    answers = await asyncio.gather(*(tailnet.client().register(auth_key=key) for _ in range(40)))
    nodes = [await admitted(answer) for answer in answers]
    assert len({node.ipv4 for node in nodes}) == len({node.given_name for node in nodes}) == 40
