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


class Addresses:
    """Use case of fixed addresses."""

    def __init__(self, ledger: Ledger, settings: RegistrySettings, policies: CurrentPolicy) -> None:
        self._ledger = ledger
        self._settings = settings
        self._policies = policies

    async def set(self, node_id: NodeId, chosen: ChosenAddresses) -> Node:
        """Replace the addresses of a node. The former ones are free for others after their quarantine.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: none is given, or no node or not this one may have it.
            AlreadyExistsError: another node has it.
        """
        if not chosen.ipv4 and not chosen.ipv6:
            raise InvalidInputError("ipv4: give an address")
        for field, pool, text in (
            ("ipv4", self._settings.v4, chosen.ipv4),
            ("ipv6", self._settings.v6, chosen.ipv6),
        ):
            if text:
                _check(field, pool, text)

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            changed = replace(node, ipv4=chosen.ipv4 or node.ipv4, ipv6=chosen.ipv6 or node.ipv6)
            if changed == node:
                return node
            _check_holder(draft.state, node_id, chosen)
            if changed.ipv4 != node.ipv4:
                self._check_pools(draft.state, node, changed.ipv4)
            draft.readdress_node(changed)
            draft.after_commit.append(lambda: log.info("node addresses set", node_id=node_id))
            return changed

        return await self._ledger.commit(write)

    def _check_pools(self, state: State, node: Node, ipv4: str) -> None:
        """Refuse an address that the policy's `ipPool` keeps for other nodes, or one outside the node's own pools."""
        mine = self._policies.pools(state, node)
        if mine and not _inside(ipv4, mine):
            raise InvalidInputError(f"ipv4: the policy's ipPool gives this node an address of {', '.join(mine)}")
        if not mine and _inside(ipv4, self._policies.kept_pools()):
            raise InvalidInputError(f"ipv4: {ipv4} is kept for other nodes by the policy's ipPool")


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


def _check_holder(state: State, node_id: NodeId, chosen: ChosenAddresses) -> None:
    for field, text in (("ipv4", chosen.ipv4), ("ipv6", chosen.ipv6)):
        holder = state.address_holder(text) if text else None
        if holder not in (None, node_id):
            other = state.nodes[holder]
            raise AlreadyExistsError(f"{field}: another node, {other.given_name} (id {other.id}), has this address")


def _inside(address: str, prefixes: tuple[str, ...]) -> bool:
    found = ip_address(address)
    return any(found in ip_network(prefix) for prefix in prefixes)
