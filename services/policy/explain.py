"""`policy explain` and `policy preview`: the rules that decide access, and the effect of a new policy per node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.policy.model.checks.described import TopologyError
from services.policy.model.checks.explaining import AccessQuestion, Explainer, Explanation
from services.policy.model.checks.previewing import RuleMatch, RulePreview, placeholder, rule_lines
from services.policy.model.checks.topology import Topology, read_topology
from services.policy.model.compiler import Document, compile_policy
from services.policy.model.sections.names import literal
from services.policy.model.sections.ports import DEFAULT_PROTOCOLS, parse_protocol
from services.policy.model.text.problems import PolicyError
from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind
from services.shared.access.directory import Directory
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import Spans, coalesce, span

Result = dict[str, Any]


_MAX_PAIRS = 10_000
_KINDS = "say a node, a user, a group, a tag, a service, a host of the policy or an address"


class RulePreviewError(ValueError):
    """The user or destination of a preview of rules means nothing."""


class _NameError(ValueError):
    """A name in a question is neither a node, a user, nor an address."""


def explain(
    policy_text: str, topology: Mapping[str, Any], source: str, destination: str, *, protocol: str = "", name: str = ""
) -> Result:
    """Explain a policy on a described tailnet; the answer is that of `explain_in`."""
    try:
        tailnet = _topology_of(topology)
    except ValueError as error:
        return {"errors": [str(error)]}
    return explain_in(tailnet, policy_text, source, destination, protocol=protocol, name=name)


def explain_in(
    tailnet: Topology, policy_text: str, source: str, destination: str, *, protocol: str = "", name: str = ""
) -> Result:
    """Return which rules let a source reach a destination, or which come near.

    Both are names of nodes or users, groups, tags, hosts of the policy, or addresses; the destination may end in
    ``:PORT``. The answer is
    ``{"allowed", "answers": [{"source", "destination", "allowed", "visible", "rules", "near"}]}`` or ``{"errors"}``.
    """
    try:
        document = _compiled(tailnet, policy_text, name)
        policy = document.policy
        nodes = tailnet.approved(policy).values()
        access = Access(policy, tailnet.users, nodes, prefixes=tailnet.prefixes, services=tailnet.services)
        book = _NameResolver(tailnet, document, access.directory)
        host, port = _split(destination, tailnet)
        protocols = (parse_protocol(protocol),) if protocol else DEFAULT_PROTOCOLS
        senders, targets = book.sources(source), book.targets(host)
        if not senders:
            raise _NameError(f'"{source}" names no node: {_KINDS}')
        if not targets:
            raise _NameError(f'"{host}" names neither a node nor an address: {_KINDS}')
        if len(senders) * len(targets) > _MAX_PAIRS:
            raise _NameError(f"that asks about {len(senders) * len(targets)} pairs of nodes, more than {_MAX_PAIRS}")
    except PolicyError as error:
        return {"errors": list(error.lines)}
    except ValueError as error:
        return {"errors": [str(error)]}
    explainer = Explainer(policy, access.directory)
    answers = []
    for sender_name, sender in senders.items():
        for target_name, (target, node) in targets.items():
            if node is not None and node.id == sender.id:
                continue
            answer, visible = _without_access(tailnet, sender_name, target_name, node), False
            if answer is None:
                answer = explainer.ask(AccessQuestion(sender.id, target, port, protocols))
                visible = node is not None and access.sees(sender.id, node.id)
            answers.append(
                {
                    "source": sender_name,
                    "destination": target_name,
                    "allowed": answer.allowed,
                    "visible": visible,
                    "rules": list(answer.rules),
                    "near": list(answer.near),
                }
            )
    return {"allowed": bool(answers) and all(answer["allowed"] for answer in answers), "answers": answers}


def _without_access(tailnet: Topology, source: str, destination: str, target: AccessNode | None) -> Explanation | None:
    """Return the denial if the owner of either node is suspended, whatever the policy; None if neither is."""
    ends = [source, *([destination] if target is not None else [])]
    found = [end for end in ends if end in tailnet.suspended]
    reasons = tuple(f"{end} has no access: its owner is suspended" for end in found)
    return Explanation(False, (), reasons) if found else None


def preview(
    old_text: str, new_text: str, topology: Mapping[str, Any], *, old_name: str = "", new_name: str = ""
) -> Result:
    """Preview a policy on a described tailnet; the answer is that of `preview_in`."""
    try:
        tailnet = _topology_of(topology)
    except ValueError as error:
        return {"errors": [str(error)]}
    return preview_in(tailnet, old_text, new_text, old_name=old_name, new_name=new_name)


def preview_in(tailnet: Topology, old_text: str, new_text: str, *, old_name: str = "", new_name: str = "") -> Result:
    """Return what would change if a policy were set: the peers each node gains and loses, whether its rules change.

    The answer is ``{"nodes": {NAME: {"peers_added", "peers_removed", "packet_filter", "ssh", "capabilities",
    "routes"}}, "unchanged": N}`` with only the nodes that change, or ``{"errors"}``. Nodes of suspended users have no
    access under either policy and count as unchanged.
    """
    try:
        new, old = _compiled(tailnet, new_text, new_name).policy, _compiled(tailnet, old_text, old_name).policy
    except PolicyError as error:
        return {"errors": list(error.lines)}
    except ValueError as error:
        return {"errors": [str(error)]}
    before, after = (
        Access(
            policy,
            tailnet.users,
            tailnet.approved(policy).values(),
            prefixes=tailnet.prefixes,
            services=tailnet.services,
        )
        for policy in (old, new)
    )
    names = {node.id: node_name for node_name, node in tailnet.nodes.items()}
    routers = {number for number in names if before.has_routes(number) or after.has_routes(number)}
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
                before.allowed_routes(node.id, peer) != after.allowed_routes(node.id, peer)
                for peer in routers & seen & will_see
            ),
        }
        if any(difference.values()):
            changed[node_name] = difference
    return {"nodes": changed, "unchanged": len(names) + len(tailnet.suspended) - len(changed)}


def preview_rules_in(tailnet: Topology, policy_text: str, *, user: str = "", destination: str = "") -> list[RuleMatch]:
    """Return the rules of a policy that concern a user, or a destination ``ADDRESS:PORT`` if no user is given.

    Raises: `PolicyError` when the policy is refused; `RulePreviewError` when the name means nothing.
    """
    policy = _compiled(tailnet, policy_text, "").policy
    nodes = list(tailnet.approved(policy).values())
    people = Directory(policy, tailnet.users, (), tailnet.prefixes)
    found = people.users_named(user) if user else frozenset()
    if user and not found:
        raise RulePreviewError(f'no user has the e-mail address or name "{user}"')
    nodes += map(placeholder, found)
    directory = Directory(policy, tailnet.users, nodes, tailnet.prefixes, None, tailnet.services)
    rules = RulePreview(policy, directory, rule_lines(policy_text))
    if found:
        return rules.of_user(min(found))
    host, port = _split(destination, tailnet)
    if port is None or literal(host) is None or "/" in host:
        raise RulePreviewError(f'"{destination}" is not an address with a port, such as 100.64.0.1:443')
    return rules.of_destination((span(host),), port)


def _topology_of(topology: Mapping[str, Any]) -> Topology:
    try:
        return read_topology(topology)
    except TopologyError as error:
        raise _NameError(f"topology: {error}") from None


def _compiled(tailnet: Topology, text: str, name: str) -> Document:
    user_names = [user.name for user in tailnet.users]
    return compile_policy(text, name=name, domains=tailnet.domains, user_names=user_names, provider=tailnet.provider)


def _split(destination: str, tailnet: Topology) -> tuple[str, int | None]:
    if destination in tailnet.nodes or destination in tailnet.suspended or literal(destination) is not None:
        return destination, None
    if any(one.name == destination for one in tailnet.services):
        return destination, None
    host, colon, port = destination.rpartition(":")
    if colon and port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536:
        return host.removeprefix("[").removesuffix("]"), int(port)
    return destination, None


class _NameResolver:
    """Resolver of the names in a question: node names first, then any name that a policy may use."""

    def __init__(self, tailnet: Topology, document: Document, directory: Directory) -> None:
        self._names = document.names
        self._nodes, self._directory = tailnet.nodes, directory
        if tailnet.suspended:
            # They can be named too; each gets the explanation that it has no access.
            self._nodes = {**tailnet.nodes, **tailnet.suspended}
            everyone = self._nodes.values()
            self._directory = Directory(
                document.policy, tailnet.users, everyone, tailnet.prefixes, directory, tailnet.services
            )
        self._by_id = {node.id: name for name, node in self._nodes.items()}

    def sources(self, text: str) -> dict[str, AccessNode]:
        """Return the nodes that a name selects."""
        if text in self._nodes:
            return {text: self._nodes[text]}
        alias = self._alias(text)
        if alias is None:
            return {}
        if alias.kind in IDENTITY_KINDS:
            members = self._directory.members_of(alias)
        elif alias.kind is AliasKind.ANY:
            members = list(self._directory.members.values())
        elif alias.kind is AliasKind.PREFIXES:
            members = list(self._directory.inside(self._directory.spans_of(alias, source=True)))
        else:
            members = []
        return {self._by_id[one.node.id]: one.node for one in members}

    def targets(self, text: str) -> dict[str, tuple[Spans, AccessNode | None]]:
        """Return the selected nodes with their addresses; an address of no node stands for itself."""
        found: dict[str, tuple[Spans, AccessNode | None]] = {}
        for name, node in self.sources(text).items():
            places = self._directory.members[node.id].places
            found[name] = coalesce((place, place) for place in places), node
        alias = self._alias(text)
        if not found and alias is not None and alias.kind in (AliasKind.PREFIXES, AliasKind.INTERNET):
            found[text] = self._directory.spans_of(alias, source=False), None
        if alias is not None and alias.kind is AliasKind.SERVICE:
            found.update(self._served(text))
        return found

    def _served(self, name: str) -> Iterator[tuple[str, tuple[Spans, AccessNode | None]]]:
        """Yield a service once for each node that serves it."""
        services = self._directory.services
        if name not in services.by_name:
            return
        spans, hosts = services.by_name[name].spans, services.hosts[name]
        for node_id in hosts:
            yield f"{name} at {self._by_id[node_id]}", (spans, self._directory.members[node_id].node)
        if not hosts:
            yield name, (spans, None)

    def _alias(self, text: str) -> Alias | None:
        for spelled in (text, text + "@"):
            try:
                alias = self._names.alias(spelled)
            except ValueError:
                continue
            if alias.kind is not AliasKind.USER or self._directory.users_named(alias.name):
                return alias
        return Alias(AliasKind.TAG, text) if text.startswith("tag:") else None
