"""The record of a node, a device in a tailnet, as stored. Other modules and services derive theirs from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.registry.model.attribute import CustomAttribute
from services.registry.model.term import PrimaryTerm
from services.shared.ids import NodeId, UserId
from services.shared.keys import DiscoKey, MachineKey, NodeKey

NO_USER = UserId(0)
NO_DISCO_KEY = DiscoKey.zero()


class RegisterMethod(IntEnum):
    """The way in which a node was admitted; the numbers are Headscale's."""

    UNKNOWN = 0
    AUTH_KEY = 1
    CLI = 2
    OIDC = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A device in a tailnet. Never changed in place: `dataclasses.replace` makes the next one."""

    id: NodeId
    stable_id: str
    machine_key: MachineKey
    node_key: NodeKey
    created_at: datetime
    given_name: str
    given_name_fixed: bool = False
    disco_key: DiscoKey = NO_DISCO_KEY
    user_id: UserId = NO_USER
    """The owner; `NO_USER` for a tagged node."""
    hostname: str = ""
    ipv4: str = ""
    ipv6: str = ""
    tags: tuple[str, ...] = ()
    """Sorted; if not empty, the tags own the node."""
    hostinfo: bytes = b"{}"
    """Cleaned JSON."""
    endpoints: tuple[str, ...] = ()
    endpoint_types: tuple[int, ...] = ()
    home_derp: int = 0
    cap_version: int = 0
    expiry: datetime | None = None
    disabled_expiry: datetime | None = None
    """The expiry that `expiry` had before it was disabled."""
    expired: bool = False
    """True once the expiry of the key is recorded in the log; until the node is admitted again."""
    last_seen: datetime | None = None
    online: bool = False
    ephemeral: bool = False
    register_method: RegisterMethod = RegisterMethod.UNKNOWN
    pre_auth_key_id: int = 0
    advertised_routes: tuple[str, ...] = ()
    approved_routes: tuple[str, ...] = ()
    requested_tags: tuple[str, ...] = ()
    reported_by: str = ""
    """The gateway that numbered the last stored report; with `report_order`, to detect stale reports."""
    report_order: int = 0
    primary_terms: tuple[PrimaryTerm, ...] = ()
    """Routes that it is the primary router of."""
    preferred_routes: tuple[str, ...] = ()
    """Routes that an administrator prefers it for; sorted."""
    healthy_since: datetime | None = None
    """Since when this router can carry traffic without a break; None when it cannot, or when that is not known."""
    custom_attributes: tuple[CustomAttribute, ...] = ()
    """Posture attributes that administrators set, sorted by key."""

    @property
    def attribute_texts(self) -> tuple[tuple[str, str], ...]:
        """The attributes that administrators set, as policies compare them."""
        return tuple((one.key, one.text) for one in self.custom_attributes)

    @property
    def primary_routes(self) -> tuple[str, ...]:
        """The routes of all its terms."""
        return tuple(route for term in self.primary_terms for route in term.routes)

    @property
    def is_tagged(self) -> bool:
        """True if tags own the node, not a user."""
        return bool(self.tags)

    def is_expired(self, now: datetime) -> bool:
        """Return whether the node key has expired, recorded or not."""
        return self.expired or (self.expiry is not None and self.expiry <= now)
