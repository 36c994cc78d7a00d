"""Resolves the names of a policy to users and nodes of one snapshot. Lookups use an index, never a scan."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy
from services.shared.access.inputs import AccessNode, AccessService, AccessUser
from services.shared.access.posture import meets
from services.shared.access.ranges import (
    CGNAT,
    EVERYTHING,
    EXIT_ROUTES,
    INTERNET,
    ULA,
    Span,
    Spans,
    coalesce,
    point,
    span,
    subtract,
)
from services.shared.access.services import ServiceDirectory

Identity = tuple[int, tuple[str, ...]]
"""The identity of a node in policies: its owner, or its tags."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node with the values derived from its record alone."""

    node: AccessNode
    identity: Identity
    places: tuple[int, ...]
    """Its addresses as numbers of `ranges`, IPv4 first."""
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    """Effective subnet routes: advertised, approved, and not exit routes."""
    subnet_spans: Spans
    exits: tuple[str, ...]
    """Effective exit routes."""

    @property
    def user_id(self) -> int:
        """The owner for policies: 0 for tagged nodes."""
        return self.identity[0]


@lru_cache(maxsize=1 << 16)
def member(node: AccessNode) -> Member:
    """Derive a node's identity, addresses and effective routes."""
    tags = tuple(sorted(set(node.tags)))
    identity: Identity = (0, tags) if tags else (node.user_id, ())
    addresses = tuple(address for address in (node.ipv4, node.ipv6) if address and _is_usable(address, point))
    subnets: tuple[str, ...] = ()
    exits: tuple[str, ...] = ()
    if node.advertised_routes and node.approved_routes:
        approved = set(node.approved_routes)
        if approved & set(EXIT_ROUTES):
            approved.update(EXIT_ROUTES)
        effective = [
            route for route in dict.fromkeys(node.advertised_routes) if route in approved and _is_usable(route, span)
        ]
        subnets = tuple(route for route in effective if route not in EXIT_ROUTES)
        exits = tuple(route for route in effective if route in EXIT_ROUTES)
    spans = coalesce(span(route) for route in subnets) if subnets else ()
    return Member(node, identity, tuple(point(a) for a in addresses), addresses, subnets, spans, exits)


def _is_usable(text: str, read: Callable[[str], object]) -> bool:
    """Return whether a text parses. Malformed addresses and prefixes are left out: they can grant nothing."""
    try:
        read(text)
    except ValueError:
        return False
    return True


