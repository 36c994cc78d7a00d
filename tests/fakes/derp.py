"""What relay tests share: the vectors, an outlet that remembers, and the client's half of the protocol."""

from __future__ import annotations

from pathlib import Path

from services.derp import frames, handshake
from services.derp.relay import Client, Relay
from services.shared.keys import NodeKey, PrivateKey

_FILE = Path(__file__).parents[1] / "wire" / "vectors" / "derp.txt"

VECTORS = {
    name: bytes.fromhex(value)
    for name, value in (line.split() for line in _FILE.read_text().splitlines() if line and not line.startswith("#"))
}


def key(number: int) -> NodeKey:
    """A node key that is easy to tell from others."""
    return NodeKey(bytes((number,)) * 32 if number < 256 else number.to_bytes(32))


def private(number: int) -> PrivateKey:
    """A private key that is easy to tell from others."""
    return PrivateKey.clamp(bytes((number,)) * 32)


def disco_packet(text: bytes = b"") -> bytes:
    """A packet that a relay takes for discovery."""
    return frames.DISCO_MAGIC + bytes(56) + text


class FakeOutlet:
    """The sending side of a connection: takes frames until it is told to be full."""

    def __init__(self) -> None:
        self.writable = True
        self.closed = ""
        self._reader = frames.FrameReader(dict.fromkeys(range(256), (0, frames.MAX_FRAME)))
        self.frames: list[frames.Frame] = []

    def write(self, data: bytes) -> None:
        """Remember the frames in `data`."""
        assert self.writable, "written to while full"
        self.frames.extend(self._reader.frames(data))

    def close(self, reason: str) -> None:
        """Remember why."""
        self.closed = self.closed or reason

    def taken(self, *kinds: int) -> list[frames.Frame]:
        """Frames since the last call, of these types or of all."""
        found = [frame for frame in self.frames if not kinds or frame.kind in kinds]
        self.frames.clear()
        return found


class Peer:
    """A client of a relay with a fake connection."""

    def __init__(self, relay: Relay, number: int, now: float = 0.0, *, mesh: bool = False) -> None:
        self.relay = relay
        self.outlet = FakeOutlet()
        self.client = Client(key(number), self.outlet, ("192.0.2.1", number), now, mesh=mesh)
        self.raw = self.client.raw
        relay.join(self.client, now)

    def send(self, to: Peer | bytes, packet: bytes, now: float = 0.0) -> None:
        """Send a packet by the relay."""
        self.relay.send(self.client, to.raw if isinstance(to, Peer) else to, packet, now)

    def packets(self) -> list[bytes]:
        """Packets that arrived since the last look."""
        return [frame.payload[32:] for frame in self.outlet.taken(frames.RECV_PACKET)]

    def gone(self) -> list[tuple[bytes, int]]:
        """Peers that were said to be gone since the last look."""
        return [(frame.payload[:32], frame.payload[32]) for frame in self.outlet.taken(frames.PEER_GONE)]

    def fill(self) -> None:
        """Take nothing more for now."""
        self.outlet.writable = False

    def drain(self) -> None:
        """Take everything again."""
        self.outlet.writable = True
        self.client.flush()


def login_frame(client: PrivateKey, server: NodeKey, mesh_key: bytes | None = None) -> bytes:
    """A ClientInfo frame."""
    info = handshake.ClientInfo(can_ack_pings=True, mesh_key=mesh_key)
    return handshake.encode_client_info(info, client, server, bytes(24))
