"""The viewer: the properties of a session's client that a rendered message depends on."""

from __future__ import annotations

import msgspec

HOME_DERP_SINCE = 111
"""The capability version from which clients read `Node.HomeDERP`; older ones want the `DERP` string."""


class Viewer(msgspec.Struct, frozen=True, gc=False):
    """The client of one map session."""

    node_id: int
    cap_version: int
    zstd: bool

    @property
    def legacy(self) -> bool:
        """True if nodes must carry the old `DERP` string."""
        return self.cap_version < HOME_DERP_SINCE
