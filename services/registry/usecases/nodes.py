"""Changes to existing nodes: expire, rename, tag, approve routes, delete; and a client's own logout."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from services.registry.model.departure import Departure, DepartureReason
from services.registry.model.errors import (
    AlreadyExistsError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
)
from services.registry.model.name import check_label
from services.registry.model.node import NO_USER, Node
from services.registry.model.route import read_routes, with_both_exits
from services.registry.model.state import State
from services.registry.model.tag import read_tags
from services.registry.usecases.allocation import Allocator
from services.registry.usecases.approval import CurrentPolicy
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.settings import RegistrySettings
from services.shared.ids import NodeId
from services.shared.inventory import is_suspended
from services.shared.keys import MachineKey, NodeKey
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class Nodes:
    """Use cases of admitted nodes."""

    def __init__(
        self, ledger: Ledger, settings: RegistrySettings, allocator: Allocator, policies: CurrentPolicy
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._allocator = allocator
        self._policies = policies

    async def may_relay(self, node_key: NodeKey) -> NodeId | None:
        """Return the node with this key if the key is not expired and its owner not suspended, else None."""
        now = self._ledger.now()

        def read(state: State) -> NodeId | None:
            node = state.by_node_key(node_key)
            if node is None or node.is_expired(now):
                return None
            return None if is_suspended(node.tags, state.users.get(node.user_id)) else node.id

        return await self._ledger.read(read)

    async def departure(self, machine: MachineKey) -> Departure:
        """Return why and when the last node of a machine was removed.

        Raises:
            NotFoundError: none was, or its record has been trimmed.
        """
        found = await self._ledger.read(lambda state: state.departures.of_machine(machine))
        if found is None:
            raise NotFoundError("no node of this machine was removed recently")
        return found

    async def log_out(self, machine: MachineKey, node_key: NodeKey, expiry: datetime | None) -> None:
        """Expire a client's own key now or earlier than its expiry; delete an ephemeral node at once.

        Raises:
            NotFoundError: no node has this key.
            ForbiddenError: the node is another machine's.
            InvalidInputError: the requested expiry is later than the current one.
        """

        async def write(draft: Draft) -> None:
            node = draft.state.by_node_key(node_key)
            if node is None:
                raise NotFoundError("node not found")
            if node.machine_key != machine:
                raise ForbiddenError("the node key belongs to another machine")
            if expiry is not None and expiry > draft.now:
                _shorten(draft, node, expiry)
            elif node.ephemeral:
                draft.remove_node(node.id, DepartureReason.LOGGED_OUT)
            elif not node.is_expired(draft.now):
                draft.put_node(replace(node, expiry=draft.now, expired=True))

        await self._ledger.commit(write)

    async def expire(self, node_id: NodeId, expiry: datetime | None, never: bool) -> Node:
        """Set the expiry of a node's key; without a time, expire it now. Tagged nodes may have an expiry, too.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: both a time and never are given.
        """
        if never and expiry is not None:
            raise InvalidInputError("an expiry and no expiry cannot both be set")

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            at = None if never else (expiry or draft.now)
            disabled = (node.expiry or node.disabled_expiry) if never else None
            changed = replace(node, expiry=at, disabled_expiry=disabled, expired=at is not None and at <= draft.now)
            draft.put_node(changed)
            return changed

        return await self._ledger.commit(write)

    async def restore_expiry(self, node_id: NodeId) -> Node:
        """Restore the expiry that a node's key had before it was disabled; a key that has an expiry keeps it.

        Raises:
            NotFoundError: there is no such node.
            PreconditionError: the key never had an expiry.
        """

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            if node.expiry is not None:
                return node
            at = node.disabled_expiry
            if at is None:
                raise PreconditionError("the key of this node had no expiry; set one, or sign in on the node again")
            restored = replace(node, expiry=at, disabled_expiry=None, expired=at <= draft.now)
            draft.put_node(restored)
            return restored

        return await self._ledger.commit(write)

    async def rename_from_hostname(self, node_id: NodeId) -> Node:
        """Give a node the name that follows from its hostname, now and after changes of it.

        Raises:
            NotFoundError: there is no such node.
        """

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            renamed = replace(
                node, given_name=self._allocator.name(draft.state, node.hostname, node_id), given_name_fixed=False
            )
            draft.put_node(renamed)
            return renamed

        return await self._ledger.commit(write)

    async def rename(self, node_id: NodeId, name: str) -> Node:
        """Rename a node; from then on the name does not follow the client's hostname.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: it is no DNS label.
            AlreadyExistsError: another node has it.
        """
        name = check_label(name, self._settings.base_domain)

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            if draft.state.name_holder(name) not in (None, node_id):
                raise AlreadyExistsError("a node with this name exists")
            renamed = replace(node, given_name=name, given_name_fixed=True)
            draft.put_node(renamed)
            return renamed

        return await self._ledger.commit(write)

    async def delete(self, node_id: NodeId) -> None:
        """Delete a node and free its addresses and name.

        Raises:
            NotFoundError: there is no such node.
        """

        async def write(draft: Draft) -> None:
            draft.node(node_id)
            draft.remove_node(node_id, DepartureReason.DELETED)

        await self._ledger.commit(write)
        log.info("node deleted", node_id=node_id)

    async def set_tags(self, node_id: NodeId, texts: list[str]) -> Node:
        """Make tags own a node: its user and its key expiry are removed.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: no tag, or one that is malformed or not in the policy.
        """
        tags = read_tags(texts)
        if not tags:
            raise InvalidInputError("cannot remove all tags from a node: it needs at least one")

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            unknown = [tag for tag in tags if tag not in node.tags and not self._policies.current.tag_exists(tag)]
            if unknown:
                raise InvalidInputError(
                    f"requested tags [{' '.join(unknown)}] are invalid or not permitted: "
                    "a tag exists once tagOwners of the policy names it"
                )
            expired = node.is_expired(draft.now)
            expiry = node.expiry if expired else None
            tagged = replace(node, tags=tags, user_id=NO_USER, expiry=expiry, disabled_expiry=None, expired=expired)
            tagged = replace(tagged, approved_routes=self._policies.approve(draft.state, tagged))
            draft.put_node(tagged)
            return tagged

        return await self._ledger.commit(write)

    async def approve_routes(self, node_id: NodeId, texts: list[str]) -> Node:
        """Replace the routes that a node may serve, advertised already or not.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: one is not a CIDR.
        """
        routes = with_both_exits(read_routes(texts))

        async def write(draft: Draft) -> Node:
            changed = replace(draft.node(node_id), approved_routes=routes)
            draft.put_node(changed)
            return changed

        return await self._ledger.commit(write)

    async def backfill(self) -> list[str]:
        """Assign addresses to nodes that lack one, `MAX_FACTS` nodes per transaction; return a sentence for each.

        Raises:
            ExhaustedError: no address is left for a node; nodes of earlier transactions keep their new addresses.
        """
        assigned: list[str] = []
        after: NodeId | None = NodeId(0)
        while after is not None:
            sentences, after = await self._ledger.commit(partial(self._backfill_part, after=after))
            assigned += sentences
        return assigned

    async def _backfill_part(self, draft: Draft, after: NodeId) -> tuple[list[str], NodeId | None]:
        """Assign addresses to up to `MAX_FACTS` nodes above an id. The last id is None when no node is left."""
        assigned: list[str] = []
        kept = self._policies.kept_pools()
        later = sorted((node for node in draft.state.nodes.values() if node.id > after), key=lambda node: node.id)
        for node in later:
            if len(draft.facts) >= MAX_FACTS:
                return assigned, after
            filled = node
            pools = () if filled.ipv4 else self._policies.pools(draft.state, node)
            if not filled.ipv4 and (ipv4 := self._allocator.ipv4(draft.state, draft.now, pools, kept)):
                filled = replace(filled, ipv4=ipv4)
                assigned.append(f"assigned IPv4 {ipv4} to Node({node.id}) {node.given_name!r}")
            if not filled.ipv6 and (ipv6 := self._allocator.ipv6(draft.state, draft.now)):
                filled = replace(filled, ipv6=ipv6)
                assigned.append(f"assigned IPv6 {ipv6} to Node({node.id}) {node.given_name!r}")
            draft.put_node(filled)
            after = node.id
        return assigned, None


def _shorten(draft: Draft, node: Node, expiry: datetime) -> None:
    if node.is_tagged or node.is_expired(draft.now) or (node.expiry is not None and expiry > node.expiry):
        raise InvalidInputError("extending key is not allowed")
    draft.put_node(replace(node, expiry=expiry))
