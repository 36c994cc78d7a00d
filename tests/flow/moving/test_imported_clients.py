"""Devices of an old server speak to a whole control plane on what was imported: same node, same addresses, no login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.moving.moving import ImportOptions, run
from services.shared.keys import DiscoKey, NodeKey, PrivateKey
from tests.fakes.device import Device
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in
from tests.flow.moving.installations import SQLITE, read, unpack

REAL = {"cad-alice", "bas-bob", "mih-tagged", "cad-oidc", "tsd-carol"}


@pytest.fixture(params=SQLITE)
async def moved(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, Tailnet]]:
    """A release's installation, imported and served with what was its own configuration."""
    release: str = request.param
    old = unpack(release, tmp_path)
    await run(old, ImportOptions(), lambda report: None)
    config = replace(
        config_in(tmp_path),
        noise=old.noise,
        policy=old.policy,
        dns=old.dns,
        database=old.database,
        node=old.node,
    )
    async with tailnet_in(tmp_path, config) as tailnet:
        yield release, tailnet


def known(tailnet: Tailnet, identity: dict[str, Any]) -> Device:
    """A device with the keys that it had."""
    device = tailnet.device(identity["name"])
    device.machine = PrivateKey(bytes.fromhex(identity["machine"]))
    device.node_key = NodeKey(bytes.fromhex(identity["node"]))
    device.disco_key = DiscoKey(bytes.fromhex(identity["disco"]))
    return device


async def test_each_simulated_client_gets_its_map_as_the_node_that_it_was(moved: tuple[str, Tailnet]) -> None:
    release, tailnet = moved
    truth = {node["client"]: node for node in read(release, "expected.json")["nodes"]}
    met = 0
    for identity in read(release, "identities.json"):
        node = truth.get(identity["name"])
        # Up to 0.24 a second login on one machine replaced the first, whose key means nothing any more.
        replaced = node is not None and node["node_key"] != f"nodekey:{identity['node']}"
        if identity["name"] in REAL or replaced or (node is None and identity["name"] != "sim-deleted"):
            continue
        device = await known(tailnet, identity).connect()
        status = await device.open_map()
        if node is None:
            await device.until(lambda device=device: device.netmap.node is not None)  # a last map logs it out
            assert device.netmap.node is not None and not device.netmap.peers
            assert device.netmap.node["KeyExpiry"].startswith("2000")
            assert device.netmap.node["StableID"] not in {str(one["id"]) for one in truth.values()}
            await device.close()
            continue
        assert status == 200, identity["name"]
        await device.until(lambda device=device: device.netmap.node is not None)
        shown = device.netmap.node
        assert shown is not None
        assert (shown["ID"], shown["StableID"]) == (node["id"], str(node["id"]))
        assert sorted(shown["Addresses"]) == sorted((f"{node['ipv4']}/32", f"{node['ipv6']}/128"))
        assert shown["Name"] == f"{node['given_name']}.tail.example.com."
        assert sorted(shown.get("Tags") or ()) == sorted({*node["tags"], *node["requested_tags_granted"]})
        met += 1
        await device.close()
    assert met >= 18


async def test_a_client_that_sends_its_old_key_again_at_a_restart_stays_in(moved: tuple[str, Tailnet]) -> None:
    release, tailnet = moved
    keys = {key["label"]: key["key"] for key in read(release, "expected.json")["preauthkeys"]}
    (identity,) = [one for one in read(release, "identities.json") if one["name"] == "sim-plain"]
    device = await known(tailnet, identity).connect()
    for label in ("alice-reusable", "alice-single-used", "bob-expired-by-time"):
        answer = await device.register(keys[label])
        assert answer["MachineAuthorized"] and not answer["Error"] and not answer["AuthURL"], label


async def test_new_devices_join_by_old_keys_as_far_as_the_release_let_them(moved: tuple[str, Tailnet]) -> None:
    release, tailnet = moved
    for key in read(release, "expected.json")["preauthkeys"]:
        device = await tailnet.device(f"new-{key['id']}").connect()
        answer = await device.register(key["key"])
        assert bool(answer["MachineAuthorized"]) == (key["release_says"] == "accepted"), key["label"]
        await device.close()
