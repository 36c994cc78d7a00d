"""The running state of a handshake: the hash of all messages, and the chaining key.

Noise specification section 5.2, with two points that stock code gets differently:

* HMAC is RFC 2104 over BLAKE2s-256 with its 64-byte block, not the keyed mode of BLAKE2s;
* each key seals exactly one message, so the nonce is always twelve zero bytes here.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.noise.errors import AuthenticationError

PROTOCOL_NAME = b"Noise_IK_25519_ChaChaPoly_BLAKE2s"
_ZERO_NONCE = bytes(12)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Two keys of 32 bytes: salt is the chaining key, the info is empty."""
    extracted = hmac.digest(chaining_key, material, hashlib.blake2s)
    first = hmac.digest(extracted, b"\x01", hashlib.blake2s)
    return first, hmac.digest(extracted, first + b"\x02", hashlib.blake2s)


def shared_secret(private: X25519PrivateKey, public: bytes) -> bytes:
    """X25519, refusing points of low order.

    Raises:
        AuthenticationError: the result is all zeros.
    """
    try:
        secret = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise AuthenticationError("a public key of low order") from None
    if not any(secret):
        raise AuthenticationError("a public key of low order")
    return secret


class SymmetricState:
    """`h` and `ck` of the Noise specification; `tests/wire` reads both after every step."""

    __slots__ = ("ck", "h")

    def __init__(self) -> None:
        self.h = self.ck = _hash(PROTOCOL_NAME)

    def mix(self, data: bytes) -> None:
        """Mix `data` into the transcript hash."""
        self.h = _hash(self.h + data)

    def mix_key(self, secret: bytes) -> bytes:
        """Fold a shared secret in; the answer seals or opens one message."""
        self.ck, key = hkdf(self.ck, secret)
        return key

    def seal(self, key: bytes, plaintext: bytes) -> bytes:
        """Encrypt under the transcript, then make the ciphertext part of it."""
        ciphertext = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, plaintext, self.h)
        self.mix(ciphertext)
        return ciphertext

    def open(self, key: bytes, ciphertext: bytes) -> bytes:
        """Decrypt under the transcript, then make the ciphertext part of it.

        Raises:
            AuthenticationError: the ciphertext does not belong here.
        """
        try:
            plaintext = ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, ciphertext, self.h)
        except InvalidTag:
            raise AuthenticationError("a handshake message does not decrypt") from None
        self.mix(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """Return the two transport keys: client to server, server to client."""
        return hkdf(self.ck, b"")
