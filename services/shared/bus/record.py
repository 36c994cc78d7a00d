"""The format and signature of records on a bus that others may write to. No I/O.

    record = body (n bytes) | tag (16 bytes, absent without a deployment token)
    body   = kind (1 byte: 1 message, 2 gap) | length of the traceparent (1 byte) | traceparent | payload
    tag    = BLAKE2b(topic length (2 bytes, big endian) | topic | body; key, person "smartscale-bus")

The key is derived from the deployment token, so whoever may only publish on Redis cannot make a record. Signed
records can be replayed: readers of a change log check positions, and other readers only read the store again.
"""

from __future__ import annotations

import hashlib
import hmac

from services.shared.bus.port import Message, Reconnected

GAP = bytes((2, 0))
"""The body of a gap: messages of the topic may be missing."""

_MESSAGE = 1
_GAP = 2

TAG = 16
"""Bytes of a tag: a forger needs 2^128 publications."""

_PERSON = b"smartscale-bus"


class RecordSigner:
    """Signer and verifier of records with the key of a deployment; without a token records are not verified."""

    def __init__(self, token: str) -> None:
        self._key = hashlib.blake2b(token.encode(), digest_size=32, person=_PERSON).digest() if token else b""

    def sign(self, topic: str, body: bytes) -> bytes:
        """Return the signed record of a body on a topic."""
        return body + self._tag(topic, body) if self._key else body

    def verify(self, topic: str, record: bytes) -> bytes | None:
        """Return the body of a record, or None if the deployment did not sign it for this topic."""
        if not self._key:
            return record
        body, tag = record[:-TAG], record[-TAG:]
        return body if len(tag) == TAG and hmac.compare_digest(tag, self._tag(topic, body)) else None

    def _tag(self, topic: str, body: bytes) -> bytes:
        name = topic.encode()
        digest = hashlib.blake2b(len(name).to_bytes(2, "big") + name, digest_size=TAG, key=self._key, person=_PERSON)
        digest.update(body)
        return digest.digest()


def pack(payload: bytes, traceparent: str) -> bytes:
    """Return the body of a message."""
    trace = traceparent.encode()[:255]
    return bytes((_MESSAGE, len(trace))) + trace + payload


def unpack(topic: str, body: bytes) -> Message | Reconnected | None:
    """Decode a body, or return None if it has another format."""
    if len(body) < 2 or body[0] not in (_MESSAGE, _GAP) or len(body) < 2 + body[1]:
        return None
    if body[0] == _GAP:
        return Reconnected()
    end = 2 + body[1]
    return Message(topic, body[end:], body[2:end].decode("ascii", "replace"))
