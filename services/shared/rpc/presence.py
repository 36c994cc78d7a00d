"""The checksum by which a gateway and the registry compare the sessions that each holds. Pure arithmetic.

It is a sum over all sessions, so a gateway updates it with each change and a database computes it in one statement. It
finds lost and doubled rows; it does not defend against a forger, because both sides trust each other.
"""

from __future__ import annotations

from dataclasses import dataclass

MODULUS = 65521
"""The largest prime below 2^16: products stay below 2^32, and the sum of 2^31 of them below 2^63."""


@dataclass(frozen=True, slots=True)
class SessionsDigest:
    """Number and checksum of the sessions of one gateway."""

    count: int
    checksum: int


def checksum_of(session_id: int, node_id: int) -> int:
    """Return the term of one session: `(session_id % MODULUS) * (node_id % MODULUS + 1)`."""
    return (session_id % MODULUS) * (node_id % MODULUS + 1)
