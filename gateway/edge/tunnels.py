"""All tunnels of this process: control key, handshakes, limits, graceful end. Knows no path and no request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.edge.handshake_rates import HandshakeRates
from gateway.edge.http2 import Limits
from gateway.edge.limiter import ConnectionLimiter, ConnectionSlot
from gateway.edge.outage_guard import OutageGuard
from gateway.edge.peer_watch import AwakeMachines
from gateway.edge.settings import EdgeCounts, EdgeSettings
from gateway.edge.tunnel import Tunnel, TunnelTransport
from gateway.edge.wheel import TimerWheel
from gateway.exchange import Handler
from gateway.noise import (
    AuthenticationError,
    ControlKey,
    Initiation,
    MalformedMessageError,
    NoiseSession,
    encode_early,
    error_frame,
    respond,
)
from gateway.proxies import Network
from services.shared.config.processes import GatewayConfig
from services.shared.keys import ChallengeKey, MachineKey, PrivateKey
from services.shared.net.tls import TlsConnection
from services.shared.runtime.gc_tuning import give_back
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MINIMUM_CAPABILITY_VERSION = 113
"""Tailscale v1.80."""
_CIPHER_INTERVAL = 2.0
"""Seconds between two sweeps that drop idle ciphers."""
_MANY_CIPHERS = 256
"""Ciphers dropped at once, half a megabyte, that are worth the millisecond of returning memory to the system."""
_CLOSING_STEPS = 50
_CLOSED_POLLS, _CLOSED_WAIT = 50, 1.0
"""Seconds that clients have to read the end before they are cut off, and between two checks meanwhile."""


def too_many_requests(text: str, wait: int) -> bytes:
    """Return a whole HTTP/1.1 answer 429, for an upgrade that was not answered yet."""
    body = text.encode() + b"\n"
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: %d\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (wait, len(body), body)
    )


class _RefusedError(Exception):
    """A handshake is refused: the bytes to send (none: close silently) and the reason for the log."""

    def __init__(self, answer: bytes, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


class Tunnels:
    """The tunnels of one process. Without a wheel it must be made inside the running loop."""

    def __init__(
        self,
        control_key: PrivateKey,
        handler: Handler,
        config: GatewayConfig | None = None,
        wheel: TimerWheel | None = None,
        body_limit: Callable[[str], int] | None = None,
        *,
        trusted_proxies: Sequence[Network] = (),
        send_early_payload: bool = True,
    ) -> None:
        """`body_limit` returns for the target of a request the bytes its body may have beyond the usual limit."""
        self._control = ControlKey(control_key)
        self._send_early_payload = send_early_payload
        self.handler = handler
        self.settings = EdgeSettings.of(config or GatewayConfig(), trusted_proxies)
        self.counts = EdgeCounts()
        self.limits = Limits(max_body=self.settings.max_body, body_limit=body_limit)
        self.wheel = wheel or TimerWheel.of_loop(asyncio.get_running_loop())
        self.guard = OutageGuard(self.wheel.now, self.wheel.stalled_since)
        self.awake = AwakeMachines()
        self.limiter = ConnectionLimiter(self.settings, self.counts)
        self.handshake_rates = HandshakeRates(self.settings, self.counts)
        self.closing = False
        self._tunnels: set[Tunnel] = set()
        self._sweeping = False
        self._last_id = 0

    @property
    def control_key(self) -> MachineKey:
        """The public Noise key, as `/key` publishes it."""
        return self._control.public

    @property
    def tunnel_count(self) -> int:
        """Number of open tunnels."""
        return len(self._tunnels)

    def open(
        self, transport: TunnelTransport, slot: ConnectionSlot, initiation: bytes, preamble: bytes = b""
    ) -> Tunnel | None:
        """Answer a handshake on a transport, after `preamble`.

        The caller makes the tunnel the protocol of the transport and feeds it what was read ahead. Returns None if the
        handshake was refused as the protocol demands (an error frame for a malformed message, silence for one that
        proves nothing, 429 or an error frame for a machine that connects too often); the transport is then closing.
        """
        try:
            response, session = self._respond(initiation, preamble)
        except _RefusedError as refused:
            self._refuse(transport, slot, refused)
            return None
        self._last_id += 1
        tunnel = Tunnel(self, transport, slot, session, self._last_id)
        self._tunnels.add(tunnel)
        if not self._sweeping:
            self._drop_idle_ciphers()
        self.counts.handshakes += 1
        self.counts.tunnels = len(self._tunnels)
        slot.mark_half_open()
        tunnel.begin(preamble + response, self._early_payload())
        if self.closing:
            tunnel.go_away()
        return tunnel

    def admit(self, tunnel: Tunnel) -> bool:
        """Charge an authenticated tunnel to its machine. Returns False if that machine opens too many."""
        return not self.handshake_rates.charge_machine(tunnel.session.machine_key)

    def forget(self, tunnel: Tunnel) -> None:
        """Remove a tunnel whose connection has ended."""
        self._tunnels.discard(tunnel)
        self.counts.tunnels = len(self._tunnels)

    def tls_failed(self, connection: TlsConnection, reason: str) -> None:
        """Count a TLS error of a peer; the reason is one of OpenSSL's names."""
        self.counts.tls_failed += 1
        peer = connection.get_extra_info("peername")
        log.info("tls failed", reason=reason, address=peer[0] if peer else "")

    async def close(self, grace: float = 5.0) -> None:
        """Close tunnel after tunnel, spread over `grace` seconds: GOAWAY, end of the streams, close.

        Until its turn a client is served as before, because it would only reconnect to a listener that is closed.
        """
        self.closing = True
        waiting = list(self._tunnels)
        step = -(-len(waiting) // _CLOSING_STEPS) or 1
        for start in range(0, len(waiting), step):
            for tunnel in self._tunnels.intersection(waiting[start : start + step]):  # others have ended meanwhile
                tunnel.go_away()
                tunnel.end_streams()
            await asyncio.sleep(grace / _CLOSING_STEPS)
        for _ in range(_CLOSED_POLLS):
            if not self._tunnels:
                return
            await asyncio.sleep(_CLOSED_WAIT / _CLOSED_POLLS)
        for tunnel in list(self._tunnels):
            tunnel.abort()

    def _respond(self, initiation: bytes, preamble: bytes) -> tuple[bytes, NoiseSession]:
        """Compute the answer to an initiation.

        Raises:
            _RefusedError: no tunnel may open.
        """
        try:
            version = Initiation.parse(initiation).version
            if version < MINIMUM_CAPABILITY_VERSION:
                needed = f"this server needs {MINIMUM_CAPABILITY_VERSION} or newer"
                text = f"unsupported client: capability version {version}, {needed}"
                raise _RefusedError(preamble + error_frame(text), "version too old")
            response, session = respond(self._control, initiation, PrivateKey.clamp(os.urandom(32)))
        except MalformedMessageError as error:
            raise _RefusedError(preamble + error_frame(str(error)), str(error)) from None
        except AuthenticationError as error:
            raise _RefusedError(preamble, str(error)) from None
        if wait := self.handshake_rates.machine_wait(session.machine_key):
            text = f"too many connections of this machine, try again in {wait} s"
            answer = too_many_requests(text, wait) if preamble else error_frame(text)
            raise _RefusedError(answer, "machine reconnects")
        return response, session

    def _drop_idle_ciphers(self) -> None:
        """Drop ciphers of idle tunnels; they were allocated together, so whole pages become free."""
        if sum([tunnel.session.sealer.drop_idle_cipher() for tunnel in self._tunnels]) >= _MANY_CIPHERS:
            give_back()
        self._sweeping = bool(self._tunnels)
        if self._sweeping:
            self.wheel.after(_CIPHER_INTERVAL, self._drop_idle_ciphers)

    def _early_payload(self) -> bytes:
        if not self._send_early_payload:
            return b""
        # No released client answers the challenge, so its private half is not kept.
        public = X25519PrivateKey.generate().public_key().public_bytes_raw()
        return encode_early(ChallengeKey(public))

    def _refuse(self, transport: TunnelTransport, slot: ConnectionSlot, refused: _RefusedError) -> None:
        self.counts.handshakes_refused += 1
        log.info("handshake refused", reason=str(refused), address=slot.client)
        if refused.answer:
            transport.write(refused.answer)
        transport.close()
        self.wheel.after(self.settings.head_deadline, transport.abort)
