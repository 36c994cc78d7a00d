"""`policy explain` and `policy preview`: which rule decides, and what a new policy would change, for whom, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.policy.model.compiler import compile_policy
from services.policy.model.explaining import Explainer, Question
from services.policy.model.names import literal
from services.policy.model.ports import DEFAULT_PROTOCOLS, parse_protocol
from services.policy.model.problems import PolicyError
from services.policy.model.topology import Topology, TopologyError, read_topology
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import Spans, coalesce, point, span

Result = dict[str, Any]


class _NameError(ValueError):
    """A name in a question is neither a node, a user, nor an address."""


def explain(
    policy_text: str, topology: Mapping[str, Any], source: str, destination: str, *, protocol: str = "", name: str = ""
) -> Result:
    """Which rules let a source reach a destination, or which come near.

    Both are names of nodes or users, tags, or addresses; the destination may end in ``:PORT``. The answer is
    ``{"allowed", "answers": [{"source", "destination", "allowed", "visible", "rules", "near"}]}`` or ``{"errors"}``.
    """
    try:
        tailnet, policy = _read(policy_text, topology, name)
        host, port = _split(destination, tailnet)
        protocols = (parse_protocol(protocol),) if protocol else DEFAULT_PROTOCOLS
        senders = _nodes(source, tailnet)
        if not senders:
            raise _NameError(f'"{source}" is neither a node, a user, a tag nor the address of a node')
        targets = _targets(host, tailnet)
    except PolicyError as error:
        return {"errors": list(error.lines)}
    except ValueError as error:
        return {"errors": [str(error)]}
    explainer = Explainer(policy, tailnet.users, tailnet.nodes.values())
    access = Access(policy, tailnet.users, tailnet.nodes.values())
    answers = []
    for sender_name, sender in senders.items():
        for target_name, (target, node) in targets.items():
            if node is not None and node.id == sender.id:
                continue
            answer = explainer.ask(Question(sender.id, target, port, protocols))
            answers.append(
                {
                    "source": sender_name,
                    "destination": target_name,
                    "allowed": answer.allowed,
                    "visible": node is not None and access.sees(sender.id, node.id),
                    "rules": list(answer.rules),
                    "near": list(answer.near),
                }
            )
    return {"allowed": bool(answers) and all(answer["allowed"] for answer in answers), "answers": answers}


def preview(
    old_text: str, new_text: str, topology: Mapping[str, Any], *, old_name: str = "", new_name: str = ""
) -> Result:
    """What would change if a policy were set: per node, the peers it gains and loses and whether its rules change.

    The answer is ``{"nodes": {NAME: {"peers_added", "peers_removed", "packet_filter", "ssh", "capabilities",
    "routes"}}, "unchanged": N}`` with only the nodes that change, or ``{"errors"}``.
    """
    try:
        tailnet, new = _read(new_text, topology, new_name)
        _, old = _read(old_text, topology, old_name)
    except PolicyError as error:
        return {"errors": list(error.lines)}
    except ValueError as error:
        return {"errors": [str(error)]}
    before = Access(old, tailnet.users, tailnet.nodes.values())
    after = Access(new, tailnet.users, tailnet.nodes.values())
    names = {node.id: node_name for node_name, node in tailnet.nodes.items()}
    changed = {}
    for node_name, node in tailnet.nodes.items():
        seen, will_see = set(before.peers_of(node.id)), set(after.peers_of(node.id))
        difference: Result = {
            "peers_added": sorted(names[peer] for peer in will_see - seen),
            "peers_removed": sorted(names[peer] for peer in seen - will_see),
            "packet_filter": before.packet_filter(node.id) != after.packet_filter(node.id),
            "ssh": before.ssh_policy(node.id) != after.ssh_policy(node.id),
            "capabilities": before.self_caps(node.id) != after.self_caps(node.id),
            "routes": any(
                before.allowed_routes(node.id, peer) != after.allowed_routes(node.id, peer) for peer in seen & will_see
            ),
        }
        if any(difference.values()):
            changed[node_name] = difference
    return {"nodes": changed, "unchanged": len(names) - len(changed)}


def _read(text: str, topology: Mapping[str, Any], name: str) -> tuple[Topology, CompiledPolicy]:
    try:
        tailnet = read_topology(topology)
    except TopologyError as error:
        raise _NameError(f"topology: {error}") from None
    user_names = [user.name for user in tailnet.users]
    return tailnet, compile_policy(text, name=name, domains=tailnet.domains, user_names=user_names).policy


def _split(destination: str, tailnet: Topology) -> tuple[str, int | None]:
    if destination in tailnet.nodes or literal(destination) is not None:
        return destination, None
    host, colon, port = destination.rpartition(":")
    if colon and port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536:
        return host.removeprefix("[").removesuffix("]"), int(port)
    return destination, None


def _nodes(text: str, tailnet: Topology) -> dict[str, AccessNode]:
    """Nodes that a name stands for: a node, an address of one, a tag, or a user's untagged nodes."""
    if text in tailnet.nodes:
        return {text: tailnet.nodes[text]}
    if literal(text) is not None and "/" not in text:
        place = point(text)
        return {n: node for n, node in tailnet.nodes.items() if place in (_place(node.ipv4), _place(node.ipv6))}
    if text.startswith("tag:"):
        return {n: node for n, node in tailnet.nodes.items() if text in node.tags}
    owners = {user.id for user in tailnet.users if text.removesuffix("@") in (user.name, user.email)}
    return {n: node for n, node in tailnet.nodes.items() if node.user_id in owners and not node.tags}


def _place(address: str) -> int:
    return point(address) if address else -1


def _targets(text: str, tailnet: Topology) -> dict[str, tuple[Spans, AccessNode | None]]:
    found: dict[str, tuple[Spans, AccessNode | None]] = {}
    for name, node in _nodes(text, tailnet).items():
        places = [point(address) for address in (node.ipv4, node.ipv6) if address]
        found[name] = coalesce((place, place) for place in places), node
    if not found and literal(text) is not None:
        found[text] = (span(text),), None
    if not found:
        raise _NameError(f'"{text}" is neither a node, a user, a tag nor an address')
    return found
