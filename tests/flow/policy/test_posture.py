"""What a device says of itself decides, by posture, what its peers let in; and a new word of it decides anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headscale.v1 import policy_pb2

from services.shared.access.ranges import point, span
from tests.fakes.device import Device
from tests.fakes.tailnet import tailnet_in

POLICY = {
    "postures": {"posture:current": ["node:tsVersion >= '1.90'", "node:os == 'linux'"]},
    "acls": [
        {"action": "accept", "src": ["alice@"], "dst": ["alice@:22"], "srcPosture": ["posture:current"]},
        {"action": "accept", "src": ["*"], "dst": ["*:80"]},
    ],
}


def lets_in(device: Device, address: str, port: int) -> bool:
    """Whether a device's filter lets an address in to a port."""
    rules: list[Any] = [rule for rules in device.netmap.filters.values() for rule in rules]
    opened = (span(source) for rule in rules if opens(rule, port) for source in rule["SrcIPs"])
    return any(first <= point(address) <= last for first, last in opened)


def opens(rule: Any, port: int) -> bool:
    """Whether a rule is about a port."""
    return any(target["Ports"]["First"] <= port <= target["Ports"]["Last"] for target in rule.get("DstPorts") or ())


async def test_an_update_of_the_client_opens_the_door_and_a_step_back_closes_it(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=json.dumps(POLICY)))
        web = await tailnet.device("web").join(key)
        phone = await tailnet.device("phone").join(key)
        assert phone.netmap.node is not None
        address = phone.netmap.node["Addresses"][0].partition("/")[0]

        async def says(version: str) -> None:
            hostinfo = {"Hostname": "phone", "OS": "linux", "IPNVersion": version}
            assert await phone.report("192.0.2.9:41641", Hostinfo=hostinfo) == 200

        await web.until(lambda: lets_in(web, address, 80))
        await says("1.88.3-t1")
        await web.until(lambda: not lets_in(web, address, 22))
        await says("1.92.1-t1")
        await web.until(lambda: lets_in(web, address, 22))
        await says("1.88.3-t1")
        await web.until(lambda: not lets_in(web, address, 22))
