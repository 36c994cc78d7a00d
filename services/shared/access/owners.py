"""Decides tag ownership and auto-approval of routes for one snapshot."""

from __future__ import annotations

from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy
from services.shared.access.directory import Directory, Member
from services.shared.access.ranges import EXIT_ROUTES, contains, span

_TAG_ADMINISTRATORS = frozenset({"owner", "admin", "network-admin"})
"""Roles that own every tag with an empty list of owners."""


class Owners:
    """Tag ownership and approvers of one snapshot."""

    def __init__(self, directory: Directory, policy: CompiledPolicy) -> None:
        self._directory = directory
        self._owners = {entry.subject: entry.approvers for entry in policy.tag_owners}
        self._routes = [(entry.subject, span(entry.subject), entry.approvers) for entry in policy.route_approvers]
        self._exit = policy.exit_approvers

    def tag_exists(self, tag: str) -> bool:
        """Return whether the policy defines the tag."""
        return tag in self._owners

    def may_own(self, user_id: int, tag: str) -> bool:
        """Return whether a user owns the tag: directly, by group or role, or by owning a tag that owns it."""
        user = self._directory.users.get(user_id)
        if user is None or tag not in self._owners:
            return False
        seen = {tag}
        waiting = [tag]
        while waiting:
            current = waiting.pop()
            owners = self._owners.get(current, ())
            if not owners and user.role in _TAG_ADMINISTRATORS:
                return True
            for alias in owners:
                if alias.kind is AliasKind.TAG:
                    if alias.name not in seen:
                        seen.add(alias.name)
                        waiting.append(alias.name)
                elif user_id in self._directory.users_of(alias):
                    return True
        return False

    def approved(self, one: Member) -> tuple[str, ...]:
        """Return the node's advertised routes that are auto-approved."""
        found = []
        for route in dict.fromkeys(one.node.advertised_routes):
            if route in EXIT_ROUTES:
                if names(self._directory, self._exit, one):
                    found.append(route)
                continue
            try:
                wanted = span(route)
            except ValueError:
                continue
            for _, prefix, approvers in self._routes:
                if prefix[0] <= wanted[0] and wanted[1] <= prefix[1] and names(self._directory, approvers, one):
                    found.append(route)
                    break
        return tuple(found)


def names(directory: Directory, approvers: tuple[Alias, ...], one: Member) -> bool:
    """Return whether a node is among the approvers."""
    for alias in approvers:
        if directory.selects(alias, one):
            return True
        if alias.kind in (AliasKind.ANY, AliasKind.PREFIXES):
            spans = directory.spans_of(alias, source=False)
            if any(contains(spans, place) for place in one.places):
                return True
    return False
