"""The control protocol's Noise layer, sans-IO: bytes in, values out. Knows no socket, no clock, no randomness.

Noise IK with X25519, ChaCha20-Poly1305 and BLAKE2s, between a client's machine key and the control key (Tailscale
`control/controlbase`). Both roles are here, so that tests can play the client.
"""

from gateway.noise.early import EARLY_MAGIC, decode_early, encode_early
from gateway.noise.errors import AuthenticationError, MalformedMessageError, NoiseError, RemoteNoiseError
from gateway.noise.handshake import ControlKey, Initiator, NoiseSession, respond
from gateway.noise.messages import (
    INITIATION_SIZE,
    MAX_FRAME,
    MAX_PLAINTEXT,
    RESPONSE_SIZE,
    Initiation,
    error_frame,
    parse_error_frame,
)
from gateway.noise.record import RecordReader, RecordSealer

__all__ = [
    "EARLY_MAGIC",
    "INITIATION_SIZE",
    "MAX_FRAME",
    "MAX_PLAINTEXT",
    "RESPONSE_SIZE",
    "AuthenticationError",
    "ControlKey",
    "Initiation",
    "Initiator",
    "MalformedMessageError",
    "NoiseError",
    "NoiseSession",
    "RecordReader",
    "RecordSealer",
    "RemoteNoiseError",
    "decode_early",
    "encode_early",
    "error_frame",
    "parse_error_frame",
    "respond",
]
