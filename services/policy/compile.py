"""`policy compile`: evaluates a policy for every node of a described tailnet, and returns plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.policy.model.checks.described import TopologyError
from services.policy.model.checks.examining import examine
from services.policy.model.checks.topology import read_topology
from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import full_length

Result = dict[str, Any]


def run(policy_text: str, topology: Mapping[str, Any], *, name: str = "") -> Result:
    """Compile, run the policy's own tests, and evaluate for every node.

    The answer is ``{"nodes": {...}, "warnings": [...]}`` in tailcfg's spelling, or ``{"errors": [...]}`` when the
    policy, one of its tests, or the topology is refused.
    """
    try:
        tailnet = read_topology(topology)
    except TopologyError as error:
        return {"errors": [f"topology: {error}"]}
    try:
        user_names = [user.name for user in tailnet.users]
        document = compile_policy(
            policy_text, name=name, domains=tailnet.domains, user_names=user_names, provider=tailnet.provider
        )
        nodes = tailnet.approved(document.policy)
        document = examine(document, tailnet.users, nodes.values(), services=tailnet.services)
    except PolicyError as error:
        return {"errors": list(error.lines)}
    access = Access(
        document.policy,
        tailnet.users,
        nodes.values(),
        server_url=tailnet.server_url,
        auto_update=tailnet.auto_update,
        services=tailnet.services,
    )
    view = _View(access, nodes)
    return {
        "nodes": {node_name: view.node(node.id) for node_name, node in nodes.items()},
        "warnings": [str(warning) for warning in document.warnings],
    }


class _View:
    """The results for each node of one tailnet, in tailcfg's spelling."""

    def __init__(self, access: Access, nodes: Mapping[str, AccessNode]) -> None:
        self._access = access
        self._names = {node.id: name for name, node in nodes.items()}
        self._nodes = {node.id: node for node in nodes.values()}

    def node(self, node_id: int) -> Result:
        access = self._access
        ssh = access.ssh_policy(node_id)
        return {
            "packet_filter": access.packet_filter(node_id),
            "ssh": ssh["rules"] if ssh else [],
            "cap_map": access.self_caps(node_id),
            "approved_routes": list(access.self_routes(node_id)),
            "peers": {self._names[peer_id]: self._peer(node_id, peer_id) for peer_id in access.peers_of(node_id)},
        }

    def _peer(self, viewer_id: int, peer_id: int) -> Result:
        access, peer = self._access, self._nodes[peer_id]
        hides_ipv4 = access.hides_ipv4(viewer_id) or access.hides_ipv4(peer_id)
        addresses = [full_length(text) for text in (peer.ipv4, peer.ipv6) if text and not (hides_ipv4 and "." in text)]
        return {
            "addresses": addresses,
            "allowed_ips": addresses + list(access.allowed_routes(viewer_id, peer_id)),
            "primary_routes": list(access.primary_routes(viewer_id, peer_id)),
            "cap_map": access.peer_caps(peer_id),
        }
