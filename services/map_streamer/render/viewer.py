"""The viewer: the properties of a session's client that a rendered message depends on."""

from __future__ import annotations

from functools import cache

import msgspec

HOME_DERP_SINCE = 111
"""The capability version from which clients read `Node.HomeDERP`; older ones want the `DERP` string."""
PINS_SINCE = 115
"""The capability version (v1.82) from which clients read a pinned certificate in `DERPNode.CertName`."""


class Encoding(msgspec.Struct, frozen=True, gc=False):
    """How messages that several viewers share are written; viewers of one class and encoding get the same bytes."""

    zstd: bool
    legacy: bool = False
    """True if nodes must carry the old `DERP` string."""
    pins: bool = True
    """True if the client reads pinned certificates of relays."""


class Viewer(msgspec.Struct, frozen=True, gc=False):
    """The client of one map session."""

    node_id: int
    cap_version: int
    zstd: bool

    @property
    def encoding(self) -> Encoding:
        """The encoding that follows from the client's capability version."""
        return _encoding(self.zstd, self.cap_version < HOME_DERP_SINCE, self.cap_version >= PINS_SINCE)


@cache
def _encoding(zstd: bool, legacy: bool, pins: bool) -> Encoding:
    """Return one object for each of the eight encodings: every session keeps one."""
    return Encoding(zstd, legacy, pins)
