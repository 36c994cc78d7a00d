"""Identities as administrators manage them: linked to users, unlinked, and moved between users."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.registry.model.errors import AlreadyExistsError, ExhaustedError, InvalidInputError, NotFoundError
from services.registry.model.link import MAX_LINKS, NEVER, Link, check_identity
from services.registry.model.node import Node
from services.registry.model.standing import HistoryEntry, Standing, attributes, by, changes, check_attribution
from services.registry.model.user import User
from services.registry.usecases.draft import Draft, user_of
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.rights import with_groups
from services.shared.ids import UserId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class IdentityDetails:
    """A user with their identities, standing and history."""

    user: User
    links: tuple[Link, ...]
    """Ordered by last sign-in, newest first."""
    standing: Standing | None
    history: tuple[HistoryEntry, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class RelinkResult:
    """The result of moving one user's identities and nodes to another."""

    user: User
    links: int
    nodes: int
    left: int
    """Nodes that stay, because the other user has one on the same machine."""


class Identities:
    """Use cases of identities for administrators."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def details(self, user_id: UserId) -> IdentityDetails:
        """Return a user with their identities, standing and history.

        Raises:
            NotFoundError: there is no such user.
        """

        async def write(draft: Draft) -> IdentityDetails:
            user = draft.user(user_id)
            links = await draft.transaction.links(user_id)
            nodes = [node for node in draft.state.nodes.values() if node.user_id == user_id and not node.is_tagged]
            return IdentityDetails(
                user=user,
                links=tuple(sorted(links, key=lambda link: link.last_login, reverse=True)),
                standing=await draft.transaction.standing(user_id),
                history=tuple(await draft.transaction.history(user_id)),
                nodes=tuple(sorted(nodes, key=lambda node: node.id)),
            )

        return await self._ledger.commit(write)

    async def links(self) -> list[Link]:
        """Return the links of all users, ordered by user."""

        async def write(draft: Draft) -> list[Link]:
            return await draft.transaction.links()

        return await self._ledger.commit(write)

    async def link(self, user_id: UserId, issuer: str, subject: str, actor: str) -> User:
        """Link an identity to a user; it need not have signed in yet.

        Raises:
            NotFoundError: there is no such user.
            InvalidInputError: it cannot be an identity.
            AlreadyExistsError: it is another user's.
            ExhaustedError: the user has too many.
        """
        check_identity(issuer, subject)
        check_attribution(ADMINISTRATOR, actor, "")

        async def write(draft: Draft) -> User:
            user = draft.user(user_id)
            known = await draft.transaction.link(issuer, subject)
            if known is not None and known.user_id in draft.state.users:
                if known.user_id == user_id:
                    return user
                raise AlreadyExistsError("this identity is another user's: relink that user, or unlink it there first")
            if len(await draft.transaction.links(user_id)) >= MAX_LINKS:
                raise ExhaustedError(f"a user has at most {MAX_LINKS} identities")
            made = Link(issuer=issuer, subject=subject, user_id=user_id, created_at=draft.now, last_login=NEVER)
            await draft.transaction.put_link(made)
            await _note(draft, user_id, actor, "", made.provider_id)
            draft.put_user(replace(user, provider="oidc", provider_id=user.provider_id or made.provider_id))
            return draft.user(user_id)

        user = await self._ledger.commit(write)
        log.info("identity linked", user_id=user_id, issuer=issuer)
        return user

    async def unlink(self, issuer: str, subject: str, actor: str) -> User:
        """Unlink an identity from its user, and remove the groups that it contributed.

        The user still counts as one with identities: nobody can claim it by a verified address alone.

        Raises:
            NotFoundError: the identity is not linked.
        """
        check_attribution(ADMINISTRATOR, actor, "")

        async def write(draft: Draft) -> User:
            known = await draft.transaction.link(issuer, subject)
            if known is None or known.user_id not in draft.state.users:
                raise NotFoundError("this identity is not linked to a user")
            user = draft.user(known.user_id)
            await draft.transaction.remove_link(issuer, subject)
            await _note(draft, user.id, actor, known.provider_id, "")
            await _settle(draft, user, actor)
            return draft.user(user.id)

        user = await self._ledger.commit(write)
        log.info("identity unlinked", user_id=user.id, issuer=issuer)
        return user

    async def relink(self, from_user: UserId, to_user: UserId, actor: str) -> RelinkResult:
        """Move all identities and nodes of one user to another, because both are one person.

        Raises:
            NotFoundError: one of them is no user.
            InvalidInputError: both are the same user.
            ExhaustedError: the other would have too many identities.
        """
        check_attribution(ADMINISTRATOR, actor, "")
        if from_user == to_user:
            raise InvalidInputError("a user cannot be relinked to itself")

        async def write(draft: Draft) -> RelinkResult:
            old, new = draft.user(from_user), draft.user(to_user)
            theirs = await draft.transaction.links(old.id)
            if len(theirs) + len(await draft.transaction.links(new.id)) > MAX_LINKS:
                raise ExhaustedError(f"a user has at most {MAX_LINKS} identities")
            for link in theirs:
                await draft.transaction.put_link(replace(link, user_id=new.id))
                await _note(draft, old.id, actor, link.provider_id, "")
                await _note(draft, new.id, actor, "", link.provider_id)
            newest = max(theirs, key=lambda link: link.last_login, default=None)
            if newest is not None:
                new = replace(
                    new,
                    provider="oidc",
                    provider_id=newest.provider_id,
                    email=newest.email or new.email,
                    display_name=newest.display_name or new.display_name,
                )
            moved, left = _move_nodes(draft, old.id, new.id)
            # First the user that loses them: an address in a policy must never select two users at once.
            await _settle(draft, replace(old, email="" if newest is not None else old.email), actor)
            await _settle(draft, new, actor)
            return RelinkResult(user_of(draft.state, new.id), len(theirs), moved, left)

        moved = await self._ledger.commit(write)
        log.info("user relinked", from_user=from_user, user_id=to_user, links=moved.links, nodes=moved.nodes)
        return moved


def _move_nodes(draft: Draft, old: UserId, new: UserId) -> tuple[int, int]:
    nodes = [node for node in draft.state.nodes.values() if not node.is_tagged]
    machines = {node.machine_key for node in nodes if node.user_id == new}
    moved, left = 0, 0
    for node in sorted(nodes, key=lambda node: node.id):
        if node.user_id != old:
            continue
        if node.machine_key in machines:
            left += 1
            continue
        machines.add(node.machine_key)
        draft.put_node(replace(node, user_id=new))
        moved += 1
    return moved, left


async def _settle(draft: Draft, user: User, actor: str) -> None:
    """Store a user with the groups and the first identity that are left to them."""
    before = attributes(draft.state.users.get(user.id))
    links = await draft.transaction.links(user.id)
    known = {link.provider_id for link in links}
    if user.provider_id not in known:
        user = replace(user, provider_id=links[0].provider_id if links else "")
    draft.put_user(await with_groups(draft, user))
    now = attributes(draft.state.users.get(user.id))
    await draft.transaction.add_history(changes(user.id, draft.now, by(ADMINISTRATOR, actor), before, now))


async def _note(draft: Draft, user_id: UserId, actor: str, before: str, after: str) -> None:
    source = by(ADMINISTRATOR, actor)
    await draft.transaction.add_history(changes(user_id, draft.now, source, {"link": before}, {"link": after}))
