"""Public and private keys as types of their own. Owns their text form; refuses to do cryptography.

Text form (Tailscale `types/key/util.go`): a prefix that names the kind, then lower-case hex. Parsers
take upper-case hex too, demand the exact length and refuse every other prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Self

_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z", re.ASCII)


class KeyFormatError(ValueError):
    """The text is not a key of the wanted kind; the message never repeats the text."""


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """32 bytes with a kind; use one of the subclasses."""

    prefix: ClassVar[str] = ""
    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise KeyFormatError(f"a {type(self).__name__} has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            KeyFormatError: another prefix, another length, or not hex.
        """
        if not text.startswith(cls.prefix) or not _HEX64.match(text[len(cls.prefix) :]):
            raise KeyFormatError(f"not a {cls.__name__}: want {cls.prefix!r} and 64 hex digits")
        return cls(bytes.fromhex(text[len(cls.prefix) :]))

    @classmethod
    def zero(cls) -> Self:
        """Return the key of 32 zero bytes: on this wire it means "none"."""
        return cls(bytes(32))

    @property
    def is_zero(self) -> bool:
        """True if this stands for "none"."""
        return not any(self.raw)

    def __str__(self) -> str:
        return self.prefix + self.raw.hex()


@dataclass(frozen=True, slots=True, order=True)
class MachineKey(PublicKey):
    """Who a client is: the X25519 key that its Noise handshake proved."""

    prefix: ClassVar[str] = "mkey:"


@dataclass(frozen=True, slots=True, order=True)
class NodeKey(PublicKey):
    """A node's WireGuard key; it rotates."""

    prefix: ClassVar[str] = "nodekey:"


@dataclass(frozen=True, slots=True, order=True)
class DiscoKey(PublicKey):
    """A node's key for path discovery; zero means unknown."""

    prefix: ClassVar[str] = "discokey:"


@dataclass(frozen=True, slots=True, order=True)
class ChallengeKey(PublicKey):
    """The key offered in the early payload of a Noise connection."""

    prefix: ClassVar[str] = "chalpub:"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """32 secret bytes (X25519, clamped). Never printed; `text()` is for the key file only."""

    prefix: ClassVar[str] = "privkey:"
    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise KeyFormatError("a private key has 32 bytes")

    @classmethod
    def clamp(cls, seed: bytes) -> Self:
        """Make a key of 32 random bytes (RFC 7748 section 5: clear three low bits, set bit 254)."""
        raw = bytearray(seed)
        raw[0] &= 248
        raw[31] = (raw[31] & 127) | 64
        return cls(bytes(raw))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a key file.

        Raises:
            KeyFormatError: another prefix, another length, or not hex.
        """
        text = text.strip()
        if not text.startswith(cls.prefix) or not _HEX64.match(text[len(cls.prefix) :]):
            raise KeyFormatError("not a private key: want 'privkey:' and 64 hex digits")
        return cls(bytes.fromhex(text[len(cls.prefix) :]))

    def text(self) -> str:
        """Return the secret text form, for a file of mode 0600."""
        return self.prefix + self.raw.hex()
