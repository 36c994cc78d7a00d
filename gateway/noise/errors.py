"""Errors of the Noise layer. No text here repeats bytes of the peer or of a key."""

from __future__ import annotations


class NoiseError(Exception):
    """The connection cannot continue; the raiser has dropped its cipher."""


class MalformedMessageError(NoiseError):
    """A message has the wrong size, type or length. The client gets an error frame."""


class AuthenticationError(NoiseError):
    """A key or a ciphertext is not authentic. The connection ends without an answer."""


class RemoteNoiseError(NoiseError):
    """The other side refused the handshake with an error frame; the text is its own and not authenticated."""

    def __init__(self, unverified_text: str) -> None:
        super().__init__("the other side refused the handshake")
        self.unverified_text = unverified_text
