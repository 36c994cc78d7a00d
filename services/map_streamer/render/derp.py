"""Renders the `DERPMap`: configured regions, over them announced relays, over them the policy's `derpMap` section.

Clients before v1.82 take a pin for a name, and connect to no relay that has one (`derp/derphttp`, `tlsdial`). They have
a form of the map of their own, in which such a relay may show any certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from services.map_streamer.snapshot import RelayRecord

Region = Mapping[str, Any]

NO_REGIONS = b'"Regions":{}}'
"""The end of a map without regions. A client that is sent one loses every relay."""


_PIN = "sha256-raw:"
"""Begins a `CertName` that pins a certificate by its SHA-256."""


def _region_node(relay: RelayRecord) -> dict[str, Any]:
    node: dict[str, Any] = {"Name": relay.name, "RegionID": relay.region_id, "HostName": relay.host_name}
    if relay.cert_name:
        node["CertName"] = relay.cert_name
    if relay.ipv4:
        node["IPv4"] = relay.ipv4
    if relay.ipv6:
        node["IPv6"] = relay.ipv6
    if relay.derp_port:
        node["DERPPort"] = relay.derp_port
    if relay.stun_port:
        node["STUNPort"] = relay.stun_port
    return node


def derp_map(static: bytes, relays: Iterable[RelayRecord], from_policy: str = "") -> bytes:
    """Return the `DERPMap` as JSON. A region that the policy sets to null is left out.

    The policy's `OmitDefaultRegions` drops all regions but its own: configured and announced ones are the defaults.
    """
    regions: dict[int, Region] = {int(number): region for number, region in orjson.loads(static).items()}
    announced: dict[int, dict[str, Any]] = {}
    for relay in sorted(relays, key=lambda relay: (relay.region_id, relay.name)):
        region = announced.setdefault(
            relay.region_id,
            {
                "RegionID": relay.region_id,
                "RegionCode": relay.region_code,
                "RegionName": relay.region_name,
                "Nodes": [],
            },
        )
        region["Nodes"].append(_region_node(relay))
    regions.update(announced)
    extra = orjson.loads(from_policy) if from_policy else {}
    if extra.get("OmitDefaultRegions"):
        regions.clear()
    changes = extra.get("Regions")
    for number, region in changes.items() if isinstance(changes, dict) else ():
        if region is None:
            regions.pop(int(number), None)
        else:
            regions[int(number)] = region
    out: dict[str, Any] = {
        # Clients keep their scores until they receive others.
        "HomeParams": extra.get("HomeParams") or {"RegionScore": {}},
        "omitDefaultRegions": True,
        "Regions": {str(number): regions[number] for number in sorted(regions)},
    }
    return orjson.dumps(out)


def without_pins(text: bytes) -> bytes:
    """Return a `DERPMap` in which relays with a pinned certificate may show any; unchanged if there is none.

    `InsecureForTests` beside a pin would not help: those clients check the name in `CertName` all the same.
    """
    if _PIN.encode() not in text:
        return text
    document = orjson.loads(text)
    for region in document["Regions"].values():
        for node in region.get("Nodes") or ():
            if str(node.get("CertName", "")).startswith(_PIN):
                del node["CertName"]
                node["InsecureForTests"] = True
    return orjson.dumps(document)
