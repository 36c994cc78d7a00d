"""Groups that only the provider knows: named by a policy beforehand, renamed, and followed at each login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from headscale.v1 import policy_pb2

from services.shared.config.login import OidcConfig, OidcGroupsConfig
from services.shared.runtime.clock import SystemClock
from tests.fakes.device import admits
from tests.fakes.provider import CLIENT_ID, SECRET, provider_on_loopback
from tests.fakes.sign_in_pages import ALICE, BOB, PUBLIC, World
from tests.fakes.tailnet import config_in, tailnet_in

POLICY = '{"acls": [{"action": "accept", "src": ["group:admins"], "dst": ["bob@example.com:22"]}]}'


@pytest.fixture
def groups() -> OidcGroupsConfig:
    return OidcGroupsConfig(rename={"6f2c-uuid": "admins"}, patterns={"/staff/(.+)": r"\1"}, prefix="idp-")


@pytest.fixture
async def world(tmp_path: Path, groups: OidcGroupsConfig) -> AsyncIterator[World]:
    async with provider_on_loopback(SystemClock()) as provider:
        oidc = OidcConfig(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET, groups=groups)
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            yield World(tailnet, provider)


async def test_a_group_that_only_the_provider_knows_may_be_named_before_anybody_signed_in_and_then_decides(
    world: World,
) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    server = await world.join("server", BOB)
    laptop = await world.join("laptop", {**ALICE, "groups": ["nobody"]})
    assert not admits(server, laptop) and server.peer(laptop) is None
    phone = await world.join("phone", {**ALICE, "groups": ["6f2c-uuid"]})
    await laptop.sees(server)
    await phone.sees(server)
    await server.until(lambda: any(rules for rules in server.netmap.filters.values()))
    await world.join("tablet", {**ALICE, "groups": ["admins"]})  # the provider's own name got our prefix
    await server.until(lambda: not any(rules for rules in server.netmap.filters.values()))
    await laptop.until(lambda: laptop.peer(server) is None)


@pytest.mark.parametrize("groups", [OidcGroupsConfig(enabled=False)])
async def test_without_the_providers_groups_an_unknown_group_is_refused_and_nobody_is_in_one(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="group not defined in policy"):
        await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    policy = f'{{"groups": {{"group:admins": []}}, {POLICY[1:]}'
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=policy))
    server = await world.join("server", BOB)
    laptop = await world.join("laptop", {**ALICE, "groups": ["admins"]})
    assert not admits(server, laptop)


@pytest.mark.parametrize("groups", [OidcGroupsConfig(on_conflict="static")])
async def test_a_group_that_the_policy_lists_can_be_kept_from_the_provider(world: World) -> None:
    policy = f'{{"groups": {{"group:admins": ["bob@example.com"]}}, {POLICY[1:]}'
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=policy))
    server = await world.join("server", BOB)
    laptop = await world.join("laptop", {**ALICE, "groups": ["admins"]})
    assert not admits(server, laptop)
