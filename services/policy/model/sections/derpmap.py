"""The section `derpMap`: regions that a document adds, replaces or takes away, and how regions are scored.

A map that clients cannot use would cut them off, so it is checked field by field; it is kept with the wire's spelling.
"""

from __future__ import annotations

import json
import re
from typing import Any

from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.tree import ObjectMember, Value, to_json

_MAP = known("Regions", "OmitDefaultRegions", "HomeParams")
_HOME = known("RegionScore")
_REGION = known("RegionID", "RegionCode", "RegionName", "Latitude", "Longitude", "Avoid", "NoMeasureNoHome", "Nodes")
_NODE = known(
    "Name",
    "RegionID",
    "HostName",
    "CertName",
    "IPv4",
    "IPv6",
    "STUNPort",
    "STUNOnly",
    "DERPPort",
    "InsecureForTests",
    "STUNTestIP",
    "CanPort80",
)
_REGION_ID = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


class DerpMapReader:
    """Reader of the `derpMap` of one document."""

    def __init__(self, reader: FieldReader) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names: set[str] = set()

    def derp_map(self, value: Value | None) -> str:
        """Return the map as JSON; empty when the document has none."""
        if value is None:
            return ""
        fields = self._reader.fields(value, "derpMap", _MAP)
        regions: dict[str, Any] = {}
        for entry in self._reader.entries(fields.get("Regions"), "derpMap.Regions"):
            where = f"derpMap.Regions[{entry.key}]"
            if not _REGION_ID.fullmatch(entry.key):
                self._findings.refuse("derpMap.Regions", entry.at, f'invalid region id: "{entry.key}"')
            elif entry.value.data is None:
                regions[entry.key] = None
            else:
                regions[entry.key] = self._region(entry, where)
        made: dict[str, Any] = {"Regions": regions}
        if self._reader.flag(fields.get("OmitDefaultRegions"), "derpMap.OmitDefaultRegions"):
            made["OmitDefaultRegions"] = True
            if not any(regions.values()):
                at = fields["OmitDefaultRegions"].at
                self._findings.refuse("derpMap", at, "default regions are omitted, but no other region is given")
        if scores := self._scores(fields.get("HomeParams")):
            made["HomeParams"] = {"RegionScore": scores}
        return json.dumps(made, ensure_ascii=False)

    def _scores(self, value: Value | None) -> dict[str, float]:
        scores: dict[str, float] = {}
        if value is None:
            return scores
        fields = self._reader.fields(value, "derpMap.HomeParams", _HOME)
        for entry in self._reader.entries(fields.get("RegionScore"), "derpMap.HomeParams.RegionScore"):
            score = _number(entry.value)
            if not _REGION_ID.fullmatch(entry.key):
                self._findings.refuse("derpMap.HomeParams", entry.at, f'invalid region id: "{entry.key}"')
            elif score is None:
                self._reader.wrong(entry.value, f"derpMap.HomeParams.RegionScore[{entry.key}]", "a number")
            else:
                scores[entry.key] = score
        return scores

    def _region(self, entry: ObjectMember, where: str) -> dict[str, Any]:
        fields = self._reader.fields(entry.value, where, _REGION)
        number = int(entry.key)
        made: dict[str, Any] = {"RegionID": number}
        self._check_id(fields, number, where)
        made["RegionCode"] = self._reader.text(fields.get("RegionCode"), f"{where}.RegionCode") or entry.key
        made["RegionName"] = self._reader.text(fields.get("RegionName"), f"{where}.RegionName") or made["RegionCode"]
        for name in ("Latitude", "Longitude"):
            if name in fields:
                degrees = _number(fields[name])
                if degrees is None:
                    self._reader.wrong(fields[name], f"{where}.{name}", "a number")
                made[name] = degrees
        for name in ("Avoid", "NoMeasureNoHome"):
            if self._reader.flag(fields.get(name), f"{where}.{name}"):
                made[name] = True
        made["Nodes"] = [
            self._node(item, number, f"{where}.Nodes[{index}]", f"{number}{index}")
            for index, item in enumerate(self._reader.items(fields.get("Nodes"), f"{where}.Nodes"))
        ]
        if not made["Nodes"] and isinstance(entry.value.data, tuple):
            self._findings.refuse(where, entry.at, "a region needs at least one node; null removes the region")
        return made

    def _node(self, item: Value, region: int, where: str, default_name: str) -> dict[str, Any]:
        fields = self._reader.fields(item, where, _NODE)
        self._check_id(fields, region, where)
        name = self._reader.text(fields.get("Name"), f"{where}.Name") or default_name
        if name in self._names:
            self._findings.refuse(where, item.at, f'two nodes are named "{name}"')
        self._names.add(name)
        host = self._reader.text(fields.get("HostName"), f"{where}.HostName")
        if not host and isinstance(item.data, tuple):
            self._findings.refuse(where, item.at, "HostName must be specified")
        made: dict[str, Any] = {"Name": name, "RegionID": region, "HostName": host or ""}
        for field in ("CertName", "IPv4", "IPv6", "STUNTestIP"):
            if text := self._reader.text(fields.get(field), f"{where}.{field}"):
                made[field] = text
        for field, lowest in (("STUNPort", -1), ("DERPPort", 0)):
            if field in fields:
                made[field] = self._port(fields[field], f"{where}.{field}", lowest)
        for field in ("STUNOnly", "InsecureForTests", "CanPort80"):
            if self._reader.flag(fields.get(field), f"{where}.{field}"):
                made[field] = True
        return made

    def _check_id(self, fields: Fields, number: int, where: str) -> None:
        value = fields.get("RegionID")
        if value is not None and _number(value) != number:
            self._findings.refuse(where, value.at, f"RegionID must be {number}, as its region is")

    def _port(self, value: Value, where: str, lowest: int) -> int:
        port = _number(value)
        if port is None or not port.is_integer() or not lowest <= port <= 65535:
            self._findings.refuse(where, value.at, f"expected a port from {lowest} to 65535")
            return 0
        return int(port)


def _number(value: Value) -> float | None:
    """Return a number of HuJSON, or one that YAML has as text."""
    data = to_json(value)
    if isinstance(data, bool) or not isinstance(data, int | float):
        return None
    return float(data) if abs(data) < 1e9 else None
