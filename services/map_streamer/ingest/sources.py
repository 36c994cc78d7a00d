"""Loads DERP maps and extra DNS records from files and URLs and adds them as facts. Keeps the last usable state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import orjson

from services.map_streamer.ingest.own_names import LOOKUP_INTERVAL, Record, look_up
from services.map_streamer.snapshot import DnsRecordsPut, Fact, RegionsPut
from services.map_streamer.tailnet import Tailnet
from services.shared.config.model import DerpConfig, DnsConfig
from services.shared.documents import DerpMap, DocumentError, DocumentFinding, Region
from services.shared.documents.reading import derp_map_of_file, derp_map_of_url, records_of_file
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_POLL = 5.0
"""Seconds between checks of the file of extra records."""
_RETRY = 30.0
"""Seconds after which an address that failed is asked again."""
_SHORTEST_UPDATE = 60.0
_MAX_FINDINGS = 20
"""Maximum number of findings logged for one document; one more line has the number of the rest."""

FetchMap = Callable[[str], Awaitable[DerpMap]]


class Sources:
    """Reader of the configured files and URLs: at the start, and again when they change or are due."""

    def __init__(
        self,
        derp: DerpConfig,
        dns: DnsConfig,
        tailnet: Tailnet,
        own: Sequence[str] = (),
        fetch_map: FetchMap = derp_map_of_url,
    ) -> None:
        self._derp = derp
        self._records_path = dns.extra_records_path
        self._tailnet = tailnet
        self._fetch_map = fetch_map
        self._known: dict[str, dict[int, Region | None]] = {}
        self._stamp: object = None
        self._own = own
        self._own_due = 0.0
        self._own_records: tuple[Record, ...] = ()
        self._file_records: tuple[Record, ...] = ()

    async def start(self) -> None:
        """Read the files; addresses are fetched by `run`."""
        await self._read_files()
        await self._read_records()
        await self._look_up_own()

    async def run(self) -> None:
        """Fetch addresses when they are due, and follow the file of extra records, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._derp.urls and loop.time() >= due:
                due = loop.time() + (self._interval() if await self._guarded(self._read_urls) else _RETRY)
            await self._guarded(self._read_records)
            await self._guarded(self._look_up_own)
            await asyncio.sleep(_POLL)

    async def _guarded(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Run one round. Returns whether it succeeded; an unexpected exception is logged and does not end the task."""
        try:
            return await work() is not False
        except Exception:
            log.exception("configured sources cannot be read")
            return False

    def _interval(self) -> float:
        if not self._derp.auto_update_enabled:
            return float("inf")
        return max(_SHORTEST_UPDATE, self._derp.update_frequency.total_seconds())

    async def _read_files(self) -> None:
        for path in self._derp.paths:
            try:
                self._store_map(str(path), await asyncio.to_thread(derp_map_of_file, Path(path)))
            except DocumentError as error:
                log.error("DERP map cannot be used", key="derp.paths", source=str(path), reason=str(error))
        self._publish_regions()

    async def _read_urls(self) -> bool:
        """Fetch all DERP maps. Returns whether every URL answered with one."""
        complete = True
        for url in self._derp.urls:
            try:
                self._store_map(url, await self._fetch_map(url))
            except DocumentError as error:
                complete = False
                log.warning(
                    "DERP map cannot be used, keeping the last one", key="derp.urls", source=url, reason=str(error)
                )
        self._publish_regions()
        return complete

    def _store_map(self, source: str, fresh: DerpMap) -> None:
        """Store the DERP map of a source; of a region that is unusable now, keep the last usable version."""
        _log_findings("part of a DERP map cannot be used", source, fresh.findings)
        before = self._known.get(source, {})
        kept = {number: before[number] for number in fresh.unusable if before.get(number) is not None}
        self._known[source] = {**kept, **fresh.regions}

    def _publish_regions(self) -> None:
        """Merge by region id: addresses first, then files; the later source wins."""
        merged: dict[str, Region] = {}
        for source in (*self._derp.urls, *map(str, self._derp.paths)):
            for number, region in self._known.get(source, {}).items():
                if region is None:
                    merged.pop(str(number), None)
                else:
                    merged[str(number)] = region
        text = orjson.dumps(merged, option=orjson.OPT_SORT_KEYS)
        if text != self._tailnet.view.snapshot.regions:
            self._add([RegionsPut(text)])

    async def _read_records(self) -> None:
        path = self._records_path
        if path is None:
            return
        stamp = await asyncio.to_thread(_stamp_of, Path(path))
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = await asyncio.to_thread(records_of_file, Path(path))
        except DocumentError as error:
            log.error(
                "extra DNS records cannot be used, keeping the last ones",
                key="dns.extra_records_path",
                source=str(path),
                reason=str(error),
            )
            return
        if found is not None:
            self._file_records, findings = found
            _log_findings("extra DNS record cannot be used", str(path), findings)
            self._publish_records()

    async def _look_up_own(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._own or now < self._own_due:
            return
        self._own_due = now + LOOKUP_INTERVAL
        found = await look_up(self._own)
        if found is not None and found != self._own_records:
            self._own_records = found
            self._publish_records()

    def _publish_records(self) -> None:
        """Add all extra records; those of the file take precedence over looked-up addresses of the same name."""
        named = {name for name, _, _ in self._file_records}
        own = tuple(record for record in self._own_records if record[0] not in named)
        self._add([DnsRecordsPut((*self._file_records, *own))])

    def _add(self, facts: Iterable[Fact]) -> None:
        self._tailnet.add(facts, self._tailnet.position)


def _stamp_of(path: Path) -> object:
    """Return a value that changes with the file: mtime, size and inode, or the errno if it cannot be read."""
    try:
        stat = path.stat()
    except OSError as error:
        return error.errno
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _log_findings(event: str, source: str, findings: Sequence[DocumentFinding]) -> None:
    for finding in findings[:_MAX_FINDINGS]:
        log.warning(event, source=source, place=finding.place, reason=finding.reason)
    if len(findings) > _MAX_FINDINGS:
        log.warning("more parts of the document cannot be used", source=source, count=len(findings) - _MAX_FINDINGS)
