"""All tunnels of this process: the control key, the handshake, the limits, the graceful end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.edge.attempts import Attempts
from gateway.edge.gate import Gate, Visit
from gateway.edge.http2 import Limits
from gateway.edge.settings import EdgeCounts, EdgeSettings
from gateway.edge.tunnel import Tunnel, Wire
from gateway.edge.wheel import TimerWheel
from gateway.exchange import Handler
from gateway.noise import (
    AuthenticationError,
    ControlKey,
    Initiation,
    MalformedMessageError,
    encode_early,
    error_frame,
    respond,
)
from services.shared.keys import ChallengeKey, MachineKey, PrivateKey
from services.shared.net.tls import TlsConnection
from services.shared.runtime.gc_tuning import give_back
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

_LOOK_EVERY = 2.0
"""Seconds between two looks at which tunnels are busy."""
_MANY = 256
"""Ciphers let go at once, half a megabyte, that are worth the millisecond of giving memory back."""
_CLOSING_STEPS = 50
_LAST_LOOKS, _LAST_WAIT = 50, 1.0
"""How long clients may take to read the end before they are cut off."""


def too_many(text: str, wait: int) -> bytes:
    """The answer to a request that came too early, before anything of the upgrade was said."""
    body = text.encode() + b"\n"
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: %d\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (wait, len(body), body)
    )


class Tunnels:
    """Made once, inside the running loop when no wheel is given."""

    def __init__(
        self,
        control_key: PrivateKey,
        handler: Handler,
        settings: EdgeSettings | None = None,
        wheel: TimerWheel | None = None,
        body_limit: Callable[[str], int] | None = None,
    ) -> None:
        """`body_limit` says for the target of a request how long its body may be, where that is more than usual."""
        self._control = ControlKey(control_key)
        self.handler = handler
        self.settings = settings or EdgeSettings()
        self.counts = EdgeCounts()
        self.limits = Limits(max_body=self.settings.max_body, body_limit=body_limit)
        self.wheel = wheel or TimerWheel.of_loop(asyncio.get_running_loop())
        self.gate = Gate(self.settings, self.counts)
        self.attempts = Attempts(self.settings, self.counts)
        self.closing = False
        self._tunnels: set[Tunnel] = set()
        self._looking = False
        self._last_id = 0

    @property
    def control_key(self) -> MachineKey:
        """The public Noise key, as `/key` publishes it."""
        return self._control.public

    def open(self, wire: Wire, visit: Visit, initiation: bytes, greeting: bytes = b"") -> Tunnel | None:
        """Answer a handshake on a transport, after `greeting`.

        The caller makes the tunnel the protocol of the transport and feeds it what was read ahead. None: it was
        refused as the wire demands (an error frame for a malformed message, silence for one that proves nothing, 429
        or an error frame for a machine that comes too often), and the transport is closing.
        """
        try:
            version = Initiation.parse(initiation).version
            least = self.settings.minimum_capability_version
            if version < least:
                text = f"unsupported client: capability version {version}, this server needs {least} or newer"
                self._refuse(wire, visit, greeting + error_frame(text), "version too old")
                return None
            response, session = respond(self._control, initiation, PrivateKey.clamp(os.urandom(32)))
        except MalformedMessageError as error:
            self._refuse(wire, visit, greeting + error_frame(str(error)), str(error))
            return None
        except AuthenticationError as error:
            self._refuse(wire, visit, greeting, str(error))
            return None
        if wait := self.attempts.of_machine(session.machine_key):
            text = f"too many connections of this machine, try again in {wait} s"
            self._refuse(wire, visit, too_many(text, wait) if greeting else error_frame(text), "machine reconnects")
            return None
        self._last_id += 1
        tunnel = Tunnel(self, wire, visit, session, self._last_id)
        self._tunnels.add(tunnel)
        if not self._looking:
            self._look()
        self.counts.handshakes += 1
        self.counts.tunnels = len(self._tunnels)
        visit.half_open_again()
        tunnel.begin(greeting + response, self._early_payload())
        if self.closing:
            tunnel.go_away()
        return tunnel

    def forget(self, tunnel: Tunnel) -> None:
        """The tunnel is gone."""
        self._tunnels.discard(tunnel)
        self.counts.tunnels = len(self._tunnels)

    def tls_failed(self, connection: TlsConnection, reason: str) -> None:
        """A peer broke the rules of TLS; the reason is one of OpenSSL's names."""
        self.counts.tls_failed += 1
        peer = connection.get_extra_info("peername")
        log.info("tls failed", reason=reason, address=peer[0] if peer else "")

    async def close(self, grace: float = 5.0) -> None:
        """Let the clients go one after the other, spread over `grace` seconds: GOAWAY, the end of the streams, close.

        Until its turn comes a client is served as before: told earlier, it would knock at a door that is shut.
        """
        self.closing = True
        waiting = list(self._tunnels)
        step = -(-len(waiting) // _CLOSING_STEPS) or 1
        for start in range(0, len(waiting), step):
            for tunnel in self._tunnels.intersection(waiting[start : start + step]):  # others have gone meanwhile
                tunnel.go_away()
                tunnel.end_streams()
            await asyncio.sleep(grace / _CLOSING_STEPS)
        for _ in range(_LAST_LOOKS):
            if not self._tunnels:
                return
            await asyncio.sleep(_LAST_WAIT / _LAST_LOOKS)
        for tunnel in list(self._tunnels):
            tunnel.abort()

    def _look(self) -> None:
        """Let ciphers rest that are not needed; they lie in memory as they were made, so whole pages get free."""
        if sum([tunnel.session.sealer.look() for tunnel in self._tunnels]) >= _MANY:
            give_back()
        self._looking = bool(self._tunnels)
        if self._looking:
            self.wheel.after(_LOOK_EVERY, self._look)

    def _early_payload(self) -> bytes:
        if not self.settings.send_early_payload:
            return b""
        # No released client answers the challenge, so its private half is not kept.
        public = X25519PrivateKey.generate().public_key().public_bytes_raw()
        return encode_early(ChallengeKey(public))

    def _refuse(self, wire: Wire, visit: Visit, last_words: bytes, reason: str) -> None:
        self.counts.handshakes_refused += 1
        log.info("handshake refused", reason=reason, address=visit.client)
        if last_words:
            wire.write(last_words)
        wire.close()
        self.wheel.after(self.settings.head_deadline, wire.abort)
