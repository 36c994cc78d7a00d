"""The whole path in one loop: real services, real sockets, clients that speak the protocol as the real ones do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from smartscale.gateway.v1 import gateway_pb2

from services.shared.keys import NodeKey
from tests.fakes.device import Device
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
async def key(tailnet: Tailnet) -> str:
    """A reusable pre-auth key of alice."""
    return await tailnet.auth_key(await tailnet.user("alice"))


@pytest.mark.statement(48, 73, 74, 75, 76, 94, 95)
async def test_a_device_joins_by_key_and_gets_all_that_running_needs(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    node = web.netmap.node
    assert node is not None
    assert node["Name"] == "web.tail.example.net." and node["Key"] == str(web.node_key)
    assert node["MachineAuthorized"] is True
    assert [address.rpartition("/")[2] for address in node["Addresses"]] == ["32", "128"]
    assert web.netmap.derp_map is not None and web.netmap.dns is not None
    assert "base" in web.netmap.filters and node["User"] in web.netmap.profiles


async def test_a_second_device_appears_to_the_first_as_a_difference(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone", zstd=False).join(key)
    assert (await web.sees(phone))["Name"] == "phone.tail.example.net."
    assert (await phone.sees(web, lambda peer: peer["Online"]))["Key"] == str(web.node_key)
    await web.sees(phone, lambda peer: peer["Online"])
    assert all("Peers" not in message for message in web.netmap.history[1:])


@pytest.mark.statement(65, 99)
async def test_endpoints_and_home_derp_reach_the_others_as_a_patch(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone").join(key)
    await web.sees(phone)
    assert await phone.report("192.0.2.9:41641", home_derp=999) == 200
    seen = await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.9:41641"])
    assert seen["HomeDERP"] == 999 and seen["DiscoKey"] == str(phone.disco_key)
    assert await phone.report("192.0.2.9:5000", home_derp=999) == 200
    await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.9:5000"])
    assert "PeersChangedPatch" in web.netmap.history[-1]
    assert not phone.map_ended.is_set()


@pytest.mark.statement(69, 80)
async def test_a_deleted_node_goes_from_all_maps_and_its_stream_ends(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone").join(key)
    await web.sees(phone)
    await tailnet.delete(phone.id)
    await web.until(lambda: web.peer(phone) is None)
    async with asyncio.timeout(5):
        await phone.map_ended.wait()
    assert await phone.open_map() == 200
    await phone.until(lambda: phone.netmap.node is not None and phone.netmap.node["KeyExpiry"].startswith("2000"))
    shown = [message["Title"] for message in phone.netmap.shown.values()] + phone.netmap.health
    assert [text.partition(":")[0] for text in shown] == ["Device is not in this tailnet"]
    await phone.until(
        lambda: "An administrator deleted this device on 20" in str([phone.netmap.shown, phone.netmap.health])
    )
    assert await phone.report() == 404


@pytest.mark.statement(42, 43, 44)
async def test_an_interactive_login_waits_for_its_approval_and_is_woken(tailnet: Tailnet) -> None:
    await tailnet.user("alice")
    web = await tailnet.device("web").connect()
    first = await web.register()
    assert not first["MachineAuthorized"] and first["AuthURL"].startswith("http://hs.example.net/register/")
    waiting = asyncio.create_task(web.register(Followup=first["AuthURL"]))
    await web.client.ping() if web.client else None
    assert not waiting.done()
    await tailnet.approve(first["AuthURL"].rpartition("/")[2], "alice")
    answer = await asyncio.wait_for(waiting, 5)
    assert answer["MachineAuthorized"] and answer["AuthURL"] == "" and answer["Login"]["LoginName"] == "alice"
    assert await web.open_map() == 200
    await web.until(lambda: web.netmap.node is not None)


@pytest.mark.statement(54)
async def test_a_logout_is_seen_by_the_node_and_by_the_others(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone").join(key)
    await web.sees(phone)
    await phone.register(Expiry="1970-01-01T03:02:03+03:00")
    await web.sees(phone, lambda peer: peer.get("Expired") or peer.get("KeyExpiry"))
    answer = await phone.register()
    assert answer["NodeKeyExpired"] and not answer["AuthURL"]


@pytest.mark.statement(52, 53)
async def test_a_rotated_key_keeps_id_name_and_addresses(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone").join(key)
    await web.sees(phone)
    assert phone.netmap.node is not None
    before, old = dict(phone.netmap.node), phone.node_key
    phone.node_key = NodeKey(os.urandom(32))
    answer = await phone.register(key, OldNodeKey=str(old))
    assert answer["MachineAuthorized"]
    assert await phone.open_map() == 200
    await phone.until(lambda: phone.netmap.node is not None)
    after = phone.netmap.node
    assert after is not None
    assert [after[name] for name in ("ID", "StableID", "Name", "Addresses")] == [
        before[name] for name in ("ID", "StableID", "Name", "Addresses")
    ]
    await web.sees(phone)
    assert len(web.netmap.peers) == 1


@pytest.mark.statement(38, 39)
async def test_a_stolen_node_key_opens_nothing(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    thief = await tailnet.device("thief").connect()
    thief.node_key = web.node_key
    assert await thief.open_map() in (401, 403, 404)
    assert await thief.report("192.0.2.66:1") in (401, 403, 404)
    status, _ = await thief.ask("/machine/register", {"Version": 130, "NodeKey": str(web.node_key)})
    assert status in (401, 403)
    assert not web.map_ended.is_set()


@pytest.mark.statement(66, 67)
async def test_one_map_disturbs_nothing_and_a_new_stream_takes_over(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    status, body = await web.ask("/machine/map", {"Version": 130, "NodeKey": str(web.node_key)})
    assert status == 200 and int.from_bytes(body[:4], "little") == len(body) - 4
    assert not web.map_ended.is_set()
    former = web.map_ended
    assert await web.open_map() == 200
    async with asyncio.timeout(5):
        await former.wait()
    await web.until(lambda: web.netmap.node is not None)


@pytest.mark.statement(137, 3)
async def test_after_a_restart_on_the_same_state_known_nodes_just_go_on(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path) as before:
        key = await before.auth_key(await before.user("alice"))
        web = await before.device("web").join(key)
        phone = await before.device("phone").join(key)
        await web.sees(phone)
        control_key = (tmp_path / "noise_private.key").read_text()
        addresses = sorted(address for node in await before.nodes() for address in node.ip_addresses)
    async with tailnet_in(tmp_path) as after:
        assert (tmp_path / "noise_private.key").read_text() == control_key
        assert (tmp_path / "noise_private.key").stat().st_mode & 0o777 == 0o600
        for device in (web, phone):
            device.url = after.url
            after.devices.append(device)
            await device.connect()
            assert await device.open_map() == 200
        await web.sees(phone, lambda peer: peer["Online"])
        await phone.sees(web, lambda peer: peer["Online"])
        nodes = await after.nodes()
        assert sorted(address for node in nodes for address in node.ip_addresses) == addresses


async def test_a_reset_client_is_offline_only_after_the_grace_and_a_quick_return_is_not_noticed(
    tailnet: Tailnet, key: str
) -> None:
    web = await tailnet.device("web").join(key)
    phone = await tailnet.device("phone").join(key)
    await web.sees(phone, lambda peer: peer["Online"])
    seen = len(web.netmap.history)
    await phone.close()
    await phone.connect()
    assert await phone.open_map() == 200
    await phone.sees(web)
    assert await phone.report("192.0.2.9:1") == 200
    await web.sees(phone, lambda peer: peer.get("Endpoints"))
    patches = [patch for message in web.netmap.history[seen:] for patch in message.get("PeersChangedPatch", [])]
    assert not any(patch.get("Online") is False for patch in patches)


@pytest.mark.statement(133, 134)
async def test_an_administrator_asks_a_node_over_its_map_session(tailnet: Tailnet, key: str) -> None:
    web = await tailnet.device("web").join(key)
    answer = await tailnet.debug.C2n(
        gateway_pb2.C2nRequest(node_id=web.id, method="POST", path="/echo", body=b"hello"), timeout=5
    )
    assert (answer.status, answer.body) == (200, b"hello")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await tailnet.debug.C2n(gateway_pb2.C2nRequest(node_id=9999, path="/echo"), timeout=5)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_keepalives_come_when_nothing_else_does(tmp_path: Path) -> None:
    from datetime import timedelta

    config = config_in(tmp_path, keepalive_interval=timedelta(milliseconds=50))
    async with tailnet_in(tmp_path, config) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        web = await tailnet.device("web").join(key)
        plain = await tailnet.device("plain", zstd=False).join(key)
        for device in (web, plain):
            await device.until(lambda device=device: device.keepalives)


async def test_many_devices_at_once_all_see_each_other(tailnet: Tailnet, key: str) -> None:
    devices = [tailnet.device(f"node{number}") for number in range(20)]
    await asyncio.gather(*(device.join(key) for device in devices))

    async def sees_all(device: Device) -> None:
        await device.until(lambda: len(device.netmap.peers) == 19)

    await asyncio.gather(*(sees_all(device) for device in devices))
