"""Compares the netmaps of the sampled devices with what all devices said of themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from tests.bench.load.device import NAME, Device

Sees = Callable[[Device, Device], bool]


class WrongNetmapError(Exception):
    """A fast but wrong server."""


def everyone(_viewer: Device, _other: Device) -> bool:
    """No policy: all see all."""
    return True


def own_group(viewer: Device, other: Device) -> bool:
    """The policy of the `acl` scenarios: each group sees itself."""
    return viewer.group == other.group


def differences(
    devices: Iterable[Device], sampled: Sequence[Device], sees: Sees = everyone, restless: Collection[Device] = ()
) -> list[str]:
    """What is wrong in whose netmap; empty when all is as reported."""
    known = list(devices)
    found = []
    for viewer in sampled:
        # Nodes that are not ours may be in the tailnet too.
        held = viewer.catch_up().peers.values()
        peers = {peer["Key"]: peer for peer in held if peer["Name"].startswith(NAME)}
        truth = {other.node_key: other for other in known if other is not viewer and sees(viewer, other)}
        if viewer.netmap.node is None or viewer.netmap.node["Key"] != viewer.node_key:
            found.append(f"{viewer.number}: no node of its own")
        if missing := truth.keys() - peers.keys():
            found.append(f"{viewer.number}: lacks {len(missing)} of {len(truth)} peers")
        if unknown := peers.keys() - truth.keys():
            found.append(f"{viewer.number}: has {len(unknown)} peers that are not there")
        for key in truth.keys() & peers.keys():
            other, peer = truth[key], peers[key]
            online = other.wire is not None and not other.wire.lost
            if peer.get("Endpoints", []) != other.endpoints and other not in restless:
                found.append(f"{viewer.number}: {other.number} has endpoints {peer.get('Endpoints')}")
            if peer.get("DiscoKey") != other.disco_key:
                found.append(f"{viewer.number}: {other.number} has another disco key")
            if online and peer.get("Online") is not True:
                found.append(f"{viewer.number}: {other.number} is shown offline")
            if peer.get("HomeDERP") != 1:
                found.append(f"{viewer.number}: {other.number} has another home relay")
    return found
