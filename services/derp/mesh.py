"""Links to the other relays of the region: which there are, one socket each, again and again until it holds.

The other relays are named by URL, and a name may stand for many: every address that it resolves to gets a link. A link
that leads back to us, or to a relay that another link reached first, rests.

The mesh key opens a relay to whoever has it, and is sent to the far end. So a link is over TLS with the pin of the URL
(`https://host:port#sha256-raw:<hex>`) or a certificate of a known authority; `http://` is for private networks only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import ssl
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from services.derp import frames, http
from services.derp.certificate import PIN_PREFIX
from services.derp.handshake import LoginError
from services.derp.peering import Peering
from services.derp.relay import Relay
from services.derp.session import Identity, ProtocolError
from services.shared.keys import NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
RESOLVE_SECONDS = 10.0
_BACKOFF_FIRST = 0.1
_BACKOFF_MOST = 5.0
_HIGH_WATER = 1 << 20


@dataclass(frozen=True, slots=True)
class MeshTarget:
    """Where another relay of the region is found. `pin` is empty when an authority vouches for it."""

    host: str
    port: int
    tls: bool
    pin: str = ""

    @classmethod
    def parse(cls, url: str) -> MeshTarget:
        """Read `https://host[:port][#sha256-raw:hex]`, `http://host:port` or `host[:port]`.

        Raises:
            ValueError: it is none of these.
        """
        parts = urlsplit(url if "://" in url else f"https://{url}")
        pin = parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no relay: want https://host:port or http://host:port")
        if pin and not (pin.startswith(PIN_PREFIX) and len(pin) == len(PIN_PREFIX) + 64 and parts.scheme == "https"):
            raise ValueError(f"{url!r}: a pin is https://host:port#sha256-raw:<64 hex digits>")
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 3340), tls, pin.lower())


class Mesh:
    """All links of one relay."""

    def __init__(self, relay: Relay, identity: Identity, targets: tuple[MeshTarget, ...], clock: Clock) -> None:
        """`identity` must have a mesh key when there are targets."""
        self._relay = relay
        self._identity = identity
        self._targets = targets
        self._clock = clock
        self._links: dict[tuple[MeshTarget, str], asyncio.Task[None]] = {}
        self._reached: dict[NodeKey, _Line] = {}
        self._finder: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return sum(line.peering.established for line in self._reached.values())

    def start(self) -> None:
        """Start connecting to the other relays."""
        if self._targets:
            self._finder = asyncio.get_running_loop().create_task(self._find_all())

    async def stop(self) -> None:
        """End all links."""
        tasks = [*self._links.values(), *([self._finder] if self._finder else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._links.clear()

    def claim(self, server: NodeKey, line: _Line) -> bool:
        """Whether a link to this relay is wanted: it is not us, and no other link reached it."""
        if server == self._identity.public or self._reached.get(server, line) is not line:
            return False
        self._reached[server] = line
        return True

    def release(self, line: _Line) -> None:
        """The link is gone."""
        for server in [server for server, known in self._reached.items() if known is line]:
            del self._reached[server]

    async def _find_all(self) -> None:
        while True:
            for target in self._targets:
                await self._find(target)
            await asyncio.sleep(RESOLVE_SECONDS)

    async def _find(self, target: MeshTarget) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError:
            log.debug("relay of the region not found by name", host=target.host)
            return
        addresses = {str(entry[4][0]) for entry in found}
        for known, address in list(self._links):
            if known == target and address not in addresses:
                self._links.pop((known, address)).cancel()
        for address in addresses:
            if (target, address) not in self._links:
                self._links[target, address] = loop.create_task(self._keep(target, address))

    async def _keep(self, target: MeshTarget, address: str) -> None:
        """Hold one link: connect, serve until it breaks, wait, connect again."""
        wait = _BACKOFF_FIRST
        while True:
            line = _Line(self, self._relay, self._identity, target, self._clock)
            try:
                await self._connect(line, target, address)
                wait = _BACKOFF_FIRST if line.served else wait
            except (OSError, TimeoutError) as error:
                log.debug("relay of the region not reached", host=target.host, address=address, reason=str(error))
            finally:
                line.close("the link ends")
                self.release(line)
            # A link that is not wanted now may be later: the relay it leads to may be replaced.
            wait = RESOLVE_SECONDS if line.unwanted else min(_BACKOFF_MOST, wait * 2)
            await asyncio.sleep(wait * (0.5 + random.random()))

    async def _connect(self, line: _Line, target: MeshTarget, address: str) -> None:
        loop = asyncio.get_running_loop()
        context = _context(target)
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.create_connection(
                lambda: line, address, target.port, ssl=context, server_hostname=target.host if context else None
            )
            await line.settled.wait()
        while not line.closed.is_set():
            # Not wait_for: before Python 3.12 it loses a cancellation that comes as the event is set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS / 4):
                    await line.closed.wait()
            if self._clock.monotonic() - line.heard_at > SILENCE_SECONDS:
                line.close("the other relay is silent")


class _Line(asyncio.Protocol):
    """The socket of one link; the `Outlet` of its `Peering`."""

    def __init__(self, mesh: Mesh, relay: Relay, identity: Identity, target: MeshTarget, clock: Clock) -> None:
        self._mesh = mesh
        self._target = target
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._head: bytearray | None = bytearray()
        self.peering = Peering(relay, identity, self, nonce=os.urandom, wanted=self._wanted)
        self.writable = False
        self.unwanted = False
        self.served = False
        self.heard_at = clock.monotonic()
        self.settled = asyncio.Event()
        self.closed = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Send whole frames; after the end they are dropped."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, reason: str) -> None:
        """End the link at once."""
        self.writable = False
        if self._transport is not None:
            log.debug("link to a relay of the region ended", host=self._target.host, reason=reason)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the pin before anything is said, then ask for DERP."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if self._target.pin:
            leaf = self._transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if PIN_PREFIX + hashlib.sha256(leaf).hexdigest() != self._target.pin:
                log.warning("relay of the region has another certificate than its pin", host=self._target.host)
                self.close("pin does not match")
                return
        self.writable = True
        self.write(
            f"GET /derp HTTP/1.1\r\nHost: {self._target.host}\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self.heard_at = self._clock.monotonic()
        try:
            if self._head is not None:
                data = self._read_head(data)
            if data:
                self.peering.receive(data)
        except (frames.FrameError, LoginError, ProtocolError) as error:
            self.close(str(error))
        if self.peering.established and not self.served:
            self.served = True
            self.settled.set()
            log.info("linked with a relay of the region", host=self._target.host, relay_key=str(self.peering.server))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if self.served:
            log.info("link with a relay of the region lost", host=self._target.host)
        self.writable = False
        self._transport = None
        self.peering.end()
        self.settled.set()
        self.closed.set()

    def pause_writing(self) -> None:
        """The other relay is slow: what comes for it waits."""
        self.writable = False

    def resume_writing(self) -> None:
        """It took enough."""
        self.writable = self._transport is not None
        if self.writable:
            self.peering.flush()

    def _wanted(self, server: NodeKey) -> bool:
        wanted = self._mesh.claim(server, self)
        self.unwanted = not wanted
        return wanted

    def _read_head(self, data: bytes) -> bytes:
        assert self._head is not None
        self._head += data
        end = self._head.find(http.END_OF_HEAD)
        if end < 0:
            if len(self._head) > http.MAX_HEAD:
                raise ProtocolError("the response head is too long")
            return b""
        status, rest = bytes(self._head[:13]), bytes(self._head[end + len(http.END_OF_HEAD) :])
        if status != b"HTTP/1.1 101 ":
            raise ProtocolError("the other relay did not upgrade the connection")
        self._head = None
        return rest


def _context(target: MeshTarget) -> ssl.SSLContext | None:
    if not target.tls:
        return None
    context = ssl.create_default_context()
    if target.pin:
        # The pin is compared when the handshake is done; it stands for name, authority and dates.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
