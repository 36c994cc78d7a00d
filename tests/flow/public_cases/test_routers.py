"""Which of two routers serves a prefix, as their clients see it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headscale.v1 import node_pb2

from tests.fakes.device import Device
from tests.fakes.tailnet import Tailnet, tailnet_in
from tests.flow.public_cases.folder import copy_of

PREFIX = "10.30.0.0/24"


async def router(tailnet: Tailnet, name: str, key: str) -> Device:
    """Join a router of the prefix and approve it."""
    device = await tailnet.device(name).join(key)
    offer: dict[str, Any] = {"Hostname": name, "OS": "linux", "RoutableIPs": [PREFIX]}
    assert await device.report("192.0.2.1:41641", Hostinfo=offer) == 200
    await tailnet.admin.SetApprovedRoutes(node_pb2.SetApprovedRoutesRequest(node_id=device.id, routes=[PREFIX]))
    return device


async def test_the_second_router_serves_when_the_key_of_the_first_has_ended(tmp_path: Path) -> None:
    copy_of("44-ha-expired-primary", tmp_path)
    async with tailnet_in(tmp_path) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("ada"))
        client = await tailnet.device("client").join(key)
        first, second = await router(tailnet, "one", key), await router(tailnet, "two", key)
        serves = lambda peer: PREFIX in peer["AllowedIPs"]  # noqa: E731
        await client.sees(first, serves)
        await client.sees(second, lambda peer: not serves(peer))
        now = datetime.now(UTC)
        await tailnet.admin.ExpireNode(node_pb2.ExpireNodeRequest(node_id=first.id, expiry=now))
        await client.sees(second, serves)
        await client.sees(first, lambda peer: not serves(peer))
        served = {node.given_name: list(node.subnet_routes) for node in await tailnet.nodes()}
    assert served == {"client": [], "one": [], "two": [PREFIX]}
