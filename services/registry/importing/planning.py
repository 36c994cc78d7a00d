"""Plans an import: from neutral records and the tailnet's state to the rows to write and notes on changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.registry.importing.nodes import NodePlanner
from services.registry.importing.users import UserPlanner
from services.registry.model.link import Link
from services.registry.model.node import Node, RegisterMethod
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.usecases.allocation import Allocator
from services.registry.usecases.settings import RegistrySettings
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.ids import UserId
from services.shared.imported import Ids, Installation, greatest
from services.shared.inventory import access_user


@dataclass(frozen=True, slots=True)
class RegistryPlan:
    """The rows to write in the registry's tables."""

    users: Sequence[User]
    links: Sequence[Link]
    nodes: Sequence[Node]
    user_ids: dict[int, UserId]
    """Our user id for each imported user id."""
    last_user_id: int
    last_node_id: int


def plan(
    found: Installation,
    policy: CompiledPolicy,
    settings: RegistrySettings,
    now: datetime,
    *,
    state: State,
    links: Sequence[Link] = (),
    issuers: Sequence[str] = (),
) -> RegistryPlan:
    """Plan users and nodes; count and note the result for each in `found`.

    `state` and `links` are the tailnet's; the state is modified. `policy` decides who may own a tag, `issuers` are
    the configured sign-in providers.
    """
    mentioned = (*(user.id for user in found.users), *(node.user_id for node in found.nodes))
    last_user = greatest((*mentioned, *state.users), found.last_ids.get("user"))
    last_node = greatest((*(node.id for node in found.nodes), *state.nodes), found.last_ids.get("node"))
    counts, problems = found.counts, found.problems
    user_ids, node_ids = Ids("user", last_user, problems), Ids("node", last_node, problems)
    users = UserPlanner(state, links, issuers, now, counts["users"], problems, user_ids)
    for user in sorted(found.users, key=lambda user: user.id):
        users.take(user)
    access = Access(policy, map(access_user, state.users.values()), ())
    nodes = NodePlanner(
        state,
        users,
        Allocator(settings),
        access.may_own_tag,
        now,
        counts["nodes"],
        counts["routes"],
        problems,
        node_ids,
    )
    planned = nodes.take_all(found.nodes)
    _note_unlinked(found, users.plan.users, planned)
    routes = counts["routes"]
    routes.found = routes.imported + routes.left_out
    return RegistryPlan(users.plan.users, users.plan.links, planned, users.plan.ids, user_ids.last, node_ids.last)


def with_keys(plan: RegistryPlan, key_ids: Mapping[int, int]) -> RegistryPlan:
    """Return the plan with each node's pre-auth key under its id here; 0 where the tailnet does not have that key."""
    nodes = [replace(node, pre_auth_key_id=key_ids.get(node.pre_auth_key_id, 0)) for node in plan.nodes]
    return replace(plan, nodes=nodes)


def _note_unlinked(found: Installation, users: Sequence[User], nodes: Sequence[Node]) -> None:
    """Note users who signed in at a provider without a stored identity, as in releases up to 0.23."""
    signed_in = {node.user_id for node in nodes if node.register_method is RegisterMethod.OIDC}
    for user in users:
        if user.id in signed_in and not user.provider:
            what = f"{user.name} signed in at a provider, and this release does not store as whom"
            done = "kept as it is; headscale users link USER ISSUER SUBJECT makes the next sign-in this user"
            found.problems.add("user", user.id, what, done)
