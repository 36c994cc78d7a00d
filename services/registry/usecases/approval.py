"""Decisions of the compiled policy for the registry: auto-approved routes, existing tags, address pools."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from services.registry.model.fact import Fact, UserPut
from services.registry.model.node import Node
from services.registry.model.route import EXIT_ROUTES, read_routes, with_both_exits
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.ledger import Ledger
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.access.pools import all_pools, pools_for
from services.shared.inventory import access_node, access_user, posture_attributes
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class PolicyDecisions(Protocol):
    """The decisions of a policy that the registry uses."""

    def approved_routes(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Return the node's advertised routes that are auto-approved."""
        ...

    def tag_exists(self, tag: str) -> bool:
        """Return whether the policy defines the tag."""
        ...

    def pools(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Return the prefixes for a new node's IPv4 address; none: any prefix."""
        ...

    def kept_pools(self) -> tuple[str, ...]:
        """Return every prefix that is reserved for some nodes."""
        ...


class NoPolicy:
    """Decisions until the policy is known: no route is approved, every tag is accepted."""

    def approved_routes(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Return no route."""
        return ()

    def tag_exists(self, tag: str) -> bool:
        """Accept every tag."""
        return True

    def pools(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """None."""
        return ()

    def kept_pools(self) -> tuple[str, ...]:
        """None."""
        return ()


class PolicyApprover:
    """Decisions of a compiled policy. They depend on one node and its owner, so no snapshot is built."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self._policy = policy
        self._tags = Access(policy, (), ())
        self._pools = all_pools(policy)

    def approved_routes(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Return the node's advertised routes that are auto-approved."""
        users = [] if owner is None else [access_user(owner)]
        return Access(self._policy, users, [_inventoried(node)]).auto_approved(node.id)

    def tag_exists(self, tag: str) -> bool:
        """Return whether the policy defines the tag."""
        return self._tags.tag_exists(tag)

    def pools(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Return the prefixes for a new node's IPv4 address; none: any prefix."""
        if not self._pools:
            return ()
        return pools_for(self._policy, [] if owner is None else [access_user(owner)], _inventoried(node))

    def kept_pools(self) -> tuple[str, ...]:
        """Return every prefix that is reserved for some nodes."""
        return self._pools


class CurrentPolicy:
    """The decisions of the policy in force; replaced when the policy changes."""

    def __init__(self) -> None:
        self.current: PolicyDecisions = NoPolicy()

    def approve(self, state: State, node: Node) -> tuple[str, ...]:
        """Return the node's approved routes and those that the policy adds; it never removes one (RTE-03)."""
        if not node.advertised_routes:
            return node.approved_routes
        owner = None if node.is_tagged else state.users.get(node.user_id)
        added = self.current.approved_routes(node, owner)
        if not set(added) - set(node.approved_routes):
            return node.approved_routes
        if any(route in EXIT_ROUTES for route in added):
            added = with_both_exits(added)
        return read_routes((*node.approved_routes, *added))

    def follow_users(self, draft: Draft) -> None:
        """Approve routes that the policy approves after changes of users: of their role, groups or name."""
        changed = {
            fact.user.id
            for fact, inverse in zip(draft.facts, draft.undo, strict=True)
            if isinstance(fact, UserPut) and not _is_same(fact.user, inverse)
        }
        if not changed:
            return
        for node in [node for node in draft.state.nodes.values() if node.user_id in changed]:
            if draft.put_node(replace(node, approved_routes=self.approve(draft.state, node))):
                log.info("routes approved by policy", node_id=node.id)

    def pools(self, state: State, node: Node) -> tuple[str, ...]:
        """Return the prefixes that the policy reserves for a new node's IPv4 address."""
        return self.current.pools(node, None if node.is_tagged else state.users.get(node.user_id))

    def kept_pools(self) -> tuple[str, ...]:
        """Return every prefix that the policy reserves for some nodes."""
        return self.current.kept_pools()


class PolicyChange:
    """Use case that applies a new policy in the registry."""

    def __init__(self, ledger: Ledger, policies: CurrentPolicy) -> None:
        self._ledger = ledger
        self._policies = policies

    async def take(self, approver: PolicyDecisions) -> None:
        """Apply a policy, and approve those routes already advertised that it approves.

        Raises:
            UnavailableError: the database cannot be used; the policy is applied, but its routes are not approved yet.
        """
        self._policies.current = approver
        if await self._ledger.read(lambda state: bool(self._behind(state))):
            while await self._ledger.commit(self._approve):
                log.info("approved routes exceed one transaction, continuing in the next")

    def _behind(self, state: State) -> list[Node]:
        found = []
        for node in state.nodes.values():
            if node.advertised_routes:
                approved = replace(node, approved_routes=self._policies.approve(state, node))
                if approved != node:
                    found.append(approved)
        return found

    async def _approve(self, draft: Draft) -> bool:
        """Approve routes of up to `MAX_FACTS` nodes; return whether some are left."""
        behind = self._behind(draft.state)
        for node in behind[:MAX_FACTS]:
            log.info("routes approved by policy", node_id=node.id)
            draft.put_node(node)
        return len(behind) > MAX_FACTS


def _is_same(user: User, inverse: Fact) -> bool:
    """Return whether a user's fields that policies use are unchanged."""
    return isinstance(inverse, UserPut) and access_user(inverse.user) == access_user(user)


def _inventoried(node: Node) -> AccessNode:
    return access_node(node, node.created_at, posture_attributes(node.hostinfo, node.attribute_texts))
