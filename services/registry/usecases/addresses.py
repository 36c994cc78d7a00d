"""Addresses that administrators choose for nodes: checked against prefixes, reserved ranges, pools and other nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from services.registry.model.address import Pool
from services.registry.model.errors import AlreadyExistsError, InvalidInputError
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.approval import CurrentPolicy
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.settings import RegistrySettings
from services.shared.ids import NodeId
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChosenAddresses:
    """The addresses that a node is to have; an empty one stays as it is."""

    ipv4: str = ""
    ipv6: str = ""

    def __bool__(self) -> bool:
        """Return whether an address is chosen."""
        return bool(self.ipv4 or self.ipv6)


class AddressRules:
    """The rules for addresses that administrators choose."""

    def __init__(self, settings: RegistrySettings, policies: CurrentPolicy) -> None:
        self._settings = settings
        self._policies = policies

    def check_form(self, chosen: ChosenAddresses) -> None:
        """Raise InvalidInputError if no node may have one of the addresses."""
        for field, pool, text in (
            ("ipv4", self._settings.v4, chosen.ipv4),
            ("ipv6", self._settings.v6, chosen.ipv6),
        ):
            if text:
                _check(field, pool, text)

    def apply(self, state: State, node: Node, chosen: ChosenAddresses) -> Node:
        """Return the node with the addresses, which have passed `check_form`.

        Raises:
            InvalidInputError: the policy's `ipPool` does not give this node such an address.
            AlreadyExistsError: another node has it.
        """
        changed = replace(node, ipv4=chosen.ipv4 or node.ipv4, ipv6=chosen.ipv6 or node.ipv6)
        if changed != node:
            check_holder(state, node.id, chosen)
            if changed.ipv4 != node.ipv4:
                self._check_pools(state, node, changed.ipv4)
        return changed

    def _check_pools(self, state: State, node: Node, ipv4: str) -> None:
        """Refuse an address that the policy's `ipPool` keeps for other nodes, or one outside the node's own pools."""
        mine = self._policies.pools(state, node)
        if mine and not _inside(ipv4, mine):
            raise InvalidInputError(f"ipv4: the policy's ipPool gives this node an address of {', '.join(mine)}")
        if not mine and _inside(ipv4, self._policies.kept_pools()):
            raise InvalidInputError(f"ipv4: {ipv4} is kept for other nodes by the policy's ipPool")


class Addresses:
    """Use cases of fixed addresses."""

    def __init__(self, ledger: Ledger, rules: AddressRules) -> None:
        self._ledger = ledger
        self._rules = rules

    async def set(self, node_id: NodeId, chosen: ChosenAddresses) -> Node:
        """Replace the addresses of a node. The former ones are free for others after their quarantine.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: none is given, or no node or not this one may have it.
            AlreadyExistsError: another node has it.
        """
        if not chosen:
            raise InvalidInputError("ipv4: give an address")
        self._rules.check_form(chosen)

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            changed = self._rules.apply(draft.state, node, chosen)
            if changed != node:
                draft.readdress_node(changed)
                draft.after_commit.append(lambda: log.info("node addresses set", node_id=node_id))
            return changed

        return await self._ledger.commit(write)

    async def check(self, chosen: ChosenAddresses) -> None:
        """Check addresses for a node that does not exist yet. The rules apply again when it is admitted.

        Raises:
            InvalidInputError: none is given, or no node may have it.
            AlreadyExistsError: a node has it.
        """
        if not chosen:
            raise InvalidInputError("ipv4: give an address")
        self._rules.check_form(chosen)
        await self._ledger.read(lambda state: check_holder(state, None, chosen))


def _check(field: str, pool: Pool | None, text: str) -> None:
    """Refuse an address that no node may have."""
    if pool is None:
        raise InvalidInputError(f"{field}: the tailnet has no prefix for it: set prefixes.v{field[-1]}")
    try:
        if str(ip_address(text)) != text or (":" in text) is not pool.is_v6:
            raise ValueError
    except ValueError:
        raise InvalidInputError(f"{field}: not an IPv{field[-1]} address in its usual form") from None
    if not pool.holds(text):
        inside = ip_address(text) in ip_network(pool.prefix)
        what = f"the network or broadcast address of {pool.prefix}" if inside else f"outside of {pool.prefix}"
        raise InvalidInputError(f"{field}: {text} is {what}")
    if not pool.gives(text):
        raise InvalidInputError(f"{field}: {text} is reserved, clients do not use it for nodes")


def check_holder(state: State, node_id: NodeId | None, chosen: ChosenAddresses) -> None:
    """Raise AlreadyExistsError if a node has one of the addresses, except the node with this id."""
    for field, text in (("ipv4", chosen.ipv4), ("ipv6", chosen.ipv6)):
        holder = state.address_holder(text) if text else None
        if holder not in (None, node_id):
            other = state.nodes[holder]
            raise AlreadyExistsError(f"{field}: another node, {other.given_name} (id {other.id}), has this address")


def _inside(address: str, prefixes: tuple[str, ...]) -> bool:
    found = ip_address(address)
    return any(found in ip_network(prefix) for prefix in prefixes)
