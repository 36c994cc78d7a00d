"""Mesh links to the other relays of the region: discovery by DNS, one socket per relay, reconnection.

The other relays are named by URL, and a name may resolve to several: every address gets a link. A link that leads back
to this relay, or to a relay that another link reached first, is closed and retried later.

The mesh key admits any holder as a relay, and is sent to the other end. So a link uses TLS with the pin of the URL
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
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from services.derp import frames, http
from services.derp.certificate import PIN_PREFIX
from services.derp.handshake import LoginError
from services.derp.peering import Peering
from services.derp.relay import Relay
from services.derp.session import ProtocolError, RelayKeys
from services.shared.background import Background
from services.shared.keys import NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
RESOLVE_SECONDS = 10.0
_BACKOFF_FIRST = 0.1
_BACKOFF_MOST = 5.0
_HIGH_WATER = 1 << 20


@dataclass(frozen=True, slots=True)
class MeshTarget:
    """The address of another relay of the region. `pin` is empty if its certificate is verified by a CA."""

    host: str
    port: int
    tls: bool
    pin: str = ""

    @classmethod
    def parse(cls, url: str) -> MeshTarget:
        """Parse `https://host[:port][#sha256-raw:hex]`, `http://host:port` or `host[:port]`.

        Raises:
            ValueError: `url` has none of these forms.
        """
        parts = urlsplit(url if "://" in url else f"https://{url}")
        pin = parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"contains {url!r}, which is not the URL of a relay")
        if pin and not (pin.startswith(PIN_PREFIX) and len(pin) == len(PIN_PREFIX) + 64 and parts.scheme == "https"):
            raise ValueError(f"contains {url!r}, whose pin is not #sha256-raw: and 64 hex digits")
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 3340), tls, pin.lower())


class Mesh:
    """All mesh links of one relay."""

    def __init__(
        self,
        relay: Relay,
        identity: RelayKeys,
        targets: tuple[MeshTarget, ...],
        clock: Clock,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`identity` must have a mesh key when there are targets."""
        self._relay = relay
        self._identity = identity
        self._targets = targets
        self._clock = clock
        self._links: dict[tuple[MeshTarget, str], asyncio.Task[None]] = {}
        self._reached: dict[NodeKey, _Line] = {}
        self._background = Background(telemetry or Telemetry())

    def __len__(self) -> int:
        return sum(line.peering.established for line in self._reached.values())

    def start(self) -> None:
        """Start connecting to the other relays."""
        if self._targets:
            self._background.keep(self._find_all, "mesh discovery")

    async def stop(self) -> None:
        """Close all links."""
        await self._background.stop()
        self._links.clear()

    def claim(self, server: NodeKey, line: _Line) -> bool:
        """Reserve a relay for a link. Returns False if it is this relay or has a link already."""
        if server == self._identity.public or self._reached.get(server, line) is not line:
            return False
        self._reached[server] = line
        return True

    def release(self, line: _Line) -> None:
        """Release the relay that a closed link had reserved."""
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
            log.debug("mesh peer name not resolved", host=target.host)
            return
        addresses = {str(entry[4][0]) for entry in found}
        for known, address in list(self._links):
            if known == target and address not in addresses:
                self._links.pop((known, address)).cancel()
        for address in addresses:
            if (target, address) not in self._links:
                self._links[target, address] = self._background.keep(partial(self._keep, target, address), "mesh link")

    async def _keep(self, target: MeshTarget, address: str) -> None:
        """Keep one link open: connect, serve until it breaks, wait, reconnect."""
        wait = _BACKOFF_FIRST
        while True:
            line = _Line(self, self._relay, self._identity, target, self._clock)
            try:
                await self._connect(line, target, address)
                wait = _BACKOFF_FIRST if line.served else wait
            except (OSError, TimeoutError) as error:
                log.debug("mesh peer not reachable", host=target.host, address=address, reason=str(error))
            finally:
                line.close("mesh link closed")
                self.release(line)
            # Retry a duplicate link too: another relay may take over its address.
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
    """The socket of one mesh link; the `Outlet` of its `Peering`."""

    def __init__(self, mesh: Mesh, relay: Relay, identity: RelayKeys, target: MeshTarget, clock: Clock) -> None:
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
        """Send whole frames. Does nothing once the link is closed."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, reason: str) -> None:
        """Close the link at once; `reason` is logged."""
        self.writable = False
        if self._transport is not None:
            log.debug("mesh link closed", host=self._target.host, reason=reason)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the pin before sending anything, then request the upgrade to DERP."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if self._target.pin:
            leaf = self._transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if PIN_PREFIX + hashlib.sha256(leaf).hexdigest() != self._target.pin:
                log.warning("mesh peer certificate does not match its pin", host=self._target.host)
                self.close("pin does not match")
                return
        self.writable = True
        self.write(
            f"GET /derp HTTP/1.1\r\nHost: {self._target.host}\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
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
            log.info("mesh link established", host=self._target.host, relay_key=str(self.peering.server))

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the peering after the socket was closed."""
        if self.served:
            log.info("mesh link lost", host=self._target.host)
        self.writable = False
        self._transport = None
        self.peering.end()
        self.settled.set()
        self.closed.set()

    def pause_writing(self) -> None:
        """Queue frames from now on: the socket's send buffer is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """Send the queued frames: the socket's send buffer has room again."""
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
        # The pin is compared after the handshake, and replaces the checks of name, CA and dates.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
