"""A suspended person has no access and nothing of theirs is admitted; lifting it gives back what was there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from headscale.v1 import apikey_pb2, auth_pb2, node_pb2, policy_pb2, preauthkey_pb2
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.admin.v1 import user_pb2_grpc

from services.shared.config.model import NodeConfig
from tests.fakes.device import Device
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

SUSPENDED = "this user is suspended; ask the administrator"


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    config = replace(config_in(tmp_path), node=NodeConfig(expiry=timedelta(days=90)))
    async with tailnet_in(tmp_path, config) as running:
        yield running


@pytest.fixture
async def people(tailnet: Tailnet, tmp_path: Path) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'admin.sock'}") as channel:
        yield user_pb2_grpc.UserAdminServiceStub(channel)  # type: ignore[no-untyped-call]


async def suspend(people: Any, user: str) -> None:
    assert (await people.SuspendUser(pb.SuspendUserRequest(user=user, reason="left"))).user.suspended


async def restore(people: Any, user: str) -> None:
    assert not (await people.RestoreUser(pb.RestoreUserRequest(user=user))).user.suspended


async def two(tailnet: Tailnet) -> tuple[Device, Device]:
    """Alice's laptop and Bob's server."""
    keys = [await tailnet.auth_key(await tailnet.user(name)) for name in ("alice", "bob")]
    laptop, server = [await tailnet.device(f"node{number}").join(key) for number, key in enumerate(keys)]
    await laptop.sees(server)
    await server.sees(laptop)
    return laptop, server


def own(device: Device) -> dict[str, Any]:
    assert device.netmap.node is not None
    return device.netmap.node


def admits_nobody(device: Device) -> bool:
    return not any(rules for rules in device.netmap.filters.values())


async def test_access_ends_for_both_sides_and_comes_back_as_it_was(tailnet: Tailnet, people: Any) -> None:
    laptop, server = await two(tailnet)
    key_end, id_ = own(laptop)["KeyExpiry"], laptop.id
    await suspend(people, "alice")
    await server.until(lambda: server.peer(laptop) is None)
    await laptop.until(lambda: not laptop.netmap.peers and own(laptop)["KeyExpiry"] == own(laptop)["Created"])
    assert admits_nobody(laptop)
    assert {(await tailnet.nodes())[0].expiry.seconds} != {0}
    await restore(people, "alice")
    await server.sees(laptop, lambda peer: peer["KeyExpiry"] == key_end and not peer.get("Expired"))
    await laptop.sees(server)
    await laptop.until(lambda: own(laptop)["KeyExpiry"] == key_end)
    assert not admits_nobody(laptop) and laptop.id == id_ and laptop.map_status == 200


async def test_a_restarted_client_reads_why_and_goes_on_with_its_key_once_restored(
    tailnet: Tailnet, people: Any
) -> None:
    laptop, _ = await two(tailnet)
    await suspend(people, "alice")
    assert (await laptop.register())["Error"] == SUSPENDED
    logout = "1970-01-01T00:02:03Z"
    await restore(people, "alice")
    answer = await laptop.register()
    assert not answer["Error"] and answer["MachineAuthorized"]
    await suspend(people, "alice")
    assert not (await laptop.register(Expiry=logout))["Error"]
    await restore(people, "alice")
    assert (await laptop.register())["NodeKeyExpired"]


async def test_a_pre_auth_key_of_theirs_lets_nobody_in_and_is_not_spent_by_trying(
    tailnet: Tailnet, people: Any
) -> None:
    alice = await tailnet.user("alice")
    policy = '{"tagOwners": {"tag:x": ["alice@"]}, "acls": []}'
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=policy))
    once = await tailnet.auth_key(alice, reusable=False)
    request = preauthkey_pb2.CreatePreAuthKeyRequest(user=alice, reusable=True, acl_tags=["tag:x"])
    tagged = (await tailnet.admin.CreatePreAuthKey(request)).pre_auth_key.key
    await suspend(people, "alice")
    for key in (once, tagged):
        device = await tailnet.device("new").connect()
        assert (await device.register(key))["Error"] == SUSPENDED
    assert not await tailnet.nodes()
    await restore(people, "alice")
    await tailnet.device("late").join(once)
    await tailnet.device("later").join(tagged)


async def test_tagged_nodes_are_nobodys_and_stay(tailnet: Tailnet, people: Any) -> None:
    laptop, server = await two(tailnet)
    policy = '{"tagOwners": {"tag:x": []}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=policy))
    await tailnet.admin.SetTags(node_pb2.SetTagsRequest(node_id=laptop.id, tags=["tag:x"]))
    await server.sees(laptop, lambda peer: peer.get("Tags") == ["tag:x"])
    await suspend(people, "alice")
    third = await tailnet.device("third").join(await tailnet.auth_key(await tailnet.user("carol")))
    await third.sees(laptop)
    assert server.peer(laptop) is not None


async def test_nobody_can_be_let_in_for_them(tailnet: Tailnet, people: Any) -> None:
    await tailnet.user("alice")
    await suspend(people, "alice")
    device = await tailnet.device("new").connect()
    url = (await device.register())["AuthURL"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await tailnet.approve(url.rpartition("/")[2], "alice")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION and refused.value.details() == SUSPENDED
    await tailnet.admin.AuthReject(auth_pb2.AuthRejectRequest(auth_id=url.rpartition("/")[2]))


async def test_it_survives_a_restart_and_may_be_said_again(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path) as tailnet:
        laptop, server = await two(tailnet)
        shell = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))
        assert (await shell.ok("users", "suspend", "alice", "--reason", "left"))["suspended"]
        assert (await shell("users", "suspend", "1")).out.startswith("user alice is suspended")
        assert (await shell("users", "suspend", "nobody")).status == 1
        for device in (laptop, server):
            await device.close()
    async with tailnet_in(tmp_path) as tailnet:
        for device in (laptop, server):
            device.url = tailnet.url
            tailnet.devices.append(await device.connect())
        assert await laptop.open_map() == 200 and await server.open_map() == 200
        await laptop.until(lambda: laptop.netmap.node is not None and own(laptop)["KeyExpiry"])
        await server.until(lambda: server.netmap.node is not None)
        assert not laptop.netmap.peers and server.peer(laptop) is None
        assert not (await shell.ok("users", "restore", "alice"))["suspended"]
        assert not (await shell.ok("users", "restore", "alice"))["suspended"]
        await laptop.sees(server)
        await server.sees(laptop)
        await laptop.until(lambda: "KeyExpiry" not in own(laptop))


async def test_rest_does_the_same(tailnet: Tailnet) -> None:
    laptop, server = await two(tailnet)
    key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
    async with httpx.AsyncClient(base_url=tailnet.url, headers={"Authorization": f"Bearer {key}"}) as client:
        answer = await client.post("/api/v1/user/alice/suspend", json={"reason": "left"})
        assert answer.status_code == 200 and answer.json()["user"]["suspended"]
        await server.until(lambda: server.peer(laptop) is None)
        shown = (await client.get("/api/v1/user/alice/details")).json()
        assert shown["standing"]["reason"] == "left" and shown["standing"]["actor"].startswith("api key ")
        assert [node["givenName"] for node in shown["nodes"]] == ["node0"]
        assert not (await client.post("/api/v1/user/1/restore", json={})).json()["user"]["suspended"]
        assert (await client.post("/api/v1/user/nobody/suspend", json={})).status_code == 404
        assert (await client.get("/api/v1/group")).json() == {"groups": []}
    await laptop.sees(server)
