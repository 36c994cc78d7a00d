"""What stands in a policy takes effect when it can: DERP regions at once, users when they appear."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from headscale.v1 import policy_pb2, user_pb2

from tests.fakes.device import Device
from tests.fakes.tailnet import Tailnet, tailnet_in

ALLOW = [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]
REGION = {"RegionCode": "lab", "Nodes": [{"HostName": "derp.example.net", "DERPPort": 8443}]}


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


async def set_policy(tailnet: Tailnet, **sections: Any) -> None:
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=json.dumps(sections)))


def hosts(device: Device) -> list[str]:
    """Host names of all relays that a device knows."""
    assert device.netmap.derp_map is not None
    return [node["HostName"] for region in device.netmap.derp_map["Regions"].values() for node in region["Nodes"]]


def admits(device: Device, other: Device) -> bool:
    """Whether a device's filter names the other's address as a source."""
    assert other.netmap.node is not None
    address = other.netmap.node["Addresses"][0].partition("/")[0]
    return any(address in rule["SrcIPs"] for rules in device.netmap.filters.values() for rule in rules or ())


async def test_regions_of_a_policy_reach_new_and_open_map_sessions_and_go_with_it(tailnet: Tailnet) -> None:
    key = await tailnet.auth_key(await tailnet.user("alice"))
    web = await tailnet.device("web").join(key)
    assert "derp.example.net" not in hosts(web)
    await set_policy(tailnet, acls=ALLOW, derpMap={"Regions": {"901": REGION}})
    await web.until(lambda: "derp.example.net" in hosts(web))
    assert web.netmap.history[-1]["DERPMap"]["Regions"]["901"]["Nodes"][0]["RegionID"] == 901
    phone = await tailnet.device("phone").join(key)
    assert hosts(phone) == hosts(web)
    await set_policy(tailnet, acls=ALLOW, derpMap={"OmitDefaultRegions": True, "Regions": {"902": REGION}})
    await phone.until(lambda: hosts(phone) == ["derp.example.net"])
    await web.until(lambda: hosts(web) == ["derp.example.net"])
    await set_policy(tailnet, acls=ALLOW)
    await web.until(lambda: "derp.example.net" not in hosts(web))


async def test_a_user_who_comes_after_the_policy_has_what_it_gave_and_loses_it_with_the_name(tailnet: Tailnet) -> None:
    await set_policy(
        tailnet,
        groups={"group:dev": ["late@"]},
        acls=[
            {"action": "accept", "src": ["group:dev"], "dst": ["web@:22"]},
            {"action": "accept", "src": ["late@example.com"], "dst": ["web@:443"]},
        ],
    )
    web = await tailnet.device("web").join(await tailnet.auth_key(await tailnet.user("web")))
    request = user_pb2.CreateUserRequest(name="late", email="late@example.com")
    user = (await tailnet.admin.CreateUser(request)).user
    laptop = await tailnet.device("laptop").join(await tailnet.auth_key(user.id))
    await web.until(lambda: admits(web, laptop))
    ports = {target["Ports"]["First"] for rule in web.netmap.filters["base"] for target in rule["DstPorts"]}
    assert ports == {22, 443}
    await laptop.sees(web)
    await tailnet.admin.RenameUser(user_pb2.RenameUserRequest(old_id=user.id, new_name="gone"))
    await web.until(
        lambda: [22] not in [[t["Ports"]["First"] for t in r["DstPorts"]] for r in web.netmap.filters["base"]]
    )
    assert admits(web, laptop)
    await tailnet.admin.RenameUser(user_pb2.RenameUserRequest(old_id=user.id, new_name="late"))
    await web.until(lambda: len({t["Ports"]["First"] for r in web.netmap.filters["base"] for t in r["DstPorts"]}) == 2)
