"""The early payload, which the server may send before the first HTTP/2 byte. Does no I/O.

     0  5  ff ff ff "TS": no HTTP/2 frame header starts like this, so clients can distinguish the two
     5  4  length L, big-endian
     9  L  JSON {"nodeKeyChallenge":"chalpub:<64 hex>"}

Go clients accept 10 MiB, the Rust client (tailscale-rs) 1024 bytes; ours has 95. No released client answers the
challenge (Tailscale `control/ts2021/conn.go`).
"""

from __future__ import annotations

import json

from gateway.noise.errors import MalformedMessageError
from services.shared.keys import ChallengeKey, KeyFormatError

EARLY_MAGIC = b"\xff\xff\xffTS"
MAX_LENGTH = 1024
_HEAD = len(EARLY_MAGIC) + 4


def encode_early(challenge: ChallengeKey) -> bytes:
    """Encode the payload that offers a challenge key."""
    body = b'{"nodeKeyChallenge":"%b"}' % str(challenge).encode()
    return EARLY_MAGIC + len(body).to_bytes(4, "big") + body


def decode_early(stream: bytes) -> tuple[ChallengeKey | None, int] | None:
    """Read the start of a server's plaintext as a client does.

    Returns the challenge and how many bytes it took, `(None, 0)` when HTTP/2 starts at once, and None while
    too few bytes have arrived.

    Raises:
        MalformedMessageError: it starts like an early payload but is not one.
    """
    if not stream.startswith(EARLY_MAGIC):
        return None if EARLY_MAGIC.startswith(stream) else (None, 0)
    if len(stream) < _HEAD:
        return None
    length = int.from_bytes(stream[5:9], "big")
    if length > MAX_LENGTH:
        raise MalformedMessageError("the early payload is too long")
    if len(stream) < _HEAD + length:
        return None
    try:
        payload = json.loads(stream[_HEAD : _HEAD + length])
        return ChallengeKey.parse(payload["nodeKeyChallenge"]), _HEAD + length
    except (ValueError, TypeError, KeyError, AttributeError, KeyFormatError):
        raise MalformedMessageError("the early payload is malformed") from None
