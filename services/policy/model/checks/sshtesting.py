"""Runs a policy's `sshTests` against a tailnet, with the SSH rules that its nodes would receive."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from services.policy.model.checks.sshverdicts import Addresses, Run, Verdicts
from services.policy.model.compiler import Document
from services.policy.model.sections.names import spell
from services.policy.model.sections.testsections import Attributes, SshTest
from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind, SshRule
from services.shared.access.directory import Directory, Member
from services.shared.access.posture import meets
from services.shared.access.ranges import show_point
from services.shared.access.ssh import SshRules

_NO_SSH_TARGETS = ("*", "autogroup:internet", "autogroup:danger-all", "autogroup:nonroot")
_EMPTY = '""'


def is_unused_tag(alias: Alias, directory: Directory) -> bool:
    """Return whether a name is a tag that the policy defines and no node has."""
    return alias.kind is AliasKind.TAG and not directory.identities_of(alias)


class SshTests:
    """The `sshTests` of one document on one tailnet."""

    def __init__(self, document: Document, directory: Directory) -> None:
        self._document = document
        self._directory = directory
        self._ssh: dict[Attributes | None, SshRules] = {}
        self._found: dict[Alias, list[Member]] = {}
        self._targets: dict[tuple[Alias, Attributes | None], dict[Hashable, list[Member]]] = {}
        self._verdicts = Verdicts()
        self.unused_tags: set[str] = set()
        """Tags that tests name and no node has."""

    def failures(self) -> list[str]:
        """Return a line for each failed assertion."""
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
        if is_unused_tag(source, self._directory):
            self.unused_tags.add(source.name)
            return
        if not self._members(source):
            yield f'{test.source}: source "{test.source}" resolved to no IP addresses'
            return
        for text in test.destination:
            try:
                alias = self._document.names.alias(text)
            except ValueError as error:
                yield f'{test.source}: failed to resolve destination "{text}": {error}'
                continue
            if is_unused_tag(alias, self._directory):
                self.unused_tags.add(alias.name)
                continue
            yield from self._test(test, source, alias)

    def _test(self, test: SshTest, source: Alias, alias: Alias) -> Iterator[str]:
        to_self = alias.kind is AliasKind.SELF
        targets = self._by_policy(source if to_self else alias, test.attributes, own=to_self)
        if not targets:
            yield f'{test.source}: dst alias "{spell(alias)}" resolved to no nodes'
        ssh = self._ssh_for(test.attributes)
        all_sources = None if to_self else self._verdicts.addresses(source, self._members(source))
        unmet: list[tuple[int, str]] = []
        for nodes in targets.values():
            runs = ssh.runs(nodes[0].node.id)
            sources = all_sources or self._own(source, nodes[0])
            for login, problem in self._unmet(test, sources, runs):
                label = f"{test.source}/{login or _EMPTY}"
                unmet.extend((node.node.id, f"{label} -> {_name(node)}: {problem}") for node in nodes)
        yield from (line for _, line in sorted(unmet, key=lambda one: one[0]))

    def _ssh_for(self, attributes: Attributes | None) -> SshRules:
        """Return the SSH rules; `attributes` replace those of every source."""
        if attributes not in self._ssh:
            rules: Sequence[SshRule] = self._document.policy.ssh
            if attributes is not None:
                given = dict(attributes)
                passed = {one.name for one in self._document.policy.postures if meets(one, given)}
                rules = [
                    replace(rule, postures=())
                    for rule in rules
                    if not rule.postures or not passed.isdisjoint(rule.postures)
                ]
            self._ssh[attributes] = SshRules(self._directory, rules, "")
        return self._ssh[attributes]

    def _members(self, alias: Alias) -> list[Member]:
        if alias not in self._found:
            self._found[alias] = self._find(alias)
        return self._found[alias]

    def _find(self, alias: Alias) -> list[Member]:
        if alias.kind in IDENTITY_KINDS:
            return self._directory.members_of(alias)
        if alias.kind is not AliasKind.PREFIXES:
            return []
        found = {one.node.id: one for one in self._directory.inside(self._directory.spans_of(alias, source=False))}
        return list(found.values())

    def _by_policy(self, alias: Alias, attributes: Attributes | None, *, own: bool) -> dict[Hashable, list[Member]]:
        """Return the nodes of a name by SSH policy, or by owner all devices of its users."""
        if own:
            owners = sorted({one.identity for one in self._members(alias) if one.user_id})
            return {owner: self._directory.by_identity[owner] for owner in owners}
        key = alias, attributes
        if key not in self._targets:
            found: dict[Hashable, list[Member]] = {}
            ssh = self._ssh_for(attributes)
            for one in self._members(alias):
                found.setdefault(ssh.key(one.node.id), []).append(one)
            self._targets[key] = found
        return self._targets[key]

    def _own(self, source: Alias, target: Member) -> Addresses:
        """Return the sources to test; for `autogroup:self` only the devices of the target's own user."""
        if source.kind in IDENTITY_KINDS:
            return self._verdicts.addresses(target.identity, self._directory.by_identity[target.identity])
        own = [one for one in self._members(source) if one.identity == target.identity]
        return self._verdicts.addresses((source, target.identity), own)

    def _unmet(self, test: SshTest, sources: Addresses, runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
        """Return the logins of a test that differ from its expectation, with their actual result."""
        every, any_ = self._verdicts.every, self._verdicts.any
        for login in test.accept:
            if not login or not every(sources, runs, login, check_only=False):
                yield login, "expected ALLOWED, got DENIED"
        for login in test.deny:
            if not login or any_(sources, runs, login):
                yield login, "expected DENIED, got ALLOWED"
        for login in test.check:
            if not login or not every(sources, runs, login, check_only=True):
                allowed = bool(login) and every(sources, runs, login, check_only=False)
                yield login, f"expected ALLOWED via check, got {'ALLOWED via accept' if allowed else 'DENIED'}"


def _name(target: Member) -> str:
    return show_point(target.places[0]) if target.places else str(target.node.id)
