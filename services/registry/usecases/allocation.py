"""Allocates a node's stable id, addresses and given name, from what is free in the state. Stores nothing."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from contextlib import suppress

from services.registry.model.address import Pool, Random, at_random, sequential
from services.registry.model.errors import ExhaustedError
from services.registry.model.name import base_label, free_label
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.settings import RegistrySettings
from services.shared.ids import NodeId

_STABLE = string.ascii_letters + string.digits


def new_stable_id() -> str:
    """Return a random stable id in the hosted service's form."""
    return "n" + "".join(secrets.choice(_STABLE) for _ in range(12)) + "CNTRL"


class Allocator:
    """Allocator of free addresses and names in a state."""

    def __init__(self, settings: RegistrySettings, random: Random | None = None) -> None:
        self._settings = settings
        self._random: Random = random or secrets.SystemRandom()
        self._given: dict[str, str] = {}
        """The address given last of each pool of the policy: only where a search begins, so it may be forgotten."""

    def ipv4(self, state: State, pools: Sequence[str] = (), kept: Sequence[str] = ()) -> str:
        """Return a free IPv4 address; empty if the tailnet has no IPv4 prefix.

        With `pools` it is from the first of these prefixes that has one. `kept` are prefixes that the policy reserves
        for its targets: other nodes get an address there only if there is none elsewhere.

        Raises:
            ExhaustedError: all are assigned.
        """
        whole = self._settings.v4
        if whole is None:
            return ""
        if pools:
            return self._of_policy(state, pools)
        if not kept:
            return self._address(state, whole, state.last_v4)
        outside = whole.without(kept)
        try:
            return self._address(state, outside, _last_outside(state, outside))
        except ExhaustedError:
            return self._address(state, whole, state.last_v4)

    def _of_policy(self, state: State, pools: Sequence[str]) -> str:
        for prefix in pools:
            with suppress(ExhaustedError):
                given = self._address(state, Pool.of(prefix), self._given.get(prefix, ""))
                self._given[prefix] = given
                return given
        raise ExhaustedError(f"no address is left in the policy's ipPool {', '.join(pools)}")

    def ipv6(self, state: State) -> str:
        """Return a free IPv6 address; empty if the tailnet has no IPv6 prefix.

        Raises:
            ExhaustedError: all are assigned.
        """
        return self._address(state, self._settings.v6, state.last_v6)

    def name(self, state: State, hostname: str, node_id: NodeId) -> str:
        """Return a free given name for a hostname."""
        return free_label(hostname, lambda label: state.name_holder(label) not in (None, node_id), state.name_hints)

    def rename(self, state: State, node: Node, hostname: str) -> str:
        """Return the given name after a change of hostname: unchanged if it still follows from the hostname."""
        if node.given_name_fixed or base_label(node.hostname) == base_label(hostname):
            return node.given_name
        return self.name(state, hostname, node.id)

    def _address(self, state: State, pool: Pool | None, last: str) -> str:
        if pool is None:
            return ""
        held = _assigned(pool, state)
        if self._settings.random_addresses:
            return at_random(pool, state.is_assigned, held, self._random)
        return sequential(pool, state.is_assigned, held, last)


def _assigned(pool: Pool, state: State) -> int:
    """Return an upper bound of a pool's assigned addresses; exact if the pool may be full."""
    if len(state.nodes) < pool.size:
        return len(state.nodes)
    return sum(1 for address in state.assigned() if pool.gives(address))


def _last_outside(state: State, pool: Pool) -> str:
    """Return the address of the newest node with one in this pool."""
    if state.last_v4 and pool.gives(state.last_v4):
        return state.last_v4
    found = ((node.id, node.ipv4) for node in state.nodes.values() if node.ipv4 and pool.gives(node.ipv4))
    return max(found, default=(0, ""))[1]