class Directory:
    """The users and nodes of one snapshot, indexed by what policies can name."""

    def __init__(
        self,
        policy: CompiledPolicy,
        users: Iterable[AccessUser],
        nodes: Iterable[AccessNode],
        prefixes: Sequence[str] = (),
        previous: Directory | None = None,
        services: Iterable[AccessService] = (),
    ) -> None:
        self.users = {user.id: user for user in users}
        known: dict[int, Member] = previous.members if previous is not None else {}
        self.members: dict[int, Member] = {}
        for node in sorted(nodes, key=lambda node: node.id):
            one = known.get(node.id)
            self.members[node.id] = one if one is not None and one.node is node else member(node)
        self._policy = policy
        self._groups = {group.name: group.members for group in policy.groups}
        self._postures = {posture.name: posture for posture in policy.postures}
        self.by_identity: dict[Identity, list[Member]] = defaultdict(list)
        self._by_tag: dict[str, list[Identity]] = defaultdict(list)
        self.routers: list[Member] = []
        for one in self.members.values():
            if one.identity not in self.by_identity:
                for tag in one.identity[1]:
                    self._by_tag[tag].append(one.identity)
            self.by_identity[one.identity].append(one)
            if one.subnets or one.exits:
                self.routers.append(one)
        self.subnet_routes = tuple(dict.fromkeys(route for one in self.routers for route in one.subnets))
        self.tailnet = coalesce([*CGNAT, ULA, *(span(prefix) for prefix in prefixes)])
        if prefixes:
            self.tailnet = subtract(self.tailnet, (span("100.115.92.0/23"),))
        self.tailnet_and_routes = coalesce([*self.tailnet, *(span(route) for route in self.subnet_routes)])
        self._tokens: dict[str, list[AccessUser]] | None = None
        self._providers: dict[str, AccessUser] = {}
        self._identities: dict[Alias, tuple[Identity, ...]] = {}
        self._identity_sets: dict[Alias, frozenset[Identity]] = {}
        self._spans: dict[Alias, Spans] = {}
        self._passing: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], bool] = {}
        self._described = tuple(services)

    @cached_property
    def services(self) -> ServiceDirectory:
        """Return the services and the nodes that serve them."""
        if not self._described:
            return ServiceDirectory((), (), (), lambda _: ())
        tagged = {node_id for node_id, one in self.members.items() if one.identity[1]}
        return ServiceDirectory(self._described, self._policy.service_approvers, tagged, self._ids_of)

    def _ids_of(self, alias: Alias) -> Iterator[int]:
        return (one.node.id for identity in self.identities_of(alias) for one in self.by_identity[identity])

    # People

    def users_named(self, token: str) -> frozenset[int]:
        """Return the user that a token names: by provider identifier, else by email or name. A trailing @ is ignored.

        Upper and lower case of an email do not matter, unless the token is exactly the email of a user.
        A token that fits several users selects none, unless it is the email of just one of them: a user who can
        choose a name must not gain another user's access by it.
        """
        found = self.candidates(token)
        if len(found) > 1:
            bare = token.removesuffix("@")
            found = [user for user in found if user.email == bare]
        return frozenset((found[0].id,)) if len(found) == 1 else frozenset()

    def candidates(self, token: str) -> list[AccessUser]:
        """Return every user that a token could name."""
        if self._tokens is None:
            self._tokens = defaultdict(list)
            for user in self.users.values():
                if user.provider_id:
                    self._providers.setdefault(user.provider_id, user)
                for key in {user.email, user.name} - {""}:
                    self._tokens[key].append(user)
        bare = token.removesuffix("@")
        if bare in self._providers:
            return [self._providers[bare]]
        exact = self._tokens.get(bare)
        if exact is None and "@" in bare:
            return list(self._by_email.get(bare.lower(), ()))
        return list(exact or ())

    @cached_property
    def _by_email(self) -> dict[str, list[AccessUser]]:
        """Return the users by email in lower case."""
        found: dict[str, list[AccessUser]] = defaultdict(list)
        for user in self.users.values():
            if user.email:
                found[user.email.lower()].append(user)
        return found

    def users_of(self, alias: Alias) -> frozenset[int]:
        """Return the users that an alias names; none for aliases that do not name people."""
        match alias.kind:
            case AliasKind.USER:
                return self.users_named(alias.name)
            case AliasKind.GROUP:
                return self._group(alias.name)
            case AliasKind.DOMAIN:
                return frozenset(self._by_domain.get(alias.name.lower(), ()))
            case AliasKind.MEMBER:
                return frozenset(self.users)
            case AliasKind.ROLE:
                roles = ("admin", "owner") if alias.name == "admin" else (alias.name,)
                return frozenset(user.id for user in self.users.values() if user.role in roles)
            case _:
                return frozenset()

    @cached_property
    def _by_domain(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for user in self.users.values():
            found[user.email.rpartition("@")[2].lower()].append(user.id)
        return found

    @cached_property
    def _by_provided_group(self) -> dict[str, list[AccessUser]]:
        found: dict[str, list[AccessUser]] = defaultdict(list)
        for user in self.users.values():
            for group in user.groups:
                found[group].append(user)
        return found

    def _group(self, name: str) -> frozenset[int]:
        listed, provided = self.group_members(name)
        return listed | provided

    def group_members(self, name: str) -> tuple[frozenset[int], frozenset[int]]:
        """Return the members of a group by the policy and by the provider, under the rule for conflicts."""
        tokens = self._groups.get(name)
        listed = frozenset(user for token in tokens or () for user in self.users_named(token))
        if tokens is not None and self._policy.on_conflict == "static":
            return listed, frozenset()
        wanted = name.removeprefix("group:")
        bare, _, domain = wanted.partition("@")
        provided = frozenset(user.id for user in self._by_provided_group.get(wanted, ()))
        if domain:
            known = self._by_provided_group.get(bare, ())
            provided |= {user.id for user in known if user.email.lower().endswith("@" + domain.lower())}
        return (frozenset() if provided and self._policy.on_conflict == "idp" else listed), provided

    # Nodes

    def identities_of(self, alias: Alias) -> tuple[Identity, ...]:
        """Identities present in the snapshot that an alias selects; none for literal addresses."""
        found = self._identities.get(alias)
        if found is None:
            found = self._identities[alias] = tuple(self._find_identities(alias))
        return found

    def selects(self, alias: Alias, one: Member) -> bool:
        """Return whether an alias selects a node by its identity."""
        found = self._identity_sets.get(alias)
        if found is None:
            found = self._identity_sets[alias] = frozenset(self.identities_of(alias))
        return one.identity in found

    def _find_identities(self, alias: Alias) -> Iterator[Identity]:
        match alias.kind:
            case AliasKind.TAG:
                yield from self._by_tag.get(alias.name, ())
            case AliasKind.TAGGED:
                yield from (identity for identity in self.by_identity if identity[1])
            case AliasKind.MEMBER:
                yield from (identity for identity in self.by_identity if identity[0])
            case _:
                for user_id in sorted(self.users_of(alias)):
                    if (user_id, ()) in self.by_identity:
                        yield user_id, ()

    def members_of(self, alias: Alias) -> list[Member]:
        """Return the nodes that an identity alias selects, by id."""
        found = [one for identity in self.identities_of(alias) for one in self.by_identity[identity]]
        found.sort(key=lambda one: one.node.id)
        return found

    def spans_of(self, alias: Alias, *, source: bool) -> Spans:
        """Return the addresses of an alias. `*` as a source also covers approved subnet routes."""
        match alias.kind:
            case AliasKind.ANY:
                return self.tailnet_and_routes if source else self.tailnet
            case AliasKind.DANGER_ALL:
                return EVERYTHING
            case AliasKind.INTERNET:
                return INTERNET
            case _:
                found = self._spans.get(alias)
                if found is None:
                    found = self._spans[alias] = coalesce(self._find_spans(alias))
                return found

    def _find_spans(self, alias: Alias) -> Iterator[Span]:
        if alias.kind is AliasKind.PREFIXES:
            yield from (span(text) for text in alias.ranges)
            return
        if alias.kind is AliasKind.SERVICE:
            known = self.services.by_name.get(alias.name)
            yield from known.spans if known is not None else ()
            return
        for identity in self.identities_of(alias):
            yield from ((place, place) for one in self.by_identity[identity] for place in one.places)

    @cached_property
    def _by_place(self) -> list[tuple[int, int]]:
        return sorted((place, one.node.id) for one in self.members.values() for place in one.places)

    def inside(self, spans: Spans) -> Iterator[Member]:
        """Return the nodes with an address in the set; a node is listed twice if both its addresses are in it."""
        for first, last in spans:
            start = bisect_left(self._by_place, (first, -1))
            end = bisect_right(self._by_place, (last, 1 << 62))
            for _, node_id in self._by_place[start:end]:
                yield self.members[node_id]

    def passes(self, one: Member, postures: tuple[str, ...]) -> bool:
        """Return whether a node meets any of the postures. No node meets an unknown posture."""
        if not postures:
            return True
        key = (postures, one.node.attributes)
        found = self._passing.get(key)
        if found is None:
            attributes = dict(one.node.attributes)
            known = (self._postures[name] for name in postures if name in self._postures)
            found = self._passing[key] = any(meets(posture, attributes) for posture in known)
        return found
