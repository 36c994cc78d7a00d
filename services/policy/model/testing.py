"""Runs a policy's own tests against a tailnet, before the policy is put in force.

The first line of a failure is the hosted service's whole answer; the lines after it say what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from services.policy.model.compiler import Document
from services.policy.model.names import literal, spell
from services.policy.model.ports import DEFAULT_PROTOCOLS, WITH_PORTS, parse_ports, parse_protocol, split_destination
from services.policy.model.problems import PolicyError, Problem
from services.policy.model.testsections import AccessTest, SshTest
from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind, Grant, SshRule
from services.shared.access.directory import Directory, Member
from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.access.posture import meets
from services.shared.access.ranges import EVERYTHING, Span, Spans, coalesce, overlap, overlaps, show_point
from services.shared.access.ssh import Ssh

FAILED = "test(s) failed"

_TEST_PROTOCOLS = WITH_PORTS
_MAX_REPORTED = 200
_NO_SSH_TARGETS = ("*", "autogroup:internet", "autogroup:danger-all", "autogroup:nonroot")


class _BrokenError(ValueError):
    """A test that cannot be carried out; it counts as failed."""


def run_tests(
    document: Document, users: Iterable[AccessUser], nodes: Iterable[AccessNode], prefixes: Sequence[str] = ()
) -> None:
    """Run `tests` and `sshTests`. Raises: `PolicyError` when any of them fails, with a line for each failure."""
    if not document.tests and not document.ssh_tests:
        return
    directory = Directory(document.policy, users, nodes, prefixes)
    found = [
        *AccessTests(document, directory).failures(),
        *SshTests(document, directory).failures(),
    ]
    if not found:
        return
    lines = [Problem(line) for line in found[:_MAX_REPORTED]]
    if len(found) > _MAX_REPORTED:
        lines.append(Problem(f"and {len(found) - _MAX_REPORTED} more"))
    raise PolicyError(lines, f"{FAILED}:")


class AccessTests:
    """The `tests` of one document on one tailnet."""

    def __init__(self, document: Document, directory: Directory) -> None:
        self._document = document
        self._directory = directory
        self._postures = {posture.name: posture for posture in document.policy.postures}

    def failures(self) -> list[str]:
        """A line for each assertion that does not hold."""
        lines: list[str] = []
        for index, test in enumerate(self._document.tests):
            lines.extend(self._run(index, test))
        return lines

    def _run(self, index: int, test: AccessTest) -> Iterator[str]:
        if not test.accept and not test.deny:
            yield f'test {index}: test entry must have at least one of "accept" or "deny"'
            return
        try:
            protocols = _wanted_protocols(test.protocol)
        except ValueError as error:
            yield f"test {index}: {error}"
            return
        try:
            source = self._alias(test.source)
        except ValueError as error:
            yield f'{test.source}: failed to resolve source "{test.source}": {error}'
            return
        spans = self._source_spans(source)
        if not spans:
            yield f'{test.source}: source "{test.source}" resolved to no IP addresses'
            return
        for wanted, destinations in ((True, test.accept), (False, test.deny)):
            for text in destinations:
                try:
                    allowed = self._allowed(test, source, spans, protocols, text)
                except ValueError as error:
                    yield f'{test.source}: error testing "{text}": {error}'
                    continue
                if allowed is not wanted:
                    expected, got = ("ALLOWED", "DENIED") if wanted else ("DENIED", "ALLOWED")
                    yield f"{test.source} -> {text} ({test.protocol or 'any'}): expected {expected}, got {got}"

    def _alias(self, text: str) -> Alias:
        return self._document.names.alias(text)

    def _source_spans(self, alias: Alias) -> Spans:
        if alias.kind in IDENTITY_KINDS:
            places = [place for one in self._directory.members_of(alias) for place in one.places]
            return tuple((place, place) for place in sorted(places))
        if alias.kind in (AliasKind.SELF, AliasKind.INTERNET, AliasKind.SERVICE, AliasKind.SHARED):
            raise _BrokenError("not valid as a test source")
        return self._directory.spans_of(alias, source=False)

    def _allowed(self, test: AccessTest, source: Alias, spans: Spans, protocols: tuple[int, ...], text: str) -> bool:
        host, port_text = split_destination(text)
        if "/" in host:
            raise _BrokenError("test destination must be a single host, not a CIDR range")
        icmp = protocols in ((1,), (58,))
        port = 0 if icmp and port_text == "0" else _single_port(port_text, icmp=icmp)
        alias = self._alias(host)
        if alias.kind is AliasKind.INTERNET:
            raise _BrokenError("autogroup:internet not valid as a test destination")
        if alias.kind is AliasKind.PREFIXES and literal(host) is None:
            ranges = self._directory.spans_of(alias, source=False)
            if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
                raise _BrokenError("test destination must be a single host, not a CIDR range")
        if alias.kind is AliasKind.SELF:
            return self._self_allowed(test, source, protocols, port)
        targets = self._target_spans(alias)
        if not targets:
            raise _BrokenError("destination resolved to no IP addresses")
        return all(self._reaches(test, one, targets, protocols, port) for one in spans)

    def _target_spans(self, alias: Alias) -> Spans:
        if alias.kind in (AliasKind.SERVICE, AliasKind.SHARED, AliasKind.DANGER_ALL):
            raise _BrokenError("not valid as a test destination")
        return self._directory.spans_of(alias, source=False)

    def _self_allowed(self, test: AccessTest, source: Alias, protocols: tuple[int, ...], port: int) -> bool:
        """`autogroup:self` means, for each device of the source, the devices of the same user."""
        if source.kind not in IDENTITY_KINDS:
            raise _BrokenError("autogroup:self needs a source that names people")
        members = [one for one in self._directory.members_of(source) if one.user_id]
        if not members:
            raise _BrokenError("destination resolved to no IP addresses")
        for one in members:
            own = coalesce((p, p) for other in self._directory.by_identity[one.identity] for p in other.places)
            if not all(self._reaches(test, (place, place), own, protocols, port) for place in one.places):
                return False
        return True

    def _reaches(self, test: AccessTest, source: Span, targets: Spans, protocols: tuple[int, ...], port: int) -> bool:
        return any(
            self._grants(grant, source, targets, protocols, port, test) for grant in self._document.policy.grants
        )

    def _grants(
        self, grant: Grant, source: Span, targets: Spans, protocols: tuple[int, ...], port: int, test: AccessTest
    ) -> bool:
        if grant.via or not self._opens(grant, protocols, port):
            return False
        if not self._is_source(grant, source, test):
            return False
        for alias in grant.destination:
            if alias.kind is AliasKind.SELF:
                owners = {one.identity for one in self._directory.inside((source,)) if one.user_id}
                if any(one.identity in owners for one in self._directory.inside(targets)):
                    return True
                continue
            spans = EVERYTHING if alias.kind is AliasKind.ANY else self._directory.spans_of(alias, source=False)
            if overlap(spans, targets):
                return True
        return False

    @staticmethod
    def _opens(grant: Grant, protocols: tuple[int, ...], port: int) -> bool:
        for access in grant.network:
            if access.protocols and set(access.protocols).isdisjoint(protocols):
                continue
            if any(first <= port <= last for first, last in access.ports):
                return True
        return False

    def _is_source(self, grant: Grant, source: Span, test: AccessTest) -> bool:
        if not any(overlaps(self._directory.spans_of(alias, source=True), source) for alias in grant.source):
            return False
        if not grant.postures:
            return True
        if test.attributes is not None:
            attributes = dict(test.attributes)
            known = [self._postures[name] for name in grant.postures if name in self._postures]
            return any(meets(posture, attributes) for posture in known)
        nodes = list(self._directory.inside((source,)))
        return not nodes or any(self._directory.passes(one, grant.postures) for one in nodes)


def _wanted_protocols(text: str) -> tuple[int, ...]:
    if not text:
        return DEFAULT_PROTOCOLS
    number = parse_protocol(text)
    if number not in _TEST_PROTOCOLS and number not in (1, 58):
        raise _BrokenError(f'test protocol must be tcp, udp, sctp, or empty: "{text}"')
    return (number,)


def _single_port(text: str, *, icmp: bool) -> int:
    ranges = parse_ports(text)
    if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
        raise _BrokenError("test destination port must be a single port")
    if icmp:
        raise _BrokenError('test protocol must be tcp, udp, sctp, or empty: "icmp"; a test of icmp needs port 0')
    return ranges[0][0]


class SshTests:
    """The `sshTests` of one document on one tailnet."""

    def __init__(self, document: Document, directory: Directory) -> None:
        self._document = document
        self._directory = directory

    def failures(self) -> list[str]:
        """A line for each assertion that does not hold."""
        lines: list[str] = []
        for index, test in enumerate(self._document.ssh_tests):
            problems = list(self._shape(index, test))
            lines.extend(problems or self._run(test))
        return lines

    def _shape(self, index: int, test: SshTest) -> Iterator[str]:
        if not test.source:
            yield f"sshTests[{index}]: SSH tests entry must have a non-empty src"
        if not test.destination:
            yield f"sshTests[{index}]: SSH tests entry must have at least one dst"
        if not test.accept and not test.check and not test.deny:
            yield f"{test.source}: no accept, deny, or check assertions specified"
        for text in test.destination:
            if text.startswith("tag:") and text not in self._document.names.tags:
                yield f'SSH tests dst contains unknown tag "{text}"'
            elif text in _NO_SSH_TARGETS or "/" in text or "/" in self._document.names.hosts.get(text, ""):
                yield f'SSH tests dst contains disallowed element "{text}"'
        for login in sorted(set(test.accept) & set(test.deny)):
            yield f'{test.source}: "{login}" is both in accept and in deny'

    def _run(self, test: SshTest) -> Iterator[str]:
        try:
            source = self._document.names.alias(test.source)
        except ValueError as error:
            yield f'{test.source}: failed to resolve source "{test.source}": {error}'
            return
        members = self._members(source)
        if not members:
            yield f'{test.source}: source "{test.source}" resolved to no IP addresses'
            return
        ssh = Ssh(self._directory, self._rules_for(test), "")
        for text in test.destination:
            try:
                alias = self._document.names.alias(text)
            except ValueError as error:
                yield f'{test.source}: failed to resolve destination "{text}": {error}'
                continue
            targets = self._targets(alias, members)
            if not targets:
                yield f'{test.source}: dst alias "{spell(alias)}" resolved to no nodes'
            for target in targets:
                sources = _sources_for(alias, members, target)
                yield from self._check(test, ssh, sources, target)

    def _rules_for(self, test: SshTest) -> Sequence[SshRule]:
        rules = self._document.policy.ssh
        if test.attributes is None:
            return rules
        attributes = dict(test.attributes)
        passed = {one.name for one in self._document.policy.postures if meets(one, attributes)}
        return [
            replace(rule, postures=()) for rule in rules if not rule.postures or not passed.isdisjoint(rule.postures)
        ]

    def _members(self, alias: Alias) -> list[Member]:
        if alias.kind in IDENTITY_KINDS:
            return self._directory.members_of(alias)
        if alias.kind is not AliasKind.PREFIXES:
            return []
        found = {one.node.id: one for one in self._directory.inside(self._directory.spans_of(alias, source=False))}
        return list(found.values())

    def _targets(self, alias: Alias, sources: Sequence[Member]) -> list[Member]:
        if alias.kind is AliasKind.SELF:
            owners = {one.identity for one in sources if one.user_id}
            return [one for owner in sorted(owners) for one in self._directory.by_identity[owner]]
        return self._members(alias)

    def _check(self, test: SshTest, ssh: Ssh, sources: Sequence[Member], target: Member) -> Iterator[str]:
        policy = ssh.policy(target.node.id) or {"rules": []}
        name = f"{show_point(target.places[0]) if target.places else target.node.id}"
        for login in test.accept:
            if not login or not _every(sources, policy["rules"], login, check_only=False):
                yield f"{test.source}/{login or _EMPTY} -> {name}: expected ALLOWED, got DENIED"
        for login in test.deny:
            if not login or _any(sources, policy["rules"], login):
                yield f"{test.source}/{login or _EMPTY} -> {name}: expected DENIED, got ALLOWED"
        for login in test.check:
            if not login or not _every(sources, policy["rules"], login, check_only=True):
                allowed = bool(login) and _every(sources, policy["rules"], login, check_only=False)
                got = "ALLOWED via accept" if allowed else "DENIED"
                yield f"{test.source}/{login or _EMPTY} -> {name}: expected ALLOWED via check, got {got}"


_EMPTY = '""'


def _sources_for(alias: Alias, members: Sequence[Member], target: Member) -> Sequence[Member]:
    """For `autogroup:self` only the devices of the target's own user are asked about."""
    if alias.kind is not AliasKind.SELF:
        return members
    return [one for one in members if one.identity == target.identity]


def _decides(rules: Sequence[dict[str, object]], address: str, login: str) -> dict[str, object] | None:
    """The first rule that lets an address log in under a name, as the client finds it."""
    for rule in rules:
        principals, users = rule["principals"], rule["sshUsers"]
        if not isinstance(principals, list) or not isinstance(users, dict):
            continue
        if not any(principal.get("nodeIP") == address for principal in principals):
            continue
        fallback = users.get("*", "") if login != "root" else ""
        mapped = users.get(login, fallback)
        if mapped:
            return rule
    return None


def _every(sources: Sequence[Member], rules: Sequence[dict[str, object]], login: str, *, check_only: bool) -> bool:
    for one in sources:
        for address in one.addresses:
            rule = _decides(rules, address, login)
            action = rule["action"] if rule else None
            if not isinstance(action, dict) or (check_only and "holdAndDelegate" not in action):
                return False
    return True


def _any(sources: Sequence[Member], rules: Sequence[dict[str, object]], login: str) -> bool:
    return any(_decides(rules, address, login) for one in sources for address in one.addresses)
