"""What a node is given when it comes in: a stable id, addresses, a name."""

from __future__ import annotations

import secrets
import string

from services.registry.model.address import Pool, Random, at_random, sequential
from services.registry.model.name import base_label, free_label
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.settings import Settings
from services.shared.ids import NodeId

_STABLE = string.ascii_letters + string.digits


def new_stable_id() -> str:
    """An opaque id of the form that clients know from the hosted service."""
    return "n" + "".join(secrets.choice(_STABLE) for _ in range(12)) + "CNTRL"


class Giver:
    """Finds what is free in a state."""

    def __init__(self, settings: Settings, random: Random | None = None) -> None:
        self._settings = settings
        self._random: Random = random or secrets.SystemRandom()

    def ipv4(self, state: State) -> str:
        """A free IPv4 address; nothing where the tailnet has no such prefix.

        Raises:
            ExhaustedError: all are held.
        """
        return self._address(state, self._settings.v4, state.last_v4)

    def ipv6(self, state: State) -> str:
        """A free IPv6 address; nothing where the tailnet has no such prefix.

        Raises:
            ExhaustedError: all are held.
        """
        return self._address(state, self._settings.v6, state.last_v6)

    def name(self, state: State, hostname: str, node_id: NodeId) -> str:
        """The given name that follows from a hostname."""
        return free_label(hostname, lambda label: state.name_holder(label) not in (None, node_id), state.name_hints)

    def rename(self, state: State, node: Node, hostname: str) -> str:
        """The given name of a node after it said another hostname: as it is, unless the new one asks for another."""
        if node.given_name_fixed or base_label(node.hostname) == base_label(hostname):
            return node.given_name
        return self.name(state, hostname, node.id)

    def _address(self, state: State, pool: Pool | None, last: str) -> str:
        if pool is None:
            return ""
        held = _held(pool, state)
        if self._settings.random_addresses:
            return at_random(pool, state.is_held, held, self._random)
        return sequential(pool, state.is_held, held, last)


def _held(pool: Pool, state: State) -> int:
    """At least as many as the held addresses of a pool; exact when it may be full."""
    if len(state.nodes) < pool.size:
        return len(state.nodes)
    return sum(1 for address in state.held() if pool.holds(address))
