"""A tailnet with a policy, users and nodes, and /api/v2 with an API key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from headscale.v1 import apikey_pb2, policy_pb2

from tests.fakes.device import Device
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

POLICY = """{
\t// who may do what
\t"tagOwners": {"tag:web": [], "tag:db": []},
\t"acls":      [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
}
"""


@dataclass
class World:
    """What the tests ask about."""

    tailnet: Tailnet
    api: httpx.AsyncClient
    key: str
    laptop: Device
    server: Device
    socket: Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    config = config_in(tmp_path, admin_calls_per_second=10_000)
    async with tailnet_in(tmp_path, config) as tailnet:
        await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
        alice, bob = await tailnet.user("alice"), await tailnet.user("bob")
        laptop, server = tailnet.device("laptop"), tailnet.device("server")
        await laptop.join(await tailnet.auth_key(alice))
        await server.join(await tailnet.auth_key(bob))
        key = str((await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key)
        # As the official Go client sends an API key: HTTP Basic, the key as user name.
        async with httpx.AsyncClient(base_url=tailnet.url + "/api/v2", auth=(key, ""), timeout=20) as api:
            yield World(tailnet, api, key, laptop, server, tmp_path / "admin.sock")
