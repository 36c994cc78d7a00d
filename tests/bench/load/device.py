"""A simulated device: its keys, what it reports of itself, when it heard what, and its netmap if it is sampled."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from services.shared.keys import DiscoKey, MachineKey, NodeKey, PrivateKey
from tests.bench.load.wire import KEEPALIVE_LIMIT, LostError, Wire, now
from tests.fakes.netmap import Json, Netmap, unpack

VERSION = 130
NAME = "bench-"
DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and the control key that answers there."""

    url: str
    control: MachineKey
    tls: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if self.tls else 80)


class Device:
    """One machine with one node."""

    def __init__(self, server: Server, number: int, group: int = 0, *, sampled: bool = False) -> None:
        self.server, self.number, self.group, self.sampled = server, number, group, sampled
        self.machine = PrivateKey.clamp(os.urandom(32))
        self.node_key = str(NodeKey(os.urandom(32)))
        self.disco_key = str(DiscoKey(os.urandom(32)))
        self.endpoints: list[str] = [f"192.0.2.{number % 250 + 1}:{10000 + number % 50000}"]
        self.wire: Wire | None = None
        self.netmap = Netmap()
        self._raw: list[tuple[float, bytes]] = []
        self.arrivals: list[tuple[float, Json]] = []
        """Of a sampled device: what came when, decoded."""
        self.messages = 0
        self.keepalives = 0
        self.first = 0.0
        """When the first message since `mark` came."""
        self.last = 0.0
        self.bytes = 0
        self.map_at = 0.0
        """When the first message of the current map session came whole."""
        self.has_map = asyncio.Event()
        self.cuts = 0
        self.slow = False
        """Whether it reads nothing now, so that no answer can be awaited."""

    def _body(self, **fields: object) -> bytes:
        return orjson.dumps({"Version": VERSION, "NodeKey": self.node_key, "DiscoKey": self.disco_key, **fields})

    def _hostinfo(self) -> Json:
        return {
            "Hostname": f"{NAME}{self.number}",
            "OS": "linux",
            "OSVersion": "6.1.0-13-amd64",
            "IPNVersion": "1.98.1-t0123456789-g0123456789",
            "Distro": "debian",
            "GoArch": "amd64",
            "GoVersion": "go1.26.2",
            "NetInfo": {"PreferredDERP": 1, "WorkingUDP": True, "MappingVariesByDestIP": False},
            "Services": [{"Proto": "peerapi4", "Port": 4242}, {"Proto": "peerapi6", "Port": 4242}],
        }

    async def connect(self, *, window: int | None = None) -> None:
        """Open a connection."""
        host = urlsplit(self.server.url).netloc.encode()
        options = {} if window is None else {"window": window}
        wire = Wire(
            self.machine, self.server.control, VERSION, host, self._message, self._lost, keep=self.sampled, **options
        )
        self.wire = wire
        await asyncio.get_running_loop().create_connection(lambda: wire, *self.server.address, ssl=self.server.tls)
        await asyncio.wait_for(wire.ready, DEADLINE)

    async def ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        """A request; its status and body."""
        assert self.wire is not None
        return await asyncio.wait_for(self.wire.ask(path, body), DEADLINE)

    async def register(self, auth_key: str) -> None:
        """Register with a pre-auth key."""
        body = self._body(
            OldNodeKey=str(NodeKey.zero()),
            Hostinfo=self._hostinfo(),
            Expiry="0001-01-01T00:00:00Z",
            Followup="",
            Auth={"AuthKey": auth_key},
        )
        status, answer = await self.ask("/machine/register", body)
        if status != 200 or not orjson.loads(answer).get("MachineAuthorized"):
            raise LostError(f"register: {status} {answer[:200]!r}")

    async def report(self, *endpoints: str) -> None:
        """Say what changed of itself; without endpoints it says the same again."""
        if endpoints:
            self.endpoints = list(endpoints)
        body = self._body(
            OmitPeers=True,
            Compress="zstd",
            KeepAlive=True,
            Hostinfo=self._hostinfo(),
            Endpoints=self.endpoints,
            EndpointTypes=[1] * len(self.endpoints),
        )
        status, answer = await self.ask("/machine/map", body)
        if status != 200:
            raise LostError(f"report: {status} {answer[:200]!r}")

    def open_map(self) -> None:
        """Ask for the map; `has_map` is set when it is there."""
        assert self.wire is not None
        self.has_map.clear()
        self.map_at = 0.0
        self.netmap = Netmap()
        self._raw.clear()
        self.wire.open_map(self._body(Stream=True, KeepAlive=True, Compress="zstd", Hostinfo=self._hostinfo()))

    async def join(self, auth_key: str) -> None:
        """Connect, register, open the map, report, as a client does."""
        await self.connect()
        await self.register(auth_key)
        self.open_map()
        await self.report()
        await asyncio.wait_for(self.has_map.wait(), DEADLINE)

    async def reconnect(self, spread: float = 0.0, attempts: int = 20) -> None:
        """Come back as a client does: a map is asked for again, with growing pauses."""
        if spread:
            await asyncio.sleep(random.uniform(0, spread))
        for attempt in range(1, attempts + 1):
            try:
                await self.connect()
                self.open_map()  # it may have ended again by now, as where a gateway is stopping
                break
            except (OSError, LostError, TimeoutError):
                if attempt == attempts:
                    raise
                # As `util/backoff` has it: the square of the attempts in hundredths of a second.
                await asyncio.sleep(min(30.0, attempt * attempt * 0.01) * random.uniform(0.5, 1.5))

    @property
    def lost(self) -> bool:
        """Whether its connection has ended."""
        return self.wire is not None and self.wire.lost

    def cut(self) -> None:
        """Lose the connection."""
        if self.wire is not None:
            self.wire.cut()

    def mark(self) -> None:
        """Count from here."""
        self.first = 0.0
        self.messages = self.bytes = self.keepalives = 0
        self.arrivals.clear()

    def _message(self, size: int, data: bytes) -> None:
        if size <= KEEPALIVE_LIMIT:
            self.keepalives += 1
            return
        self.last = now()
        self.first = self.first or self.last
        self.messages += 1
        self.bytes += size
        if not self.map_at:
            self.map_at = self.last
            self.has_map.set()
        if self.sampled:
            self._raw.append((self.last, data))

    def _lost(self) -> None:
        self.cuts += 1

    def catch_up(self) -> Netmap:
        """Decode what was kept, apply it as a client does, and give the netmap."""
        raw, self._raw = self._raw, []
        for at, data in raw:
            message: Json = orjson.loads(unpack(data, zstd=True))
            self.netmap.apply(message)
            self.netmap.history.clear()
            self.arrivals.append((at, message))
        return self.netmap
