"""Records of a snapshot: users, nodes and relays, reduced to the fields that clients or policies need."""

from __future__ import annotations

from datetime import datetime

import msgspec

from services.map_streamer.snapshot.notices import Notice
from services.shared.ids import TAGGED_DEVICES_USER

ZERO_KEY = bytes(32)


class Cursor(msgspec.Struct, frozen=True, gc=False, order=True):
    """A position in each change log."""

    registry: int = 0
    policy: int = 0

    def covers(self, other: Cursor) -> bool:
        """Return whether this position includes everything up to the other one."""
        return self.registry >= other.registry and self.policy >= other.policy


class UserRecord(msgspec.Struct, frozen=True, gc=False):
    """A person in the tailnet."""

    id: int
    name: str
    display_name: str = ""
    email: str = ""
    provider_id: str = ""
    profile_pic_url: str = ""
    role: str = "member"
    groups: tuple[str, ...] = ()
    suspended: bool = False


class NodeRecord(msgspec.Struct, frozen=True, gc=False):
    """A device in the tailnet. An unchanged node is the same object from snapshot to snapshot."""

    id: int
    stable_id: str
    machine_key: bytes
    node_key: bytes
    given_name: str
    created: datetime
    disco_key: bytes = ZERO_KEY
    """Zeros: unknown."""
    user_id: int = 0
    tags: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    advertised_routes: tuple[str, ...] = ()
    approved_routes: tuple[str, ...] = ()
    primary_routes: tuple[str, ...] = ()
    """Routes that the registry elected it for."""
    hostinfo: bytes = b"{}"
    """JSON: the part that peers may see."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Posture attributes of the device."""
    endpoints: tuple[str, ...] = ()
    endpoint_types: tuple[int, ...] = ()
    home_derp: int = 0
    cap_version: int = 0
    expiry: datetime | None = None
    """The key expiry as sent to clients: in the past for every expired key. None: never."""
    last_seen: datetime | None = None
    online: bool = False
    recorded_expired: bool = False
    """True if the registry's record has the key as expired."""
    expired: bool = False
    """True if the key was not valid at the last fold: by the registry's record, the clock, or a suspended owner."""
    recorded_expiry: datetime | None = None
    """The key expiry in the registry's record, to which `expiry` returns when a suspension is lifted. None: never."""
    notices: tuple[Notice, ...] = ()
    """Notices that its own client was due at the last fold; peers are not sent them."""

    @property
    def owner(self) -> int:
        """Return the user id that is sent to clients: the synthetic one for tagged nodes."""
        return int(TAGGED_DEVICES_USER) if self.tags or not self.user_id else self.user_id


class RelayRecord(msgspec.Struct, frozen=True, gc=False):
    """A relay as it announced itself."""

    name: str
    region_id: int
    region_code: str
    region_name: str
    host_name: str
    cert_name: str = ""
    ipv4: str = ""
    ipv6: str = ""
    derp_port: int = 0
    stun_port: int = 0
