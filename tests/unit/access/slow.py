"""What a document gives a described tailnet, found the slow way: the semantics line by line, each node against all.

Shares no code with the evaluator, nor with the reader of documents. It takes well-formed documents of the modern form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from typing import Any

Range = tuple[int, int]
_V6 = 1 << 33
EXITS = ("0.0.0.0/0", "::/0")
ROLES = ("owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor")
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58, "sctp": 132}
COMPANIONS = {
    f"tailscale.com/cap/{one}": f"tailscale.com/cap/{one}-{two}"
    for one, two in (("drive", "sharer"), ("relay", "target"))
}


def place(address: str) -> int:
    found = ip_address(address)
    return int(found) + (_V6 if found.version == 6 else 0)


def span(text: str) -> Range:
    first, dash, last = text.partition("-")
    if dash:
        return place(first), place(last)
    network = ip_network(text, strict=False)
    return place(str(network[0])), place(str(network[-1]))


def prefixes(one: Range) -> list[str]:
    if one[0] < _V6:
        return [str(found) for found in summarize_address_range(IPv4Address(one[0]), IPv4Address(one[1]))]
    ends = IPv6Address(one[0] - _V6), IPv6Address(one[1] - _V6)
    return [str(found) for found in summarize_address_range(*ends)]


def printed(one: Range) -> str:
    made = prefixes(one)
    if len(made) == 1:
        return made[0].removesuffix("/32" if one[0] < _V6 else "/128")
    return "-".join(prefixes((end, end))[0].partition("/")[0] for end in one)


def united(ranges: Iterable[Range]) -> list[Range]:
    made: list[Range] = []
    for first, last in sorted(ranges):
        if made and first <= made[-1][1] + 1:
            made[-1] = made[-1][0], max(last, made[-1][1])
        else:
            made.append((first, last))
    return made


def meet(some: Iterable[Range], others: Iterable[Range]) -> bool:
    there = list(others)
    return any(a <= d and c <= b for a, b in some for c, d in there)


def inside(some: Iterable[Range], others: Iterable[Range]) -> bool:
    there = united(others)
    return all(any(c <= a and b <= d for c, d in there) for a, b in united(some))


TAILNET_TEXT = ["100.64.0.0-100.115.91.255", "100.115.94.0-100.127.255.255", "fd7a:115c:a1e0::/48"]
TAILNET = [span(text) for text in TAILNET_TEXT]
INTERNET_TEXT = [
    *("0.0.0.0-9.255.255.255", "11.0.0.0-100.63.255.255", "100.128.0.0-169.253.255.255"),
    *("169.255.0.0-172.15.255.255", "172.32.0.0-192.167.255.255", "192.169.0.0-255.255.255.255"),
    "2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]
INTERNET = [span(text) for text in INTERNET_TEXT]
EVERYTHING = [span(text) for text in EXITS]


@dataclass(eq=False)
class Node:
    """A described node, with its effective routes."""

    name: str
    id: int
    addresses: list[str]
    user: str
    tags: list[str]
    subnets: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)

    @cached_property
    def own(self) -> list[Range]:
        return [(place(address), place(address)) for address in self.addresses]

    @cached_property
    def served(self) -> list[Range]:
        return [span(route) for route in self.subnets]


@dataclass
class Rule:
    """A filter rule as one node has it before it is reduced; `given` instead of ports where it grants capabilities."""

    texts: list[str]
    sources: list[Range]
    protocol: int = 0
    ports: list[tuple[str, int, int]] = field(default_factory=list)
    given: list[tuple[list[Range], dict[str, Any]]] = field(default_factory=list)

    @cached_property
    def reached(self) -> list[Range]:
        there = [one for text, _, _ in self.ports for one in (EVERYTHING if text == "*" else [span(text)])]
        return united([*there, *(one for ranges, _ in self.given for one in ranges)])


@dataclass
class Grant:
    """One rule of the document."""

    src: list[str]
    dst: list[str]
    access: list[tuple[int, list[Range]]]
    app: dict[str, Any] = field(default_factory=dict)
    via: list[str] = field(default_factory=list)


class Names:
    """Nodes of a described tailnet, and what the names of a document stand for."""

    def __init__(self, document: dict[str, Any], topology: dict[str, Any]) -> None:
        self.document = document
        self.users = {user["name"]: user for user in topology["users"]}
        described = sorted(topology["nodes"].items(), key=lambda one: one[1]["id"])
        self.nodes = [self._node(name, fields) for name, fields in described]
        for node, (_, fields) in zip(self.nodes, described, strict=True):
            self._route(node, fields.get("routable_ips") or [], fields.get("approved_routes"))
        self.routes = list(dict.fromkeys(route for node in self.nodes for route in node.subnets))

    @staticmethod
    def _node(name: str, fields: dict[str, Any]) -> Node:
        addresses = [fields[key] for key in ("ipv4", "ipv6") if fields.get(key)]
        tags = fields.get("tags") or []
        return Node(name, fields["id"], addresses, "" if tags else fields.get("user") or "", tags)

    def _route(self, node: Node, advertised: list[str], approved: list[str] | None) -> None:
        accepted = set(self._approved(node, advertised) if approved is None else approved)
        if accepted.intersection(EXITS):
            accepted.update(EXITS)
        node.subnets = [route for route in advertised if route in accepted and route not in EXITS]
        node.exits = [route for route in advertised if route in accepted and route in EXITS]

    def _approved(self, node: Node, advertised: list[str]) -> list[str]:
        approvers = self.document.get("autoApprovers") or {}
        found = []
        for route in advertised:
            if route in EXITS:
                names = [approvers.get("exitNode") or []]
            else:
                entries = (approvers.get("routes") or {}).items()
                names = [given for prefix, given in entries if inside([span(route)], [span(prefix)])]
            if any(meet(node.own, self.ranges(name)) for given in names for name in given):
                found.append(route)
        return found

    def people(self, name: str) -> set[str]:
        """Names of the users that a name stands for."""
        users = self.users.items()
        if name.startswith("user:*@"):
            return {key for key, user in users if user["email"].partition("@")[2] == name.removeprefix("user:*@")}
        if name.startswith("group:"):
            return {key for member in self.document["groups"][name] for key in self.people(member)}
        role = name.removeprefix("autogroup:")
        if role in ("member", *ROLES):
            roles = {"admin", "owner"} if role == "admin" else {role}
            return {key for key, user in users if role == "member" or user["role"] in roles}
        return {key for key, user in users if name.removesuffix("@") in (user["email"], key)}

    def selected(self, name: str) -> list[Node] | None:
        """The nodes that a name selects by who they are; None when it stands for addresses."""
        if name.startswith("tag:"):
            return [node for node in self.nodes if name in node.tags]
        if name == "autogroup:tagged":
            return [node for node in self.nodes if node.tags]
        if "@" in name or name.startswith("group:") or name.removeprefix("autogroup:") in ("member", *ROLES):
            people = self.people(name)
            return [node for node in self.nodes if node.user in people]
        return None

    def ranges(self, name: str) -> list[Range]:
        """The addresses that a name stands for."""
        nodes = self.selected(name)
        if nodes is not None:
            return united(one for node in nodes for one in node.own)
        known = {"*": TAILNET, "autogroup:internet": INTERNET, "autogroup:danger-all": EVERYTHING, "autogroup:self": []}
        if name in known:
            return known[name]
        return [span(self.document["hosts"].get(name, name))]

    def texts(self, name: str) -> list[str]:
        """The same as destinations of ports are spelled, each node for itself."""
        if name in ("*", "autogroup:internet"):
            return ["*"] if name == "*" else INTERNET_TEXT
        nodes = self.selected(name)
        if nodes is not None:
            return [address for node in nodes for address in node.addresses]
        return [printed(one) for one in self.ranges(name)]
