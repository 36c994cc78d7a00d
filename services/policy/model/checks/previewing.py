"""Rules of a policy that concern one user or one destination, as the document spells them. Decides no access."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.policy.model.sections.names import spell
from services.policy.model.sections.ports import DEFAULT_PROTOCOLS
from services.policy.model.text.source import read
from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy, Grant
from services.shared.access.directory import Directory, Member
from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import EVERYTHING, Spans, coalesce, overlap

_SECTIONS = ("acls", "grants")


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """One rule: its sources, its destinations with ports, its postures, and the line on which it begins."""

    users: tuple[str, ...]
    ports: tuple[str, ...]
    postures: tuple[str, ...]
    line: int
    """Counted from one; 0: the document has no rules, so everything is allowed."""


def rule_lines(text: str) -> Mapping[str, int]:
    """Return the line of each access rule of a readable policy by its place, such as `acls[3]`.

    Raises: `PolicyError` when the text cannot be read.
    """
    found: dict[str, int] = {}
    parsed = read(text)
    members = parsed.tree.data if parsed.tree is not None and isinstance(parsed.tree.data, tuple) else ()
    for member in members:
        name = member.key.lower()
        if name in _SECTIONS and isinstance(member.value.data, list):
            for index, rule in enumerate(member.value.data):
                found[f"{name}[{index}]"] = parsed.lines.place(rule.at)[0]
    return found


class RulePreview:
    """Finder of the rules of one compiled policy on one tailnet."""

    def __init__(self, policy: CompiledPolicy, directory: Directory, lines: Mapping[str, int]) -> None:
        self._policy = policy
        self._directory = directory
        self._lines = lines

    def of_user(self, user_id: int) -> list[RuleMatch]:
        """Return the rules with the user, or a device of theirs, among the sources.

        The directory must hold a device of the user: rules are about devices.
        """
        devices = self._directory.by_identity[user_id, ()]
        places = coalesce((place, place) for one in devices for place in one.places)
        return self._matches(lambda grant: self._is_source(grant, devices[0], places))

    def of_destination(self, target: Spans, port: int) -> list[RuleMatch]:
        """Return the rules by which some source reaches an address at a port."""
        return self._matches(lambda grant: self._is_destination(grant, target, port))

    def _matches(self, concerns: Callable[[Grant], bool]) -> list[RuleMatch]:
        """Return the rules of which a grant is concerned, whole: an ACL has one grant for each destination."""
        rules: dict[str, list[Grant]] = {}
        for grant in self._policy.grants:
            if grant.network:
                rules.setdefault(grant.origin, []).append(grant)
        return [self._match(origin, grants) for origin, grants in rules.items() if any(map(concerns, grants))]

    def _match(self, origin: str, grants: list[Grant]) -> RuleMatch:
        return RuleMatch(
            users=_spelled(grants[0].source),
            ports=tuple(dict.fromkeys(text for grant in grants for text in _destinations(grant))),
            postures=grants[0].postures,
            line=self._lines.get(origin, 0),
        )

    def _is_source(self, grant: Grant, one: Member, places: Spans) -> bool:
        """Return whether a grant's sources select the owner of a device, or one of these addresses of theirs."""
        return any(
            self._directory.selects(alias, one)
            or alias.kind in (AliasKind.ANY, AliasKind.DANGER_ALL)
            or (alias.kind is AliasKind.PREFIXES and overlap(self._directory.spans_of(alias, source=True), places))
            for alias in grant.source
        )

    def _is_destination(self, grant: Grant, target: Spans, port: int) -> bool:
        opened = any(
            first <= port <= last
            for access in grant.network
            if not access.protocols or not set(access.protocols).isdisjoint(DEFAULT_PROTOCOLS)
            for first, last in access.ports
        )
        return opened and any(self._reaches(alias, grant, target) for alias in grant.destination)

    def _reaches(self, alias: Alias, grant: Grant, target: Spans) -> bool:
        if alias.kind is AliasKind.ANY:
            return overlap(EVERYTHING, target)
        if alias.kind is AliasKind.SELF:
            return any(
                self._is_source(grant, one, tuple((place, place) for place in one.places))
                for one in self._directory.inside(target)
                if one.user_id
            )
        return overlap(self._directory.spans_of(alias, source=False), target)


def placeholder(user_id: int) -> AccessNode:
    """Return a device without address that stands for a user who has none."""
    return AccessNode(id=(1 << 62) + user_id, user_id=user_id)


def _spelled(aliases: Iterable[Alias]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spell(alias) for alias in aliases))


def _destinations(grant: Grant) -> Iterator[str]:
    ranges = dict.fromkeys(ports for access in grant.network for ports in access.ports)
    text = ",".join(
        "*" if (first, last) == (0, 65535) else str(first) if first == last else f"{first}-{last}"
        for first, last in ranges
    )
    for name in _spelled(grant.destination):
        yield f"{name}:{text}"
