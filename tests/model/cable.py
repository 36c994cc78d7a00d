"""A connection without sockets, between a simulated device and the gateway's tunnel; it can be clogged and cut."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from typing import Protocol

from gateway.edge.tunnel import Tunnel
from gateway.edge.tunnels import Tunnels

_HANDSHAKE = re.compile(rb"X-Tailscale-Handshake: (\S+)\r\n")
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class Receiver(Protocol):
    """The device's end."""

    def data_received(self, data: bytes) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...


class Cable:
    """Both transports: `near` is the device's, this object is the gateway's."""

    def __init__(self, tunnels: Tunnels, receiver: Receiver, high_water: int) -> None:
        self._tunnels, self._receiver, self._high_water = tunnels, receiver, high_water
        self._loop = asyncio.get_running_loop()
        self._tunnel: Tunnel | None = None
        self._down = b""
        self._closing = self._over = False
        self.clogged = False
        """Whether the device reads nothing."""
        slot = tunnels.limiter.acquire("192.0.2.1", self.abort)
        assert slot is not None
        self._slot = slot

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way to the device."""
        return not self._down

    @property
    def over(self) -> bool:
        """Whether the device was told that it has ended."""
        return self._over

    # The gateway's transport

    def write(self, data: bytes) -> None:
        """Send to the device."""
        if self._over:
            return
        if not self._down:
            self._loop.call_soon(self._deliver)
        self._down += data
        if len(self._down) > self._high_water and self._tunnel is not None and not self._tunnel.write_paused:
            self._tunnel.pause_writing()

    def close(self) -> None:
        """End it after what was written."""
        self._closing = True
        self._loop.call_soon(self._deliver)

    def abort(self) -> None:
        """End it now."""
        self._closing = True
        self._down = b""
        self._loop.call_soon(self._end)

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._closing

    def _deliver(self) -> None:
        if self.clogged or self._over:
            return
        data, self._down = self._down, b""
        if data:
            self._receiver.data_received(data)
        if self._tunnel is not None and self._tunnel.write_paused and not self._over:
            self._tunnel.resume_writing()
        if self._closing and not self._down:
            self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over = self._closing = True
        if self._tunnel is not None:
            self._tunnel.connection_lost(None)
        else:
            self._slot.release()
        self._receiver.connection_lost(None)

    # The device's side

    def unclog(self) -> None:
        """The device reads again."""
        self.clogged = False
        self._loop.call_soon(self._deliver)

    def sent(self, data: bytes) -> None:
        """The device wrote something."""
        self._loop.call_soon(self._take, data)

    def _take(self, data: bytes) -> None:
        if self._over:
            return
        if self._tunnel is None:
            found = _HANDSHAKE.search(data)
            assert found is not None
            self._tunnel = self._tunnels.open(self, self._slot, base64.b64decode(found[1]), _SWITCHING)
            return
        self._tunnel.data_received(data)


class Near:
    """What the device takes for its transport."""

    def __init__(self, send: Callable[[bytes], None], cut: Callable[[], None]) -> None:
        self._send, self._cut = send, cut
        self._closing = False

    def write(self, data: bytes) -> None:
        """Send to the gateway."""
        self._send(data)

    def abort(self) -> None:
        """Cut the connection."""
        self._closing = True
        self._cut()

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""

    def is_closing(self) -> bool:
        """Whether the device has cut it."""
        return self._closing
