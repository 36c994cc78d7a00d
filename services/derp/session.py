"""The state machine of one connection after its upgrade: login, admission, then frames to the relay. Knows no socket.

    start            ServerKey out
    LOGIN            only ClientInfo is accepted; once decrypted, `process` returns a LoginRequest and stops reading
    ADMISSION        the connection checks admission (not for mesh peers); received bytes are buffered
    OPEN             ServerInfo out, then everything goes to the relay

Any error closes the connection; this wire has no message for a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.derp import frames, handshake
from services.derp.relay import Client, Outlet, Relay
from services.shared.keys import NodeKey, PrivateKey

LOGIN_READ: Final = 16 << 10
"""Maximum number of bytes per read before login."""

_HELD_LIMIT = 128 << 10
_RUN_LIMIT = 64 << 10
_MESH_FRAMES = frozenset((frames.FORWARD_PACKET, frames.WATCH_CONNS, frames.CLOSE_PEER))


class Stage(Enum):
    """State of a connection."""

    LOGIN = "login"
    ADMISSION = "admission"
    OPEN = "open"


class ProtocolError(Exception):
    """The peer violated the protocol; the connection must be closed."""


@dataclass(frozen=True, slots=True)
class RelayKeys:
    """A relay's key pair, and the mesh key that its region shares (None without a mesh)."""

    private: PrivateKey
    public: NodeKey
    mesh_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """A client that proved its node key and awaits admission."""

    key: NodeKey
    mesh: bool
    info: handshake.ClientInfo


class RelaySession:
    """The server side of one DERP connection."""

    __slots__ = (
        "_address",
        "_identity",
        "_login",
        "_nonce",
        "_not_ideal",
        "_outlet",
        "_relay",
        "client",
        "reader",
        "stage",
    )

    def __init__(
        self,
        relay: Relay,
        identity: RelayKeys,
        outlet: Outlet,
        address: tuple[str, int],
        *,
        nonce: Callable[[int], bytes],
        not_ideal: bool = False,
        scratch: memoryview | None = None,
    ) -> None:
        """`nonce(n)` returns n random bytes; `scratch` may be shared by all sessions of a thread."""
        self._relay = relay
        self._identity = identity
        self._outlet = outlet
        self._address = address
        self._nonce = nonce
        self._not_ideal = not_ideal
        self._login: LoginRequest | None = None
        self.client: Client | None = None
        self.stage = Stage.LOGIN
        self.reader = frames.FrameReader(frames.LOGIN_BOUNDS, strict=True, scratch=scratch)

    def start(self) -> None:
        """Send ServerKey: in DERP the server sends first."""
        self._outlet.write(handshake.encode_server_key(self._identity.public))

    def process(self, now: float) -> LoginRequest | None:
        """Process every whole buffered frame. A returned LoginRequest is to be followed by `admit`, or by closing.

        Raises:
            FrameError, LoginError, ProtocolError: the connection must be closed.
        """
        if self.stage is Stage.OPEN:
            self.relay(now)
            return None
        if self.stage is Stage.ADMISSION:
            self.reader.hold()
            if self.reader.buffered > _HELD_LIMIT:
                raise ProtocolError("too much was sent before the login was answered")
            return None
        found = self.reader.advance()
        if found is None:
            return None
        _, start, end = found
        key, info = handshake.open_client_info(bytes(self.reader.view[start:end]), self._identity.private)
        mesh = handshake.mesh_key_matches(info.mesh_key, self._identity.mesh_key)
        self.reader.hold()
        self.stage = Stage.ADMISSION
        self._login = LoginRequest(key, mesh, info)
        return self._login

    def admit(self, now: float) -> None:
        """Admit the client, and process the frames received meanwhile."""
        login, self._login = self._login, None
        assert login is not None and self.stage is Stage.ADMISSION
        self._outlet.write(handshake.encode_server_info(self._identity.private, login.key, self._nonce(24)))
        flags = frames.PRESENT_MESH if login.mesh else frames.PRESENT_REGULAR
        if login.info.is_prober:
            flags |= frames.PRESENT_PROBER
        if self._not_ideal:
            flags |= frames.PRESENT_NOT_IDEAL
        self.client = Client(login.key, self._outlet, self._address, now, mesh=login.mesh, flags=flags)
        self.stage = Stage.OPEN
        self._relay.join(self.client, now)
        self.reader.bounds, self.reader.strict = frames.SERVER_BOUNDS, False
        self.reader.receive(b"")
        self.relay(now)

    def end(self) -> None:
        """Remove the client of a closed connection from the relay."""
        if self.client is not None:
            self._relay.leave(self.client)
            self.client = None

    def relay(self, now: float) -> None:
        """Process every whole frame of an admitted client. Consecutive packets to one writable client are sent as one
        run of bytes, each rewritten in place from SendPacket to RecvPacket.

        Raises:
            FrameError, ProtocolError: the connection must be closed.
        """
        client, relay, reader = self.client, self._relay, self.reader
        assert client is not None
        source = client.raw
        target: Client | None = None
        destination, run_view = b"", reader.view
        run_start = run_end = run_count = 0
        while (found := reader.advance()) is not None:
            kind, start, end = found
            view = reader.view
            if kind != frames.SEND_PACKET:
                self._other(client, kind, bytes(view[start:end]), now)
                continue
            if client.shared_key:
                relay.sent_by(client)
            head, packet = start - frames.HEADER_SIZE, start + frames.KEY_SIZE
            if target is not None:
                if head == run_end and end - run_start <= _RUN_LIMIT and view[start:packet] == destination:
                    view[head] = frames.RECV_PACKET
                    view[start:packet] = source
                    run_end = end
                    run_count += 1
                    continue
                self._relay_run(target, source, bytes(run_view[run_start:run_end]), run_count)
                target = None
            destination = bytes(view[start:packet])
            found_target = relay.active.get(destination)
            if found_target is None or not found_target.outlet.writable:
                relay.send(client, destination, bytes(view[packet:end]), now)
                continue
            target, run_view, run_start, run_end, run_count = found_target, view, head, end, 1
            view[head] = frames.RECV_PACKET
            view[start:packet] = source
        if target is not None:
            self._relay_run(target, source, bytes(run_view[run_start:run_end]), run_count)

    def _relay_run(self, target: Client, source: bytes, run: bytes, count: int) -> None:
        counters = self._relay.counters
        counters.packets_received += count
        counters.bytes_received += len(run) - count * (frames.HEADER_SIZE + frames.KEY_SIZE)
        self._relay.delivered(target, source, count, len(run))
        target.outlet.write(run)

    def _other(self, client: Client, kind: int, payload: bytes, now: float) -> None:
        if kind == frames.PING:
            self._relay.ping(client, payload[:8])
        elif kind == frames.NOTE_PREFERRED:
            if payload not in (b"\x00", b"\x01"):
                raise ProtocolError("note preferred is neither 0 nor 1")
            self._relay.note_preferred(client, payload == b"\x01")
        elif kind in _MESH_FRAMES:
            if not client.mesh:
                raise ProtocolError("a client that is no relay of the region used its frames")
            self._mesh_frame(client, kind, payload)

    def _mesh_frame(self, client: Client, kind: int, payload: bytes) -> None:
        if kind == frames.WATCH_CONNS:
            self._relay.watch(client)
        elif kind == frames.CLOSE_PEER:
            self._relay.close_peer(payload)
        else:
            self._relay.forwarded(payload[:32], payload[32:64], payload[64:])
