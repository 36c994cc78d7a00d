"""Address pools: selects the prefixes that a policy reserves for new nodes of a target. Allocates no address."""

from __future__ import annotations

from collections.abc import Iterable

from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy
from services.shared.access.directory import Directory, member
from services.shared.access.inputs import AccessNode, AccessUser


def all_pools(policy: CompiledPolicy) -> tuple[str, ...]:
    """Return every reserved prefix, for any target."""
    return tuple(dict.fromkeys(pool for entry in policy.node_attributes for pool in entry.pools))


def pools_for(policy: CompiledPolicy, users: Iterable[AccessUser], node: AccessNode) -> tuple[str, ...]:
    """Return the prefixes of the first entry that selects the node by its identity; none if no entry does.

    The node has no address yet, so targets that are addresses do not select it.
    """
    entries = [entry for entry in policy.node_attributes if entry.pools]
    if not entries:
        return ()
    directory = Directory(policy, users, (node,))
    identity = member(node).identity

    def names(alias: Alias) -> bool:
        return alias.kind is AliasKind.ANY or identity in directory.identities_of(alias)

    return next((entry.pools for entry in entries if any(names(alias) for alias in entry.target)), ())
