"""The DERP login: ServerKey, ClientInfo, ServerInfo, for both roles. Bytes and keys in, values out.

Nonces are arguments.

    S -> C  ServerKey   magic, 32 server public key
    C -> S  ClientInfo  32 node key, 24 nonce, box(JSON)   proves possession of the node key
    S -> C  ServerInfo  24 nonce, box(JSON)

The box is NaCl's crypto_box (X25519, XSalsa20-Poly1305) between the node key and the server's key.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

import orjson
from nacl import public
from nacl.exceptions import CryptoError

from services.derp import frames
from services.shared.keys import NodeKey, PrivateKey

NONCE_SIZE: Final = 24
_MESH_KEY = re.compile(r"[0-9a-fA-F]{64}\Z", re.ASCII)


class LoginError(Exception):
    """The login is invalid; the connection must be closed. The text contains none of the peer's bytes."""


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The fields that a client sends about itself in its login.

    `mesh_key` is 32 bytes when the client claims to be a relay of this region, else None.
    """

    version: int = frames.PROTOCOL_VERSION
    can_ack_pings: bool = False
    is_prober: bool = False
    mesh_key: bytes | None = field(default=None, repr=False)


def public_key(private: PrivateKey) -> NodeKey:
    """Return the public key; on this wire a relay's key has the form of a node key."""
    return NodeKey(bytes(public.PrivateKey(private.raw).public_key))


def encode_server_key(server: NodeKey) -> bytes:
    """Return the ServerKey frame, the first of every connection."""
    return frames.frame(frames.SERVER_KEY, frames.MAGIC + server.raw)


def decode_server_key(payload: bytes) -> NodeKey:
    """Decode the payload of ServerKey; later versions may append to it.

    Raises:
        LoginError: the payload does not start with the magic, or is too short.
    """
    size = len(frames.MAGIC)
    if len(payload) < size + frames.KEY_SIZE or not payload.startswith(frames.MAGIC):
        raise LoginError("the server's first frame is not a server key")
    return NodeKey(payload[size : size + frames.KEY_SIZE])


def open_client_info(payload: bytes, server: PrivateKey) -> tuple[NodeKey, ClientInfo]:
    """Decrypt a ClientInfo; success proves that the client has the private node key.

    Raises:
        LoginError: decryption fails, or the plaintext is not a JSON object.
    """
    if len(payload) < frames.KEY_SIZE + NONCE_SIZE:
        raise LoginError("client info is too short")
    key = NodeKey(payload[: frames.KEY_SIZE])
    if key.is_zero or key.raw[31] & 0x80:
        # X25519 ignores the top bit, so a key that has it set would be a second name of the same node.
        raise LoginError("client info carries no node key")
    return key, _decode_client_info(_open(payload[frames.KEY_SIZE :], server, key))


def encode_client_info(info: ClientInfo, client: PrivateKey, server: NodeKey, nonce: bytes) -> bytes:
    """Return the ClientInfo frame, as a mesh peer sends it. `nonce` has 24 bytes."""
    fields: dict[str, object] = {"version": info.version, "CanAckPings": info.can_ack_pings}
    if info.mesh_key is not None:
        fields["meshKey"] = info.mesh_key.hex()
    if info.is_prober:
        fields["IsProber"] = True
    sealed = _seal(orjson.dumps(fields), client, server, nonce)
    return frames.frame(frames.CLIENT_INFO, public_key(client).raw + sealed)


def encode_server_info(server: PrivateKey, client: NodeKey, nonce: bytes) -> bytes:
    """Return the ServerInfo frame. No other frame may precede it after ServerKey (the Rust client accepts no other)."""
    sealed = _seal(orjson.dumps({"version": frames.PROTOCOL_VERSION}), server, client, nonce)
    return frames.frame(frames.SERVER_INFO, sealed)


def open_server_info(payload: bytes, client: PrivateKey, server: NodeKey) -> int:
    """Decrypt a ServerInfo and return the server's protocol version.

    Raises:
        LoginError: decryption fails, or the plaintext is not a JSON object.
    """
    return _number(_fields(_open(payload, client, server)).get("version"))


def mesh_key_matches(offered: bytes | None, ours: bytes | None) -> bool:
    """Return whether a client has our mesh key, compared in constant time. False if we have none."""
    return offered is not None and ours is not None and hmac.compare_digest(offered, ours)


def parse_mesh_key(text: str) -> bytes:
    """Parse a mesh key of 64 hex digits.

    Raises:
        ValueError: `text` has another form; the error does not contain it.
    """
    if not _MESH_KEY.match(text):
        raise ValueError("a mesh key has 64 hex digits")
    return bytes.fromhex(text)


def _seal(plain: bytes, ours: PrivateKey, theirs: NodeKey, nonce: bytes) -> bytes:
    try:
        return bytes(public.Box(public.PrivateKey(ours.raw), public.PublicKey(theirs.raw)).encrypt(plain, nonce))
    except (CryptoError, RuntimeError) as error:
        raise LoginError("the peer's key is of low order") from error


def _open(boxed: bytes, ours: PrivateKey, theirs: NodeKey) -> bytes:
    try:
        box = public.Box(public.PrivateKey(ours.raw), public.PublicKey(theirs.raw))
        return box.decrypt(boxed[NONCE_SIZE:], boxed[:NONCE_SIZE])
    except (CryptoError, RuntimeError, ValueError) as error:
        raise LoginError("the box does not open with the peer's key") from error


def _fields(text: bytes) -> dict[str, object]:
    """Decode a JSON object. Keys lose case and underscores: Go writes `CanAckPings`, Rust `can_ack_pings`."""
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise LoginError("the login holds no JSON") from error
    if not isinstance(decoded, dict):
        raise LoginError("the login holds no JSON object")
    return {key.lower().replace("_", ""): value for key, value in decoded.items()}


def _decode_client_info(text: bytes) -> ClientInfo:
    fields = _fields(text)
    mesh = fields.get("meshkey")
    return ClientInfo(
        version=_number(fields.get("version")),
        can_ack_pings=fields.get("canackpings") is True,
        is_prober=fields.get("isprober") is True,
        mesh_key=bytes.fromhex(mesh) if isinstance(mesh, str) and _MESH_KEY.match(mesh) else None,
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
