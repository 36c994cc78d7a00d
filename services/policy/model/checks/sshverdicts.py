"""Verdicts of SSH policies: sets of source addresses against the principals of rules.

Rules with a check precede those that accept, so the first match has a check exactly if any rule with a check matches.
Policies share runs of rules, so the principals of a run are computed once per login.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from services.shared.access.directory import Member

Addresses = frozenset[str]
Run = Sequence[dict[str, Any]]
"""A run of rules that several policies may share; see `services.shared.access.ssh`."""

_SHORT = 2
"""Runs with at most this many rules are not cached."""
_SMALL = 64
"""Below this number of addresses, comparing sets costs less than caching the result."""


class Verdicts:
    """Cached verdicts about some policies; their rules must not change meanwhile."""

    def __init__(self) -> None:
        self._addresses: dict[Hashable, Addresses] = {}
        self._principals: dict[int, tuple[object, Addresses]] = {}
        self._let_in: dict[tuple[int, str, bool], tuple[Run, Addresses]] = {}
        self._without: dict[tuple[int, int], tuple[Addresses, Addresses, Addresses]] = {}

    def addresses(self, key: Hashable, nodes: Iterable[Member]) -> Addresses:
        """Return the addresses of some nodes; the same object for the same key."""
        if key not in self._addresses:
            self._addresses[key] = frozenset(address for one in nodes for address in one.addresses)
        return self._addresses[key]

    def every(self, sources: Addresses, runs: Sequence[Run], login: str, *, check_only: bool) -> bool:
        """Return whether every source may log in; with `check_only`, whether each may after a check."""
        sets = self._sets(runs, login, check_only=check_only)
        ahead = sum(map(len, sets))
        left = sources
        for place, principals in enumerate(sets):
            if not left or len(left) > ahead:
                break
            if len(principals) * 4 < len(left):
                return len(left) <= len(frozenset[str]().union(*sets[place:]) & left)
            left = self._take(left, principals)
            ahead -= len(principals)
        return not left

    def any(self, sources: Addresses, runs: Sequence[Run], login: str) -> bool:
        """Return whether any source may log in."""
        sets = self._sets(runs, login, check_only=False)
        return any(self._meet(sources, principals) for principals in sets)

    def _sets(self, runs: Sequence[Run], login: str, *, check_only: bool) -> list[Addresses]:
        """Return the sets of addresses that may log in as a user, the largest first."""
        found: list[Addresses] = []
        for run in runs:
            if len(run) <= _SHORT:
                found += self._of_rules(run, login, check_only=check_only)
            else:
                found.append(self._together(run, login, check_only=check_only))
        return sorted(found, key=len, reverse=True)

    def _together(self, run: Run, login: str, *, check_only: bool) -> Addresses:
        key = id(run), login, check_only
        if key not in self._let_in:
            sets = self._of_rules(run, login, check_only=check_only)
            # Keep the run alive, so that its id is not reused.
            self._let_in[key] = run, frozenset[str]().union(*sets)
        return self._let_in[key][1]

    def _of_rules(self, run: Run, login: str, *, check_only: bool) -> list[Addresses]:
        found = []
        for rule in run:
            users = rule["sshUsers"]
            mapped = users.get(login, users.get("*", "") if login != "root" else "")
            if mapped and (not check_only or "holdAndDelegate" in rule["action"]):
                found.append(self._set(rule["principals"]))
        return found

    def _set(self, principals: list[dict[str, str]]) -> Addresses:
        known = self._principals.get(id(principals))
        if known is None:
            # Keep the list alive, so that its id is not reused.
            known = principals, frozenset(principal["nodeIP"] for principal in principals)
            self._principals[id(principals)] = known
        return known[1]

    def _meet(self, sources: Addresses, principals: Addresses) -> bool:
        if min(len(sources), len(principals)) < _SMALL:
            return not sources.isdisjoint(principals)
        return len(self._take(sources, principals)) < len(sources)

    def _take(self, sources: Addresses, principals: Addresses) -> Addresses:
        """Return the sources that are not among the principals."""
        if len(sources) < _SMALL:
            return sources - principals
        key = id(sources), id(principals)
        if key not in self._without:
            # Keep the sets alive, so that their ids are not reused.
            self._without[key] = sources, principals, sources - principals
        return self._without[key][2]
