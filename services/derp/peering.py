"""The client side of a mesh link between two relays of one region: its login, and the handling of received frames.
Knows no socket.

We log in with our own relay key and the region's mesh key, subscribe to its connections, and from then on the
other relay forwards to the node keys that it has announced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.derp import frames, handshake
from services.derp.backlog import Backlog
from services.derp.relay import Outlet, Relay
from services.derp.session import ProtocolError, RelayKeys
from services.shared.keys import NodeKey

MESH_DEPTH: Final = 512
"""Maximum number of queued packets per link; it carries the traffic of many clients."""


class Peering:
    """A link to another relay; the `Forwarder` for the keys connected there."""

    def __init__(
        self,
        relay: Relay,
        identity: RelayKeys,
        outlet: Outlet,
        *,
        nonce: Callable[[int], bytes],
        wanted: Callable[[NodeKey], bool],
    ) -> None:
        """`identity` must have a mesh key; `nonce(n)` returns n random bytes; `wanted(key)` returns whether to keep a
        link to the relay with that key."""
        self._relay = relay
        self._identity = identity
        self._outlet = outlet
        self._nonce = nonce
        self._wanted = wanted
        self._keys: set[bytes] = set()
        self._backlog = Backlog(MESH_DEPTH)
        self.server: NodeKey | None = None
        self.established = False
        self.reader = frames.FrameReader(frames.CLIENT_BOUNDS)

    def receive(self, data: bytes) -> None:
        """Process bytes from the other relay.

        Raises:
            FrameError, LoginError, ProtocolError: the link must be closed.
        """
        for frame in self.reader.frames(data):
            if self.server is None:
                self._log_in(frame)
            elif not self.established:
                self._logged_in(frame)
            else:
                self._frame(frame)

    def forward(self, source: bytes, destination: bytes, packet: bytes) -> bool:
        """Forward a packet to the other relay. Returns False if it or an older one was dropped."""
        data = frames.forward_packet(source, destination, packet)
        if not self.established:
            return False
        if self._outlet.writable:
            self._outlet.write(data)
            return True
        return self._backlog.push_packet(data, disco=frames.is_disco(packet))

    def flush(self) -> None:
        """Send the queued frames; to be called when the outlet is writable again."""
        waiting = self._backlog.take()
        if waiting:
            self._outlet.write(b"".join(waiting))

    def end(self) -> None:
        """Remove the routes of a closed link."""
        self.established = False
        for key in self._keys:
            self._relay.remove_forwarder(key, self)
        self._keys.clear()

    def _log_in(self, frame: frames.Frame) -> None:
        if frame.kind != frames.SERVER_KEY:
            raise ProtocolError("the other relay did not begin with its key")
        self.server = handshake.decode_server_key(frame.payload)
        if not self._wanted(self.server):
            raise ProtocolError("a link to that relay is of no use")
        info = handshake.ClientInfo(can_ack_pings=True, mesh_key=self._identity.mesh_key)
        nonce = self._nonce(handshake.NONCE_SIZE)
        self._outlet.write(handshake.encode_client_info(info, self._identity.private, self.server, nonce))

    def _logged_in(self, frame: frames.Frame) -> None:
        assert self.server is not None
        if frame.kind != frames.SERVER_INFO:
            raise ProtocolError("the other relay did not answer the login")
        handshake.open_server_info(frame.payload, self._identity.private, self.server)
        self.established = True
        self._outlet.write(frames.WATCH_CONNS_FRAME)

    def _frame(self, frame: frames.Frame) -> None:
        key = frame.payload[: frames.KEY_SIZE]
        if frame.kind == frames.PEER_PRESENT:
            if key != self._identity.public.raw:
                self._keys.add(key)
                self._relay.add_forwarder(key, self)
        elif frame.kind == frames.PEER_GONE:
            self._keys.discard(key)
            self._relay.remove_forwarder(key, self)
        elif frame.kind == frames.PING:
            if self._outlet.writable:
                self._outlet.write(frames.frame(frames.PONG, frame.payload[:8]))
        elif frame.kind == frames.RESTARTING:
            raise ProtocolError("the other relay is restarting")
