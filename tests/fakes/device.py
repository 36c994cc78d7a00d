"""A device as real clients behave: registers, keeps a map session, reports its endpoints, posts answers to c2n."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from services.shared.keys import DiscoKey, MachineKey, NodeKey, PrivateKey
from tests.fakes.netmap import Json, Netmap, unpack
from tests.fakes.noise_client import NoiseClient, OpenStream

DEADLINE = 10.0
VERSION = 130


class Device:
    """One machine with one node. Every wait has a deadline."""

    def __init__(self, url: str, hostname: str, *, zstd: bool = True) -> None:
        self.url, self.hostname, self.zstd = url, hostname, zstd
        self.machine = PrivateKey.clamp(os.urandom(32))
        self.node_key = NodeKey(os.urandom(32))
        self.disco_key = DiscoKey(os.urandom(32))
        self.netmap = Netmap()
        self.keepalives = 0
        self.map_status = 0
        self.map_ended = asyncio.Event()
        self.stream: OpenStream | None = None
        self.client: NoiseClient | None = None
        self._moved = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._echoes: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None
        self._reads = asyncio.Event()
        self._reads.set()

    @property
    def id(self) -> int:
        """Its node id, once it has a map."""
        assert self.netmap.node is not None
        return int(self.netmap.node["ID"])

    async def connect(self) -> Self:
        """Open a tunnel."""
        self.client = await NoiseClient.connect(self.url, self.machine, VERSION)
        return self

    async def ask(self, path: str, body: Json | bytes, method: str = "POST") -> tuple[int, bytes]:
        """One request over the tunnel."""
        assert self.client is not None
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        status, _, answer = await self.client.request(method, path, raw)
        return status, answer

    async def register(self, auth_key: str = "", **fields: Any) -> Json:
        """Register; the answer, which must be a 200."""
        body: Json = {
            "Version": VERSION,
            "NodeKey": str(self.node_key),
            "OldNodeKey": str(NodeKey.zero()),
            "Hostinfo": {"Hostname": self.hostname, "OS": "linux", "IPNVersion": "1.90.9"},
            "Expiry": "0001-01-01T00:00:00Z",
            "Followup": "",
            **fields,
        }
        if auth_key:
            body["Auth"] = {"AuthKey": auth_key}
        status, answer = await self.ask("/machine/register", body)
        assert status == 200, answer
        return dict(orjson.loads(answer))

    async def report(self, *endpoints: str, home_derp: int = 0, **fields: Any) -> int:
        """Send a lite map request; its status."""
        body: Json = {
            "Version": VERSION,
            "NodeKey": str(self.node_key),
            "DiscoKey": str(self.disco_key),
            "OmitPeers": True,
            "Compress": "zstd",
            "KeepAlive": True,
            "Hostinfo": {
                "Hostname": self.hostname,
                "OS": "linux",
                "NetInfo": {"PreferredDERP": home_derp},
                "Services": [{"Proto": "peerapi4", "Port": 4242}],
            },
            "Endpoints": list(endpoints),
            "EndpointTypes": [1] * len(endpoints),
            **fields,
        }
        status, _ = await self.ask("/machine/map", body)
        return status

    async def open_map(self, **fields: Any) -> int:
        """Open a map session and read it in the background; its status."""
        assert self.client is not None
        body: Json = {
            "Version": VERSION,
            "NodeKey": str(self.node_key),
            "Stream": True,
            "KeepAlive": True,
            "Compress": "zstd" if self.zstd else "",
            **fields,
        }
        self.stream = await self.client.start("/machine/map", orjson.dumps(body))
        self.map_status = self.stream.status
        if self.stream.status == 200:
            self.netmap, self.map_ended = Netmap(), asyncio.Event()
            self._reading = asyncio.create_task(self._read(self.stream, self.map_ended))
        else:
            await self.stream.read_all()
        return self.map_status

    async def join(self, auth_key: str) -> Self:
        """Connect, register, open a map and wait for it."""
        await self.connect()
        answer = await self.register(auth_key)
        assert answer["MachineAuthorized"] and not answer["Error"], answer
        assert await self.open_map() == 200
        await self.until(lambda: self.netmap.node is not None)
        return self

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something in the netmap is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                if self.failure is not None:
                    raise self.failure
                self._moved.clear()
                await self._moved.wait()

    def peer(self, other: Device) -> Json | None:
        """What this device knows of another one."""
        return next((peer for peer in self.netmap.peers.values() if peer["Key"] == str(other.node_key)), None)

    async def sees(self, other: Device, wanted: Callable[[Json], Any] = lambda _peer: True) -> Json:
        """Wait until another device is a peer, and is as wanted."""
        await self.until(lambda: (peer := self.peer(other)) is not None and wanted(peer))
        found = self.peer(other)
        assert found is not None
        return found

    def pause(self) -> None:
        """Read the map session no longer, so that its window closes."""
        self._reads.clear()

    def go_on(self) -> None:
        """Read again."""
        self._reads.set()

    async def close(self) -> None:
        """Go away without a word."""
        for task in (self._reading, *self._echoes):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self.client is not None:
            await self.client.close()
            self.client = None

    async def _read(self, stream: OpenStream, ended: asyncio.Event) -> None:
        buffer = b""
        try:
            while True:
                await self._reads.wait()
                chunk = await stream._client._chunk(stream._stream_id, stream._exchange)
                if chunk is None:
                    break
                buffer += chunk
                while len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[:4], "little"):
                    size = int.from_bytes(buffer[:4], "little")
                    self._take(buffer[4 : 4 + size])
                    buffer = buffer[4 + size :]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failure = error
        finally:
            ended.set()
            self._moved.set()

    def _take(self, message: bytes) -> None:
        text = unpack(message, zstd=self.zstd)
        decoded = orjson.loads(text)
        if decoded.get("KeepAlive"):
            self.keepalives += 1
            if ping := decoded.get("PingRequest"):
                echo = asyncio.create_task(self._answer(ping))
                self._echoes.add(echo)
                echo.add_done_callback(self._echoes.discard)
        else:
            self.netmap.receive(message, zstd=self.zstd)
        self._moved.set()

    async def _answer(self, ping: Json) -> None:
        """What a client's c2n handler does, for /echo only; a ping without types is answered by HEAD."""
        if not ping["Types"]:
            await self.ask(urlsplit(ping["URL"]).path, b"", "HEAD")
            return
        question = base64.b64decode(ping["Payload"])
        body = question.partition(b"\r\n\r\n")[2]
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        status, _ = await self.ask(urlsplit(ping["URL"]).path, answer)
        assert status == 204


def machine_key_of(device: Device) -> MachineKey:
    """The public half of a device's machine key, as the control plane names it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return MachineKey(X25519PrivateKey.from_private_bytes(device.machine.raw).public_key().public_bytes_raw())


def admits(device: Device, other: Device) -> bool:
    """Whether a device's filter names the other's address as a source."""
    assert other.netmap.node is not None
    address = other.netmap.node["Addresses"][0].partition("/")[0]
    rules = [rule for rules in device.netmap.filters.values() for rule in rules or ()]
    return any(address in str(rule["SrcIPs"]) for rule in rules)
