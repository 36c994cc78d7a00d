"""The evaluator's input: users, nodes and services, reduced to the fields that policies depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessUser:
    """A user, with the fields that policies depend on."""

    id: int
    name: str
    email: str = ""
    provider_id: str = ""
    role: str = "member"
    """owner, admin, network-admin, it-admin, billing-admin, auditor or member."""
    groups: frozenset[str] = frozenset()
    """Groups that the identity provider puts the user in, as it spells them."""


@dataclass(frozen=True, slots=True)
class AccessNode:
    """A node, with the fields that policies depend on. No other field can change a result of the evaluator."""

    id: int
    user_id: int = 0
    """The owner; 0 when there is none. Ignored while the node is tagged: identity is either user or tags."""
    tags: tuple[str, ...] = ()
    ipv4: str = ""
    """Bare address; empty when the node has none."""
    ipv6: str = ""
    advertised_routes: tuple[str, ...] = ()
    approved_routes: tuple[str, ...] = ()
    """Routes that an administrator or auto-approval accepted. Effective are those that are also advertised."""
    online: bool = True
    created: int = 0
    """Orders nodes by age: a prefix that nobody was elected for is served by the oldest router that is online."""
    primary_routes: tuple[str, ...] = ()
    """Prefixes that the registry elected it for."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Posture attributes, such as ``("node:os", "linux")``."""


@dataclass(frozen=True, slots=True)
class AccessService:
    """A service: a name with addresses of its own, which tagged nodes serve."""

    name: str
    """Such as ``svc:web``."""
    ipv4: str = ""
    """Bare virtual address; empty when it has none."""
    ipv6: str = ""
    tags: tuple[str, ...] = ()
    """Tags of the service itself: `autoApprovers.services` may name it by one."""
    hosts: tuple[int, ...] | None = None
    """Nodes approved to serve it; None means those that the policy approves. Untagged nodes never do."""
