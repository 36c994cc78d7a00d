"""The evaluator: what one compiled policy says about one snapshot of users and nodes.

Cost is in rules and classes, never in pairs of nodes. An `Access` never changes: build a new one when a field of an
`AccessUser` or `AccessNode`, or the policy, changes.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from services.shared.access.compiled import CompiledPolicy
from services.shared.access.inputs import AccessNode, AccessUser

Json = Any
"""A JSON value in tailcfg's spelling, ready to be encoded."""


class Access:
    """Answers, for one compiled policy and one snapshot, what each node may reach, see and be told.

    Node ids that are not in the snapshot raise `KeyError`.
    """

    def __init__(
        self,
        policy: CompiledPolicy,
        users: Iterable[AccessUser],
        nodes: Iterable[AccessNode],
        *,
        server_url: str = "",
        domains: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        taildrop: bool = True,
        auto_update: bool = False,
    ) -> None:
        self._policy = policy
        self._users: Mapping[int, AccessUser] = {user.id: user for user in users}
        self._nodes: Mapping[int, AccessNode] = {node.id: node for node in nodes}
        self._server_url = server_url
        self._domains = tuple(domains)
        self._taildrop = taildrop
        self._auto_update = auto_update

    # Classes and visibility

    def class_of(self, node_id: int) -> int:
        """The node's class. Members of a class are seen by the same nodes, see the same nodes, and are shown the same routes."""
        return 0 if self._nodes[node_id] else 0

    def classes(self) -> Collection[int]:
        """All classes that have members."""
        return (0,) if self._nodes else ()

    def members_of(self, class_: int) -> Collection[int]:
        """The ids of the nodes of a class, ascending."""
        return tuple(sorted(self._nodes)) if class_ == 0 else ()

    def class_sees(self, viewer_class: int, class_: int) -> bool:
        """Whether members of one class see members of the other; symmetric. A class may or may not see its own members."""
        return viewer_class == class_ == 0

    def visible_classes(self, viewer_class: int) -> Collection[int]:
        """Every class that `class_sees` says yes for, in linear time."""
        return (0,) if viewer_class == 0 else ()

    def peers_of(self, node_id: int) -> Collection[int]:
        """The ids of the nodes that this node sees, itself left out, ascending."""
        return tuple(other for other in sorted(self._nodes) if other != node_id)

    # Packet filter

    def packet_filter(self, node_id: int) -> list[dict[str, Json]]:
        """The tailcfg `FilterRule`s for this node, reduced to what concerns it, in the order they are sent."""
        raise NotImplementedError

    def filter_key(self, node_id: int) -> Hashable:
        """Equal keys mean equal packet filters, so that encoded bytes can be shared. Cheaper than the filter itself."""
        raise NotImplementedError

    # Routes

    def allowed_routes(self, viewer_id: int, peer_id: int) -> tuple[str, ...]:
        """Routes beyond its addresses that the viewer is shown for a peer: AllowedIPs minus Addresses; () for most peers."""
        raise NotImplementedError

    def primary_routes(self, viewer_id: int, peer_id: int) -> tuple[str, ...]:
        """`PrimaryRoutes` of a peer as one viewer is told: the allowed routes that are not exit routes."""
        raise NotImplementedError

    def has_routes(self, peer_id: int) -> bool:
        """Whether what viewers are shown of this peer may differ by viewer. False means: all see the same record."""
        raise NotImplementedError

    def self_routes(self, node_id: int) -> tuple[str, ...]:
        """Effective routes of the node itself, exit routes included: its own AllowedIPs minus its Addresses."""
        raise NotImplementedError

    def self_primary_routes(self, node_id: int) -> tuple[str, ...]:
        """The node's own `PrimaryRoutes`: the subnet routes that it is elected to serve."""
        raise NotImplementedError

    # SSH and capabilities

    def ssh_policy(self, node_id: int) -> dict[str, Json] | None:
        """The tailcfg `SSHPolicy` for this node as a destination; None when it has no rule."""
        raise NotImplementedError

    def self_caps(self, node_id: int) -> dict[str, Json]:
        """`CapMap` of the node's own record; values are a list or None."""
        raise NotImplementedError

    def peer_caps(self, peer_id: int) -> dict[str, Json]:
        """`CapMap` of the node's record as every other node sees it."""
        raise NotImplementedError

    def hides_ipv4(self, node_id: int) -> bool:
        """Whether the node has IPv4 switched off: it and its peers as seen by it, and it as seen by all, lack IPv4 addresses."""
        raise NotImplementedError

    # Ownership and approval

    def may_own_tag(self, user_id: int, tag: str) -> bool:
        """Whether a user may give nodes this tag."""
        raise NotImplementedError

    def auto_approved(self, node_id: int) -> tuple[str, ...]:
        """The advertised routes of the node that the policy approves without asking."""
        raise NotImplementedError
