"""What can go wrong in the Noise layer. No text here ever repeats bytes of the peer or of a key."""

from __future__ import annotations


class NoiseError(Exception):
    """The connection cannot go on; whoever raised this has already dropped its cipher."""


class MalformedMessageError(NoiseError):
    """A message has the wrong size, type or length. A client is told so in an error frame."""


class AuthenticationError(NoiseError):
    """A key or a ciphertext proved nothing. The client is told nothing: the connection just ends."""


class RemoteNoiseError(NoiseError):
    """The other side refused the handshake with an error frame; the text is its own, unproven."""

    def __init__(self, unverified_text: str) -> None:
        super().__init__("the other side refused the handshake")
        self.unverified_text = unverified_text
