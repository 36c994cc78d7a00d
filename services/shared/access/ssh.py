"""Tailscale SSH: builds the `SSHPolicy` that a destination node enforces, and finds the check for a session.

The client takes the first rule whose principals and users match. A user mapped to the empty string is a refusal of that
rule, `=` keeps the name, and the key `*` stands for every user that has no key of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.shared.access.compiled import AliasKind, SshRule
from services.shared.access.directory import Directory, Identity, Member
from services.shared.access.sshactions import SshActions

Rule = dict[str, Any]

DEFAULT_CHECK_PERIOD = 12 * 3600
"""Seconds for which an approval is valid if the rule names no period."""

_LOCALPART = "localpart:*@"


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of a rule: matching devices by user, and tagged nodes."""

    by_user: dict[int, list[Member]]
    tagged: list[Member]
    ids: frozenset[int]
    """All node ids."""


@dataclass(frozen=True, slots=True)
class SshCheck:
    """The check that the deciding rule requires: a session needs a person's approval."""

    period: int
    """Seconds for which an approval is valid; 0: one session."""
    everywhere: bool
    """The rule names no period, so an approval for one destination is valid for all destinations of the source."""
    action: Rule
    """The `SSHAction` that the client is sent once the session is approved."""


class SshRules:
    """SSH policies of the nodes of one snapshot."""

    def __init__(self, directory: Directory, rules: Sequence[SshRule], server_url: str) -> None:
        self._directory = directory
        self._rules = rules
        self._actions = SshActions(directory, server_url)
        self._sources: dict[int, _Sources] = {}
        self._policies: dict[Hashable, dict[str, Any] | None] = {}
        self._runs: dict[Hashable, tuple[Sequence[Rule], ...]] = {}
        self._for_all: dict[int, list[Rule]] = {}
        self._for_one: dict[tuple[int, int], list[Rule]] = {}
        self._own: dict[int, bool] = {}
        self._reached: dict[Identity, int] = defaultdict(int)
        for number, rule in enumerate(rules):
            for alias in rule.destination:
                for identity in directory.identities_of(alias):
                    self._reached[identity] |= 1 << number

    def key(self, node_id: int) -> Hashable:
        """Return a key; equal keys mean equal policies: the rules to the node, and users with rules of their own."""
        one = self._directory.members[node_id]
        reached = self._reached.get(one.identity, 0)
        if one.user_id:
            if one.user_id not in self._own:
                self._own[one.user_id] = self._has_own_rules(one)
            return (reached, one.user_id) if self._own[one.user_id] else reached
        return (reached, 0, node_id) if self._has_own_rules(one) else reached

    def _has_own_rules(self, one: Member) -> bool:
        """Return whether some rule is compiled for the node's owner alone, or for the tagged node alone."""
        return any(
            ((one.user_id and _to_self(rule)) or (_is_local(rule) and not self._is_destination(number, one)))
            and self._is_source(number, rule, one)
            for number, rule in enumerate(self._rules)
        )

    def policy(self, node_id: int) -> dict[str, Any] | None:
        """Return the `SSHPolicy` of a node; None if no rule applies to it. Shared by nodes with equal keys."""
        key = self.key(node_id)
        if key not in self._policies:
            rules = [rule for run in self.runs(node_id) for rule in run]
            self._policies[key] = {"rules": rules} if rules else None
        return self._policies[key]

    def runs(self, node_id: int) -> tuple[Sequence[Rule], ...]:
        """Return the rules of a node's policy in runs; a run shared by several policies is the same list in each.

        Policies may name every user and differ in one rule: with runs, only that rule is built for each.
        """
        key = self.key(node_id)
        if key not in self._runs:
            one = self._directory.members[node_id]
            checks: list[Sequence[Rule]] = []
            accepts: list[Sequence[Rule]] = []
            for number, rule in enumerate(self._rules):
                (checks if rule.check else accepts).extend(self._compile(number, rule, one))
            self._runs[key] = tuple(run for run in checks + accepts if run)
        return self._runs[key]

    def check(self, source_id: int, destination_id: int, local_user: str) -> SshCheck | None:
        """Return the check of a session, by the first rule with one; None if there is none.

        The server evaluates this when a client requests the hold URL, because the URL's parameters prove nothing.
        If no rule has the local user, as on systems with user names longer than the login, the strictest of the rules
        for these two nodes applies: the destination has checked the login itself.
        """
        members = self._directory.members
        source, destination = members.get(source_id), members.get(destination_id)
        if source is None or destination is None:
            return None
        found = [rule for number, rule in enumerate(self._rules) if self._checks(number, rule, source, destination)]
        named = [rule for rule in found if self._opens(rule, source, local_user)]
        if not found:
            return None
        rule = named[0] if named else min(found, key=_period)
        return SshCheck(_period(rule), rule.check_period is None, self._actions.permit(rule))

    def _checks(self, number: int, rule: SshRule, source: Member, destination: Member) -> bool:
        if not rule.check or source.node.id not in self._sources_of(number, rule).ids:
            return False
        same_user = bool(source.user_id) and source.user_id == destination.user_id
        return (_to_self(rule) and same_user) or self._is_destination(number, destination)

    def _opens(self, rule: SshRule, source: Member, local_user: str) -> bool:
        users = _ssh_users(rule)
        return bool(users.get(local_user, users.get("*", ""))) or local_user == self._localpart(rule, source.user_id)

    def _localpart(self, rule: SshRule, user_id: int) -> str | None:
        """Return the login that a rule derives from a user's address; None for most rules."""
        user = self._directory.users.get(user_id)
        local, _, domain = user.email.rpartition("@") if user else ("", "", "")
        return local if local and domain in _local_domains(rule) else None

    def _sources_of(self, number: int, rule: SshRule) -> _Sources:
        found = self._sources.get(number)
        if found is None:
            directory = self._directory
            identities = {identity: None for alias in rule.source for identity in directory.identities_of(alias)}
            nodes = {
                one.node.id: one
                for identity in identities
                for one in directory.by_identity[identity]
                if directory.passes(one, rule.postures)
            }
            by_user: dict[int, list[Member]] = {}
            for one in nodes.values():
                if one.user_id:
                    by_user.setdefault(one.user_id, []).append(one)
            tagged = sorted((one for one in nodes.values() if one.identity[1]), key=lambda one: one.node.id)
            found = self._sources[number] = _Sources(dict(sorted(by_user.items())), tagged, frozenset(nodes))
        return found

    def _compile(self, number: int, rule: SshRule, one: Member) -> Iterator[Sequence[Rule]]:
        sources = self._sources_of(number, rule)
        if not sources.by_user and not sources.tagged:
            return
        if one.user_id and _to_self(rule):
            yield self._for_user(number, rule, one.user_id)
        if self._is_destination(number, one):
            if number not in self._for_all:
                self._for_all[number] = self._for_everyone(number, rule, sources)
            yield self._for_all[number]
        elif _is_local(rule):
            yield self._for_a_source(number, rule, one)

    def _for_everyone(self, number: int, rule: SshRule, sources: _Sources) -> list[Rule]:
        """Return the compiled forms of a rule that are equal for all its destinations."""
        if not _local_domains(rule):
            principals = [p for nodes in sources.by_user.values() for p in _principals(nodes)]
            return [self._rule(rule, principals + _tagged_principals(sources.tagged))]
        made = [one for user_id in sources.by_user for one in self._for_user(number, rule, user_id)]
        if sources.tagged:
            made.append(self._rule(rule, _tagged_principals(sources.tagged)))
        return made

    def _is_destination(self, number: int, one: Member) -> bool:
        return bool(self._reached.get(one.identity, 0) >> number & 1)

    def _is_source(self, number: int, rule: SshRule, one: Member) -> bool:
        sources = self._sources_of(number, rule)
        return one.user_id in sources.by_user if one.user_id else one.node.id in sources.ids

    def _for_a_source(self, number: int, rule: SshRule, one: Member) -> list[Rule]:
        """Return the rules for a node that is only a source: its user's logins, as the hosted service sends them."""
        if one.user_id:
            return self._for_user(number, rule, one.user_id)
        return [self._rule(rule, _principals([one]))] if self._is_source(number, rule, one) else []

    def _for_user(self, number: int, rule: SshRule, user_id: int) -> list[Rule]:
        """Return a rule for one user's devices, compiled once for all policies that contain it."""
        found = self._for_one.get((number, user_id))
        if found is None:
            found = self._for_one[number, user_id] = self._find_for_user(number, rule, user_id)
        return found

    def _find_for_user(self, number: int, rule: SshRule, user_id: int) -> list[Rule]:
        nodes = self._sources_of(number, rule).by_user.get(user_id)
        if not nodes:
            return []
        principals = _principals(nodes)
        made = [self._rule(rule, principals)]
        if (local := self._localpart(rule, user_id)) is not None:
            made.append(self._rule(rule, principals, {local: local}))
        return made

    def _rule(self, rule: SshRule, principals: list[Rule], users: dict[str, str] | None = None) -> Rule:
        made: Rule = {
            "principals": principals,
            "sshUsers": _ssh_users(rule) if users is None else users,
            "action": self._actions.first(rule),
        }
        if rule.accept_env:
            made["acceptEnv"] = list(rule.accept_env)
        return made


