"""`Access`, the evaluator of one compiled policy on one snapshot of users and nodes: the entry to this package.

Cost is in rules and classes, never in pairs of nodes. An `Access` never changes: build a new one when a field of an
`AccessUser` or `AccessNode`, or the policy, changes. Classes are computed at once, the rest lazily.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any

from services.shared.access.caps import Capabilities
from services.shared.access.classes import Classes
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.directory import Directory
from services.shared.access.filters import Filters
from services.shared.access.inputs import AccessNode, AccessService, AccessUser
from services.shared.access.matching import Matching
from services.shared.access.owners import Owners
from services.shared.access.routes import RouteViews
from services.shared.access.ssh import SshCheck, SshRules

Json = Any
"""A JSON value in tailcfg's spelling, ready to be encoded."""


class Access:
    """The access of each node in one snapshot: reachability, visibility, and its parts of the network map.

    Node ids that are not in the snapshot raise `KeyError`.
    """

    def __init__(
        self,
        policy: CompiledPolicy,
        users: Iterable[AccessUser],
        nodes: Iterable[AccessNode],
        *,
        server_url: str = "",
        prefixes: Sequence[str] = (),
        taildrop: bool = True,
        auto_update: bool = False,
        random_ports: bool = False,
        previous: Access | None = None,
        services: Iterable[AccessService] = (),
    ) -> None:
        """`previous` has the same settings; its results for unchanged nodes are reused."""
        self._policy = policy
        self._server_url = server_url
        known: Directory | None = previous._directory if previous is not None else None
        self._directory: Directory = Directory(policy, users, nodes, prefixes, known, services)
        self._capabilities = Capabilities(
            self._directory, policy, taildrop=taildrop, auto_update=auto_update, random_ports=random_ports
        )
        self._matching = Matching(self._directory, policy.grants)
        hides = self._capabilities.hides_ipv4
        placed: Classes | None = previous._classes if previous is not None else None
        self._classes: Classes = Classes(self._directory, self._matching, hides, placed)

    @property
    def directory(self) -> Directory:
        """Return the resolver of the policy's names in this snapshot."""
        return self._directory

    @cached_property
    def _filters(self) -> Filters:
        return Filters(self._directory, self._matching, self._classes, self._policy.grants)

    @cached_property
    def _routes(self) -> RouteViews:
        return RouteViews(self._directory, self._matching, self._policy.grants)

    @cached_property
    def _ssh(self) -> SshRules:
        return SshRules(self._directory, self._policy.ssh, self._server_url)

    @cached_property
    def _owners(self) -> Owners:
        return Owners(self._directory, self._policy)

    # Classes and visibility

    def class_of(self, node_id: int) -> int:
        """Return the node's class. Its members are seen by, and see, the same nodes, and receive the same routes."""
        return self._classes.of_node[node_id]

    def classes(self) -> Collection[int]:
        """Return all classes; each has members."""
        return range(len(self._classes.members))

    def members_of(self, class_: int) -> Sequence[int]:
        """Return the ids of the nodes of a class, ascending."""
        return self._classes.members[class_]

    def class_sees(self, viewer_class: int, class_: int) -> bool:
        """Return whether members of one class see members of the other; symmetric. A class may not see itself."""
        return self._classes.sees(viewer_class, class_)

    def visible_classes(self, viewer_class: int) -> Sequence[int]:
        """Return every class for which `class_sees` is true, ascending."""
        return self._classes.visible(viewer_class)

    def sees(self, viewer_id: int, peer_id: int) -> bool:
        """Return whether one node sees another; a node is not its own peer."""
        return viewer_id != peer_id and self._classes.sees(self.class_of(viewer_id), self.class_of(peer_id))

    def peers_of(self, node_id: int) -> list[int]:
        """Return the ids of the node's peers, ascending."""
        members = self._classes.members
        visible = self._classes.visible(self.class_of(node_id))
        return sorted(other for class_ in visible for other in members[class_] if other != node_id)

    # Packet filter

    def packet_filter(self, node_id: int) -> list[dict[str, Json]]:
        """Return the tailcfg `FilterRule`s of a node, reduced to its own addresses and routes, in the order sent.

        Lists inside are shared between answers: encode them, do not change them.
        """
        return self._filters.rules(node_id)

    def filter_key(self, node_id: int) -> Hashable:
        """Return a key; equal keys mean equal packet filters, to share encoded bytes. Cheaper than the filter."""
        return self._filters.key(node_id)

    # Routes

    def allowed_routes(self, viewer_id: int, peer_id: int) -> tuple[str, ...]:
        """Return a peer's AllowedIPs minus its Addresses, as sent to the viewer; () for most peers.

        Addresses of services come first, then subnet routes, then exit routes.
        """
        if not self.has_routes(peer_id):
            return ()
        viewer, peer = self._directory.members[viewer_id], self._directory.members[peer_id]
        masks = self._classes.masks[viewer_id]
        routes = self._routes.shown(viewer, masks, peer)
        served = self._routes.served(viewer, masks, peer)
        return (*served, *(route for route in routes if route not in served)) if served else routes

    def primary_routes(self, viewer_id: int, peer_id: int) -> tuple[str, ...]:
        """Return `PrimaryRoutes` of a peer as sent to the viewer: the allowed routes that are subnet routes."""
        subnets = self._directory.members[peer_id].subnets
        return tuple(route for route in self.allowed_routes(viewer_id, peer_id) if route in subnets)

    def has_routes(self, peer_id: int) -> bool:
        """Return whether the record of a peer may differ between viewers."""
        peer = self._directory.members[peer_id]
        return bool(peer.subnets or peer.exits or self._directory.services.served_by(peer_id))

    def self_routes(self, node_id: int) -> tuple[str, ...]:
        """Return the node's effective routes with exit routes: AllowedIPs of its own record minus its Addresses."""
        one = self._directory.members[node_id]
        return one.subnets + one.exits

    def self_primary_routes(self, node_id: int) -> tuple[str, ...]:
        """Return the node's own `PrimaryRoutes`: the subnet routes that it is elected to serve."""
        return self._routes.primaries(self._directory.members[node_id])

    # SSH and capabilities

    def ssh_policy(self, node_id: int) -> dict[str, Json] | None:
        """Return the tailcfg `SSHPolicy` of a node as a destination; None if no rule applies to it."""
        return self._ssh.policy(node_id) if self._policy.ssh else None

    def ssh_runs(self, node_id: int) -> tuple[Sequence[dict[str, Json]], ...]:
        """Return the rules of `ssh_policy` in runs; a run shared by several policies is the same list in each."""
        return self._ssh.runs(node_id) if self._policy.ssh else ()

    def ssh_key(self, node_id: int) -> Hashable:
        """Return a key; equal keys mean equal SSH policies."""
        return self._ssh.key(node_id)

    def ssh_check(self, source_id: int, destination_id: int, local_user: str) -> SshCheck | None:
        """Return the check that a rule requires for an SSH session of this pair, or None."""
        return self._ssh.check(source_id, destination_id, local_user)

    def self_caps(self, node_id: int) -> dict[str, Json]:
        """Return the `CapMap` of the node's own record; values are lists or None."""
        return self._capabilities.own(self._directory.members[node_id])

    def self_caps_key(self, node_id: int) -> Hashable:
        """Return a key; equal keys mean equal `self_caps`, to share encoded bytes. Cheaper than the map itself."""
        return self._capabilities.key(self._directory.members[node_id])

    @property
    def gives_attributes(self) -> bool:
        """True if the policy gives any node an attribute; if not, only nodes with routes have peer capabilities."""
        return self._capabilities.any

    def peer_caps(self, peer_id: int) -> dict[str, Json]:
        """Return the `CapMap` of the node's record as sent to peers."""
        return self._capabilities.as_peer(self._directory.members[peer_id])

    @property
    def hides_ipv4_of_some(self) -> bool:
        """True if IPv4 may be disabled for some node."""
        return self._policy.disable_ipv4 or self._capabilities.any

    def hides_ipv4(self, node_id: int) -> bool:
        """Return whether IPv4 is disabled for the node: no record it is sent, nor its own sent to peers, has IPv4."""
        return self._capabilities.hides_ipv4(self._directory.members[node_id])

    # Ownership and approval

    def may_own_tag(self, user_id: int, tag: str) -> bool:
        """Return whether a user may give nodes this tag."""
        return self._owners.may_own(user_id, tag)

    def tag_exists(self, tag: str) -> bool:
        """Return whether the policy defines this tag."""
        return self._owners.tag_exists(tag)

    def auto_approved(self, node_id: int) -> tuple[str, ...]:
        """Return the advertised routes of the node that the policy approves automatically."""
        return self._owners.approved(self._directory.members[node_id])
