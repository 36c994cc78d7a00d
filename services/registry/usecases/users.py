"""Users: created, listed, renamed and deleted by people."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.registry.model.errors import AlreadyExistsError, PreconditionError
from services.registry.model.fact import UserRemoved
from services.registry.model.standing import attributes, by, changes
from services.registry.model.state import State
from services.registry.model.user import OWNER, User, check_name, check_role, check_text, check_url
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import UserId
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The fields of a user to create."""

    name: str
    display_name: str = ""
    email: str = ""
    profile_pic_url: str = ""


class Users:
    """Use cases of users for administrators."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def create(self, new: NewUser) -> User:
        """Create a local user.

        Raises:
            InvalidInputError: a field cannot be accepted.
            AlreadyExistsError: the name is taken.
        """
        check_name(new.name)
        check_text("display_name", new.display_name)
        check_text("email", new.email)
        check_url("profile_pic_url", new.profile_pic_url)

        async def write(draft: Draft) -> User:
            _refuse_taken(draft.state, new.name)
            user = User(
                id=UserId(await draft.transaction.next_id("user")),
                name=new.name,
                created_at=draft.now,
                display_name=new.display_name,
                email=new.email,
                profile_pic_url=new.profile_pic_url,
            )
            draft.put_user(user)
            return user

        user = await self._ledger.commit(write)
        log.info("user created", user_id=user.id)
        return user

    async def find(self, user_id: UserId | None, name: str, email: str) -> list[User]:
        """Return the users that match all given criteria, ordered by id."""

        def read(state: State) -> list[User]:
            return [
                user
                for _, user in sorted(state.users.items())
                if user_id in (None, user.id) and name in ("", user.name) and email in ("", user.email)
            ]

        return await self._ledger.read(read)

    async def rename(self, user_id: UserId, name: str) -> User:
        """Give a user another name.

        Raises:
            NotFoundError: there is no such user.
            InvalidInputError: the name cannot be accepted.
            AlreadyExistsError: the name is taken.
        """
        check_name(name)

        async def write(draft: Draft) -> User:
            user = draft.user(user_id)
            if user.name == name:
                return user
            _refuse_taken(draft.state, name)
            renamed = replace(user, name=name)
            draft.put_user(renamed)
            await _note(draft, user, renamed)
            return renamed

        return await self._ledger.commit(write)

    async def set_role(self, user_id: UserId, role: str, actor: str = "") -> User:
        """Give a user another role.

        Raises:
            NotFoundError: there is no such user.
            InvalidInputError: there is no such role.
            PreconditionError: the tailnet would have no owner.
        """
        check_role(role)
        check_text("actor", actor)

        async def write(draft: Draft) -> User:
            user = draft.user(user_id)
            if user.role == role:
                return user
            _refuse_last_owner(draft.state, user)
            changed = replace(user, role=role)
            draft.put_user(changed)
            await _note(draft, user, changed, actor)
            return changed

        user = await self._ledger.commit(write)
        log.info("user role set", user_id=user_id, role=role)
        return user

    async def delete(self, user_id: UserId) -> None:
        """Delete a user.

        Raises:
            NotFoundError: there is no such user.
            PreconditionError: the user has nodes, or is the only owner.
        """

        async def write(draft: Draft) -> None:
            _refuse_last_owner(draft.state, draft.user(user_id))
            if any(node.user_id == user_id for node in draft.state.nodes.values()):
                raise PreconditionError("user not empty: node(s) found")
            draft.record(UserRemoved(user_id))
            await draft.transaction.forget_person(user_id)

        await self._ledger.commit(write)
        log.info("user deleted", user_id=user_id)


async def _note(draft: Draft, before: User, after: User, actor: str = "") -> None:
    entries = changes(after.id, draft.now, by("administrator", actor), attributes(before), attributes(after))
    await draft.transaction.add_history(entries)


def _refuse_last_owner(state: State, user: User) -> None:
    """Refuse to remove the only owner: nobody else could appoint one."""
    if user.role == OWNER and not any(one.role == OWNER for one in state.users.values() if one.id != user.id):
        raise PreconditionError(f"{user.name} is the only owner: make another user owner first")


def _refuse_taken(state: State, name: str) -> None:
    if state.user_named(name) is not None:
        raise AlreadyExistsError("a user with this name exists")
