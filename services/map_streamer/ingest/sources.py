"""What files and addresses of the configuration add: DERP regions and extra DNS records. Trouble never empties them."""

from __future__ import annotations

import asyncio
import http.client
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from services.map_streamer.ingest.own_names import REST, Record, look_up
from services.map_streamer.snapshot import DnsRecordsPut, Fact, RegionsPut
from services.map_streamer.tailnet import Tailnet
from services.shared.config.model import DerpConfig, DnsConfig
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_FETCH_TIMEOUT = 10.0
_FETCH_LIMIT = 4 << 20
_LOOK = 5.0
"""Seconds between looks at the file of extra records."""

_YAML_NAMES = {
    "regionid": "RegionID",
    "regioncode": "RegionCode",
    "regionname": "RegionName",
    "latitude": "Latitude",
    "longitude": "Longitude",
    "avoid": "Avoid",
    "nomeasurenohome": "NoMeasureNoHome",
    "nodes": "Nodes",
    "name": "Name",
    "hostname": "HostName",
    "certname": "CertName",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "stunport": "STUNPort",
    "stunonly": "STUNOnly",
    "derpport": "DERPPort",
    "insecurefortests": "InsecureForTests",
    "canport80": "CanPort80",
}
"""Names in Headscale's DERP files are lower case; the wire's are not."""


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_YAML_NAMES.get(str(name).lower(), str(name)): _renamed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return value


def read_regions(document: Any) -> dict[int, dict[str, Any] | None]:
    """The regions of a DERP map document; None for one that is to be left out.

    Raises:
        ValueError: it is not a DERP map.
    """
    if not isinstance(document, dict):
        raise ValueError("not a DERP map")
    regions = next((value for name, value in document.items() if str(name).lower() == "regions"), None) or {}
    if not isinstance(regions, dict):
        raise ValueError("regions are not an object")
    out: dict[int, dict[str, Any] | None] = {}
    for number, region in regions.items():
        if region is None:
            out[int(number)] = None
            continue
        named = _renamed(region)
        if not isinstance(named, dict) or not isinstance(named.get("Nodes", []), list):
            raise ValueError(f"region {number} is not an object with nodes")
        named.setdefault("RegionID", int(number))
        named.setdefault("RegionCode", str(number))
        named.setdefault("RegionName", named["RegionCode"])
        out[int(number)] = named
    return out


def read_records(document: Any) -> tuple[tuple[str, str, str], ...]:
    """The extra records of a JSON file in Headscale's form.

    Raises:
        ValueError: it is not a list of records.
    """
    if not isinstance(document, list):
        raise ValueError("extra records are not a list")
    out = []
    for record in document:
        if not isinstance(record, dict):
            raise ValueError("an extra record is not an object")
        fields = {str(name).lower(): str(value) for name, value in record.items()}
        if fields.get("type", "A") in ("A", "AAAA") and fields.get("name") and fields.get("value"):
            out.append((fields["name"], fields.get("type", "A"), fields["value"]))
    return tuple(out)


def _fetch(url: str) -> Any:
    if not url.startswith(("https://", "http://")):
        raise ValueError("not a web address")
    with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT) as answer:
        return orjson.loads(answer.read(_FETCH_LIMIT))


class Sources:
    """Reads the configured sources at start, and again as configured."""

    def __init__(self, derp: DerpConfig, dns: DnsConfig, tailnet: Tailnet, own: Sequence[str] = ()) -> None:
        self._derp = derp
        self._records_path = dns.extra_records_path
        self._tailnet = tailnet
        self._known: dict[str, dict[int, dict[str, Any] | None]] = {}
        self._stamp: object = None
        self._own = own
        self._own_due = 0.0
        self._own_records: tuple[Record, ...] = ()
        self._file_records: tuple[Record, ...] = ()

    async def start(self) -> None:
        """Read what is at hand; addresses that do not answer are tried again later."""
        await self._read_files()
        await self._look_at_records()
        await self._look_up_own()

    async def run(self) -> None:
        """Fetch, look and fetch again, for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._derp.urls and loop.time() >= due:
                whole = await self._read_urls()
                if not whole:
                    due = loop.time() + 30
                elif self._derp.auto_update_enabled:
                    due = loop.time() + max(60.0, self._derp.update_frequency.total_seconds())
                else:
                    due = float("inf")
            await self._look_at_records()
            await self._look_up_own()
            await asyncio.sleep(_LOOK)

    async def _read_files(self) -> None:
        for path in self._derp.paths:
            try:
                text = await asyncio.to_thread(Path(path).read_text)
                self._known[str(path)] = read_regions(yaml.safe_load(text))
            except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
                log.error("DERP file cannot be used", path=str(path), error=type(error).__name__)
        self._tell_regions()

    async def _read_urls(self) -> bool:
        whole = True
        for url in self._derp.urls:
            try:
                self._known[url] = read_regions(await asyncio.to_thread(_fetch, url))
            except (OSError, ValueError, http.client.HTTPException) as error:
                whole = False
                log.warning("DERP map cannot be fetched, keeping the old one", url=url, error=type(error).__name__)
        self._tell_regions()
        return whole

    def _tell_regions(self) -> None:
        """Merge by region: addresses first, then files; the last one wins."""
        merged: dict[str, dict[str, Any]] = {}
        for source in (*self._derp.urls, *map(str, self._derp.paths)):
            for number, region in self._known.get(source, {}).items():
                if region is None:
                    merged.pop(str(number), None)
                else:
                    merged[str(number)] = region
        text = orjson.dumps(merged, option=orjson.OPT_SORT_KEYS)
        if text != self._tailnet.view.snapshot.regions:
            self._add([RegionsPut(text)])

    async def _look_at_records(self) -> None:
        path = self._records_path
        if path is None:
            return
        try:
            stat = await asyncio.to_thread(Path(path).stat)
            stamp = stat.st_mtime_ns, stat.st_size, stat.st_ino
            if stamp == self._stamp:
                return
            text = await asyncio.to_thread(Path(path).read_bytes)
            self._stamp = stamp
            if text.strip():
                self._file_records = read_records(orjson.loads(text))
                self._tell_records()
        except (OSError, ValueError) as error:
            log.error("extra DNS records cannot be read, keeping the old ones", error=type(error).__name__)

    async def _look_up_own(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._own or now < self._own_due:
            return
        self._own_due = now + REST
        found = await look_up(self._own)
        if found is not None and found != self._own_records:
            self._own_records = found
            self._tell_records()

    def _tell_records(self) -> None:
        """What the file says of a name wins over what we found."""
        said = {name.strip(".").lower() for name, _, _ in self._file_records}
        own = tuple(record for record in self._own_records if record[0] not in said)
        self._add([DnsRecordsPut((*self._file_records, *own))])

    def _add(self, facts: Iterable[Fact]) -> None:
        self._tailnet.add(facts, self._tailnet.position)
