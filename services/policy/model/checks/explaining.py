"""Explanation of access between two nodes: the rules that allow it, and near misses. Decides no access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.policy.model.sections.names import spell
from services.policy.model.sections.ports import DEFAULT_PROTOCOLS
from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy, Grant, NetworkAccess
from services.shared.access.directory import Directory, Member
from services.shared.access.ranges import EVERYTHING, Spans, overlap

_NEAR = 20
"""Maximum number of near misses in an explanation."""


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """The question whether a node may reach some addresses."""

    source: int
    target: Spans
    port: int | None = None
    """None means any port."""
    protocols: tuple[int, ...] = DEFAULT_PROTOCOLS


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rules that allow access, by their place in the document; if there are none, near misses with a reason."""

    allowed: bool
    rules: tuple[str, ...]
    near: tuple[str, ...]


class Explainer:
    """Explainer of one compiled policy on one tailnet."""

    def __init__(self, policy: CompiledPolicy, directory: Directory) -> None:
        self._policy = policy
        self._directory = directory

    def ask(self, question: AccessQuestion) -> Explanation:
        """Return the explanation of a question. Raises `KeyError` if the source is not a node."""
        source = self._directory.members[question.source]
        rules: list[str] = []
        near: list[str] = []
        for grant in self._policy.grants:
            aliases = [alias for alias in grant.source if self._names(alias, source)]
            if not aliases:
                continue
            if not self._directory.passes(source, grant.postures):
                near.append(f"{grant.origin}: the source does not meet {' or '.join(grant.postures)}")
                continue
            steered = (AliasKind.INTERNET, AliasKind.PREFIXES) if grant.via else tuple(AliasKind)
            reached = [
                alias
                for alias in grant.destination
                if alias.kind in steered and self._reaches(alias, grant, source, question.target)
            ]
            if not reached:
                continue
            opened = [access for access in grant.network if _opens(access, question)]
            text = f"{grant.origin}: {_spelled(aliases)} to {_spelled(reached)}"
            if grant.via and not self._is_steered(grant, reached, question.target):
                near.append(f"{text}, but no node with {' or '.join(grant.via)} serves it")
            elif opened and grant.via:
                rules.append(f"{text}, through nodes with {' or '.join(grant.via)}")
            elif opened:
                rules.append(text)
            elif grant.network:
                near.append(f"{text}, but only {', '.join(dict.fromkeys(_ports(grant)))}")
            else:
                near.append(f"{text}, but only an application capability")
        return Explanation(bool(rules), tuple(dict.fromkeys(rules)), tuple(dict.fromkeys(near))[:_NEAR])

    def _names(self, alias: Alias, one: Member) -> bool:
        if self._directory.selects(alias, one):
            return True
        if alias.kind in (AliasKind.ANY, AliasKind.PREFIXES, AliasKind.DANGER_ALL):
            return overlap(self._directory.spans_of(alias, source=True), tuple((p, p) for p in one.places))
        return False

    def _is_steered(self, grant: Grant, reached: Iterable[Alias], target: Spans) -> bool:
        """Return whether a `via` node of the grant has an approved route to the target."""
        aliases = list(reached)
        for router in self._directory.routers:
            if set(grant.via).isdisjoint(router.identity[1]):
                continue
            for alias in aliases:
                spans = self._directory.spans_of(alias, source=False)
                if router.exits and (alias.kind is AliasKind.INTERNET or alias.internet):
                    return True
                if overlap(router.subnet_spans, spans) and overlap(router.subnet_spans, target):
                    return True
        return False

    def _reaches(self, alias: Alias, grant: Grant, source: Member, target: Spans) -> bool:
        if alias.kind is AliasKind.SELF:
            own = self._directory.by_identity[source.identity] if source.user_id else []
            return overlap(tuple(sorted((p, p) for one in own for p in one.places)), target)
        if alias.kind is AliasKind.ANY and grant.network:
            return overlap(EVERYTHING, target)
        return overlap(self._directory.spans_of(alias, source=False), target)


def _opens(access: NetworkAccess, question: AccessQuestion) -> bool:
    if access.protocols and set(access.protocols).isdisjoint(question.protocols):
        return False
    return question.port is None or any(first <= question.port <= last for first, last in access.ports)


def _spelled(aliases: Iterable[Alias]) -> str:
    return ", ".join(dict.fromkeys(spell(alias) for alias in aliases))


def _ports(grant: Grant) -> Iterator[str]:
    for access in grant.network:
        protocol = "/".join(str(number) for number in access.protocols)
        for first, last in access.ports:
            shown = "all ports" if (first, last) == (0, 65535) else f"port {first}" if first == last else ""
            text = shown or f"ports {first}-{last}"
            yield f"{text} of protocol {protocol}" if protocol else text
