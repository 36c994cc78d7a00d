"""Plans the rows of imported nodes: ids, stable ids, keys, names and addresses stay, so clients notice nothing. Pure.

node key used twice            the node seen last keeps it; the others could not come back, and are left out
machine key used twice         all stay, as a machine may be a node of each of several users
address or name used twice     the node seen last keeps it; the others get a free one
no address at all              given new ones
name that is no DNS label      stays, and is reported: peers never resolved it
owner missing                  recreated, so that the node is kept
tags and owner                 the tags own the node, as since Headscale 0.28
tag, route, endpoint damaged   left out; the node is kept
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.registry.importing.users import UserPlanner
from services.registry.model.election import with_imported_primaries
from services.registry.model.endpoint import read_endpoints
from services.registry.model.errors import ExhaustedError, InvalidInputError
from services.registry.model.fact import NodePut
from services.registry.model.hostinfo import read_hostinfo
from services.registry.model.name import base_label
from services.registry.model.node import NO_USER, Node, RegisterMethod
from services.registry.model.route import read_routes, with_both_exits
from services.registry.model.state import State
from services.registry.model.tag import read_tags
from services.registry.model.text import clean_line
from services.registry.usecases.allocation import Allocator, new_stable_id
from services.shared.ids import NodeId, UserId
from services.shared.imported import Counts, Ids, ImportedNode, Problems
from services.shared.tailcfg.dnsname import is_label
from services.shared.tailcfg.hostinfo import Hostinfo

MAX_HOSTNAME = 255

_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
_METHODS = {"authkey": RegisterMethod.AUTH_KEY, "cli": RegisterMethod.CLI, "oidc": RegisterMethod.OIDC}
_NUMBERED = re.compile(r"-([0-9]+|[a-z0-9]{8})\Z", re.ASCII)
"""Suffix that Headscale appends to a taken name: a number since 0.29, eight random characters before."""
_RANDOM = re.compile(r"invalid-[a-z0-9]+\Z", re.ASCII)
"""Name that 0.27 and 0.28 give a node with an unusable hostname."""

MayOwn = Callable[[UserId, str], bool]
"""Predicate: the policy lets a user own a tag."""


class NodePlanner:
    """Planner of nodes: first the most recently seen, then addresses and names for nodes that lost theirs."""

    def __init__(
        self,
        state: State,
        users: UserPlanner,
        allocator: Allocator,
        may_own: MayOwn,
        now: datetime,
        counts: Counts,
        routes: Counts,
        problems: Problems,
        ids: Ids,
    ) -> None:
        self._state = state
        self._users = users
        self._allocator = allocator
        self._may_own = may_own
        self._now = now
        self._counts = counts
        self._routes = routes
        self._problems = problems
        self._node_ids = ids
        self._stable_ids = {node.stable_id for node in state.nodes.values()}
        self._planned: dict[NodeId, Node] = {}

    def take_all(self, found: Sequence[ImportedNode]) -> list[Node]:
        """Plan all nodes; returns them ordered by id."""
        for one in sorted(found, key=lambda one: (one.last_seen or _LONG_AGO, one.id), reverse=True):
            if not self._is_known(one) and (node := self._node(one)) is not None:
                self._keep(node)
                self._counts.imported += 1
        for node in sorted(self._planned.values(), key=lambda node: node.id):
            if whole := self._completed(node):
                self._keep(whole)
        planned = [self._planned[node_id] for node_id in sorted(self._planned)]
        return with_imported_primaries(planned, self._primaries(found), self._now)

    def _keep(self, node: Node) -> None:
        self._planned[node.id] = node
        self._stable_ids.add(node.stable_id)
        self._state.apply(NodePut(node))

    def _is_known(self, found: ImportedNode) -> bool:
        """Return whether the target has this node already; a node with another node's key is left out."""
        holder = self._state.by_node_key(found.node_key)
        if holder is None:
            return False
        if holder.machine_key == found.machine_key and holder.id not in self._planned:
            self._counts.already_there += 1
            return True
        self._counts.left_out += 1
        self._problems.add("node", found.id, f"node {holder.id} has the same node key", "left out")
        return True

    def _node(self, found: ImportedNode) -> Node | None:
        hostinfo = self._hostinfo(found)
        owner = self._owner(found)
        tags = self._tags(found, hostinfo, owner)
        if not tags and owner == NO_USER:
            self._counts.left_out += 1
            self._problems.add("node", found.id, "has neither an owner nor tags", "left out; let it join again")
            return None
        hostname = clean_line(found.hostname or hostinfo.hostname)[:MAX_HOSTNAME]
        node_id, stable_id = self._ids(found)
        endpoints, types = self._endpoints(found)
        advertised, approved = self._routes_of(found, hostinfo)
        given = self._given_name(found, node_id)
        return Node(
            id=node_id,
            stable_id=stable_id,
            machine_key=found.machine_key,
            node_key=found.node_key,
            disco_key=found.disco_key,
            created_at=found.created_at or self._now,
            given_name=given,
            given_name_fixed=bool(given) and not _follows(given, hostname, hostinfo.hostname),
            user_id=NO_USER if tags else owner,
            hostname=hostname,
            ipv4=self._address(found, node_id, found.ipv4),
            ipv6=self._address(found, node_id, found.ipv6),
            tags=tags,
            hostinfo=hostinfo.json,
            endpoints=endpoints,
            endpoint_types=types,
            home_derp=hostinfo.home_derp,
            expiry=found.expiry,
            expired=found.expiry is not None and found.expiry <= self._now,
            last_seen=found.last_seen,
            ephemeral=found.ephemeral,
            register_method=_METHODS.get(found.register_method, RegisterMethod.UNKNOWN),
            pre_auth_key_id=found.pre_auth_key_id,
            requested_tags=hostinfo.request_tags,
            advertised_routes=advertised,
            approved_routes=approved,
        )

    def _completed(self, node: Node) -> Node | None:
        """Return a node with a free name and addresses in place of missing ones, or None if none is missing."""
        changed = node
        if not node.given_name:
            name = self._allocator.name(self._state, node.hostname, node.id)
            self._problems.add("node", node.id, "its name is taken or empty", f"named {name}")
            changed = replace(changed, given_name=name)
        if node.ipv4 or node.ipv6:
            return changed if changed is not node else None
        try:
            ipv4 = self._allocator.ipv4(self._state, self._now)
            changed = replace(changed, ipv4=ipv4, ipv6=self._allocator.ipv6(self._state, self._now))
        except ExhaustedError as error:
            self._problems.add("node", node.id, "has no address", f"left without: {error}")
            return changed if changed is not node else None
        given = " and ".join(address for address in (changed.ipv4, changed.ipv6) if address)
        self._problems.add("node", node.id, "has no address", f"given {given}")
        return changed

    def _owner(self, found: ImportedNode) -> UserId:
        if not found.user_id:
            return NO_USER
        known = self._users.plan.ids.get(found.user_id)
        if known is None and not found.forced_tags:
            return self._users.make_missing(found.user_id, f"node {found.id}")
        return known if known is not None else NO_USER

    def _ids(self, found: ImportedNode) -> tuple[NodeId, str]:
        """Return id and stable id; the latter is Headscale's, since clients keep it of their exit node."""
        node_id = NodeId(self._node_ids.keep(found.id, self._state.nodes))
        stable_id = str(found.id)
        return node_id, new_stable_id() if stable_id in self._stable_ids else stable_id

    def _hostinfo(self, found: ImportedNode) -> Hostinfo:
        try:
            return read_hostinfo(found.hostinfo if found.hostinfo.strip() not in (b"", b"null") else b"")
        except InvalidInputError as error:
            what = f"its hostinfo is damaged ({error})"
            self._problems.add("node", found.id, what, "left empty until it reports again")
            return Hostinfo()

    def _tags(self, found: ImportedNode, hostinfo: Hostinfo, owner: UserId) -> tuple[str, ...]:
        granted: tuple[str, ...] = ()
        if found.requested_by_policy and owner != NO_USER:
            granted = tuple(tag for tag in hostinfo.request_tags if self._may_own(owner, tag))
        tags = self._valid("node", found.id, "tag", (*found.forced_tags, *granted), read_tags)
        if granted and set(granted) - set(found.forced_tags):
            what = f"the policy grants it {', '.join(granted)}, which it asks for"
            self._problems.add("node", found.id, what, "made its tags, which own it from now on")
        return tags

    def _valid(
        self, kind: str, which: int, noun: str, texts: Iterable[str], read: Callable[[Iterable[str]], tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Return the texts that are valid; note the others."""
        good: list[str] = []
        for text in texts:
            try:
                good.extend(read((text,)))
            except InvalidInputError as error:
                self._problems.add(kind, which, f"a {noun} is damaged: {error}", "left out")
                if kind == "route":
                    self._routes.left_out += 1
        try:
            return read(good)
        except InvalidInputError as error:
            self._problems.add(kind, which, str(error), "none of them is taken over")
            return ()

    def _endpoints(self, found: ImportedNode) -> tuple[tuple[str, ...], tuple[int, ...]]:
        try:
            return read_endpoints(found.endpoints, ())
        except InvalidInputError as error:
            self._problems.add("node", found.id, f"its endpoints are damaged: {error}", "left empty until it reports")
            return (), ()

    def _address(self, found: ImportedNode, node_id: NodeId, address: str) -> str:
        if not address or not self._state.is_assigned(address):
            return address
        self._problems.add("node", found.id, f"another node has its address {address}", "taken away")
        return ""

    def _given_name(self, found: ImportedNode, node_id: NodeId) -> str:
        """Return the given name that the node keeps; empty if it needs another."""
        name = clean_line(found.given_name).strip().lower()
        if not name or self._state.name_holder(name) not in (None, node_id):
            return ""
        if name != found.given_name:
            self._problems.add("node", found.id, f"its name {found.given_name!r} is not in lower case", f"now {name}")
        elif not is_label(name):
            what = f"its name {name} is no DNS label, so no client resolves it"
            self._problems.add("node", found.id, what, "kept; headscale nodes rename gives it another")
        return name

    def _routes_of(self, found: ImportedNode, hostinfo: Hostinfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return advertised and approved routes."""
        advertised = self._valid(
            "route", found.id, "route", (*hostinfo.routable_ips, *found.announced_routes), read_routes
        )
        approved = self._valid("route", found.id, "route", found.approved_routes, read_routes)
        self._routes.imported += len({*advertised, *approved})
        return advertised, with_both_exits(approved)

    def _primaries(self, found: Sequence[ImportedNode]) -> dict[str, NodeId]:
        """Return who was the primary router of each route, and note where another one will be."""
        ids = {node.stable_id: node.id for node in self._planned.values()}
        primaries: dict[str, NodeId] = {}
        for one in found:
            node_id = ids.get(str(one.id))
            for route in one.primary_routes:
                candidates = self._state.routers.candidates(route)
                if node_id in candidates and self._state.routers.primary(route) is None:
                    primaries[route] = node_id
                elif candidates:
                    done = "another router is elected, as it has one already or this node cannot serve it"
                    self._problems.add("route", route, f"{one.given_name} was its primary router", done)
        return primaries


def _follows(given: str, hostname: str, reported: str) -> bool:
    """Return whether a given name derives from the hostname, so that it may change with it."""
    base = base_label(hostname)
    if reported and base_label(reported) != base:
        return False
    return given == base or _NUMBERED.sub("", given) == base or _RANDOM.match(given) is not None
