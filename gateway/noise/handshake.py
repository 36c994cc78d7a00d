"""The handshake, for the server (`respond`) and for the client (`Initiator`).

Noise IK, in the notation of its specification; `s` of the server is the control key, `s` of the client the machine key:

    <- s
    ...
    -> e, es, s, ss
    <- e, ee, se
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.noise.errors import MalformedMessageError, RemoteNoiseError
from gateway.noise.messages import (
    TYPE_ERROR,
    Initiation,
    encode_response,
    parse_error_frame,
    parse_response,
)
from gateway.noise.record import RecordReader, RecordSealer
from gateway.noise.symmetric import SymmetricState, shared_secret
from services.shared.keys import MachineKey, PrivateKey


class ControlKey:
    """The server's long-lived Noise key, parsed once, because deriving its public half costs as much as an exchange."""

    __slots__ = ("_private", "public")

    def __init__(self, private: PrivateKey) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private.raw)
        self.public = MachineKey(self._private.public_key().public_bytes_raw())

    def exchange(self, public: bytes) -> bytes:
        """Compute X25519 with a client's key.

        Raises:
            AuthenticationError: that key is of low order.
        """
        return shared_secret(self._private, public)


@dataclass(frozen=True, slots=True)
class NoiseSession:
    """The result of a handshake: the identity of the other side, and one cipher for each direction.

    For the server `machine_key` is the client's. Only the first record that decrypts shows that the client is present,
    because an initiation can be replayed by anyone who captured it.
    """

    version: int
    machine_key: MachineKey
    reader: RecordReader = field(repr=False)
    sealer: RecordSealer = field(repr=False)
    handshake_hash: bytes = field(repr=False)


def prologue(version: int) -> bytes:
    """Return the prologue, which both sides mix in first, so that the version cannot be forged."""
    return b"Tailscale Control Protocol v%d" % version


def respond(control: ControlKey, initiation: bytes, ephemeral: PrivateKey) -> tuple[bytes, NoiseSession]:
    """Answer an initiation as the server. Returns the 51 bytes to send and the session.

    Raises:
        MalformedMessageError: wrong size, type or length; the client gets an error frame.
        AuthenticationError: it authenticates no machine key; close without an answer.
    """
    message = Initiation.parse(initiation)
    state = SymmetricState()
    state.mix(prologue(message.version))
    # <- s
    state.mix(control.public.raw)
    # -> e, es, s, ss
    state.mix(message.ephemeral)
    key = state.mix_key(control.exchange(message.ephemeral))
    machine_key = MachineKey(state.open(key, message.sealed_machine_key))
    key = state.mix_key(control.exchange(machine_key.raw))
    state.open(key, message.tag)
    # <- e, ee, se
    private = X25519PrivateKey.from_private_bytes(ephemeral.raw)
    public = private.public_key().public_bytes_raw()
    state.mix(public)
    state.mix_key(shared_secret(private, message.ephemeral))
    key = state.mix_key(shared_secret(private, machine_key.raw))
    response = encode_response(public, state.seal(key, b""))
    to_server, to_client = state.split()
    session = NoiseSession(message.version, machine_key, RecordReader(to_server), RecordSealer(to_client), state.h)
    return response, session


class Initiator:
    """The client's side: send `initiation`, then hand what came back to `finish`."""

    def __init__(self, machine: PrivateKey, control: MachineKey, ephemeral: PrivateKey, version: int) -> None:
        self._version = version
        self._control = control
        self._machine = X25519PrivateKey.from_private_bytes(machine.raw)
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral.raw)
        self._state: SymmetricState | None = SymmetricState()
        state = self._state
        state.mix(prologue(version))
        # <- s
        state.mix(control.raw)
        # -> e, es, s, ss
        public = self._ephemeral.public_key().public_bytes_raw()
        state.mix(public)
        key = state.mix_key(shared_secret(self._ephemeral, control.raw))
        sealed = state.seal(key, self._machine.public_key().public_bytes_raw())
        key = state.mix_key(shared_secret(self._machine, control.raw))
        self.initiation = Initiation(version, public, sealed, state.seal(key, b"")).encode()

    def finish(self, response: bytes) -> NoiseSession:
        """Process the server's answer, exactly one frame.

        Raises:
            RemoteNoiseError: it is a refusal.
            MalformedMessageError: it is not a response.
            AuthenticationError: it does not come from the holder of the control key.
        """
        if response[:1] == bytes([TYPE_ERROR]):
            raise RemoteNoiseError(parse_error_frame(response))
        state, self._state = self._state, None
        if state is None:
            raise MalformedMessageError("the handshake has ended")
        public, tag = parse_response(response)
        # <- e, ee, se
        state.mix(public)
        state.mix_key(shared_secret(self._ephemeral, public))
        key = state.mix_key(shared_secret(self._machine, public))
        state.open(key, tag)
        to_server, to_client = state.split()
        return NoiseSession(self._version, self._control, RecordReader(to_client), RecordSealer(to_server), state.h)
