"""The tailnet that a policy is compiled for: users, nodes, services, settings. Reads and checks handwritten ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.policy.model.checks.described import (
    TopologyError,
    read_addresses,
    read_flag,
    read_items,
    read_mapping,
    read_number,
    read_routes,
    read_scalar,
    read_text,
    read_texts,
)
from services.policy.model.compiler import ProviderGroups
from services.policy.model.sections.names import ROLES
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessService, AccessUser

_PARTS = ("users", "nodes", "tailnet", "services")
_ROLES = (*ROLES, "member")
_Owners = dict[str, list[int]]
_SERVICE = re.compile(r"svc:[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Topology:
    """A tailnet, from a handwritten description or from the registry."""

    users: tuple[AccessUser, ...] = ()
    nodes: dict[str, AccessNode] = field(default_factory=dict)
    """Nodes with access, by name."""
    suspended: dict[str, AccessNode] = field(default_factory=dict)
    """Nodes by name whose owner is suspended. The evaluator does not know them, so they have no access."""
    undecided: frozenset[str] = frozenset()
    """Nodes whose approved routes are not given: auto-approval decides."""
    domains: tuple[str, ...] = ()
    auto_update: bool = False
    server_url: str = ""
    provider: ProviderGroups | None = None
    """Rules for the groups of a sign-in provider; None if there is none."""
    services: tuple[AccessService, ...] = ()
    prefixes: tuple[str, ...] = ()
    """Prefixes that addresses come from; empty: the usual ones."""

    def approved(self, policy: CompiledPolicy) -> dict[str, AccessNode]:
        """Return the nodes, with the routes that the policy approves where none are given."""
        if not self.undecided:
            return self.nodes
        access = Access(policy, self.users, self.nodes.values())
        return {
            name: replace(node, approved_routes=access.auto_approved(node.id)) if name in self.undecided else node
            for name, node in self.nodes.items()
        }


def read_topology(data: object) -> Topology:
    """Parse and check a description. Raises: `TopologyError`."""
    root = read_mapping(data, "topology")
    if root and not any(name in root for name in _PARTS):
        raise TopologyError(f"has none of {', '.join(_PARTS)}")
    people = read_items(root.get("users"), "users")
    users = _users(people)
    owners = _owners(people, users)
    described = read_mapping(root.get("nodes") or {}, "nodes")
    nodes: dict[str, AccessNode] = {}
    suspended: dict[str, AccessNode] = {}
    cut = _suspended(people, users)
    undecided = set()
    ids = _ids([read_mapping(item, f"nodes.{name}").get("id") for name, item in described.items()], "nodes")
    for (name, item), node_id in zip(described.items(), ids, strict=True):
        fields = read_mapping(item, f"nodes.{name}")
        node = _node(fields, name, node_id, owners)
        (suspended if node.user_id in cut else nodes)[name] = node
        if fields.get("approved_routes") is None:
            undecided.add(name)
    tailnet = read_mapping(root.get("tailnet") or {}, "tailnet")
    return Topology(
        users=users,
        nodes=nodes,
        suspended=suspended,
        undecided=frozenset(undecided),
        domains=tuple(read_texts(tailnet.get("domains"), "tailnet.domains")),
        auto_update=read_flag(tailnet.get("auto_update"), "tailnet.auto_update", absent=False),
        server_url=read_text(tailnet.get("server_url"), "tailnet.server_url"),
        provider=_provider(tailnet.get("provider_groups")),
        services=_services(read_mapping(root.get("services") or {}, "services"), {**nodes, **suspended}),
    )


def _provider(value: object) -> ProviderGroups | None:
    text = read_text(value, "tailnet.provider_groups")
    if text not in ("", "merge", "static", "idp"):
        raise TopologyError('tailnet.provider_groups must be "merge", "static" or "idp"')
    return ProviderGroups(text) if text else None


def _ids(given: Sequence[object], where: str) -> list[int]:
    """Return ids 1, 2, 3, … in the order of the given ids, or by place in the list where none is given."""
    read = [None if one in (None, "") else read_number(one, f"{where}[{index}].id") for index, one in enumerate(given)]
    positive = [one for one in read if one]
    if len(set(positive)) != len(positive):
        raise TopologyError(f"two {where} have the same id")
    order = sorted(range(len(read)), key=lambda index: index + 1 if (one := read[index]) is None else one)
    ranks = {index: rank for rank, index in enumerate(order, 1)}
    return [ranks[index] for index in range(len(read))]


def _users(items: Sequence[object]) -> tuple[AccessUser, ...]:
    ids = _ids([read_mapping(item, f"users[{index}]").get("id") for index, item in enumerate(items)], "users")
    return tuple(_user(item, index, user_id) for index, (item, user_id) in enumerate(zip(items, ids, strict=True)))


def _suspended(items: Sequence[object], users: Sequence[AccessUser]) -> frozenset[int]:
    """Return the ids of suspended users."""
    return frozenset(
        user.id
        for index, (item, user) in enumerate(zip(items, users, strict=True))
        if read_flag(read_mapping(item, "users").get("suspended"), f"users[{index}].suspended", absent=False)
    )


def _user(item: object, index: int, user_id: int) -> AccessUser:
    where = f"users[{index}]"
    fields = read_mapping(item, where)
    role = read_text(fields.get("role"), f"{where}.role") or "member"
    if role not in _ROLES:
        raise TopologyError(f'{where}.role: "{role}" is none of {", ".join(_ROLES)}')
    return AccessUser(
        id=user_id,
        name=read_text(fields.get("name"), f"{where}.name"),
        email=read_text(fields.get("email"), f"{where}.email"),
        provider_id=read_text(fields.get("provider_id"), f"{where}.provider_id"),
        role=role,
        groups=frozenset(read_texts(fields.get("groups"), f"{where}.groups")),
    )


def _node(fields: Mapping[str, Any], name: str, node_id: int, owners: _Owners) -> AccessNode:
    where = f"nodes.{name}"
    tags = tuple(read_texts(fields.get("tags"), f"{where}.tags"))
    for tag in tags:
        if not tag.startswith("tag:"):
            raise TopologyError(f'{where}.tags: a tag begins with tag:, got "{tag}"')
    ipv4, ipv6 = read_addresses(fields, where)
    attributes = read_mapping(fields.get("attributes") or {}, f"{where}.attributes")
    return AccessNode(
        id=node_id,
        user_id=0 if tags else _owner(fields.get("user"), f"{where}.user", owners),
        tags=tags,
        ipv4=ipv4,
        ipv6=ipv6,
        advertised_routes=read_routes(fields.get("routable_ips"), f"{where}.routable_ips"),
        approved_routes=read_routes(fields.get("approved_routes"), f"{where}.approved_routes"),
        online=read_flag(fields.get("online"), f"{where}.online", absent=True),
        created=node_id,
        attributes=tuple(
            sorted(
                (key, read_scalar(value, f"{where}.attributes.{key}"))
                for key, value in attributes.items()
                if value is not None
            )
        ),
    )


def _owners(people: Sequence[object], users: Sequence[AccessUser]) -> _Owners:
    """Return owners by name, else by email, else by id as given."""
    names, emails, ids = defaultdict(list), defaultdict(list), defaultdict(list)
    for item, user in zip(people, users, strict=True):
        names[user.name].append(user.id)
        emails[user.email].append(user.id)
        ids[str(read_mapping(item, "users").get("id"))].append(user.id)
    return {**ids, **emails, **names}


def _owner(owner: object, where: str, owners: _Owners) -> int:
    if owner in (None, ""):
        return 0
    text = read_scalar(owner, where)
    found = owners.get(text)
    if not found:
        raise TopologyError(f'{where}: no user is named "{text}"')
    if len(found) > 1:
        raise TopologyError(f'{where}: several users are named "{text}"')
    return found[0]


def _services(described: Mapping[str, Any], nodes: Mapping[str, AccessNode]) -> tuple[AccessService, ...]:
    holders = {address: f"node {name}" for name, node in nodes.items() for address in (node.ipv4, node.ipv6)}
    found = []
    for name, item in described.items():
        where = f"services.{name}"
        if not _SERVICE.fullmatch(name):
            raise TopologyError(f'{where}: a service is named "svc:" and a label')
        one = _service(read_mapping(item, where), name, where, nodes)
        for address in filter(None, (one.ipv4, one.ipv6)):
            if address in holders:
                raise TopologyError(f"{where}: {address} is the address of {holders[address]}")
            holders[address] = f"service {name}"
        found.append(one)
    return tuple(found)


def _service(fields: Mapping[str, Any], name: str, where: str, nodes: Mapping[str, AccessNode]) -> AccessService:
    ipv4, ipv6 = read_addresses(fields, where)
    if not ipv4 and not ipv6:
        raise TopologyError(f"{where}: has neither ipv4 nor ipv6")
    hosts = None
    if fields.get("hosts") is not None:
        named = read_texts(fields["hosts"], f"{where}.hosts")
        for one in named:
            if one not in nodes:
                raise TopologyError(f'{where}.hosts: no node is named "{one}"')
        hosts = tuple(nodes[one].id for one in named)
    return AccessService(name, ipv4, ipv6, tuple(read_texts(fields.get("tags"), f"{where}.tags")), hosts)
