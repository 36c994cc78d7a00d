"""DERP maps of others: each region and node checked field by field, and written with the wire's names. Pure.

A client decodes the whole map at once (Go's `encoding/json`), so one field of a wrong type would cost it every relay.
Only fields of known meaning are passed on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.shared.documents.bounded import DocumentError, DocumentFinding
from services.shared.documents.names import host_name

Region = dict[str, object]
"""One region as clients are sent it."""
_Check = Callable[[object], object]

MAX_REGIONS: Final = 1_000
_MAX_NODES: Final = 100
_MAX_TEXT: Final = 255
_MAX_REGION_ID: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class DerpMap:
    """The usable regions of a document; None for a region that is to be left out of the merged map."""

    regions: Mapping[int, Region | None]
    unusable: frozenset[int] = frozenset()
    """Regions that are in the document and have no usable node."""
    findings: tuple[DocumentFinding, ...] = ()


def check_derp_map(document: object) -> DerpMap:
    """Return what clients can use of a DERP map in the wire's JSON or in Headscale's YAML, and what they cannot.

    Raises:
        DocumentError: it is no DERP map.
    """
    if not isinstance(document, dict):
        raise DocumentError("is not a DERP map: want a mapping with `regions`")
    found = next((value for name, value in document.items() if str(name).lower() == "regions"), None)
    if found is None:
        raise DocumentError("is not a DERP map: it has no `regions`")
    if not isinstance(found, dict):
        raise DocumentError("is not a DERP map: `regions` is not a mapping of region ids")
    if len(found) > MAX_REGIONS:
        raise DocumentError(f"has more than {MAX_REGIONS} regions")
    return _Reading().all(found)


@dataclass(slots=True)
class _Reading:
    regions: dict[int, Region | None] = field(default_factory=dict)
    unusable: set[int] = field(default_factory=set)
    findings: list[DocumentFinding] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def all(self, regions: Mapping[str, object]) -> DerpMap:
        for key, value in regions.items():
            where = f"region {key}"
            try:
                number = _region_id(key)
            except ValueError as error:
                self.findings.append(DocumentFinding(where, f"has an id that {error}"))
                continue
            if value is None:
                self.regions[number] = None
                continue
            try:
                self.regions[number] = self._region(number, value, where)
            except ValueError as error:
                self.unusable.add(number)
                self.findings.append(DocumentFinding(where, str(error)))
        return DerpMap(self.regions, frozenset(self.unusable), tuple(self.findings))

    def _region(self, number: int, value: object, where: str) -> Region:
        region = _members(value, _REGION)
        if region.setdefault("RegionID", number) != number:
            raise ValueError(f"has the RegionID {region['RegionID']}")
        region.setdefault("RegionCode", str(number))
        region.setdefault("RegionName", region["RegionCode"])
        items = region.get("Nodes") or []
        assert isinstance(items, list)
        nodes = []
        for index, item in enumerate(items):
            try:
                nodes.append(self._node(number, index, item))
            except ValueError as error:
                self.findings.append(DocumentFinding(f"{where}, node {index + 1}", str(error)))
        if not nodes:
            raise ValueError("has no node that clients can use")
        region["Nodes"] = nodes
        return region

    def _node(self, number: int, index: int, value: object) -> dict[str, object]:
        node = _members(value, _NODE)
        if node.setdefault("RegionID", number) != number:
            raise ValueError(f"has the RegionID {node['RegionID']}")
        if not node.get("HostName"):
            raise ValueError("has no HostName")
        name = str(node.setdefault("Name", f"{number}{chr(ord('a') + index % 26)}"))
        if name in self.names:
            raise ValueError(f"has the Name {name} of another node")
        self.names.add(name)
        return node


def _members(value: object, table: Mapping[str, tuple[str, _Check]]) -> dict[str, object]:
    """Return the members of known names, by their names on the wire; null counts as absent.

    Raises:
        ValueError: it is no object, or a member has a wrong type or meaning.
    """
    if not isinstance(value, dict):
        raise ValueError("is not a mapping")
    out: dict[str, object] = {}
    for name, member in value.items():
        known = table.get(str(name).lower())
        if known is None or member is None:
            continue
        wire, check = known
        try:
            out[wire] = check(member)
        except ValueError as error:
            raise ValueError(f"has a {wire} that {error}") from None
    return out


def _region_id(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is not a whole number")
    if not 1 <= value <= _MAX_REGION_ID:
        raise ValueError(f"is not between 1 and {_MAX_REGION_ID}")
    return value


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # YAML takes digits for a number
    if not isinstance(value, str):
        raise ValueError("is not text")
    if len(value) > _MAX_TEXT or not value.isprintable():
        raise ValueError("is too long or has control characters")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _degrees(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -180 <= value <= 180:
        raise ValueError("is not a number of degrees")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    if len(value) > _MAX_NODES:
        raise ValueError(f"has more than {_MAX_NODES} items")
    return value


def _host(value: object) -> str:
    text = _text(value)
    return host_name(text) if text else ""


def _port(lowest: int) -> _Check:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= 65535:
            raise ValueError(f"is not a port from {lowest} to 65535")
        return value

    return check


def _address(version: int) -> _Check:
    def check(value: object) -> str:
        text = _text(value)
        if text in ("", "none"):
            return text
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ValueError("is no IP address") from None
        if version and address.version != version:
            raise ValueError(f"is no IPv{version} address")
        return text

    return check


_REGION: Final[Mapping[str, tuple[str, _Check]]] = {
    wire.lower(): (wire, check)
    for wire, check in (
        ("RegionID", _region_id),
        ("RegionCode", _text),
        ("RegionName", _text),
        ("Latitude", _degrees),
        ("Longitude", _degrees),
        ("Avoid", _flag),
        ("NoMeasureNoHome", _flag),
        ("Nodes", _list),
    )
}
_NODE: Final[Mapping[str, tuple[str, _Check]]] = {
    wire.lower(): (wire, check)
    for wire, check in (
        ("Name", _text),
        ("RegionID", _region_id),
        ("HostName", _host),
        ("CertName", _text),
        ("IPv4", _address(4)),
        ("IPv6", _address(6)),
        ("STUNPort", _port(-1)),
        ("STUNOnly", _flag),
        ("DERPPort", _port(0)),
        ("InsecureForTests", _flag),
        ("STUNTestIP", _address(0)),
        ("CanPort80", _flag),
    )
}