def _to_self(rule: SshRule) -> bool:
    return any(alias.kind is AliasKind.SELF for alias in rule.destination)


def _period(rule: SshRule) -> int:
    return DEFAULT_CHECK_PERIOD if rule.check_period is None else rule.check_period


def _local_domains(rule: SshRule) -> list[str]:
    """Return the domains of users who log in under their own names."""
    return [user.removeprefix(_LOCALPART) for user in rule.users if user.startswith(_LOCALPART)]


def _is_local(rule: SshRule) -> bool:
    """Return whether the rule maps logins by user, to other devices than the user's own."""
    return bool(_local_domains(rule)) and any(alias.kind is not AliasKind.SELF for alias in rule.destination)


def _principals(nodes: Sequence[Member]) -> list[Rule]:
    """Return the IPv4 addresses of a user's devices, then the IPv6 ones, each sorted."""
    named = [list(zip(one.places, one.addresses, strict=True)) for one in nodes]
    # By family before the sort, which is then nearly free if devices got their addresses in sequence.
    firsts, seconds = [one[0] for one in named if one], [one[1] for one in named if len(one) > 1]
    return [{"nodeIP": address} for _, address in sorted(firsts + seconds)]


def _tagged_principals(nodes: Sequence[Member]) -> list[Rule]:
    """Return both addresses of a tagged node, once for each of its tags, as the hosted service sends them."""
    return [{"nodeIP": address} for one in nodes for _ in one.identity[1] for address in one.addresses]


def _ssh_users(rule: SshRule) -> dict[str, str]:
    users = {"root": "root" if "root" in rule.users else ""}
    for user in rule.users:
        if user == "autogroup:nonroot":
            users["*"] = "="
        elif not user.startswith(_LOCALPART) and user != "root":
            users[user] = user
    return users
